# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a wish and a group to requests: every rule, without AWS."""

from __future__ import annotations

from datetime import timedelta

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.plugins.module_utils._elasticache import plan
from ansible_collections.churnguard.ops.plugins.module_utils._elasticache.model import read_group
from ansible_collections.churnguard.ops.tests.unit.support.clock import START
from ansible_collections.churnguard.ops.tests.unit.support.elasticache import NAME, described, member, sharded

TOKEN = "a-token-of-24-characters"


def group(answer=None, **node):
    return read_group(answer or described(), member(**node))


def steps(wish, current=None):
    """The requests: method and arguments without the group's name."""
    found = []
    for step in plan.modification(wish, current or group()).steps:
        arguments = dict(step.arguments)
        assert arguments.pop("ReplicationGroupId") == NAME
        found.append((step.method, arguments))
    return found


def modify(**arguments):
    return ("modify_replication_group", {**arguments})


SAME = {
    "replication_group_description": "ChurnGuard Redis Cluster",
    "engine": "redis",
    "engine_version": "7.0",
    "cache_node_type": "cache.r7g.large",
    "num_cache_clusters": 3,
    "num_node_groups": 1,
    "cluster_mode": "disabled",
    "automatic_failover_enabled": True,
    "multi_az_enabled": True,
    "transit_encryption_enabled": True,
    "transit_encryption_mode": "required",
    "auth_token": TOKEN,
    "at_rest_encryption_enabled": True,
    "security_group_ids": ["sg-2", "sg-1"],
    "cache_subnet_group_name": "ChurnGuard-Redis",
    "cache_parameter_group_name": "default.redis7",
    "preferred_maintenance_window": "Sun:05:00-Sun:06:00",
    "snapshot_window": "6:00-8:00",
    "snapshot_retention_limit": 7,
    "auto_minor_version_upgrade": True,
    "notification_topic_arn": "",
    "user_group_ids": [],
    "port": 6379,
}


def test_what_aws_writes_in_another_way_is_no_difference():
    found = plan.modification(SAME, group())
    assert (found.steps, found.before, found.after, found.not_compared) == ((), {}, {}, ())
    assert found.changes is False


def test_nothing_given_is_nothing_to_do():
    assert steps({}) == []
    assert steps(dict.fromkeys(SAME)) == []


@pytest.mark.parametrize(
    ("option", "value", "arguments"),
    [
        ("replication_group_description", "other", {"ReplicationGroupDescription": "other"}),
        ("engine_version", "7.1", {"EngineVersion": "7.1"}),
        ("cache_node_type", "cache.r7g.xlarge", {"CacheNodeType": "cache.r7g.xlarge"}),
        ("cache_parameter_group_name", "mine", {"CacheParameterGroupName": "mine"}),
        ("security_group_ids", ["sg-1"], {"SecurityGroupIds": ["sg-1"]}),
        ("preferred_maintenance_window", "mon:05:00-mon:06:00", {"PreferredMaintenanceWindow": "mon:05:00-mon:06:00"}),
        ("snapshot_window", "07:00-08:00", {"SnapshotWindow": "07:00-08:00"}),
        ("snapshot_retention_limit", 14, {"SnapshotRetentionLimit": 14}),
        ("snapshot_retention_limit", 0, {"SnapshotRetentionLimit": 0}),
        ("multi_az_enabled", False, {"MultiAZEnabled": False}),
        ("auto_minor_version_upgrade", False, {"AutoMinorVersionUpgrade": False}),
        ("cluster_mode", "compatible", {"ClusterMode": "compatible"}),
        ("notification_topic_arn", "arn:t", {"NotificationTopicArn": "arn:t", "NotificationTopicStatus": "active"}),
        ("user_group_ids", ["b", "a"], {"UserGroupIdsToAdd": ["a", "b"]}),
    ],
)
def test_one_difference_is_one_argument(option, value, arguments):
    assert steps({**SAME, option: value}) == [modify(**arguments, ApplyImmediately=False)]
    found = plan.modification({**SAME, option: value}, group())
    assert list(found.after) == list(found.before) == [option]


