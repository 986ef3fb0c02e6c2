# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading the archived WAL before recovery does: whether each segment can be fetched, has its size and holds records
that PostgreSQL can read to the end. Internal: may change in any release."""

from __future__ import annotations

import re
import shutil
import tempfile
from datetime import datetime
from pathlib import Path

from .._pgbackrest import api
from .._pgbackrest.api import complaint
from .._pgbackrest.runner import Completed, Runner
from . import received
from .model import TIME, Request, Say, Walk
from .plan import parse_history, parse_lsn, point_epoch, segment_of, walk_names

#: Segments read at a time, each batch with the first segment of the next: records cross segments, and that is all the
#: room this needs on disk.
BATCH = 4
WALDUMP_TIMEOUT_S = 300.0
_HISTORY = re.compile(r"^(?P<timeline>[0-9A-F]{8})\.history$")
_COMMIT = re.compile(
    r"desc: (?:COMMIT|ABORT)(?:_PREPARED)? (?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+) (?P<zone>\w+)"
)
_RESTORE_POINT = re.compile(r"lsn: (?P<lsn>[0-9A-F]+/[0-9A-F]+), .*desc: RESTORE_POINT (?P<name>.*)$", re.MULTILINE)
#: As far as pg_waldump got; "could not find a valid record after" says that it got nowhere.
_LAST_RECORD = re.compile(r"error in WAL record at ")
_ERROR_AT = re.compile(r"error: (?P<text>.*?(?P<lsn>[0-9A-F]+/[0-9A-F]+).*)")


def names(request: Request, archive_id: str, start: str, until: str, size: int, run: Runner) -> Walk:
    """The walk by names: one listing of the archive, and its history files. Raises OperationError."""
    files = api.list_archive(request.place, archive_id, run)
    histories = {}
    for path in files:
        found = _HISTORY.match(path)
        if found:
            text = api.get_file(request.place, f"archive/{request.place.stanza}/{archive_id}/{path}", run)
            histories[int(found["timeline"], 16)] = parse_history(text)
    return walk_names(files, histories, start, archive_id, size, until, received.listed(request.received))


def read(request: Request, walk: Walk, pg_path: Path, run: Runner, say: Say) -> None:
    """Read the segments of the walk in order and note in it which are broken, the newest commit and restore points.

    Ends at the first broken one, which recovery cannot pass either, and once a commit after a target time was seen.
    C(pg_path) is a data folder of the same cluster. Needs room for five segments in the temporary folder.
    """
    folder = Path(tempfile.mkdtemp(prefix="churnguard-wal-", dir=request.workspace))
    try:
        run.own(str(folder))
        fetched: set[str] = set()
        partial = walk.received.get(walk.last, "").endswith(received.PARTIAL)
        whole = walk.segments[:-1] if partial else walk.segments
        for begin in range(0, len(whole), BATCH):
            batch = whole[begin : begin + BATCH + 1]
            for name in batch:
                if name not in fetched and not _fetch(request, walk, pg_path, folder, name, run):
                    return
                fetched.add(name)
            if not _dump(request, walk, folder, batch, run):
                return
            walk.content_checked = min(begin + BATCH, len(whole))
            say(f"read {walk.content_checked} of {len(walk.segments)} WAL segments")
            for name in batch[:-1]:
                (folder / name).unlink(missing_ok=True)
            if (
                request.point.kind == TIME
                and walk.newest_commit is not None
                and walk.newest_commit > point_epoch(request.point)
            ):
                return
        if partial and _fetch(request, walk, pg_path, folder, walk.last, run):
            _read_end(request, walk, folder, run)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _fetch(request: Request, walk: Walk, pg_path: Path, folder: Path, name: str, run: Runner) -> bool:
    target = folder / name
    if name in walk.received and request.received is not None:
        done = run(["cp", "--", str(received.file_of(request.received, name)), str(target)], api.QUICK_S)
    else:
        done = api.archive_get(request.place, str(pg_path), name, str(target), run)
    if done.code or not target.exists():
        walk.broken[name] = complaint(done)
    elif target.stat().st_size != walk.segment_size:
        walk.broken[name] = f"it has {target.stat().st_size} bytes instead of {walk.segment_size}"
    return name not in walk.broken


def _waldump(request: Request, folder: Path, first: str, last: str, run: Runner) -> Completed:
    command = [str(request.programs / "pg_waldump"), f"--path={folder}", "--rmgr=Transaction", "--rmgr=XLOG"]
    return run([*command, first, last], WALDUMP_TIMEOUT_S)


def _read_end(request: Request, walk: Walk, folder: Path, run: Runner) -> None:
    """Read a partial segment, which ends where its records do: what the server had not yet sent is zeros."""
    done = _waldump(request, folder, walk.last, walk.last, run)
    _note(walk, done.out)
    found = _ERROR_AT.search(done.err)
    if not done.code:
        walk.content_checked = len(walk.segments)
    elif found and _LAST_RECORD.search(done.err):
        walk.received_to = found["lsn"]
        walk.content_checked = len(walk.segments)
    else:
        # Not one record is in it: the WAL ends with the segment before.
        walk.segments.pop()


def _dump(request: Request, walk: Walk, folder: Path, batch: list[str], run: Runner) -> bool:
    """Read a batch's records; pieces of different timelines one after the other."""
    for line in sorted({segment_of(name, walk.segment_size)[0] for name in batch}):
        piece = [name for name in batch if segment_of(name, walk.segment_size)[0] == line]
        done = _waldump(request, folder, piece[0], piece[-1], run)
        _note(walk, done.out)
        if done.code:
            found = _ERROR_AT.search(done.err)
            broken = piece[0]
            if found:
                number = parse_lsn(found["lsn"]) // walk.segment_size
                broken = next((name for name in piece if segment_of(name, walk.segment_size)[1] == number), piece[0])
            walk.broken[broken] = found["text"].strip() if found else done.err.strip()[-500:]
            return False
    return True


def _note(walk: Walk, text: str) -> None:
    """Keep the newest commit's time and the restore points of what pg_waldump printed."""
    for match in _COMMIT.finditer(text):
        when = datetime.fromisoformat(f"{match['time']}+00:00").timestamp()
        walk.newest_commit = max(when, walk.newest_commit or when)
    for match in _RESTORE_POINT.finditer(text):
        walk.restore_points[match["name"].strip()] = match["lsn"]
