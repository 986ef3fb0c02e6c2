# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes of this machine, from /proc. Internal: may change in any release.

A process id alone proves nothing, because ids are used again: a process counts by what it works in, or by the drill's
id in its environment, and is signalled only while its start time is still the one that was seen.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

MARKER = "CHURNGUARD_DRILL"
# What writes into the folder of a restore from elsewhere.
PROGRAMS = frozenset(
    {"postgres", "pgbackrest", "pg_ctl", "pg_dump", "pg_restore", "pg_basebackup", "pg_rewind", "psql"}
)
_PROC = Path("/proc")


class Process(NamedTuple):
    """A process that was seen; C(started) is the kernel's start time in clock ticks since boot."""

    pid: int
    started: str
    command: str

    def words(self) -> str:
        return f"process {self.pid} ({self.command[:80]})"

    def signal(self, number: int) -> None:
        """Send a signal, unless the process has ended meanwhile."""
        if _started(self.pid) == self.started:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


def find(pid: int) -> Process | None:
    """The living process with this id; None when there is none, or only its remains (zombie)."""
    started = _started(pid)
    return None if started is None else Process(pid, started, _command(pid))


def alive(process: Process) -> bool:
    """Whether that very process still runs."""
    return _started(process.pid) == process.started


def marked(value: str) -> list[Process]:
    """Processes started with C(CHURNGUARD_DRILL=value) in their environment, except this one."""
    wanted = f"{MARKER}={value}".encode()
    return [process for process in _all() if wanted in _bytes(process.pid, "environ").split(b"\0")]


def working_in(folder: Path) -> list[Process]:
    """Processes whose working directory is C(folder), or lies in it: PostgreSQL's stay in their data directory.

    A folder that was deleted under them still counts.
    """
    home = os.path.realpath(folder)
    found = []
    for process in _all():
        try:
            place = str((_PROC / str(process.pid) / "cwd").readlink()).removesuffix(" (deleted)")
        except OSError:
            continue
        if place == home or place.startswith(home + "/"):
            found.append(process)
    return found


def mentioning(folder: Path) -> list[Process]:
    """Programs of a restore that name C(folder), or a path in it, on their command line.

    A copy under way works in another directory. Only these programs: a person's editor may name it, too.
    """
    homes = {str(folder), os.path.realpath(folder)}
    found = []
    for process in _all():
        words = _bytes(process.pid, "cmdline").decode(errors="replace").split("\0")
        if Path(words[0]).name in PROGRAMS and any(
            word.rpartition("=")[2] == home or word.rpartition("=")[2].startswith(home + "/")
            for word in words[1:]
            for home in homes
        ):
            found.append(process)
    return found


def using(folder: Path) -> list[Process]:
    """Processes that work in C(folder), or restore into it."""
    return list(dict.fromkeys([*working_in(folder), *mentioning(folder)]))


def _all() -> Iterator[Process]:
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            process = find(int(entry.name))
            if process is not None:
                yield process


def _started(pid: int) -> str | None:
    # Fields 3 and 22 of /proc/PID/stat, see proc(5); the command name before them may hold spaces and parentheses.
    fields = _bytes(pid, "stat").rpartition(b")")[2].split()
    if len(fields) < 20 or fields[0] in (b"Z", b"X"):
        return None
    return fields[19].decode()


def _command(pid: int) -> str:
    return _bytes(pid, "cmdline").replace(b"\0", b" ").decode(errors="replace").strip()


def _bytes(pid: int, name: str) -> bytes:
    try:
        return (_PROC / str(pid) / name).read_bytes()
    except OSError:
        return b""