def test_all_plain_differences_are_one_request():
    wish = {"cache_node_type": "cache.r7g.xlarge", "snapshot_retention_limit": 1, "apply_immediately": True}
    assert steps(wish) == [modify(CacheNodeType="cache.r7g.xlarge", SnapshotRetentionLimit=1, ApplyImmediately=True)]


def test_what_waits_for_the_maintenance_window_is_asked_for_once_unless_it_is_wanted_now():
    current = group(PendingModifiedValues={"CacheNodeType": "cache.r7g.xlarge", "EngineVersion": "7.1.0"})
    wish = {"cache_node_type": "cache.r7g.xlarge", "engine_version": "7.1"}
    assert steps(wish, current) == []
    now = modify(EngineVersion="7.1", CacheNodeType="cache.r7g.xlarge", ApplyImmediately=True)
    assert steps({**wish, "apply_immediately": True}, current) == [now]


def test_failover_that_is_being_switched_on_is_on():
    assert steps({"automatic_failover_enabled": True}, group(described(AutomaticFailover="enabling"))) == []
    current = group(described(AutomaticFailover="disabling"))
    assert steps({"automatic_failover_enabled": True}, current) == [
        modify(AutomaticFailoverEnabled=True, ApplyImmediately=False)
    ]


def test_the_first_snapshots_are_taken_from_a_replica():
    current = group(described(SnapshotRetentionLimit=0))
    expected = modify(SnapshotRetentionLimit=7, SnapshottingClusterId=f"{NAME}-002", ApplyImmediately=False)
    assert steps({"snapshot_retention_limit": 7}, current) == [expected]
    alone = group(described(SnapshotRetentionLimit=0, nodes=1))
    assert steps({"snapshot_retention_limit": 7}, alone)[0][1]["SnapshottingClusterId"] == f"{NAME}-001"
    shards = group(sharded([1, 1], SnapshotRetentionLimit=0))
    assert "SnapshottingClusterId" not in steps({"snapshot_retention_limit": 7}, shards)[0][1]


def test_notifications_are_switched_off_by_an_empty_topic():
    current = group(NotificationConfiguration={"TopicArn": "arn:t", "TopicStatus": "active"})
    assert steps({"notification_topic_arn": ""}, current) == [
        modify(NotificationTopicStatus="inactive", ApplyImmediately=False)
    ]
    assert steps({"notification_topic_arn": "arn:t"}, current) == []


def test_security_groups_that_are_being_removed_do_not_count():
    leaving = [{"SecurityGroupId": "sg-1", "Status": "active"}, {"SecurityGroupId": "sg-2", "Status": "removing"}]
    assert steps({"security_group_ids": ["sg-1"]}, group(SecurityGroups=leaving)) == []


def test_redis_becomes_valkey_with_its_version():
    wish = {"engine": "valkey", "engine_version": "7.2", "cache_parameter_group_name": "default.valkey7"}
    arguments = {"Engine": "valkey", "EngineVersion": "7.2", "CacheParameterGroupName": "default.valkey7"}
    assert steps(wish) == [modify(**arguments, ApplyImmediately=False)]


@pytest.mark.parametrize(
    ("wish", "answer", "words"),
    [
        ({"engine": "redis"}, {"Engine": "valkey"}, "only redis can be changed, to valkey"),
        ({"engine_version": "6.2"}, {}, "AWS has no way back"),
        ({"cluster_mode": "enabled"}, {}, "has to become 'compatible' first"),
        ({"cluster_mode": "disabled"}, {"ClusterMode": "enabled"}, "cluster mode stays"),
        ({"port": 6380}, {}, "port is 6379 and stays as it was created"),
        ({"cache_subnet_group_name": "other"}, {}, "cache_subnet_group_name is 'churnguard-redis'"),
        ({"at_rest_encryption_enabled": False}, {}, "at_rest_encryption_enabled is True"),
        ({"kms_key_id": "k"}, {}, "kms_key_id is '' and stays"),
        ({"data_tiering_enabled": True}, {}, "data_tiering_enabled is False"),
        ({"network_type": "ipv6"}, {"NetworkType": "ipv4"}, "network_type is 'ipv4'"),
        ({"num_node_groups": 2}, {}, "more than one shard needs cluster mode"),
        ({"auth_token": TOKEN}, {"AuthTokenEnabled": False}, "the group has no auth token: give"),
        (
            {"transit_encryption_enabled": True},
            {"TransitEncryptionEnabled": False},
            "give transit_encryption_mode, preferred first",
        ),
    ],
)
def test_what_is_impossible_is_refused_with_its_reason(wish, answer, words):
    node = {"Engine": answer["Engine"]} if "Engine" in answer else {}
    with pytest.raises(OperationError) as raised:
        steps(wish, group(described(**answer), **node))
    assert words in str(raised.value)
    assert TOKEN not in str(raised.value)


