# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal of one drill: everything that must outlive its process. Internal: may change in any release.

A drill has a folder of its own, C(<drills_dir>/<drill id>), with C(journal.jsonl) in it: one JSON object for each
event, C({"n", "at", "event", "phase", "data"}), flushed to the disk before the act that it announces. Whoever runs the
drill, or cleans up after it, holds a lock on the journal that the kernel takes back when the process dies.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .._common.clock import Clock, isoformat
from .._common.errors import OperationError
from .model import Resource, is_drill_id

FILE = "journal.jsonl"
REPORT = "report.json"
LEDGER = "ledger.jsonl"

STARTED = "drill_started"
PHASE_STARTED = "phase_started"
PHASE_ENDED = "phase_ended"
CLOCK = "clock"
EVIDENCE = "evidence"
NOTE = "note"
MEASURED = "measured"
PLANNED = "resource_planned"
REMOVED = "resource_removed"
NOT_REMOVED = "resource_not_removed"
CLEANUP = "cleanup_started"
FINISHED = "drill_finished"


@dataclass(frozen=True)
class Entry:
    """One line of a journal."""

    n: int
    at: str
    event: str
    phase: str
    data: Mapping[str, Any] = field(default_factory=dict)


class Journal:
    """Appends to a drill's journal; holds its lock from C(open) to C(close). C(listener) is told each entry once the
    disk has it."""

    def __init__(self, folder: Path, clock: Clock, listener: Callable[[Entry], None] | None = None) -> None:
        self.folder = folder
        self.phase = ""
        self._clock = clock
        self._listener = listener
        self._lock = threading.RLock()
        self._count = 0
        self._stream: int | None = None

    def open(self) -> None:
        """Take the lock and go on after the last whole line. Raises OperationError when another process has it."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.folder / FILE
        stream = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(stream)
            raise OperationError(
                f"take the journal {path}",
                "another process has it: the drill is still running.",
                "wait for it to end, or end that process and clean up then.",
            ) from error
        entries = read(path)
        # A line that the kill cut off announced something that was never begun.
        os.ftruncate(stream, _whole(path))
        os.lseek(stream, 0, os.SEEK_END)
        _sync_folder(self.folder)
        self._stream, self._count = stream, len(entries)

    def close(self) -> None:
        """Give the lock back. May be called again."""
        if self._stream is not None:
            os.close(self._stream)
            self._stream = None

    def append(self, event: str, data: Mapping[str, Any] | None = None) -> None:
        """Write one line and wait until the disk has it."""
        with self._lock:
            if self._stream is None:
                raise RuntimeError("the journal is not open")
            entry = Entry(self._count + 1, isoformat(self._clock.now()), event, self.phase, dict(data or {}))
            raw = (json.dumps(asdict(entry), sort_keys=True) + "\n").encode()
            while raw:
                raw = raw[os.write(self._stream, raw) :]
            os.fsync(self._stream)
            self._count = entry.n
            if self._listener is not None:
                self._listener(entry)

    def entries(self) -> list[Entry]:
        return read(self.folder / FILE)


def read(path: Path) -> list[Entry]:
    """The whole lines of a journal; a last line without its end does not count. Raises OperationError."""
    entries = []
    try:
        lines = path.read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return []
    for number, raw in enumerate(lines, 1):
        try:
            line = json.loads(raw)
            entries.append(Entry(line["n"], line["at"], line["event"], line["phase"], line["data"]))
        except (ValueError, KeyError, TypeError) as error:
            raise OperationError(
                f"read the journal {path}",
                f"line {number} is no entry ({error}).",
                "somebody else wrote into it: compare it with a copy, correct the line, and run the cleanup again.",
            ) from error
    return entries


def drills(drills_dir: Path) -> Iterator[Path]:
    """The folders of all drills, the oldest first."""
    if not drills_dir.is_dir():
        return
    found = [folder for folder in drills_dir.iterdir() if is_drill_id(folder.name) and (folder / FILE).exists()]
    yield from sorted(found, key=lambda folder: (folder.name.split("-", 1)[1], folder.name))


def running(folder: Path) -> bool:
    """Whether some process holds the journal."""
    try:
        stream = os.open(folder / FILE, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(stream)
    return False


def finished(entries: list[Entry]) -> bool:
    """Whether the drill has said its last word, report and history included."""
    return bool(entries) and entries[-1].event == FINISHED


def left(entries: list[Entry]) -> list[Resource]:
    """What the journal has announced and not seen gone, the newest first: the order to remove it in."""
    open_: dict[tuple[str, str], Resource] = {}
    for entry in entries:
        if entry.event == PLANNED:
            resource = Resource(entry.data["kind"], entry.data["id"], entry.data["remove"])
            open_.pop(resource.key, None)
            open_[resource.key] = resource
        elif entry.event == REMOVED:
            open_.pop((entry.data["kind"], entry.data["id"]), None)
    return list(reversed(open_.values()))


def _whole(path: Path) -> int:
    """Length of the file up to the end of its last whole line, in bytes."""
    content = path.read_bytes()
    return content.rfind(b"\n") + 1


def _sync_folder(folder: Path) -> None:
    """A new file survives a power cut only if its folder is on the disk, too."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
