# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The requests to ElastiCache, one per function. Internal: may change in any release."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from .._aws import tags as aws_tags
from .._aws.calls import Caller
from .._aws.errors import AwsError
from .plan import Step

_SAID = {
    "create_replication_group": "create",
    "decrease_replica_count": "remove replicas of",
    "delete_replication_group": "delete",
    "increase_replica_count": "add replicas to",
    "modify_replication_group": "modify",
    "modify_replication_group_shard_configuration": "change the shards of",
}


class ElastiCacheApi:
    """All methods raise AwsError. Groups, members, snapshots and events are dictionaries as boto3 gives them."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def group(self, group_id: str) -> dict[str, Any] | None:
        """A replication group, or None."""
        try:
            answer = self._caller.read(
                f"describe replication group {group_id}", "describe_replication_groups", ReplicationGroupId=group_id
            )
        except AwsError as error:
            if error.code == "ReplicationGroupNotFoundFault":
                return None
            raise
        return next(iter(answer["ReplicationGroups"]), None)

    def groups(self) -> list[dict[str, Any]]:
        """All replication groups."""
        return self._caller.read_all("list the replication groups", "describe_replication_groups", "ReplicationGroups")

    def member(self, member_id: str) -> dict[str, Any] | None:
        """A member cluster, or None."""
        try:
            answer = self._caller.read(
                f"describe cache cluster {member_id}", "describe_cache_clusters", CacheClusterId=member_id
            )
        except AwsError as error:
            if error.code.startswith("CacheClusterNotFound"):
                return None
            raise
        return next(iter(answer["CacheClusters"]), None)

    def tags(self, arn: str) -> dict[str, str]:
        """The tags of what has the ARN."""
        answer = self._caller.read(f"list the tags of {arn}", "list_tags_for_resource", ResourceName=arn)
        return aws_tags.from_aws(answer["TagList"])

    def set_tags(self, arn: str, tags: Mapping[str, str]) -> None:
        """Add tags, or give them another value."""
        self._caller.write(f"tag {arn}", "add_tags_to_resource", ResourceName=arn, Tags=aws_tags.to_aws(tags))

    def remove_tags(self, arn: str, keys: list[str]) -> None:
        """Remove tags."""
        self._caller.write(f"untag {arn}", "remove_tags_from_resource", ResourceName=arn, TagKeys=keys)

    def run(self, step: Step) -> None:
        """Send a step of a plan."""
        group_id = step.arguments["ReplicationGroupId"]
        self._caller.write(f"{_SAID[step.method]} replication group {group_id}", step.method, **step.arguments)

    def snapshot(self, name: str) -> dict[str, Any] | None:
        """A snapshot, or None."""
        try:
            answer = self._caller.read(f"describe snapshot {name}", "describe_snapshots", SnapshotName=name)
        except AwsError as error:
            if error.code == "SnapshotNotFoundFault":
                return None
            raise
        return next(iter(answer["Snapshots"]), None)

    def snapshots(self, group_id: str) -> list[dict[str, Any]]:
        """All snapshots of a replication group."""
        return self._caller.read_all(
            f"list the snapshots of replication group {group_id}",
            "describe_snapshots",
            "Snapshots",
            ReplicationGroupId=group_id,
        )

    def create_snapshot(self, name: str, group_id: str, kms_key_id: str | None, tags: list[dict[str, str]]) -> None:
        """Begin a snapshot of a replication group."""
        more: dict[str, Any] = {"KmsKeyId": kms_key_id} if kms_key_id else {}
        if tags:
            more["Tags"] = tags
        self._caller.write(
            f"take snapshot {name} of replication group {group_id}",
            "create_snapshot",
            SnapshotName=name,
            ReplicationGroupId=group_id,
            **more,
        )

    def fail_over(self, group_id: str, shard_id: str) -> datetime | None:
        """Begin a failover of a shard. AWS' own time of its answer, where it says."""
        answer = self._caller.write(
            f"fail over shard {shard_id} of replication group {group_id}",
            "test_failover",
            ReplicationGroupId=group_id,
            NodeGroupId=shard_id,
        )
        return _date(answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date"))

    def events(self, since: datetime) -> list[dict[str, Any]]:
        """The events of the whole account and region since a moment, oldest first."""
        found = self._caller.read_all("list the events of ElastiCache", "describe_events", "Events", StartTime=since)
        return sorted(found, key=lambda event: event["Date"])


def _date(header: str | None) -> datetime | None:

    return parsedate_to_datetime(header) if header else None
