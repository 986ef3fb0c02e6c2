# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Creating, changing and deleting through all states that AWS goes through, with botocore's Stubber and no waiting."""

from __future__ import annotations

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._aws.errors import AwsError
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.plugins.module_utils._elasticache.desk import Desk, Waiting
from ansible_collections.churnguard.ops.plugins.module_utils._elasticache.keeper import Keeper
from ansible_collections.churnguard.ops.tests.unit.support.elasticache import NAME, described, script

TOKEN = "a-token-of-24-characters"
WISH = {"cache_node_type": "cache.r7g.large", "num_cache_clusters": 3, "apply_immediately": False}


@pytest.fixture
def aws():
    with script() as running:
        yield running


def keeper(aws, wish=None, check_mode=False, **waiting):
    return Keeper(aws.desk(**waiting), {**WISH, **(wish or {})}, check_mode)


def test_a_new_group_is_waited_for(aws):
    aws.group(None)
    aws.expect(
        "create_replication_group",
        ReplicationGroupDescription=NAME,
        CacheNodeType="cache.r7g.large",
        NumCacheClusters=3,
        Tags=[{"Key": "Part", "Value": "cache"}],
    )
    aws.statuses("creating", "creating")
    aws.group(described())
    aws.member()
    aws.seen()
    outcome = keeper(aws, {"tags": {"Part": "cache"}}).present()
    assert (outcome.changed, aws.clock.elapsed) == (True, 30)
    assert outcome.more["replication_group"]["status"] == "available"
    assert outcome.more["replication_group"]["member"]["engine_version"] == "7.0.7"


def test_a_new_group_is_not_waited_for_unless_wanted(aws):
    aws.group(None)
    aws.expect(
        "create_replication_group",
        ReplicationGroupDescription=NAME,
        CacheNodeType="cache.r7g.large",
        NumCacheClusters=3,
    )
    aws.seen(described("creating"))
    outcome = keeper(aws, wanted=False).present()
    assert (outcome.changed, aws.clock.elapsed) == (True, 0)
    assert outcome.more["replication_group"]["status"] == "creating"


def test_a_creation_that_failed_ends_the_wait_at_once(aws):
    aws.group(None)
    aws.stub.add_response("create_replication_group", {})
    aws.statuses("creating", "create-failed")
    with pytest.raises(OperationError, match="its status is create-failed.*describe-events"):
        keeper(aws).present()
    assert aws.clock.elapsed == 15


def test_a_group_that_vanishes_ends_the_wait_at_once(aws):
    aws.group(None)
    aws.stub.add_response("create_replication_group", {})
    aws.statuses("creating")
    aws.group(None)
    with pytest.raises(OperationError, match="it does not exist"):
        keeper(aws).present()


def test_a_creation_that_takes_too_long_is_an_error_that_says_how_to_go_on(aws):
    aws.group(None)
    aws.stub.add_response("create_replication_group", {})
    aws.statuses("creating", "creating", "creating", "creating")
    with pytest.raises(OperationError, match="not done 40 s later: its status is creating.*run again to go on waiting"):
        keeper(aws, timeout=40).present()
    assert aws.clock.elapsed == 40


def test_the_run_after_one_that_was_killed_goes_on_waiting(aws):
    aws.statuses("creating", "creating")
    aws.seen()
    outcome = keeper(aws).present()
    assert (outcome.changed, outcome.msg) == (False, f"Nothing to change in replication group {NAME}.")


def test_what_failed_to_be_created_is_said_to_be_deleted_first(aws):
    aws.statuses("create-failed")
    with pytest.raises(OperationError, match="its status is create-failed. Next: delete it with state=absent"):
        keeper(aws, wanted=False).present()


def test_a_group_that_is_being_snapshotted_is_changed_afterwards(aws):
    aws.statuses("snapshotting", "snapshotting")
    aws.seen()
    aws.expect("modify_replication_group", CacheNodeType="cache.r7g.xlarge", ApplyImmediately=False)
    aws.statuses("modifying")
    aws.group(described())
    aws.member()
    aws.seen()
    outcome = keeper(aws, {"cache_node_type": "cache.r7g.xlarge"}).present()
    assert (outcome.changed, outcome.after) == (True, {"cache_node_type": "cache.r7g.xlarge"})


def test_a_group_that_is_being_changed_is_not_changed_without_waiting(aws):
    aws.seen(described("modifying"))
    with pytest.raises(OperationError, match="its status is modifying. Next: run again when it is available"):
        keeper(aws, {"cache_node_type": "cache.r7g.xlarge"}, wanted=False).present()


def test_a_change_that_is_to_apply_now_is_waited_for_until_it_is_in_effect(aws):
    aws.seen()
    aws.expect("modify_replication_group", CacheNodeType="cache.r7g.xlarge", ApplyImmediately=True)
    aws.group(described())  # not even begun
    aws.member()
    aws.statuses("modifying")
    aws.group(described(CacheNodeType="cache.r7g.xlarge"))
    aws.member()
    aws.seen(described(CacheNodeType="cache.r7g.xlarge"))
    outcome = keeper(aws, {"cache_node_type": "cache.r7g.xlarge", "apply_immediately": True}).present()
    assert aws.clock.elapsed == 30
    assert outcome.more["replication_group"]["cache_node_type"] == "cache.r7g.xlarge"


