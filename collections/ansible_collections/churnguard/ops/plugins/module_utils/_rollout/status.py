# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a rollout stands, for somebody who looks from elsewhere. No I/O. Internal: may change in any release."""

from __future__ import annotations

import math
from dataclasses import asdict
from datetime import datetime
from typing import Any

from . import control, orphan, plan
from .control import Request
from .lock import holder_of, seconds_left
from .model import ANNOTATION_VERSION, Observed, Rollout, Target
from .routing import RouterProblem, read_split
from .wait import deployment_finding


def describe(
    observed: Observed,
    pods: dict[str, list[dict[str, Any]]],
    lease: dict[str, Any] | None,
    now: datetime,
    target: Target,
    requests: list[Request] | None = None,
    holder_dead: bool = False,
) -> dict[str, Any]:
    """The state of C(target) as plain data; C(pods) are those of each slot, C(now) is the API server's time,
    C(requests) what people asked, C(holder_dead) whether the holder's process is known to have ended."""
    journal = observed.journal
    rollout = journal.rollout
    split, drift = _split_and_drift(observed, target)
    return {
        "phase": rollout.phase if rollout else "none",
        "unfinished": bool(rollout and rollout.unfinished),
        "version": journal.stable.version if journal.stable else None,
        "stable_slot": journal.stable.slot if journal.stable else None,
        "previous_version": journal.previous.version if journal.previous else None,
        "weights": split,
        "slots": {slot: _slot(observed.deployments[slot], pods[slot]) for slot in target.slots},
        "current": _current(rollout, split, requests or []) if rollout else None,
        "lease": lease_state(lease, now),
        "keeper": asdict(orphan.examine(rollout, orphan.keeper_of(lease, now, holder_dead))),
        "drift": drift,
        "history": journal.history,
    }


def _split_and_drift(observed: Observed, target: Target) -> tuple[dict[str, int] | None, list[str]]:
    broken = plan.broken_part(observed, target)
    drift = [broken.reason] if broken else []
    try:
        split = read_split(observed.router, target) if observed.router else None
    except RouterProblem:
        split = None
    if split is None or broken:
        return split, drift
    rollout = observed.journal.rollout
    if rollout is not None and rollout.unfinished:
        foreign = plan.foreign_split(rollout, split, target, observed.router or {})
        return split, [foreign] if foreign else []
    _stable, refusal = plan.confirmed_stable(observed, split, target)
    return split, [refusal.reason] if refusal else []


def _slot(deployment: dict[str, Any] | None, pods: list[dict[str, Any]]) -> dict[str, Any]:
    if deployment is None:
        return {"version": None, "replicas": 0, "ready": 0, "state": "absent", "detail": "no Deployment"}
    replicas = deployment["spec"].get("replicas", 1)
    finding = deployment_finding(deployment, pods)
    return {
        "version": (deployment["metadata"].get("annotations") or {}).get(ANNOTATION_VERSION),
        "replicas": replicas,
        "ready": (deployment.get("status") or {}).get("availableReplicas", 0),
        "state": "retired" if replicas == 0 else finding.state,
        "detail": "scaled to 0" if replicas == 0 else finding.detail,
    }


def _current(rollout: Rollout, split: dict[str, int] | None, requests: list[Request]) -> dict[str, Any]:
    steps = [asdict(step) for step in rollout.steps]
    index = rollout.cursor
    under_way = rollout.unfinished and index < len(steps)
    return {
        "id": rollout.id,
        "group": rollout.group or None,
        "operation": rollout.operation,
        "strategy": rollout.strategy,
        "version": rollout.candidate.version,
        "slot": rollout.candidate.slot,
        "step": steps[index]["name"] if under_way else None,
        "step_label": rollout.steps[index].label if under_way else None,
        "step_number": min(index + 1, len(steps)),
        "step_count": len(steps),
        "weight": split[rollout.candidate.slot] if split else None,
        "paused": rollout.paused,
        "waiting_for": rollout.waiting_for or None,
        "analysis": rollout.analysis or None,
        "pending": [str(request) for request in control.pending(requests, rollout)] if rollout.unfinished else [],
        "audit": rollout.audit,
        "steps": steps,
        "reason": rollout.reason,
        "started": rollout.started,
        "finished": rollout.finished or None,
    }


def lease_state(lease: dict[str, Any] | None, now: datetime) -> dict[str, Any]:
    """Holder of C(lease), whether it is in force at C(now), and for how long."""
    holder = holder_of(lease)
    if lease is None or not holder:
        return {"holder": None, "held": False, "expires_in_s": None}
    left = seconds_left(lease, now)
    return {"holder": holder, "held": left > 0, "expires_in_s": None if math.isinf(left) else round(left, 1)}
