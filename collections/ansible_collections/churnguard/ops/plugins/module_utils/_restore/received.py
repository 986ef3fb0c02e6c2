# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The WAL that C(pg_receivewal) has written beside the archive: what a lost server had not archived yet. With
C(--synchronous), and its name in the server's synchronous_standby_names, every acknowledged write is in it.

Internal: may change in any release.
"""

from __future__ import annotations

import re
import shlex
import struct
from pathlib import Path

from .._pgbackrest import api
from .._pgbackrest.model import Place
from .model import Refused, Request

PARTIAL = ".partial"
_FILE = re.compile(r"^(?P<name>[0-9A-F]{24})(?:\.partial)?$")
#: What a shell, PostgreSQL's configuration and its %-signs all take as it is.
_PLAIN_PATH = re.compile(r"^/[A-Za-z0-9/._-]+$")
#: XLogLongPageHeaderData at the head of a segment: the cluster's system identifier follows 24 bytes of page header.
_HEADER = struct.Struct("=24xQ")


def listed(folder: Path | None) -> dict[str, str]:
    """The segments of the folder by name, and the file that holds each: the complete one before the partial one."""
    if folder is None:
        return {}
    # "….partial" sorts after the complete file, which therefore stays.
    files = sorted((path.name for path in folder.iterdir() if _FILE.match(path.name)), reverse=True)
    return {name[:24]: name for name in files}


def file_of(folder: Path, segment: str) -> Path:
    """The file of a segment; a partial one may have been completed since it was listed."""
    complete = folder / segment
    return complete if complete.exists() else folder / f"{segment}{PARTIAL}"


def system_identifier(file: Path) -> str:
    """Of the cluster that wrote a segment; empty while nothing is in it."""
    with file.open("rb") as segment:
        head = segment.read(_HEADER.size)
    (number,) = _HEADER.unpack(head) if len(head) == _HEADER.size else (0,)
    return str(number) if number else ""


def check(request: Request, system_id: str, attempted: str) -> None:
    """Refuse a folder that is not one of received WAL of this cluster. Raises Refused."""
    folder = request.received
    if folder is None:
        return

    def refuse(answer: str) -> Refused:
        return Refused(
            "received_wal", attempted, f"{folder}: {answer}.", "name pg_receivewal's folder, or leave it out."
        )

    if not _PLAIN_PATH.match(str(folder)):
        raise refuse("that is not a plain absolute path")
    if not folder.is_dir():
        raise refuse("it is not a folder")
    files = listed(folder)
    if not files:
        raise refuse("it holds no WAL segment, or only compressed ones")
    for name in sorted(files.values()):
        found = system_identifier(folder / name)
        if found not in ("", system_id):
            raise refuse(f"{name} is of the cluster with system identifier {found}, the backup of {system_id}")


def restore_command(place: Place, data_dir: str, folder: Path) -> str:
    """What fetches a segment: from the archive, else from the folder, where the newest is not complete."""
    get = shlex.join(api.command(place, "archive-get", [f"--pg1-path={data_dir}"])).replace("%", "%%")
    copies = [f'{{ test -f {folder}/%f{suffix} && cp {folder}/%f{suffix} "%p"; }}' for suffix in ("", PARTIAL)]
    return " || ".join([f'{get} %f "%p"', *copies])
