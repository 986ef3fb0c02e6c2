"""The restart delays of the kubelet."""

from __future__ import annotations

from churnguard_lab.node.backoff import LONGEST_S, Backoff


def delays(uptime: float, restarts: int) -> list[float]:
    """What a container that always lives for `uptime` seconds waits before each restart."""
    backoff, now, waited = Backoff(), 1000.0, []
    for _ in range(restarts):
        failed = now + uptime
        wait = backoff.remaining(failed, failed)
        waited.append(wait)
        now = failed + wait
        backoff.record(failed, now)
    return waited


def test_first_restart_is_immediate_and_the_delay_doubles_up_to_five_minutes() -> None:
    assert delays(1, 9) == [0, 10, 20, 40, 80, 160, 300, 300, 300]


def test_a_run_of_more_than_ten_minutes_is_forgiven() -> None:
    backoff = Backoff(delay=300, updated=0.0)
    assert backoff.remaining(2 * LONGEST_S, 2 * LONGEST_S) == LONGEST_S
    assert backoff.remaining(2 * LONGEST_S + 1, 2 * LONGEST_S + 1) == 0
    backoff.record(2 * LONGEST_S + 1, 2 * LONGEST_S + 1)
    assert backoff.delay == 10


def test_remaining_counts_down_from_the_failure() -> None:
    backoff = Backoff(delay=20, updated=100.0)
    assert [backoff.remaining(110, now) for now in (110, 120, 130, 140)] == [20, 10, 0, 0]
