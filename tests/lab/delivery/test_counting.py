"""Loops that count bad samples, and what they let through."""

from __future__ import annotations

import pytest
from churnguard_lab.delivery.counting import FIRST_BAD, LIMIT_3, PATIENCE, THRESHOLD_3, Counting, served
from churnguard_lab.load.ledger import INJECTED, OK, Entry


@pytest.mark.parametrize(("loop", "moment"), [(FIRST_BAD, 20.0), (THRESHOLD_3, 50.0), (LIMIT_3, 60.0)])
def test_each_loop_decides_at_the_bad_sample_that_is_one_too_many(loop: str, moment: float) -> None:
    counting = Counting(PATIENCE[loop])
    for now, is_bad in ((10.0, False), (20.0, True), (30.0, True), (40.0, False), (50.0, True), (60.0, True)):
        counting.take(now, is_bad)
    assert counting.decided == moment


def test_a_loop_that_sees_nothing_bad_does_not_decide() -> None:
    counting = Counting(1)
    counting.take(10.0, False)
    assert counting.decided is None


def test_only_the_versions_own_errors_up_to_the_moment_count() -> None:
    def entry(second: float, version: str, outcome: str, lag: float = 0.0) -> Entry:
        return Entry(second, 0.01, outcome, 500, version, "green", "fresh", False, lag)

    entries = [
        entry(1, "bad", INJECTED),
        entry(2, "bad", OK),
        entry(3, "other", INJECTED),
        entry(4, "bad", INJECTED),
        entry(4.5, "bad", INJECTED, lag=1.0),
    ]
    assert served(entries, "bad", 5.0) == 2
