# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a wait is over: every predicate by itself."""

from __future__ import annotations

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._common.waiting import DONE, FAILED, PENDING
from ansible_collections.churnguard.ops.plugins.module_utils._elasticache import wait
from ansible_collections.churnguard.ops.plugins.module_utils._elasticache.model import read_group
from ansible_collections.churnguard.ops.tests.unit.support.elasticache import NAME, described, event, sharded

ONE, TWO = f"{NAME}-001", f"{NAME}-002"
CALLED = event(1, NAME, "Test Failover API called for node group 0001")
PROMOTED = event(20, ONE, f"Failover from primary node {ONE} to replica node {TWO} completed")
RECOVERED = event(300, ONE, "Finished recovery for cache nodes 0001")


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("available", DONE),
        ("creating", PENDING),
        ("modifying", PENDING),
        ("snapshotting", PENDING),
        ("a status of tomorrow", PENDING),
        ("create-failed", FAILED),
        ("deleting", FAILED),
        (None, FAILED),
    ],
)
def test_available(status, state):
    assert wait.available(status).state == state
    group = None if status is None else read_group(described(status))
    assert wait.settled(group, []).state == state


def test_a_change_is_in_effect_when_nothing_is_left_of_it():
    assert wait.settled(read_group(described()), ["port"]).state == PENDING
    rotating = read_group(described(PendingModifiedValues={"AuthTokenStatus": "ROTATING"}))
    assert wait.settled(rotating, []).state == PENDING


@pytest.mark.parametrize(("status", "state"), [(None, DONE), ("deleting", PENDING), ("available", PENDING)])
def test_gone(status, state):
    assert wait.gone(status).state == state


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("available", DONE),
        ("copying", DONE),
        ("restoring", DONE),
        ("creating", PENDING),
        ("failed", FAILED),
        ("deleting", FAILED),
    ],
)
def test_snapshot_taken(status, state):
    assert wait.snapshot_taken({"SnapshotStatus": status}).state == state
    assert wait.snapshot_taken(None).state == FAILED


def read(*events, answer=None, shard="0001"):
    return wait.read_failover(events, read_group(answer or described()), shard)


def test_a_whole_failover_is_read():
    failover = read(CALLED, PROMOTED, RECOVERED)
    assert (failover.called, failover.promoted, failover.recovered) == (
        CALLED["Date"],
        PROMOTED["Date"],
        RECOVERED["Date"],
    )
    assert (failover.primary_before, failover.primary_after) == (ONE, TWO)


def test_older_wording_is_read_too():
    assert read(
        CALLED, {**PROMOTED, "Message": f"Failover from master node {ONE} to replica node {TWO} completed"}
    ).promoted


@pytest.mark.parametrize(
    "events",
    [
        (),
        (PROMOTED, RECOVERED),
        (event(1, NAME, "Test Failover API called for node group 0002"), PROMOTED),
        (event(1, "other", "Test Failover API called for node group 0001"), PROMOTED),
        (event(1, ONE, "Test Failover API called for node group 0001"), PROMOTED),
    ],
)
def test_without_its_call_there_is_no_failover(events):
    assert read(*events) == wait.Failover()


@pytest.mark.parametrize(
    "stranger",
    [
        event(20, "other-001", f"Failover from primary node {ONE} to replica node {TWO} completed"),
        event(20, ONE, "Recovering cache nodes 0001"),
        RECOVERED,
    ],
)
def test_a_promotion_is_told_by_the_groups_own_event_of_it_only(stranger):
    assert read(CALLED, stranger).promoted is None
    assert read(CALLED, stranger).recovered is None


@pytest.mark.parametrize(
    "stranger",
    [
        event(30, TWO, "Finished recovery for cache nodes 0001"),
        event(30, f"{NAME}-003", "Finished recovery for cache nodes 0001"),
        event(30, "other-001", "Finished recovery for cache nodes 0001"),
        event(30, ONE, "Recovering cache nodes 0001"),
    ],
)
def test_only_the_former_primary_can_be_back(stranger):
    assert read(CALLED, PROMOTED, stranger).recovered is None


def test_the_newest_call_counts_and_the_first_word_of_each_kind():
    again = event(400, NAME, "Test Failover API called for node group 0001")
    assert read(CALLED, PROMOTED, RECOVERED, again).promoted is None
    twice = read(CALLED, PROMOTED, {**PROMOTED, "SourceIdentifier": NAME}, RECOVERED, {**RECOVERED, "Date": "later"})
    assert (twice.promoted, twice.recovered) == (PROMOTED["Date"], RECOVERED["Date"])
    assert len(twice.messages) == 3


WHOLE = (CALLED, PROMOTED, RECOVERED)


@pytest.mark.parametrize(
    ("answer", "events", "state", "words"),
    [
        (described(primary=2), WHOLE, DONE, f"{TWO} is the primary"),
        (described(), (), PENDING, "no event of the call yet"),
        (described(), (CALLED,), PENDING, "no replica has been promoted yet"),
        (described(), WHOLE, PENDING, f"{ONE} is still the primary"),
        (described(primary=2), (CALLED, PROMOTED), PENDING, f"{ONE} is not back yet"),
        (described("modifying", primary=2), WHOLE, PENDING, "its status is modifying"),
        (described("deleting", primary=2), WHOLE, FAILED, "its status is deleting"),
        (described("create-failed"), (), FAILED, "its status is create-failed"),
    ],
)
def test_failed_over(answer, events, state, words):
    finding = wait.failed_over(read(*events, answer=answer), read_group(answer), "0001", ONE)
    assert (finding.state, words in finding.detail) == (state, True)


def test_failed_over_of_a_group_that_is_gone_and_of_one_that_hides_its_roles():
    assert wait.failed_over(read(*WHOLE), None, "0001", ONE).state == FAILED
    answer = sharded([1])
    node = f"{NAME}-0001-001"
    events = (
        CALLED,
        event(20, NAME, f"Failover from primary node {node} to replica node {NAME}-0001-002 completed"),
        event(300, node, "Finished recovery for cache nodes 0001"),
    )
    assert wait.failed_over(read(*events, answer=answer), read_group(answer), "0001", None).state == DONE
