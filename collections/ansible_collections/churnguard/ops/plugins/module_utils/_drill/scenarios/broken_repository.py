# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Broken repositories, targets and disks: each has to stop a restore before it does harm. Internal: may change in any
release.

Everything happens to a copy of the repository in the drill's own folder, which is mended after each case.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..._common.errors import OperationError
from ..._pgbackrest import api
from ..._pgbackrest.model import Place
from ..._restore.interlocks import read_source, system_identifier
from ..._restore.model import Refused, Target
from .database import Database

_SMALL_DISK = "size=8m"

# What a case says: whether the breakage was seen (None: it could not be tried), and by what, or why not.
Told = "tuple[bool | None, str]"


def copy_repository(base: Database) -> Place:
    """A copy of the repository in the drill's folder, and a configuration that leads to it. Raises OperationError."""
    source = repository_of(base)
    copy, config = base.home / "repository", base.home / "pgbackrest.conf"
    done = base.run(["cp", "-a", str(source), str(copy)], base.timeout)
    if done.code:
        raise OperationError(f"copy the repository {source}", f"{done.said}.", "make room, or look at its rights.")
    text = Path(base.place.config).read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.split("=", 1)[0].strip() not in ("repo1-path", "job-retry")]
    # A second try of what is broken on purpose comes 15 seconds after the first.
    lines.insert(lines.index("[global]") + 1, f"repo1-path={copy}\njob-retry=0")
    # It holds the repository's key, as the original does.
    descriptor = os.open(config, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as stream:
        stream.write("\n".join(lines) + "\n")
    base.run.own(str(config))
    return replace(base.place, config=str(config))


def repository_of(base: Database) -> Path:
    """The repository's folder on this machine. Raises OperationError when it is elsewhere."""
    folders = read_source(base.place).repositories
    if not folders or not folders[0].is_dir():
        raise OperationError(
            f"copy the repository of {base.place.config}",
            "it is not a folder of this machine.",
            "run this drill where the repository is.",
        )
    return folders[0]


def size_of(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())


@contextmanager
def broken(path: Path, content: bytes | None) -> Iterator[None]:
    """The file with other content, or none at all, for as long as this lasts."""
    before, status = path.read_bytes(), path.stat()
    try:
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content)
        yield
    finally:
        path.write_bytes(before)
        path.chmod(status.st_mode & 0o777)
        os.chown(path, status.st_uid, status.st_gid)


def flipped(path: Path) -> bytes:
    """The file's content with one bit changed in its middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    return bytes(content)


def segments(place: Place, repository: Path) -> list[Path]:
    """Archived WAL segments, oldest first."""
    folder = repository / "archive" / place.stanza
    found = [path for path in folder.rglob("*") if path.is_file() and len(path.name.split("-")[0]) == 24]
    return sorted((path for path in found if path.suffix != ".backup"), key=lambda path: path.name)


def byte_flip(base: Database, place: Place) -> Told:
    """One bit of the largest file of the newest backup: verify has to name that file."""
    label = api.info(place, base.run).backups[-1].chain[0]
    folder = base.home / "repository" / "backup" / place.stanza / label / "pg_data"
    target = max((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    with broken(target, flipped(target)):
        found = api.verify(place, base.run, base.timeout)
    named = [item.path for item in found.findings if target.name in item.path or item.path in str(target)]
    return (bool(named) and not found.passed), f"verify names {', '.join(named) or 'no file'}"


def missing_segment(base: Database, place: Place) -> Told:
    """The last but one archived segment is gone: the gap has to be named before the restore."""
    return _refused(base, place, _inner_segment(base, place), None, {"wal_gap"})


def corrupt_segment(base: Database, place: Place) -> Told:
    """A bit of it changed: PostgreSQL would promote there as if it were the end."""
    path = _inner_segment(base, place)
    return _refused(base, place, path, flipped(path) if path else None, {"wal_content", "backup_broken"})


def _inner_segment(base: Database, place: Place) -> Path | None:
    stop = api.info(place, base.run).backups[-1].wal_stop
    later = [path for path in segments(place, base.home / "repository") if path.name[:24] > stop]
    return later[-2] if len(later) > 1 else None


def _refused(base: Database, place: Place, path: Path | None, content: bytes | None, interlocks: set[str]) -> Told:
    if path is None:
        return None, "the archive has too little WAL after the backup"
    session = base.session(place=place, target=replace(base.target, data_dir=base.home / "never"))
    with broken(path, content):
        return _refusal(session.prepare, interlocks)


def _refusal(act: Any, interlocks: set[str]) -> Told:
    try:
        act()
    except Refused as refusal:
        return refusal.interlock in interlocks, f"refused by {refusal.interlock}: {refusal.answer}"
    except OperationError as error:
        return False, f"it failed, but was not refused: {error.answer}"
    return False, "nothing refused it"


def wrong_target(base: Database, place: Place) -> Told:
    """The source's own folder, a link to it, a cluster without a marker, somebody's files: all refused, unchanged."""
    data_dir = Path(base.source["data_dir"] or "")
    if not base.source["data_dir"] or not system_identifier(data_dir):
        return None, "source.data_dir is not given, or holds no cluster"
    link, cluster, files = (base.home / name for name in ("link", "cluster", "files"))
    link.symlink_to(data_dir)
    (cluster / "global").mkdir(parents=True)
    shutil.copy(data_dir / "global" / "pg_control", cluster / "global" / "pg_control")
    files.mkdir()
    (files / "precious").write_text("somebody's\n", encoding="utf-8")
    before = [fingerprint(folder) for folder in (cluster, files)]
    told = []
    for folder, interlocks in (
        (data_dir, {"same_path", "deny"}),
        (link, {"same_path"}),
        (cluster, {"own_system"}),
        (files, {"not_scratch"}),
    ):
        session = base.session(place=place, target=Target(folder, base.target.port, base.target.marker))
        seen, how = _refusal(session.prepare, interlocks)
        if not seen:
            return False, f"{folder}: {how}"
        told.append(f"{folder.name} {how.split(':', maxsplit=1)[0]}")
    if [fingerprint(folder) for folder in (cluster, files)] != before:
        return False, "a refused folder was changed"
    return True, ", ".join(told)


def full_disk(base: Database, place: Place) -> Told:
    """A disk of 8 MB: refused for want of room; and with that interlock off, the restore itself fails loudly."""
    mount = base.home / "disk"
    target = Target(mount / "data", base.target.port, base.target.marker)
    ctx = base.ctx
    ctx.record_resource("mount", str(mount))
    ctx.record_resource("restore_target", str(target.data_dir), {"port": target.port, "marker": target.marker})
    mount.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"{_SMALL_DISK},mode=0755", "tmpfs", str(mount)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    if done.returncode:
        return None, f"no small disk can be mounted: {done.stderr.strip()}"
    seen, how = _refusal(base.session(place=place, target=target).prepare, {"disk_space"})
    if not seen:
        return seen, how
    session = base.session(place=place, target=target, ignore=frozenset({"disk_space"}))
    try:
        session.prepare()
        session.files()
    except OperationError as error:
        return True, f"{how} Past that interlock: {error.answer[:200]}"
    return False, "a restore onto a disk that is too small told of success"


def fingerprint(folder: Path) -> str:
    """Names and content of all files below a folder."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        digest.update(str(path.relative_to(folder)).encode())
        if path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()


CASES = {
    "byte_flip": byte_flip,
    "missing_segment": missing_segment,
    "corrupt_segment": corrupt_segment,
    "wrong_target": wrong_target,
    "full_disk": full_disk,
}
