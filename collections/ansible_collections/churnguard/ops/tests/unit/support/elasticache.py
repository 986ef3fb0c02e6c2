# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers of ElastiCache as botocore's Stubber gives them: each is checked against the service's own model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import boto3
from ansible_collections.churnguard.ops.plugins.module_utils._aws.calls import Caller
from ansible_collections.churnguard.ops.plugins.module_utils._elasticache.api import ElastiCacheApi
from ansible_collections.churnguard.ops.plugins.module_utils._elasticache.desk import Desk, Waiting
from ansible_collections.churnguard.ops.tests.unit.support.clock import START, FakeClock
from botocore.stub import Stubber

# One for all, as it keeps the service's model, which takes long to read.
_SESSION = boto3.session.Session("lab", "lab", region_name="us-east-1")
NAME = "churnguard-redis"
ARN = f"arn:aws:elasticache:us-east-1:123456789012:replicationgroup:{NAME}"


def described(status: str = "available", primary: int = 1, nodes: int = 3, **changed: Any) -> dict[str, Any]:
    """An element of DescribeReplicationGroups: one shard, whose node number C(primary) is the primary."""
    members = [f"{NAME}-{number:03}" for number in range(1, nodes + 1)]
    return {
        "ReplicationGroupId": NAME,
        "ARN": ARN,
        "Description": "ChurnGuard Redis Cluster",
        "Status": status,
        "Engine": "redis",
        "MemberClusters": members,
        "NodeGroups": [
            {
                "NodeGroupId": "0001",
                "Status": status,
                "PrimaryEndpoint": {"Address": "master.example.com", "Port": 6379},
                "NodeGroupMembers": [
                    {
                        "CacheClusterId": member,
                        "CacheNodeId": "0001",
                        "CurrentRole": "primary" if number == primary else "replica",
                    }
                    for number, member in enumerate(members, 1)
                ],
            }
        ],
        "AutomaticFailover": "enabled",
        "MultiAZ": "enabled",
        "SnapshotRetentionLimit": 7,
        "SnapshotWindow": "06:00-08:00",
        "ClusterEnabled": False,
        "ClusterMode": "disabled",
        "CacheNodeType": "cache.r7g.large",
        "AuthTokenEnabled": True,
        "AuthTokenLastModifiedDate": START,
        "TransitEncryptionEnabled": True,
        "TransitEncryptionMode": "required",
        "AtRestEncryptionEnabled": True,
        "AutoMinorVersionUpgrade": True,
        **changed,
    }


def sharded(counts: list[int], status: str = "available", **changed: Any) -> dict[str, Any]:
    """The same in cluster mode, with that many replicas in each shard."""
    shards = [
        {
            "NodeGroupId": f"{shard:04}",
            "Status": status,
            "NodeGroupMembers": [
                {"CacheClusterId": f"{NAME}-{shard:04}-{node:03}", "CacheNodeId": "0001"}
                for node in range(1, count + 2)
            ],
        }
        for shard, count in enumerate(counts, 1)
    ]
    members = [node["CacheClusterId"] for shard in shards for node in shard["NodeGroupMembers"]]
    mode = {"ClusterEnabled": True, "ClusterMode": "enabled", "ConfigurationEndpoint": {"Port": 6379}}
    return {**described(status), "NodeGroups": shards, "MemberClusters": members, **mode, **changed}


def member(**changed: Any) -> dict[str, Any]:
    """An element of DescribeCacheClusters."""
    return {
        "CacheClusterId": f"{NAME}-001",
        "CacheClusterStatus": "available",
        "Engine": "redis",
        "EngineVersion": "7.0.7",
        "CacheNodeType": "cache.r7g.large",
        "PreferredMaintenanceWindow": "sun:05:00-sun:06:00",
        "CacheParameterGroup": {"CacheParameterGroupName": "default.redis7", "ParameterApplyStatus": "in-sync"},
        "CacheSubnetGroupName": NAME,
        "SecurityGroups": [
            {"SecurityGroupId": "sg-1", "Status": "active"},
            {"SecurityGroupId": "sg-2", "Status": "active"},
        ],
        "AutoMinorVersionUpgrade": True,
        **changed,
    }


def event(seconds: float, source: str, message: str) -> dict[str, Any]:
    """An event C(seconds) after the start of the clock."""
    kind = "replication-group" if source == NAME else "cache-cluster"
    moment: datetime = START + timedelta(seconds=seconds)
    return {"SourceIdentifier": source, "SourceType": kind, "Message": message, "Date": moment}


class Aws:
    """ElastiCache with a script: every request has to be the next one that was foreseen, and all have to be made."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.client = _SESSION.client("elasticache")
        self.stub = Stubber(self.client)
        self.api = ElastiCacheApi(Caller(self.client, self.clock))

    def desk(self, **waiting: Any) -> Desk:
        return Desk(self.api, self.clock, NAME, Waiting(**waiting))

    def group(self, answer: dict[str, Any] | None) -> None:
        """The group is asked for, and is that, or is not there."""
        asked = {"ReplicationGroupId": NAME}
        if answer is None:
            self.refuse("describe_replication_groups", "ReplicationGroupNotFoundFault", **asked)
        else:
            self.stub.add_response("describe_replication_groups", {"ReplicationGroups": [answer]}, asked)

    def statuses(self, *statuses: str) -> None:
        """The group is asked for several times, each time with the next status."""
        for status in statuses:
            self.group(described(status))

    def member(self, answer: dict[str, Any] | None = None, name: str = f"{NAME}-001") -> None:
        self.stub.add_response(
            "describe_cache_clusters", {"CacheClusters": [answer or member()]}, {"CacheClusterId": name}
        )

    def tags(self, **tags: str) -> None:
        listed = [{"Key": key, "Value": value} for key, value in tags.items()]
        self.stub.add_response("list_tags_for_resource", {"TagList": listed}, {"ResourceName": ARN})

    def seen(self, answer: dict[str, Any] | None = None, node: dict[str, Any] | None = None) -> None:
        """The group is looked at in full."""
        answer = answer or described()
        self.group(answer)
        self.member(node, answer["MemberClusters"][0])
        self.tags()

    def expect(self, method: str, **arguments: Any) -> None:
        """A write with just these arguments, beside the group's name."""
        self.stub.add_response(method, {}, {"ReplicationGroupId": NAME, **arguments})

    def refuse(self, method: str, code: str, message: str = "no", **asked: Any) -> None:
        self.stub.add_client_error(method, code, message, expected_params=asked or None)


@contextmanager
def script() -> Iterator[Aws]:
    """An C(Aws) whose script has to be through at the end."""
    aws = Aws()
    aws.stub.activate()
    try:
        yield aws
        aws.stub.assert_no_pending_responses()
    finally:
        aws.stub.deactivate()
