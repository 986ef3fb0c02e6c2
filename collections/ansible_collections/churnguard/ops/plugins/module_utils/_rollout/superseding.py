# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A newer version arrives while another is on its way: that one is asked to go back first. Internal: may change in any
release."""

from __future__ import annotations

from .._common.clock import Clock
from .._common.envelope import Recorder
from .._common.waiting import DONE, PENDING, Finding, wait_until
from . import control
from .api import RolloutApi
from .lock import Lock, LockHeld
from .messenger import Messenger
from .model import Target

# A way back is at most a readiness check, a switch, a drain and an end of pods.
_PATIENCE = 600.0


def make_way(api: RolloutApi, lock: Lock, clock: Clock, recorder: Recorder, target: Target, version: str) -> bool:
    """Have the running rollout aborted, wait for its lock, and take it. Returns what Lock.acquire returns; raises
    OperationError if that rollout cannot be aborted any more, LockHeld if it does not end in time."""
    subject = recorder.subject
    Messenger(api, target, clock, recorder).ask(control.ABORT, False, lock.identity, f"superseded by {version}")
    recorder.subject = subject
    taken_over = False

    def look() -> Finding:
        nonlocal taken_over
        try:
            taken_over = lock.acquire()
        except LockHeld as error:
            return Finding(PENDING, f"waiting for {error.holder} to take its version back")
        return Finding(DONE, "the way is free")

    finding, waited = wait_until(
        look, clock, _PATIENCE, on_pending=lambda f, waited: recorder.progress(f.detail, waited, _PATIENCE)
    )
    if not finding.done:
        # The last try says in its own words who is in the way.
        taken_over = lock.acquire()
    recorder.event("superseded", f"the version under way was taken back within {waited:.0f} s")
    return taken_over
