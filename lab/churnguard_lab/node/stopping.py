"""Ending a container, without I/O: preStop, SIGTERM, the grace period, SIGKILL."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from churnguard_lab.node.status import parse_timestamp

#: However long preStop took, a container gets this many seconds between SIGTERM and SIGKILL (as the kubelet gives).
SHORTEST_TERM_S = 2.0
DEFAULT_GRACE_S = 30.0

HOOK, TERM, KILL = "hook", "term", "kill"


@dataclasses.dataclass
class Stop:
    """One container's way to its end. Times are unix seconds.

    stage: what was done last (HOOK started, TERM or KILL sent). hook_ends: when preStop counts as over.
    """

    deadline: float
    hook_ends: float | None
    stage: str | None = None
    kill_at: float | None = None

    def action(self, now: float) -> str | None:
        """What is to be done now: HOOK, TERM, KILL or nothing. Asking means that it is done."""
        if self.stage is None and self.hook_ends is not None:
            self.stage = HOOK
            return HOOK
        if self.stage in (None, HOOK):
            if self.hook_ends is not None and now < min(self.hook_ends, self.deadline):
                return None
            self.stage, self.kill_at = TERM, max(self.deadline, now + SHORTEST_TERM_S)
            return TERM
        if self.stage == TERM and self.kill_at is not None and now >= self.kill_at:
            self.stage = KILL
            return KILL
        return None

    def due(self) -> float | None:
        """When the next action comes; None when only the process's end is left."""
        if self.stage is None:
            return 0.0
        if self.stage == HOOK and self.hook_ends is not None:
            return min(self.hook_ends, self.deadline)
        return self.kill_at if self.stage == TERM else None

    def hook_done(self, now: float) -> None:
        """preStop is over."""
        if self.hook_ends is not None:
            self.hook_ends = min(self.hook_ends, now)

    def shorten(self, deadline: float) -> None:
        """A later order with less time to it (a deletion during a restart) counts from now on."""
        self.deadline = min(self.deadline, deadline)
        if self.kill_at is not None:
            self.kill_at = min(self.kill_at, deadline)


def plan_stop(now: float, deadline: float, hook: Mapping[str, Any] | None) -> Stop:
    """How a container with that preStop hook (or none) is to be ended by `deadline`."""
    if not hook:
        return Stop(deadline, None)
    if "sleep" in hook:
        return Stop(deadline, now + float(hook["sleep"]["seconds"]))
    return Stop(deadline, deadline)


def deletion_deadline(pod: Mapping[str, Any], now: float) -> float:
    """When a deleted pod's grace period ends.

    It counts from the deletion. The API's timestamp is cut to whole seconds, hence the second added; a pod seen late
    (the agent was away) gets what is left.
    """
    metadata = pod["metadata"]
    grace = metadata.get("deletionGracePeriodSeconds")
    grace = DEFAULT_GRACE_S if grace is None else float(grace)
    ends = metadata.get("deletionTimestamp")
    left = grace if ends is None else parse_timestamp(ends) + 1.0 - now
    return now + max(0.0, min(grace, left))
