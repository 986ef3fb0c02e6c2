# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The questions that come before a drill: may it run here and now? Internal: may change in any release.

Each interlock answers passed, failed (the drill is refused) or not_checked (what it needs was not given, so the report
says that nobody looked). The functions here decide; they are given what was seen.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .._common.clock import Clock
from .._common.envelope import FAILED, NOT_CHECKED, PASSED
from . import journal as journals
from .scenario import Refused

# Room for the restored copy, the WAL that is replayed into it, and what it writes.
DISK_FACTOR = 1.5


def answer(name: str, verdict: str, reason: str) -> dict[str, Any]:
    """One interlock as evidence."""
    return {"kind": "preflight", "name": name, "verdict": verdict, "reason": reason}


def confirmation(environment: str, target: str, confirm: str) -> dict[str, Any]:
    """In production a drill runs only when its target's exact name was typed."""
    if environment != "production":
        return answer("confirmation", PASSED, f"{environment} asks for none")
    if confirm == target:
        return answer("confirmation", PASSED, f"{target} was confirmed")
    given = f"what was given is {confirm!r}" if confirm else "nothing was given"
    return answer("confirmation", FAILED, f"in production the exact name of the target must be confirmed; {given}")


def alerts(firing: Iterable[str] | None) -> dict[str, Any]:
    """No drill during an incident. None: there is nobody to ask."""
    if firing is None:
        return answer("alerts", NOT_CHECKED, "no Prometheus was given")
    names = sorted(set(firing))
    if names:
        return answer("alerts", FAILED, f"alerts are firing: {', '.join(names[:10])}")
    return answer("alerts", PASSED, "no alert is firing")


def backup_running(running: bool | None) -> dict[str, Any]:
    """A drill beside a backup disturbs both."""
    if running is None:
        return answer("backup_running", NOT_CHECKED, "this scenario has no backup to look at")
    if running:
        return answer("backup_running", FAILED, "a backup is under way")
    return answer("backup_running", PASSED, "no backup is under way")


def disk(free_bytes: int | None, restore_bytes: int | None, where: str) -> dict[str, Any]:
    """Room for 1.5 times what is restored."""
    if free_bytes is None or restore_bytes is None:
        return answer("disk", NOT_CHECKED, "nothing is restored to a disk of this machine")
    needed = int(restore_bytes * DISK_FACTOR)
    words = f"{where} has {free_bytes} bytes free, {needed} are needed"
    return answer("disk", PASSED if free_bytes >= needed else FAILED, words)


def unfinished(drills_dir: Path, source: str, own: str) -> dict[str, Any]:
    """Leftovers of an earlier drill on the same source would be mistaken for this one's."""
    left = []
    for folder in journals.drills(drills_dir):
        entries = journals.read(folder / journals.FILE)
        if folder.name == own or journals.finished(entries):
            continue
        if not entries or entries[0].data.get("subject", {}).get("source") in (source, None):
            left.append(folder.name)
    if left:
        return answer(
            "unfinished_drill", FAILED, f"{', '.join(left)} did not end; playbooks/dr_cleanup.yml finishes it"
        )
    return answer("unfinished_drill", PASSED, "every earlier drill of this source has ended")


def refuse(answers: Iterable[Mapping[str, Any]], attempted: str) -> None:
    """Raise Refused for the first interlock that failed."""
    for entry in answers:
        if entry["verdict"] == FAILED:
            steps = {
                "confirmation": "set dr_drill_confirm to the target's exact name, if you mean it.",
                "alerts": "end the incident first; drills come after.",
                "backup_running": "wait for the backup to end.",
                "disk": "make room, or restore to another disk.",
                "unfinished_drill": "run playbooks/dr_cleanup.yml.",
            }
            step = steps.get(str(entry["name"]), "see docs/drills.md, Interlocks.")
            raise Refused(str(entry["name"]), attempted, f"{entry['reason']}.", step)


class SourceLock:
    """One drill on a source at a time; the kernel opens the lock when its holder dies."""

    def __init__(self, drills_dir: Path, source: str, clock: Clock) -> None:
        self._source = source
        self._clock = clock
        digest = hashlib.sha256(source.encode()).hexdigest()[:16]
        self._path = drills_dir / "locks" / f"{digest}.lock"
        self._handle: int | None = None

    def take(self) -> None:
        """Raises Refused when another drill has it."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(handle)
            raise Refused(
                "another_drill",
                f"start a drill on {self._source}",
                "another drill on the same source is running.",
                "wait for it; playbooks/dr_status.yml shows it.",
            ) from error
        self._handle = handle

    def give_back(self) -> None:
        """Open the lock; may be called again."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
