"""preStop, SIGTERM, grace and SIGKILL in time."""

from __future__ import annotations

from typing import Any

import pytest
from churnguard_lab.node.status import timestamp
from churnguard_lab.node.stopping import HOOK, KILL, TERM, Stop, deletion_deadline, plan_stop


def play(stop: Stop, until: float, hook_done: float | None = None) -> list[tuple[float, str]]:
    """Every action with its time, asked as a worker asks: when something is due."""
    now, done = 0.0, []
    while now <= until:
        if hook_done is not None and now >= hook_done:
            stop.hook_done(now)
            hook_done = None
        action = stop.action(now)
        if action:
            done.append((now, action))
            continue
        now += 0.5
    return done


@pytest.mark.parametrize(
    ("hook", "deadline", "hook_done", "expected"),
    [
        (None, 30, None, [(0, TERM), (30, KILL)]),
        (None, 0, None, [(0, TERM), (2, KILL)]),
        ({"sleep": {"seconds": 5}}, 30, None, [(0, HOOK), (5, TERM), (30, KILL)]),
        ({"sleep": {"seconds": 50}}, 30, None, [(0, HOOK), (30, TERM), (32, KILL)]),
        ({"sleep": {"seconds": 29}}, 30, None, [(0, HOOK), (29, TERM), (31, KILL)]),
        ({"sleep": {"seconds": 0}}, 30, None, [(0, HOOK), (0, TERM), (30, KILL)]),
        ({"exec": {"command": ["x"]}}, 30, 4, [(0, HOOK), (4, TERM), (30, KILL)]),
        ({"exec": {"command": ["x"]}}, 10, None, [(0, HOOK), (10, TERM), (12, KILL)]),
    ],
)
def test_order_and_times(hook: Any, deadline: float, hook_done: float | None, expected: list) -> None:
    assert play(plan_stop(0.0, deadline, hook), 60, hook_done) == expected


def test_due_tells_when_to_come_back() -> None:
    stop = plan_stop(100.0, 130.0, {"sleep": {"seconds": 5}})
    assert stop.due() == 0.0
    assert (stop.action(100), stop.due()) == (HOOK, 105.0)
    assert (stop.action(105), stop.due()) == (TERM, 130.0)
    assert (stop.action(130), stop.due()) == (KILL, None)


def test_a_later_order_can_only_shorten() -> None:
    stop = plan_stop(0.0, 30.0, None)
    stop.action(0)
    stop.shorten(60)
    assert stop.kill_at == 30
    stop.shorten(10)
    assert stop.kill_at == 10


NOW = 1_800_000_000.4


@pytest.mark.parametrize(
    ("deleted_ago", "grace", "expected"),
    [(0.4, 30, 30), (10.4, 30, 20.6), (100.4, 30, 0), (0.4, 0, 0), (0.4, 300, 300)],
)
def test_grace_counts_from_the_deletion(deleted_ago: float, grace: int, expected: float) -> None:
    ends = timestamp(NOW - deleted_ago + grace)
    metadata = {"deletionTimestamp": ends, "deletionGracePeriodSeconds": grace}
    assert deletion_deadline({"metadata": metadata}, NOW) - NOW == pytest.approx(expected, abs=1e-3)


def test_a_pod_without_a_stated_grace_gets_the_default() -> None:
    assert deletion_deadline({"metadata": {}}, NOW) - NOW == pytest.approx(30, abs=1e-3)
