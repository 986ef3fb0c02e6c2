# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots and failovers through all that AWS tells, with botocore's Stubber and no waiting."""

from __future__ import annotations

from datetime import timedelta

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._aws.errors import AwsError
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.plugins.module_utils._elasticache import actions
from ansible_collections.churnguard.ops.tests.unit.support.clock import START
from ansible_collections.churnguard.ops.tests.unit.support.elasticache import (
    NAME,
    described,
    event,
    script,
    sharded,
)

ONE, TWO = f"{NAME}-001", f"{NAME}-002"
CALLED = event(1, NAME, "Test Failover API called for node group 0001")
PROMOTED_NODE = event(20, ONE, f"Failover from primary node {ONE} to replica node {TWO} completed")
PROMOTED = event(21, NAME, f"Failover from primary node {ONE} to replica node {TWO} completed")
RECOVERING = event(30, ONE, "Recovering cache nodes 0001")
RECOVERED = event(300, ONE, "Finished recovery for cache nodes 0001")
# Of an earlier failover, and of another group.
OLD = [
    event(-50, NAME, f"Failover from primary node {TWO} to replica node {ONE} completed"),
    event(-40, TWO, "Finished recovery for cache nodes 0001"),
    event(5, "other-001", "Finished recovery for cache nodes 0001"),
]
ALL = [*OLD, CALLED, PROMOTED_NODE, PROMOTED, RECOVERING, RECOVERED]


@pytest.fixture
def aws():
    with script() as running:
        yield running


def call(aws, **shard):
    aws.expect("test_failover", **{"NodeGroupId": "0001", **shard})


def look(aws, answer, *events):
    """One look of the wait: the group, then the events since a minute before the call."""
    aws.group(answer)
    asked = {"StartTime": START - timedelta(seconds=60)}
    aws.stub.add_response("describe_events", {"Events": list(reversed(events))}, asked)


def fail_over(aws, failover_from=None, shard=None, check_mode=False, **waiting):
    return actions.fail_over(aws.desk(**waiting), shard, failover_from, check_mode)


def test_a_failover_is_over_when_the_old_primary_is_back(aws):
    aws.group(described())
    call(aws)
    look(aws, described(), *OLD)  # no word of the call yet
    look(aws, described("modifying"), *OLD, CALLED)
    look(aws, described("modifying"), *OLD, CALLED, PROMOTED_NODE, PROMOTED)  # the group still has the old roles
    look(aws, described("modifying", primary=2), *OLD, CALLED, PROMOTED_NODE, PROMOTED, RECOVERING)
    look(aws, described("modifying", primary=2), *ALL)
    look(aws, described(primary=2), *ALL)
    outcome = fail_over(aws)
    assert (outcome.changed, aws.clock.elapsed) == (True, 75)
    assert outcome.msg == f"{TWO} is the primary of shard 0001 of replication group {NAME}."
    failover = outcome.more["failover"]
    assert (failover["primary_before"], failover["primary_after"]) == (ONE, TWO)
    assert (failover["promotion_seconds"], failover["recovery_seconds"]) == (19, 299)
    assert failover["called_at"] == "2026-11-21T19:00:01.000Z"
    assert failover["messages"] == [CALLED["Message"], PROMOTED["Message"], RECOVERED["Message"]]
    assert outcome.after == {"node_group_id": "0001", "primary": TWO}


def test_events_are_read_from_the_time_of_aws_and_not_of_this_machine(aws):
    aws.group(described())
    answer = {"ResponseMetadata": {"HTTPHeaders": {"date": "Sat, 21 Nov 2026 18:00:00 GMT"}}}
    aws.stub.add_response("test_failover", answer)
    aws.group(described(primary=2))
    asked = {"StartTime": START - timedelta(hours=1, seconds=60)}
    aws.stub.add_response("describe_events", {"Events": ALL}, asked)
    assert fail_over(aws).changed is True


def test_an_old_completion_is_not_taken_for_this_one(aws):
    aws.group(described())
    call(aws)
    look(aws, described(), *OLD, event(2, NAME, "Test Failover API called for node group 0002"))
    look(aws, described(), *OLD, CALLED)
    with pytest.raises(OperationError, match="not done 10 s later: no replica has been promoted yet"):
        fail_over(aws, timeout=10)


def test_a_group_that_is_deleted_meanwhile_ends_the_wait(aws):
    aws.group(described())
    call(aws)
    look(aws, described("deleting"), CALLED)
    with pytest.raises(OperationError, match="its status is deleting"):
        fail_over(aws)


def test_the_next_run_after_a_killed_one_waits_for_the_end_and_does_nothing(aws):
    aws.group(described("modifying", primary=2))
    aws.statuses("modifying")
    aws.group(described(primary=2))
    outcome = fail_over(aws, failover_from=ONE)
    assert (outcome.changed, outcome.more["failover"]["primary_after"]) == (False, TWO)


def test_a_failover_that_happens_while_waiting_for_the_group_is_enough(aws):
    aws.group(described("modifying"))
    aws.group(described(primary=2))
    outcome = fail_over(aws, failover_from=ONE)
    assert (outcome.changed, outcome.msg) == (False, f"The primary of replication group {NAME} is {TWO} by now.")