def test_between_two_steps_the_group_is_available_again_even_without_waiting(aws):
    wish = {"num_cache_clusters": 4, "cache_node_type": "cache.r7g.xlarge"}
    aws.seen()
    aws.expect("increase_replica_count", NewReplicaCount=3, ApplyImmediately=True)
    aws.statuses("modifying")
    aws.group(described(nodes=4))
    aws.member()
    aws.expect("modify_replication_group", CacheNodeType="cache.r7g.xlarge", ApplyImmediately=False)
    aws.seen(described("modifying", nodes=4))
    assert keeper(aws, wish, wanted=False).present().changed is True


def test_a_token_is_rotated_in_and_set(aws):
    wish = {"auth_token": TOKEN, "auth_token_update_strategy": "set"}
    bare = described(AuthTokenEnabled=False)
    aws.seen(bare)
    for strategy in ("ROTATE", "SET"):
        aws.expect("modify_replication_group", AuthToken=TOKEN, AuthTokenUpdateStrategy=strategy, ApplyImmediately=True)
        aws.statuses("modifying")
        pending = {"AuthTokenStatus": "ROTATING" if strategy == "ROTATE" else "SETTING"}
        aws.group(described(PendingModifiedValues=pending))
        aws.member()
        aws.group(described())
        aws.member()
    aws.seen()
    outcome = keeper(aws, wish).present()
    assert outcome.after == {"auth_token": "(not shown) set"}
    assert TOKEN not in repr(outcome)
    assert aws.clock.elapsed == 60


def test_a_member_that_aws_does_not_find_leaves_its_options_uncompared(aws):
    aws.group(described())
    aws.refuse("describe_cache_clusters", "CacheClusterNotFound", CacheClusterId=f"{NAME}-001")
    aws.tags()
    outcome = keeper(aws, {"engine_version": "7.1"}).present()
    assert (outcome.changed, outcome.not_compared) == (False, ["engine_version"])


def test_names_are_in_lower_case_for_aws(aws):
    aws.group(None)
    desk = Desk(aws.api, aws.clock, "ChurnGuard-Redis", Waiting())
    assert Keeper(desk, {"replication_group_id": "ChurnGuard-Redis"}, False).absent(None, False).changed is False


def test_a_refusal_of_aws_is_told_with_what_was_attempted(aws):
    aws.seen()
    aws.refuse("modify_replication_group", "InvalidReplicationGroupState", "Cluster is not available.")
    with pytest.raises(AwsError) as raised:
        keeper(aws, {"cache_node_type": "cache.r7g.xlarge"}).present()
    assert str(raised.value) == (
        f"Could not modify replication group {NAME}: AWS answered InvalidReplicationGroupState: Cluster is not "
        "available. Next: wait until the resource is available (somebody else may be changing it), then run again."
    )


def test_a_group_is_gone_before_its_deletion_is_done(aws):
    aws.group(described())
    aws.expect("delete_replication_group", RetainPrimaryCluster=False)
    aws.statuses("deleting", "deleting")
    aws.group(None)
    outcome = keeper(aws).absent(None, False)
    assert (outcome.changed, aws.clock.elapsed) == (True, 30)


def _deleted_with_last_snapshot(aws):
    aws.group(described())
    aws.expect("delete_replication_group", RetainPrimaryCluster=False, FinalSnapshotIdentifier="last")
    aws.statuses("snapshotting", "deleting")
    aws.group(None)


def test_the_last_snapshot_is_waited_for(aws):
    _deleted_with_last_snapshot(aws)
    for status in ("creating", "available"):
        answer = {"Snapshots": [{"SnapshotName": "last", "SnapshotStatus": status}]}
        aws.stub.add_response("describe_snapshots", answer, {"SnapshotName": "last"})
    outcome = keeper(aws).absent("last", False)
    assert outcome.more["snapshot"]["snapshot_status"] == "available"


def test_a_deletion_without_the_last_snapshot_that_was_wanted_is_a_failure(aws):
    _deleted_with_last_snapshot(aws)
    aws.refuse("describe_snapshots", "SnapshotNotFoundFault", SnapshotName="last")
    with pytest.raises(OperationError, match="take snapshot last .*: it does not exist"):
        keeper(aws).absent("last", False)


def test_a_deletion_under_way_is_waited_for_and_not_repeated(aws):
    aws.statuses("deleting", "deleting")
    aws.group(None)
    assert keeper(aws).absent(None, False).changed is False


def test_what_is_being_changed_is_deleted_afterwards_and_what_failed_at_once(aws):
    aws.statuses("modifying", "modifying")
    aws.group(described())
    aws.expect("delete_replication_group", RetainPrimaryCluster=False)
    aws.group(None)
    assert keeper(aws).absent(None, False).changed is True
    aws.statuses("create-failed")
    aws.expect("delete_replication_group", RetainPrimaryCluster=False)
    aws.group(None)
    assert keeper(aws).absent(None, False).changed is True


def test_a_group_is_created_again_when_the_former_one_is_gone(aws):
    aws.statuses("deleting", "deleting")
    aws.group(None)
    aws.stub.add_response("create_replication_group", {})
    aws.group(described())
    aws.member()
    aws.seen()
    assert keeper(aws).present().changed is True


def test_a_group_is_not_created_beside_the_deletion_of_the_former_one(aws):
    aws.statuses("deleting")
    with pytest.raises(OperationError, match="the former group of this name is being deleted"):
        keeper(aws, wanted=False).present()
    aws.statuses("deleting")
    assert keeper(aws, check_mode=True).present().msg == f"Would create replication group {NAME}."


def test_a_run_with_nothing_to_do_makes_three_requests_and_no_other(aws):
    aws.group(described())
    aws.member()
    aws.tags(Part="cache")
    outcome = keeper(aws, {"engine_version": "7.0", "tags": {"Part": "cache"}}).present()
    assert (outcome.changed, outcome.not_compared) == (False, [])
