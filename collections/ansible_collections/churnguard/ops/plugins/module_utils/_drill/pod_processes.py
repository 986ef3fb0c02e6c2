# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The processes of pods and of the agent that runs them, on this machine. Internal: may change in any release."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from . import processes
from .processes import Process

_PROC = Path("/proc")


def having(variable: str, value: str) -> list[Process]:
    """Processes started with C(variable=value) in their environment."""
    wanted = f"{variable}={value}".encode()
    return [process for process, environment in _all("environ") if wanted in environment]


def called(words: Sequence[str]) -> list[Process]:
    """Processes that have all C(words) as arguments of their command line, except this one."""
    wanted = {word.encode() for word in words}
    return [process for process, arguments in _all("cmdline") if wanted <= set(arguments)]


def _all(file: str) -> list[tuple[Process, list[bytes]]]:
    """Every other process that may be read, with the parts of C(/proc/PID/file)."""
    found = []
    for entry in _PROC.iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            parts = (entry / file).read_bytes().split(b"\0")
        except OSError:
            continue  # it has ended, or belongs to somebody else
        process = processes.find(int(entry.name))
        if process is not None:
            found.append((process, parts))
    return found