def test_all_that_is_impossible_is_said_at_once():
    with pytest.raises(OperationError) as raised:
        steps({"port": 1, "engine_version": "6.2", "cache_node_type": "x"})
    assert "port" in str(raised.value)
    assert "engine_version" in str(raised.value)


def test_what_cannot_be_known_is_named_and_left_alone():
    current = read_group(described())
    wish = {"engine_version": "7.1", "security_group_ids": ["x"], "kms_key_id": "alias/mine", "ip_discovery": "ipv4"}
    found = plan.modification(wish, current)
    assert found.steps == ()
    assert sorted(found.not_compared) == ["engine_version", "ip_discovery", "kms_key_id", "security_group_ids"]
    empty = read_group({"ReplicationGroupId": NAME, "Status": "creating"})
    found = plan.modification({"num_node_groups": 2, "replicas_per_node_group": 1}, empty)
    assert (found.steps, sorted(found.not_compared)) == ((), ["num_node_groups", "replicas_per_node_group"])


def _replicas(direction, **arguments):
    return (f"{direction}_replica_count", {**arguments, "ApplyImmediately": True})


@pytest.mark.parametrize(
    ("current", "wish", "expected"),
    [
        (described(), {"num_cache_clusters": 4}, [_replicas("increase", NewReplicaCount=3)]),
        (described(), {"replicas_per_node_group": 1}, [_replicas("decrease", NewReplicaCount=1)]),
        (described(), {"replicas_per_node_group": 2}, []),
        (sharded([1, 1]), {"replicas_per_node_group": 2}, [_replicas("increase", NewReplicaCount=2)]),
        (
            sharded([1, 2]),
            {"replicas_per_node_group": 2},
            [_replicas("increase", ReplicaConfiguration=[{"NodeGroupId": "0001", "NewReplicaCount": 2}])],
        ),
        (
            sharded([1, 3]),
            {"replicas_per_node_group": 2},
            [
                _replicas("increase", ReplicaConfiguration=[{"NodeGroupId": "0001", "NewReplicaCount": 2}]),
                _replicas("decrease", ReplicaConfiguration=[{"NodeGroupId": "0002", "NewReplicaCount": 2}]),
            ],
        ),
    ],
)
def test_replicas_are_added_and_removed_where_they_differ(current, wish, expected):
    assert steps(wish, group(current)) == expected


def test_nodes_are_shown_as_they_were_asked_for():
    found = plan.modification({"num_cache_clusters": 4}, group())
    assert (found.before, found.after) == ({"num_cache_clusters": 3}, {"num_cache_clusters": 4})
    found = plan.modification({"replicas_per_node_group": 2}, group(sharded([1, 3])))
    assert (found.before, found.after) == ({"replicas_per_node_group": [1, 3]}, {"replicas_per_node_group": 2})


def test_replicas_come_before_the_failover_that_needs_them_and_go_after_it():
    alone = group(described(nodes=1, AutomaticFailover="disabled", MultiAZ="disabled"))
    wish = {"num_cache_clusters": 2, "automatic_failover_enabled": True}
    assert [method for method, _arguments in steps(wish, alone)] == [
        "increase_replica_count",
        "modify_replication_group",
    ]
    wish = {"num_cache_clusters": 1, "automatic_failover_enabled": False, "multi_az_enabled": False}
    assert [method for method, _arguments in steps(wish)] == ["modify_replication_group", "decrease_replica_count"]


