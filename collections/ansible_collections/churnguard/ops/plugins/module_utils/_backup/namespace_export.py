# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exports of a namespace: taken, tested by reading them back, and let go when they expire. Internal: may change in any
release."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from .._common.clock import Clock, isoformat
from .._common.errors import OperationError
from .._kubernetes.connection import Connection
from . import archive, namespace_api, namespace_plan
from .policy import moment

MANIFEST_SUFFIX = ".manifest.json"
_INNER = "manifest.json"
FORMAT = 1


@dataclass(frozen=True)
class Collected:
    """What a namespace holds: stripped objects, and how many were left out for which reason."""

    objects: list[dict[str, Any]]
    left_out: dict[str, int]


def collect(connection: Connection, namespace: str, excluded_kinds: Sequence[str]) -> Collected:
    """Every object worth keeping. A kind that cannot be read is an error: an export with a hole is none."""
    objects = [namespace_plan.stripped(namespace_api.get_namespace(connection, namespace))]
    left_out: dict[str, int] = {}
    for resource in namespace_api.list_resources(connection, namespace, excluded_kinds):
        for obj in namespace_api.list_objects(connection, resource, namespace):
            reason = namespace_plan.reason_to_leave_out(obj)
            if reason:
                key = f"{obj['kind']}: {reason}"
                left_out[key] = left_out.get(key, 0) + 1
            else:
                objects.append(namespace_plan.stripped(obj))
    return Collected(objects, dict(sorted(left_out.items())))


def write(folder: Path, namespace: str, collected: Collected, keys: Any, clock: Clock) -> Path:
    """Write archive and manifest, the manifest last: an archive without one is no backup. The manifest's path."""
    began = clock.now()
    texts = {namespace_plan.member_name(obj): namespace_plan.text_of(obj) for obj in collected.objects}
    # Sums of single objects stay inside: the sum of a short secret would give it away.
    inner = {
        "format": FORMAT,
        "namespace": namespace,
        "sha256": {n: namespace_plan.digest(t) for n, t in texts.items()},
    }
    content = archive.pack({_INNER: json.dumps(inner, sort_keys=True), **texts}, keys)
    if len(content) > archive.LARGEST_BYTES:
        raise OperationError(
            f"export the namespace {namespace}",
            f"the archive has {len(content)} bytes, more than {archive.LARGEST_BYTES}.",
            "leave out the kind that is so large with excluded_kinds.",
        )
    base = f"{namespace}-{began.strftime('%Y%m%dT%H%M%SZ')}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise OperationError(f"create {folder}", f"{error.strerror}.", "check path.") from error
    path = folder / f"{base}{MANIFEST_SUFFIX}"
    archive.write_whole(folder / f"{base}{archive.SUFFIX}", content)
    manifest = {
        "format": FORMAT,
        "type": "full",
        "namespace": namespace,
        "taken_at": isoformat(began),
        "finished_at": isoformat(clock.now()),
        "archive": f"{base}{archive.SUFFIX}",
        "archive_bytes": len(content),
        "archive_sha256": archive.sha256(content),
        "encrypted": True,
        "objects": len(collected.objects),
        "counts": namespace_plan.counts(collected.objects),
        "left_out": collected.left_out,
        "verified_at": None,
    }
    _write_manifest(path, manifest)
    return path


def restore_test(path: Path, keys: Any, clock: Clock, record: bool = True) -> dict[str, Any]:
    """Read an export back as a restore would: sums, decryption, every object, and the counts. The manifest, with
    C(verified_at) set (and written, if C(record)). Raises OperationError that names what is wrong."""
    manifest = read_manifest(path)
    file = path.with_name(str(manifest.get("archive")))
    content = _read(file)
    if archive.sha256(content) != manifest.get("archive_sha256"):
        raise _damaged(file, f"its SHA-256 is not {manifest.get('archive_sha256')}")
    files = archive.unpack(content, keys, str(file))
    objects = _check_members(file, files)
    found = namespace_plan.counts(objects)
    if found != manifest.get("counts"):
        raise _damaged(file, f"it holds {found}, the manifest says {manifest.get('counts')}")
    manifest["verified_at"] = isoformat(clock.now())
    if record:
        _write_manifest(path, manifest)
    return manifest


