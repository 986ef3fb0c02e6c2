# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Is somebody there who runs the rollout, or has it been orphaned. No I/O. Internal: may change in any release."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .._common.clock import parse_time
from .lock import ANNOTATION_PROCESS, holder_of, seconds_left
from .model import HALTED, RUNNING, Rollout
from .strategies import PAST_RETURN

IDLE = "idle"
HEALTHY = "healthy"
STOPPED = "stopped"
GROUPED = "grouped"
SILENT = "silent"
ORPHANED = "orphaned"


@dataclass(frozen=True)
class Keeper:
    """Who runs a rollout. C(name) is empty when the lock was given back or is absent. C(overdue) are the seconds for
    which nobody has had the lock, by the API server's clock: negative while it is in force, infinite without a Lease.
    """

    name: str
    alive: bool
    overdue: float


@dataclass(frozen=True)
class Finding:
    """What one look says about a rollout: C(state), and C(detail) as a sentence without its end."""

    state: str
    detail: str


def holder_process(lease: dict[str, Any] | None) -> str:
    """The process that holds the lock, as C(lock.process_is_dead) wants it; empty if that is not known."""
    annotations = (lease or {}).get("metadata", {}).get("annotations") or {}
    return str(annotations.get(ANNOTATION_PROCESS, ""))


def keeper_of(lease: dict[str, Any] | None, now: datetime, dead: bool = False) -> Keeper:
    """Who holds C(lease) at C(now), the API server's time. C(dead) says that the holder's process is known to have
    ended although its lock is still in force."""
    if lease is None:
        return Keeper("", False, math.inf)
    name = holder_of(lease)
    if name:
        left = seconds_left(lease, now)
        return Keeper(name, left > 0 and not dead, -left)
    renewed = lease.get("spec", {}).get("renewTime")
    return Keeper("", False, (now - parse_time(renewed)).total_seconds() if renewed else math.inf)


def examine(rollout: Rollout | None, keeper: Keeper, patience: float = -math.inf) -> Finding:
    """Whether C(rollout) needs somebody. It is orphaned once it had nobody for more than C(patience) seconds after the
    end of its lock; without a patience, as soon as nobody runs it."""
    if rollout is None or not rollout.unfinished:
        return Finding(IDLE, "no rollout is in flight")
    what = f"rollout {rollout.id} of {rollout.candidate.version}"
    if keeper.alive:
        return Finding(HEALTHY, f"{what} is run by {keeper.name}")
    if rollout.phase == HALTED:
        return Finding(STOPPED, f"{what} stopped half-way and waits for somebody: {rollout.reason.rstrip('.')}")
    if rollout.group and not keeper.name:
        # A service of several may rest between its own end and that of the others, with its lock given back.
        return Finding(GROUPED, f"{what} belongs to release {rollout.group} of several services, and waits for those")
    silence = _silence(keeper)
    if keeper.overdue <= patience:
        return Finding(SILENT, f"{what}: {silence}; it is left alone until that has lasted {patience:.0f} s")
    return Finding(ORPHANED, f"{what} is orphaned: {silence}")


def _silence(keeper: Keeper) -> str:
    if not keeper.name:
        ago = "" if keeper.overdue == math.inf else f" for {keeper.overdue:.0f} s"
        return f"nobody has held its lock{ago}"
    if keeper.overdue <= 0:
        return f"{keeper.name} has ended, its lock runs for another {-keeper.overdue:.0f} s"
    return f"the lock of {keeper.name} ran out {keeper.overdue:.0f} s ago"


def ends_forward(rollout: Rollout) -> bool:
    """Whether all that is left of C(rollout) are steps with all traffic on the new version, which has stayed well:
    it is then finished, not taken back."""
    return rollout.phase == RUNNING and all(step.name in PAST_RETURN for step in rollout.steps[rollout.cursor :])