def test_a_count_of_nodes_is_for_one_shard():
    with pytest.raises(OperationError, match="num_cache_clusters is for groups with one shard"):
        steps({"num_cache_clusters": 2}, group(sharded([1, 1])))


def test_shards_are_added_and_the_last_are_removed():
    method = "modify_replication_group_shard_configuration"
    assert steps({"num_node_groups": 4}, group(sharded([1, 1]))) == [
        (method, {"NodeGroupCount": 4, "ApplyImmediately": True})
    ]
    assert steps({"num_node_groups": 1}, group(sharded([1, 1, 1]))) == [
        (method, {"NodeGroupCount": 1, "ApplyImmediately": True, "NodeGroupsToRemove": ["0002", "0003"]})
    ]


OFF = {"TransitEncryptionEnabled": False, "TransitEncryptionMode": None, "AuthTokenEnabled": False}


@pytest.mark.parametrize(
    ("answer", "wish", "expected"),
    [
        (
            OFF,
            {"transit_encryption_enabled": True, "transit_encryption_mode": "preferred"},
            [{"TransitEncryptionEnabled": True, "TransitEncryptionMode": "preferred"}],
        ),
        (
            OFF,
            {"transit_encryption_enabled": True, "transit_encryption_mode": "required"},
            [
                {"TransitEncryptionEnabled": True, "TransitEncryptionMode": "preferred"},
                {"TransitEncryptionMode": "required"},
            ],
        ),
        (
            {"TransitEncryptionMode": "preferred"},
            {"transit_encryption_mode": "required"},
            [{"TransitEncryptionMode": "required"}],
        ),
        ({}, {"transit_encryption_mode": "preferred"}, [{"TransitEncryptionMode": "preferred"}]),
        (
            {},
            {"transit_encryption_enabled": False},
            [
                {"TransitEncryptionMode": "preferred"},
                {"TransitEncryptionEnabled": False},
            ],
        ),
        (
            {"TransitEncryptionMode": "preferred"},
            {"transit_encryption_enabled": False},
            [{"TransitEncryptionEnabled": False}],
        ),
        (OFF, {"transit_encryption_enabled": False}, []),
        ({"TransitEncryptionMode": None}, {"transit_encryption_mode": "required"}, []),
    ],
)
def test_encryption_goes_step_by_step_and_at_once(answer, wish, expected):
    current = group({name: value for name, value in described(**answer).items() if value is not None})
    assert steps(wish, current) == [modify(**arguments, ApplyImmediately=True) for arguments in expected]


LATER, EARLIER = START + timedelta(hours=1), START - timedelta(hours=1)


def _tokens(*strategies):
    return [modify(AuthToken=TOKEN, AuthTokenUpdateStrategy=each, ApplyImmediately=True) for each in strategies]


@pytest.mark.parametrize(
    ("answer", "wish", "expected"),
    [
        ({}, {}, []),
        ({}, {"auth_token_update_strategy": "rotate"}, _tokens("ROTATE")),
        ({}, {"auth_token_update_strategy": "rotate", "auth_token_issued": LATER}, _tokens("ROTATE")),
        ({}, {"auth_token_update_strategy": "rotate", "auth_token_issued": EARLIER}, []),
        ({}, {"auth_token_update_strategy": "set"}, _tokens("SET")),
        ({}, {"auth_token_update_strategy": "set", "auth_token_issued": EARLIER}, _tokens("SET")),
        ({"AuthTokenEnabled": False}, {"auth_token_update_strategy": "rotate"}, _tokens("ROTATE")),
        ({"AuthTokenEnabled": False}, {"auth_token_update_strategy": "set"}, _tokens("ROTATE", "SET")),
    ],
)
def test_a_token_is_changed_when_that_is_asked_for(answer, wish, expected):
    wish = {"auth_token": TOKEN, **wish}
    assert steps(wish, group(described(**answer))) == expected
    found = plan.modification(wish, group(described(**answer)))
    assert TOKEN not in repr(found)


