# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each strategy does, as a list of steps over one engine, and how any of them is taken back. No I/O.
Internal: may change in any release."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .model import Gate, Pace, Release, Rollout, Step, Target

HOLD_SIZE = "hold_size"
START = "start"
UPDATE = "update"
READY = "ready"
SMOKE = "smoke"
GATE = "gate"
ROUTE = "route"
CONFIRM = "confirm"
HOLD = "hold"
BAKE = "bake"
DRAIN = "drain"
RETIRE = "retire"
RELEASE_SIZE = "release_size"
FLAGS_OFF = "flags_off"

BLUE_GREEN = "blue_green"
CANARY = "canary"
ROLLING = "rolling"

# From here on all traffic is on the new slot and has stayed well: a failure halts (run again to go on) instead of
# moving traffic back.
PAST_RETURN = frozenset({DRAIN, RETIRE, RELEASE_SIZE})

# Steps that a gate may stand before, beside the weights of a canary.
GATED = (START, SMOKE, BAKE, DRAIN)


def _split(slot: str, weight: int, target: Target) -> dict[str, Any]:
    return {"split": {slot: weight, target.other(slot): 100 - weight}, "weight": weight}


def _moved(slot: str, weight: int, target: Target) -> list[Step]:
    """Traffic of C(slot) set to C(weight) per cent, and seen to be."""
    return [Step(ROUTE, slot, _split(slot, weight, target)), Step(CONFIRM, slot, _split(slot, weight, target))]


def _prepared(candidate: Release, stable: Release | None) -> list[Step]:
    hold = [Step(HOLD_SIZE, stable.slot)] if stable else []
    return [*hold, Step(START, candidate.slot), Step(READY, candidate.slot), Step(SMOKE, candidate.slot)]


def _concluded(candidate: Release, stable: Release | None, pace: Pace) -> list[Step]:
    """From the moment that all traffic is on the new slot."""
    if stable is None:
        return []
    steps = [Step(BAKE, candidate.slot, {"seconds": pace.bake_seconds, "weight": 100})]
    if pace.retire:
        steps += retirement(candidate, stable)
    return [*steps, Step(RELEASE_SIZE, stable.slot)]


def retirement(candidate: Release, stable: Release) -> list[Step]:
    """The end of the old slot, once the new one has proved itself."""
    return [
        Step(DRAIN, stable.slot),
        Step(RETIRE, stable.slot, {"serving": candidate.slot, "serving_ready": True}),
    ]


def rest_after_switch(candidate: Release, stable: Release, target: Target, pace: Pace) -> list[Step]:
    """What is left of a rollout of which nothing is known but that C(candidate) has all traffic already."""
    return [Step(CONFIRM, candidate.slot, _split(candidate.slot, 100, target)), *_concluded(candidate, stable, pace)]


def blue_green(candidate: Release, stable: Release | None, target: Target, pace: Pace) -> list[Step]:
    """Bring the new slot up beside the old one, test it, move all traffic at once, watch, retire the old one."""
    return [
        *_prepared(candidate, stable),
        *_moved(candidate.slot, 100, target),
        *_concluded(candidate, stable, pace),
    ]


def canary(candidate: Release, stable: Release | None, target: Target, pace: Pace) -> list[Step]:
    """As blue_green, but traffic rises by weights, each held and judged before the next."""
    if stable is None:
        return blue_green(candidate, stable, target, pace)
    steps = _prepared(candidate, stable)
    for weight, seconds in pace.weights:
        steps += _moved(candidate.slot, weight, target)
        steps.append(Step(HOLD, candidate.slot, {"seconds": seconds, "weight": weight}))
    return [*steps, *_concluded(candidate, stable, pace)]


def rolling(candidate: Release, stable: Release | None, target: Target, pace: Pace) -> list[Step]:
    """The serving slot's own Deployment gets the new template; Kubernetes replaces its pods one by one."""
    if stable is None:
        return blue_green(candidate, stable, target, pace)
    surge = {"maxSurge": pace.max_surge, "maxUnavailable": pace.max_unavailable}
    return [
        Step(HOLD_SIZE, candidate.slot),
        Step(UPDATE, candidate.slot, {"release": "candidate", "rolling": surge}),
        Step(READY, candidate.slot),
        Step(SMOKE, candidate.slot),
        Step(CONFIRM, candidate.slot, _split(candidate.slot, 100, target)),
        Step(BAKE, candidate.slot, {"seconds": pace.bake_seconds, "weight": 100}),
        Step(RELEASE_SIZE, candidate.slot),
    ]


STRATEGIES: dict[str, Callable[[Release, Release | None, Target, Pace], list[Step]]] = {
    BLUE_GREEN: blue_green,
    CANARY: canary,
    ROLLING: rolling,
}


def steps_of(strategy: str, candidate: Release, stable: Release | None, target: Target, pace: Pace) -> list[Step]:
    """The steps of C(strategy), with the gates where they were asked for."""
    steps = STRATEGIES[strategy](candidate, stable, target, pace)
    for gate in pace.gates:
        position = _place_of(gate, steps)
        if position is not None:
            weight = next((s.args["weight"] for s in reversed(steps[:position]) if s.name == ROUTE), 0)
            args = {
                "before": gate.before,
                "timeout": gate.timeout,
                "on_timeout": gate.on_timeout,
                "flag": gate.flag,
                "weight": weight,
            }
            steps.insert(position, Step(GATE, candidate.slot, args))
    return steps


def _place_of(gate: Gate, steps: list[Step]) -> int | None:
    """Index of the step that C(gate) stands before; None if this plan has no such step (a first release)."""
    for index, step in enumerate(steps):
        weight = str(step.args.get("weight")) if step.name == ROUTE else ""
        if gate.before in (weight, step.name):
            return index
    return None


def take_back(rollout: Rollout, target: Target) -> list[Step]:
    """Undo C(rollout), from wherever it is. Depends on nothing but the old slot being ready; every step is a no-op
    where there is nothing to do."""
    candidate, previous = rollout.candidate, rollout.previous
    flags = [Step(FLAGS_OFF, candidate.slot)] if rollout.flags.get("switch_off") else []
    if previous is None:
        return [*flags, Step(RETIRE, candidate.slot)]
    if previous.slot == candidate.slot:
        return [
            Step(UPDATE, previous.slot, {"release": "previous"}),
            Step(READY, previous.slot, {"release": "previous"}),
            Step(CONFIRM, previous.slot, {**_split(previous.slot, 100, target), "release": "previous"}),
            *flags,
            Step(RELEASE_SIZE, previous.slot),
        ]
    away = Step(RETIRE, candidate.slot, {"serving": previous.slot})
    size = Step(RELEASE_SIZE, previous.slot)
    if not rollout.traffic_moved:
        return [*flags, away, size]
    return [
        Step(START, previous.slot),
        Step(READY, previous.slot),
        *_moved(previous.slot, 100, target),
        *flags,
        Step(DRAIN, candidate.slot),
        away,
        size,
    ]
