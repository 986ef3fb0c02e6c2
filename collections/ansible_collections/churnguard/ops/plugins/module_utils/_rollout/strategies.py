# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each strategy does, as a list of steps over one engine, and how any of them is taken back. No I/O.
Internal: may change in any release."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .model import Desired, Release, Rollout, Step, Target

START = "start"
READY = "ready"
SMOKE = "smoke"
ROUTE = "route"
CONFIRM = "confirm"
BAKE = "bake"
DRAIN = "drain"
RETIRE = "retire"

# From here on all traffic is on the new slot and has stayed well: a failure halts (run again to go on) instead of
# moving traffic back.
PAST_RETURN = frozenset({DRAIN, RETIRE})


def _all_to(slot: str, target: Target) -> dict[str, Any]:
    return {"split": {slot: 100, target.other(slot): 0}}


def blue_green(candidate: Release, stable: Release | None, target: Target, desired: Desired) -> list[Step]:
    """Bring the new slot up beside the old one, test it, move all traffic at once, watch, retire the old one."""
    steps = [
        Step(START, candidate.slot),
        Step(READY, candidate.slot),
        Step(SMOKE, candidate.slot),
        Step(ROUTE, candidate.slot, _all_to(candidate.slot, target)),
        Step(CONFIRM, candidate.slot, _all_to(candidate.slot, target)),
    ]
    if stable is not None:
        steps += [
            Step(BAKE, candidate.slot, {"seconds": desired.bake_seconds}),
            Step(DRAIN, stable.slot),
            Step(RETIRE, stable.slot, {"serving": candidate.slot, "serving_ready": True}),
        ]
    return steps


STRATEGIES: dict[str, Callable[[Release, Release | None, Target, Desired], list[Step]]] = {"blue_green": blue_green}


def take_back(rollout: Rollout, target: Target) -> list[Step]:
    """Undo C(rollout), from wherever it is. Depends on nothing but the old slot being ready; every step is a no-op
    where there is nothing to do."""
    candidate, previous = rollout.candidate, rollout.previous
    if previous is None:
        return [Step(RETIRE, candidate.slot)]
    away = Step(RETIRE, candidate.slot, {"serving": previous.slot})
    if not rollout.traffic_moved:
        return [away]
    return [
        Step(START, previous.slot),
        Step(READY, previous.slot),
        Step(ROUTE, previous.slot, _all_to(previous.slot, target)),
        Step(CONFIRM, previous.slot, _all_to(previous.slot, target)),
        Step(DRAIN, candidate.slot),
        away,
    ]
