# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._common.waiting import (
    DONE,
    FAILED,
    PENDING,
    Finding,
    wait_until,
)
from ansible_collections.churnguard.ops.tests.unit.support.clock import FakeClock


def looks(*states: str):
    """A look that finds C(states) one after the other, the last one for ever."""
    left = list(states)
    return lambda: Finding(left[0] if len(left) == 1 else left.pop(0), f"{len(left)} left")


@pytest.mark.parametrize("state", [DONE, FAILED])
def test_a_final_finding_ends_the_wait_without_a_sleep(state):
    clock = FakeClock()
    finding, waited = wait_until(looks(state), clock, timeout=10)
    assert (finding.state, waited, clock.elapsed) == (state, 0, 0)
    assert (finding.done, finding.failed) == (state == DONE, state == FAILED)


def test_it_looks_every_interval_until_done():
    clock = FakeClock()
    finding, waited = wait_until(looks(PENDING, PENDING, DONE), clock, timeout=10, interval=3)
    assert finding.done
    assert waited == 6


def test_a_finding_that_stays_pending_times_out_at_the_deadline_and_not_later():
    clock = FakeClock()
    finding, waited = wait_until(looks(PENDING), clock, timeout=10, interval=4)
    assert finding.state == PENDING
    assert waited == pytest.approx(10)


@pytest.mark.parametrize("timeout", [0, -1])
def test_there_is_one_look_even_without_time(timeout):
    finding, _waited = wait_until(looks(DONE), FakeClock(), timeout)
    assert finding.done


def test_one_more_look_is_taken_at_the_deadline():
    clock = FakeClock()
    finding, _waited = wait_until(
        lambda: Finding(DONE if clock.elapsed >= 10 else PENDING, ""), clock, timeout=10, interval=7
    )
    assert finding.done


def test_whoever_waits_is_told_after_each_pending_look():
    told = []
    wait_until(looks(PENDING, PENDING, DONE), FakeClock(), 10, 2, lambda finding, waited: told.append(waited))
    assert told == [0, 2]


def test_an_error_of_the_listener_ends_the_wait():
    def lost(_finding, _waited):
        raise RuntimeError("the lock is lost")

    with pytest.raises(RuntimeError, match="lost"):
        wait_until(looks(PENDING), FakeClock(), 10, 1, lost)


def test_a_look_that_takes_long_counts_towards_the_deadline():
    clock = FakeClock()

    def slow():
        clock.sleep(6)
        return Finding(PENDING, "slow")

    _finding, waited = wait_until(slow, clock, timeout=10, interval=1)
    assert waited == 13  # the second look began in time, at 7 s, and is not cut off
