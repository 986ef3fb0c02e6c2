# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manifest's file. Internal: may change in any release."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from .._common.errors import OperationError

FORMAT = 1


def seal(manifest: dict[str, Any]) -> dict[str, Any]:
    """The manifest with the SHA-256 of its own content."""
    content = {name: value for name, value in manifest.items() if name != "sha256"}
    return {**content, "sha256": _digest(content)}


def verify(manifest: Any, source: str) -> dict[str, Any]:
    """The manifest, if it is one and whole. C(source) names where it is from. Raises OperationError."""
    if not isinstance(manifest, dict) or "tables" not in manifest:
        raise OperationError(f"read {source}", "it is no manifest.", "give one that state=captured made.")
    if manifest.get("format") != FORMAT:
        raise OperationError(
            f"read {source}", f"it has format {manifest.get('format')}, not {FORMAT}.", "capture it with this release."
        )
    content = {name: value for name, value in manifest.items() if name != "sha256"}
    if manifest.get("sha256") != _digest(content):
        raise OperationError(
            f"trust {source}", "its content is not what its own SHA-256 says.", "take another copy of the manifest."
        )
    return manifest


def load(path: str) -> dict[str, Any]:
    """Read and verify a manifest's file. Raises OperationError."""
    try:
        manifest = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OperationError(f"read the manifest {path}", f"{error}.", "give the path of a whole manifest.") from None
    return verify(manifest, f"the manifest {path}")


def save(path: str, manifest: dict[str, Any]) -> None:
    """Write the manifest so that only its owner reads it and nobody ever sees half of it. Raises OperationError."""
    target = Path(path)
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            json.dump(manifest, file, sort_keys=True)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(target)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise OperationError(f"write the manifest {path}", f"{error}.", "check the folder's owner and room.") from None


def _digest(content: dict[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()
