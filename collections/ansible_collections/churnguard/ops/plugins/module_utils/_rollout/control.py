# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people ask of a rollout that is under way: requests in a ConfigMap of their own, which whoever runs the rollout
reads at every interval. What became of each stands in the journal. No I/O. Internal: may change in any release."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from .model import Rollout, Target

PAUSE = "pause"
RESUME = "resume"
PROMOTE = "promote"
ABORT = "abort"
APPROVE = "approve"
RETRY = "retry"
COMMANDS = (PAUSE, RESUME, PROMOTE, ABORT, APPROVE, RETRY)

# Enough to see what was asked in one rollout; the journal's audit keeps what was done.
KEPT_REQUESTS = 20

_REQUESTS = 20

SEND = "send"
NOTHING = "nothing"
REFUSE = "refuse"

# Commands that answer the step a rollout is in, so that they must not reach the one after it.
_FOR_A_STEP = frozenset({PROMOTE, APPROVE, RETRY})
_AGAIN = "run playbooks/deploy.yml with that version again to go on, or playbooks/rollback.yml to take it back"

_REQUESTS = "requests.json"
_TEXTS = ("id", "command", "by", "at", "reason", "rollout")


@dataclass(frozen=True)
class Request:
    """One wish. C(rollout) is the rollout's id; C(step) the number of the step it was made in, from 1, or None if it
    does not belong to one; C(at) the API server's time. C(full) goes with promote: all holds and gates to the end."""

    id: str
    command: str
    full: bool
    by: str
    at: str
    reason: str
    rollout: str
    step: int | None = None

    def __str__(self) -> str:
        words = f"{self.command} (full)" if self.full else self.command
        return f"{words} by {self.by}" + (f": {self.reason}" if self.reason else "")


def name_of(target: Target) -> str:
    """Name of the ConfigMap with the requests."""
    return f"{target.journal}-control"


def read(config_map: dict[str, Any] | None) -> list[Request]:
    """The requests in C(config_map), oldest first; none if it is None. What is not a request is left out, so that a
    slip of somebody's hand cannot stop a rollout; C(problem) says what was left out."""
    return _parse(config_map)[0]


def problem(config_map: dict[str, Any] | None) -> str:
    """What C(read) had to leave out and why; empty if nothing."""
    return _parse(config_map)[1]


def pending(requests: list[Request], rollout: Rollout) -> list[Request]:
    """The requests for C(rollout) that its audit does not have yet, oldest first."""
    handled = {entry["id"] for entry in rollout.audit}
    return [request for request in requests if request.rollout == rollout.id and request.id not in handled]


def outdated(request: Request, rollout: Rollout) -> bool:
    """Whether C(request) was made for a step that is over: it must not end the next one."""
    return request.step is not None and request.step != rollout.cursor + 1


def answer(rollout: Rollout, request: Request) -> dict[str, Any] | None:
    """The audit entry of C(request), or None while it is pending."""
    return next((entry for entry in rollout.audit if entry["id"] == request.id), None)


def write(requests: list[Request], target: Target) -> dict[str, Any]:
    """The ConfigMap for C(requests), the newest KEPT_REQUESTS of them, without a resourceVersion."""
    labels = {
        "app": target.name,
        "app.kubernetes.io/managed-by": "churnguard.ops",
        "app.kubernetes.io/component": "rollout-control",
    }
    metadata = {"name": name_of(target), "namespace": target.namespace, "labels": labels}
    data = {_REQUESTS: json.dumps([asdict(request) for request in requests[-KEPT_REQUESTS:]], indent=1)}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def _parse(config_map: dict[str, Any] | None) -> tuple[list[Request], str]:
    text = ((config_map or {}).get("data") or {}).get(_REQUESTS, "[]")
    try:
        entries = json.loads(text)
    except ValueError as error:
        return [], f"{_REQUESTS} is not JSON ({error})"
    if not isinstance(entries, list):
        return [], f"{_REQUESTS} is not a list"
    requests, problems = [], []
    for number, entry in enumerate(entries, 1):
        wrong = _wrong(entry)
        if wrong:
            problems.append(f"entry {number} of {_REQUESTS} {wrong}")
        else:
            full, step = entry.get("full") is True, entry.get("step")
            requests.append(Request(full=full, step=step, **{name: entry[name] for name in _TEXTS}))
    return requests, "; ".join(problems)


def _wrong(entry: Any) -> str:
    if not isinstance(entry, dict):
        return "is not an object"
    for name in _TEXTS:
        if not isinstance(entry.get(name), str):
            return f"has no text '{name}'"
    if entry["command"] not in COMMANDS:
        return f"has the unknown command '{entry['command'][:30]}'"
    step = entry.get("step")
    if step is not None and (isinstance(step, bool) or not isinstance(step, int)):
        return "has a step that is not a number"
    return ""