def pattern(namespace: str, suffix: str = MANIFEST_SUFFIX) -> str:
    """The glob of a namespace's exports: the time in full, because a namespace's name can begin with another's."""
    return f"{namespace}-{'[0-9]' * 8}T{'[0-9]' * 6}Z{suffix}"


def clear_leftovers(folder: Path, namespace: str, clock: Clock) -> list[str]:
    """Remove what an export that was killed left behind, an hour later: archives without a manifest, and drafts."""
    stems = {path.name.removesuffix(MANIFEST_SUFFIX) for path in folder.glob(pattern(namespace))}
    found = [
        path
        for path in folder.glob(pattern(namespace, archive.SUFFIX))
        if path.name.removesuffix(archive.SUFFIX) not in stems
    ]
    found += folder.glob(f".{pattern(namespace, '.*')}")
    old = [path for path in found if path.stat().st_mtime < clock.now().timestamp() - 3600]
    for path in old:
        path.unlink(missing_ok=True)
    return sorted(path.name for path in old)


def newest(folder: Path, namespace: str) -> Path | None:
    """The newest export's manifest: names sort by time."""
    return max(folder.glob(pattern(namespace)), default=None)


def expire(folder: Path, namespace: str, days: int, keep_last: int, clock: Clock, check_mode: bool) -> list[str]:
    """Delete exports older than C(days), never the newest C(keep_last) verified ones. Names of what went."""
    manifests = [(path, read_manifest(path)) for path in sorted(folder.glob(pattern(namespace)))]
    verified = [path for path, manifest in manifests if moment(manifest.get("verified_at"))]
    protected = set(verified[-keep_last:])
    limit = clock.now() - timedelta(days=days)
    gone = []
    for path, manifest in manifests:
        finished = moment(manifest.get("finished_at"))
        if path in protected or finished is None or finished >= limit:
            continue
        gone.append(path.name.removesuffix(MANIFEST_SUFFIX))
        if not check_mode:
            # The manifest first: without it the archive is out of the catalog, and a stop in between leaves no half.
            path.unlink(missing_ok=True)
            path.with_name(f"{gone[-1]}{archive.SUFFIX}").unlink(missing_ok=True)
    return gone


def read_manifest(path: Path) -> dict[str, Any]:
    """A manifest. Raises OperationError."""
    try:
        manifest = json.loads(_read(path))
    except ValueError as error:
        raise _damaged(path, "it is no JSON") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise _damaged(path, f"it is no manifest of format {FORMAT}")
    return manifest


def _check_members(file: Path, files: dict[str, str]) -> list[dict[str, Any]]:
    try:
        sums = json.loads(files.pop(_INNER, ""))["sha256"]
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(file, "its inner manifest cannot be read") from error
    if set(sums) != set(files):
        raise _damaged(file, f"it differs from its inner manifest in {sorted(set(sums) ^ set(files))[:5]}")
    objects = []
    for name, text in files.items():
        if namespace_plan.digest(text) != sums[name]:
            raise _damaged(file, f"{name} has another SHA-256 than when it was taken")
        try:
            obj = json.loads(text)
            right = namespace_plan.member_name(obj) == name and not namespace_plan.still_unstripped(obj)
        except (ValueError, KeyError, TypeError, AttributeError):
            right = False
        if not right:
            raise _damaged(file, f"{name} is not the Kubernetes object that it is called after")
        objects.append(obj)
    return objects


def _write_manifest(path: Path, manifest: dict[str, Any]) -> None:
    archive.write_whole(path, (json.dumps(manifest, indent=1, sort_keys=True) + "\n").encode())


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise OperationError(f"read {path}", f"{error.strerror}.", "take another export.") from error


def _damaged(path: Path, what: str) -> OperationError:
    return OperationError(f"restore from {path}", f"{what}.", "take an earlier export, and find out what changed it.")
