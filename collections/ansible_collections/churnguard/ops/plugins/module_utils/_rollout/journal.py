# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal as a ConfigMap, and the changes a rollout makes to it. No I/O. Internal: may change in any release."""

from __future__ import annotations

import json
from typing import Any

from .._common.errors import OperationError
from .model import (
    HALTED,
    ROLLING_BACK,
    RUNNING,
    STEP_DONE,
    STEP_STARTED,
    Journal,
    Release,
    Rollout,
    Step,
    Target,
)
from .strategies import ROUTE

_HISTORY_LENGTH = 10
_STATE = "state.json"
_MANIFEST = "manifest-{}.json"
_MANIFEST_NAMES = ("candidate", "stable", "previous")


def read(config_map: dict[str, Any] | None, target: Target) -> Journal:
    """The journal in C(config_map); an empty one if that is None. Raises OperationError if it cannot be read."""
    if config_map is None:
        return Journal()
    data = config_map.get("data") or {}
    try:
        state = json.loads(data[_STATE])
        if state["schema"] != 1:
            raise ValueError(f"schema {state['schema']} is newer than this collection knows")
        return Journal(
            stable=Release.read(state["stable"]),
            previous=Release.read(state["previous"]),
            rollout=Rollout.read(state["rollout"]),
            history=state["history"],
            manifests={
                n: json.loads(data[_MANIFEST.format(n)]) for n in _MANIFEST_NAMES if _MANIFEST.format(n) in data
            },
        )
    except (KeyError, TypeError, ValueError) as error:
        raise OperationError(
            f"read the journal of {target}",
            f"ConfigMap {target.namespace}/{target.journal} does not hold a valid one ({error}).",
            "restore it, or delete it while no rollout runs: the stable slot is then found from the router.",
        ) from error


def write(journal: Journal, target: Target) -> dict[str, Any]:
    """The ConfigMap for C(journal), without a resourceVersion."""
    data = {_STATE: json.dumps(journal.state(), indent=1)}
    for name, manifest in journal.manifests.items():
        data[_MANIFEST.format(name)] = json.dumps(manifest)
    labels = {"app": target.name, "app.kubernetes.io/managed-by": "churnguard.ops"}
    metadata = {"name": target.journal, "namespace": target.namespace, "labels": labels}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def begin(journal: Journal, rollout: Rollout, manifest: dict[str, Any]) -> None:
    """A new rollout is about to start."""
    journal.rollout = rollout
    journal.manifests["candidate"] = manifest


def enter(rollout: Rollout, step: Step, at: str) -> None:
    """C(step) is about to act. All before it are done."""
    step.status = STEP_STARTED
    step.started = at
    goal = step.args.get("split")
    if step.name == ROUTE and goal is not None:
        rollout.sides = [*[side for side in rollout.sides if side != goal], goal]
        if rollout.phase == RUNNING:
            rollout.traffic_moved = True


def leave(rollout: Rollout, step: Step, at: str) -> None:
    """C(step) has done what it should. Written together with the next step's beginning."""
    step.status = STEP_DONE
    step.finished = at
    if step.name == ROUTE:
        rollout.sides = [step.args["split"]]


def give_up(rollout: Rollout, reason: str, steps: list[Step]) -> None:
    """From now on the rollout is being taken back by C(steps)."""
    rollout.phase = ROLLING_BACK
    rollout.reason = reason
    rollout.steps = steps


def halt(rollout: Rollout, reason: str) -> None:
    """Neither forward nor back without somebody looking; the next run may go on."""
    if rollout.phase == RUNNING:
        rollout.phase = HALTED
    rollout.reason = reason


def finish(journal: Journal, verdict: str, at: str) -> None:
    """The rollout has ended, one way or the other; on success the pointer to the stable slot moves."""
    rollout = journal.rollout
    if rollout is None:
        return
    rollout.phase = verdict
    rollout.finished = at
    if verdict == "passed":
        if rollout.previous is not None:
            journal.previous = rollout.previous
            if "stable" in journal.manifests:
                journal.manifests["previous"] = journal.manifests["stable"]
        journal.stable = rollout.candidate
        journal.manifests["stable"] = journal.manifests["candidate"]
    entry = {
        "id": rollout.id,
        "operation": rollout.operation,
        "strategy": rollout.strategy,
        "version": rollout.candidate.version,
        "slot": rollout.candidate.slot,
        "verdict": verdict,
        "reason": rollout.reason,
        "started": rollout.started,
        "finished": at,
        "holder": rollout.holder,
    }
    journal.history = [entry, *journal.history][:_HISTORY_LENGTH]