def test_a_failover_without_waiting_only_begins(aws):
    aws.group(described())
    call(aws)
    outcome = fail_over(aws, wanted=False)
    assert outcome.msg == f"Shard 0001 of replication group {NAME} is failing over."
    assert outcome.more["failover"] == {"node_group_id": "0001", "primary_before": ONE}


def test_in_cluster_mode_events_alone_tell(aws):
    shard_one, shard_two = f"{NAME}-0002-001", f"{NAME}-0002-002"
    events = [
        event(1, NAME, "Test Failover API called for node group 0002"),
        event(20, NAME, f"Failover from primary node {shard_one} to replica node {shard_two} completed"),
        event(90, shard_one, "Finished recovery for cache nodes 0001"),
    ]
    aws.group(sharded([1, 1]))
    call(aws, NodeGroupId="0002")
    look(aws, sharded([1, 1]), *events)
    assert fail_over(aws, shard="0002").more["failover"]["primary_after"] == shard_two


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("APICallRateForCustomerExceeded", "read AWS' answer"),
        ("TestFailoverNotAvailableFault", "read AWS' answer"),
        ("InvalidReplicationGroupState", "wait until the resource is available"),
    ],
)
def test_a_failover_that_aws_refuses_is_told(aws, code, words):
    aws.group(described())
    aws.refuse("test_failover", code, "You may not.")
    with pytest.raises(AwsError, match=f"fail over shard 0001 of replication group {NAME}.*{code}") as raised:
        fail_over(aws)
    assert words in str(raised.value)


@pytest.mark.parametrize(
    ("answer", "options", "words"),
    [
        (described(nodes=1), {}, "it has no replica"),
        (described(AutomaticFailover="disabled"), {}, "automatic failover is off"),
        (sharded([1, 1]), {}, "give node_group_id, one of 0001, 0002"),
        (sharded([1, 1]), {"shard": "0003"}, "there is no shard 0003"),
        (described(), {"failover_from": "other"}, f"name the primary, one of {ONE}, {TWO}"),
        (sharded([1]), {"failover_from": f"{NAME}-0001-001"}, "leave failover_from out in cluster mode"),
        (described("modifying"), {"wanted": False}, "run again when it is available"),
    ],
)
def test_a_failover_that_cannot_be_is_refused_before_aws_is_asked(aws, answer, options, words):
    aws.group(answer)
    with pytest.raises(OperationError) as raised:
        fail_over(aws, **options)
    assert words in str(raised.value)


def snapshot(aws, status, owner=NAME):
    answer = {"Snapshots": [{"SnapshotName": "before", "SnapshotStatus": status, "ReplicationGroupId": owner}]}
    aws.stub.add_response("describe_snapshots", answer, {"SnapshotName": "before"})


def take(aws, check_mode=False, **waiting):
    return actions.take_snapshot(aws.desk(**waiting), "before", "key", {"Part": "cache"}, check_mode)


def test_a_snapshot_is_taken_when_the_group_is_available_and_waited_for(aws):
    aws.refuse("describe_snapshots", "SnapshotNotFoundFault", SnapshotName="before")
    aws.statuses("modifying", "modifying", "available")
    tags = [{"Key": "Part", "Value": "cache"}]
    aws.expect("create_snapshot", SnapshotName="before", KmsKeyId="key", Tags=tags)
    for status in ("creating", "creating", "available"):
        snapshot(aws, status)
    outcome = take(aws)
    assert (outcome.changed, outcome.more["snapshot"]["snapshot_status"]) == (True, "available")
    assert aws.clock.elapsed == 45


def test_a_snapshot_that_is_being_taken_is_waited_for_and_not_taken_again(aws):
    for status in ("creating", "creating", "available"):
        snapshot(aws, status)
    assert take(aws).changed is False


@pytest.mark.parametrize("status", ["failed", "deleting"])
def test_a_snapshot_that_cannot_be_restored_is_an_error(aws, status):
    aws.refuse("describe_snapshots", "SnapshotNotFoundFault", SnapshotName="before")
    aws.group(described())
    aws.stub.add_response("create_snapshot", {})
    snapshot(aws, "creating")
    snapshot(aws, status)
    with pytest.raises(OperationError, match=f"its status is {status}"):
        take(aws)


def test_a_snapshot_that_vanishes_is_an_error(aws):
    snapshot(aws, "creating")
    aws.refuse("describe_snapshots", "SnapshotNotFoundFault", SnapshotName="before")
    with pytest.raises(OperationError, match="it does not exist"):
        take(aws)


def test_a_snapshot_is_only_announced_in_check_mode(aws):
    aws.refuse("describe_snapshots", "SnapshotNotFoundFault", SnapshotName="before")
    aws.group(described())
    assert take(aws, check_mode=True).msg == f"Would take snapshot before of replication group {NAME}."


def test_a_snapshot_of_another_group_is_no_snapshot_of_this_one(aws):
    snapshot(aws, "available", owner="churnguard-other")
    with pytest.raises(OperationError, match="there is a snapshot of that name already, of churnguard-other"):
        take(aws)