def test_a_token_is_deleted_with_the_change_to_users():
    wish = {"user_group_ids": ["ops"], "auth_token_update_strategy": "delete"}
    arguments = {"UserGroupIdsToAdd": ["ops"], "AuthTokenUpdateStrategy": "DELETE", "ApplyImmediately": False}
    assert steps(wish) == [modify(**arguments)]
    assert steps({"auth_token_update_strategy": "delete"}, group(described(AuthTokenEnabled=False))) == []


def test_users_are_added_removed_and_all_removed():
    current = group(described(UserGroupIds=["a", "b"]))
    change = modify(UserGroupIdsToAdd=["c"], UserGroupIdsToRemove=["a"], ApplyImmediately=False)
    assert steps({"user_group_ids": ["c", "b"]}, current) == [change]
    assert steps({"user_group_ids": []}, current) == [modify(RemoveUserGroups=True, ApplyImmediately=False)]


def test_a_new_group_gets_what_was_asked_for_and_a_description():
    wish = {**SAME, "replication_group_id": NAME, "replication_group_description": None, "snapshot_name": "old"}
    wish["tags"] = [{"Key": "a", "Value": "b"}]
    found = plan.creation(wish)
    (step,) = found.steps
    assert step.method == "create_replication_group"
    assert step.arguments == {
        "ReplicationGroupId": NAME,
        "ReplicationGroupDescription": NAME,
        "Engine": "redis",
        "EngineVersion": "7.0",
        "CacheNodeType": "cache.r7g.large",
        "NumCacheClusters": 3,
        "ClusterMode": "disabled",
        "AutomaticFailoverEnabled": True,
        "MultiAZEnabled": True,
        "TransitEncryptionEnabled": True,
        "TransitEncryptionMode": "required",
        "AuthToken": TOKEN,
        "AtRestEncryptionEnabled": True,
        "SecurityGroupIds": ["sg-2", "sg-1"],
        "CacheSubnetGroupName": "ChurnGuard-Redis",
        "CacheParameterGroupName": "default.redis7",
        "PreferredMaintenanceWindow": "Sun:05:00-Sun:06:00",
        "SnapshotWindow": "6:00-8:00",
        "SnapshotRetentionLimit": 7,
        "AutoMinorVersionUpgrade": True,
        "Port": 6379,
        "SnapshotName": "old",
        "Tags": [{"Key": "a", "Value": "b"}],
    }
    assert found.before == {"state": "absent"}
    assert found.after["auth_token"] == "(not shown)"
    assert TOKEN not in repr(found)


def test_a_deletion_takes_a_last_snapshot_where_it_is_wanted():
    (step,) = plan.deletion(NAME, None, False).steps
    assert step.arguments == {"ReplicationGroupId": NAME, "RetainPrimaryCluster": False}
    found = plan.deletion(NAME, "last", True)
    assert found.steps[0].arguments == {
        "ReplicationGroupId": NAME,
        "RetainPrimaryCluster": True,
        "FinalSnapshotIdentifier": "last",
    }
    assert found.after == {"state": "absent", "final_snapshot_identifier": "last"}


@pytest.mark.parametrize(
    ("options", "current", "left"),
    [
        (("cache_node_type",), described(), ["cache_node_type"]),
        (("cache_node_type",), described(CacheNodeType="cache.r7g.xlarge"), []),
        (("num_cache_clusters",), described(), ["num_cache_clusters"]),
        (("num_cache_clusters",), described(nodes=4), []),
        (("auth_token",), described(), []),
        ((), described(), []),
    ],
)
def test_what_a_step_has_not_reached_yet_is_left(options, current, left):
    wish = {"cache_node_type": "cache.r7g.xlarge", "num_cache_clusters": 4, "apply_immediately": True, "port": 1}
    assert (
        plan.unsettled({**wish, "auth_token": TOKEN, "auth_token_update_strategy": "set"}, group(current), options)
        == left
    )
