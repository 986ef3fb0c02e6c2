# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All processes of a region on this machine. Internal: may change in any release."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from . import pod_processes, processes
from .processes import Process

_PROC = Path("/proc")


def of_region(variable: str, value: str, data_dir: Path) -> list[Process]:
    """What was started with C(variable=value), what those have started, and what works in the database's folder.

    Servers that rewrite their title (PostgreSQL, Redis) overwrite the environment that the kernel shows: they count as
    children. This process and those that it runs under never count.
    """
    spared = set(_ancestors(os.getpid()))
    roots = [*pod_processes.having(variable, value), *processes.working_in(data_dir)]
    found = {process.pid: process for process in roots}
    children = _children()
    waiting = list(found)
    while waiting:
        for pid in children.get(waiting.pop(), ()):
            if pid not in found and (process := processes.find(pid)) is not None:
                found[pid] = process
                waiting.append(pid)
    return [process for pid, process in sorted(found.items()) if pid not in spared]


def alive(wanted: Iterable[Process]) -> list[Process]:
    """Those that still run."""
    return [process for process in wanted if processes.alive(process)]


def _ancestors(pid: int) -> list[int]:
    found = []
    while pid > 0:
        found.append(pid)
        pid = _parent(pid)
    return found


def _children() -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            found.setdefault(_parent(int(entry.name)), []).append(int(entry.name))
    return found


def _parent(pid: int) -> int:
    """Field 4 of /proc/PID/stat, see proc(5); 0 when it has ended."""
    try:
        fields = (_PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return 0
    return int(fields[1]) if len(fields) > 1 else 0
