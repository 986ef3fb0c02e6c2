# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a broken file should contain and what it does, for a report that names both checksums. pgBackRest's verify
tells only that they differ. Internal: may change in any release."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import json
import re
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from .._common.errors import OperationError
from . import api
from .model import Place, Verification, VerifyFinding
from .runner import Runner

#: Files whose checksums are worked out for one report; of more, only the names are told.
EXPLAINED = 20
FILE_TIMEOUT_S = 600.0
_CHUNK = 1024 * 1024
_LABEL = re.compile(r"^(?P<label>\d{8}-\d{6}F(?:_\d{8}-\d{6}[DI])?)/(?P<file>.+)$")
_PROGRAMS = {".lz4": "lz4", ".zst": "zstd"}
_OPENERS: dict[str, Callable[[Any], IO[bytes]]] = {".gz": gzip.open, ".bz2": bz2.open}


def explain(place: Place, found: Verification, run: Runner) -> Verification:
    """C(found) with the expected and the actual checksum of each broken file, as far as they can be had."""
    manifests: dict[str, str] = {}
    told = []
    for finding in found.findings:
        match = _LABEL.match(finding.path)
        if match and len(told) < EXPLAINED:
            finding = _explain_file(place, finding, match["label"], match["file"], manifests, run)
        told.append(finding)
    return replace(found, findings=tuple(told))


def _explain_file(
    place: Place, finding: VerifyFinding, label: str, file: str, manifests: dict[str, str], run: Runner
) -> VerifyFinding:
    folder = f"backup/{place.stanza}/{label}"
    if label not in manifests:
        try:
            manifests[label] = api.get_file(place, f"{folder}/backup.manifest", run)
        except OperationError:
            manifests[label] = ""  # the manifest itself is broken: then verify has a finding about it, too
    expected = expected_checksum(manifests[label], file)
    actual = "none: the file is missing"
    if finding.kind != "missing":
        actual = _actual_checksum(place, f"{folder}/{file}", run)
    return replace(finding, expected=f"sha1 {expected}" if expected else "", actual=actual)


def expected_checksum(manifest: str, file: str) -> str:
    """The checksum that a backup's manifest has for a file of the repository; empty when it has none."""
    for name in (file, str(Path(file).with_suffix("")) if Path(file).suffix else file):
        found = re.search(rf"^{re.escape(name)}=(\{{.*\}})$", manifest, re.MULTILINE)
        if found:
            return str(json.loads(found[1]).get("checksum", ""))
    return ""


def _actual_checksum(place: Place, path: str, run: Runner) -> str:
    """The SHA-1 of the file's plain content, or why it has none."""
    with tempfile.TemporaryDirectory(prefix="churnguard-file-") as folder:
        raw = Path(folder) / f"stored{Path(path).suffix}"
        plain = Path(folder) / "plain"
        done = run.into(raw, api.command(place, "repo-get", ["--log-level-console=off"], [path]), FILE_TIMEOUT_S)
        if done.code:
            return f"unreadable: {api.complaint(done)}"
        program = _PROGRAMS.get(raw.suffix)
        try:
            if program is not None:
                done = run.into(plain, [program, "-dcq", str(raw)], FILE_TIMEOUT_S)
                if done.code:
                    return f"unreadable: {done.err.strip() or program}"
                raw = plain
            return f"sha1 {_sha1(raw)}"
        except (OSError, EOFError, ValueError) as error:
            return f"unreadable: {error}"
        except OperationError as error:
            return f"unknown: {error.answer}"


def _sha1(path: Path) -> str:
    digest = hashlib.sha1(usedforsecurity=False)
    with _OPENERS.get(path.suffix, lambda name: open(name, "rb"))(path) as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
