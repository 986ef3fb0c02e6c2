# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A replication group as AWS describes it, under the names that the module's options have. Internal: may change in any
release."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

AVAILABLE = "available"
CREATING = "creating"
CREATE_FAILED = "create-failed"
DELETING = "deleting"

# Options whose value only the member clusters have, not the group itself.
MEMBER_OPTIONS = (
    "engine_version",
    "cache_parameter_group_name",
    "cache_subnet_group_name",
    "notification_topic_arn",
    "preferred_maintenance_window",
    "security_group_ids",
)
_ON = frozenset({"enabled", "enabling"})


@dataclass(frozen=True)
class Member:
    """One node. C(role) is primary or replica, and None in cluster mode, where AWS does not tell."""

    id: str
    role: str | None
    zone: str | None


@dataclass(frozen=True)
class Shard:
    """One node group: a primary and its replicas."""

    id: str
    status: str
    members: tuple[Member, ...]

    @property
    def replicas(self) -> int:
        return max(len(self.members) - 1, 0)

    @property
    def primary(self) -> str | None:
        """The member that is the primary, where AWS tells."""
        return next((member.id for member in self.members if member.role == "primary"), None)


@dataclass(frozen=True)
class Group:
    """A replication group. C(values) has each option's current value, C(pending) those that wait for the maintenance
    window; what cannot be known is in neither."""

    id: str
    arn: str
    status: str
    values: Mapping[str, Any]
    pending: Mapping[str, Any]
    shards: tuple[Shard, ...]
    members: tuple[str, ...]
    cluster_enabled: bool
    auth_token_enabled: bool
    auth_token_modified: datetime | None
    auth_token_pending: bool
    tags: Mapping[str, str] = field(default_factory=dict)

    def current(self, option: str, apply_immediately: bool) -> Any:
        """The value to compare a wish with: what is pending counts unless it is to be applied now. Raises KeyError
        for what cannot be known."""
        if not apply_immediately and option in self.pending:
            return self.pending[option]
        return self.values[option]

    def shard(self, shard_id: str) -> Shard | None:
        """The shard of that name."""
        return next((shard for shard in self.shards if shard.id == shard_id), None)


def read_group(
    described: Mapping[str, Any], member: Mapping[str, Any] | None = None, tags: Mapping[str, str] | None = None
) -> Group:
    """The group of an element of DescribeReplicationGroups, one of its members as DescribeCacheClusters has it (None
    when it has none), and its tags."""
    shards = tuple(_shard(entry) for entry in described.get("NodeGroups") or [])
    pending = described.get("PendingModifiedValues") or {}
    values, waiting = _group_values(described, shards), _pending_values(pending)
    if member is not None:
        values.update(_member_values(member))
        waiting.update(_pending_member_values(member.get("PendingModifiedValues") or {}))
    return Group(
        id=described["ReplicationGroupId"],
        arn=described.get("ARN") or "",
        status=described.get("Status") or "",
        values={name: value for name, value in values.items() if value is not None},
        pending={name: value for name, value in waiting.items() if value is not None},
        shards=shards,
        members=tuple(described.get("MemberClusters") or ()),
        cluster_enabled=bool(described.get("ClusterEnabled")),
        auth_token_enabled=bool(described.get("AuthTokenEnabled")),
        auth_token_modified=described.get("AuthTokenLastModifiedDate"),
        auth_token_pending="AuthTokenStatus" in pending,
        tags=dict(tags or {}),
    )


def _shard(entry: Mapping[str, Any]) -> Shard:
    members = tuple(
        Member(node["CacheClusterId"], node.get("CurrentRole"), node.get("PreferredAvailabilityZone"))
        for node in entry.get("NodeGroupMembers") or []
    )
    return Shard(entry["NodeGroupId"], entry.get("Status") or "", members)


def _group_values(described: Mapping[str, Any], shards: tuple[Shard, ...]) -> dict[str, Any]:
    encrypted = bool(described.get("TransitEncryptionEnabled"))
    return {
        "replication_group_description": described.get("Description"),
        "engine": described.get("Engine"),
        "cache_node_type": described.get("CacheNodeType"),
        "snapshot_window": described.get("SnapshotWindow"),
        "snapshot_retention_limit": described.get("SnapshotRetentionLimit"),
        "automatic_failover_enabled": described.get("AutomaticFailover") in _ON,
        "multi_az_enabled": described.get("MultiAZ") in _ON,
        "at_rest_encryption_enabled": bool(described.get("AtRestEncryptionEnabled")),
        # Left out for the key that AWS owns.
        "kms_key_id": described.get("KmsKeyId") or "",
        "transit_encryption_enabled": encrypted,
        # AWS leaves it out of groups that were encrypted before there was a choice.
        "transit_encryption_mode": (described.get("TransitEncryptionMode") or "required") if encrypted else None,
        "user_group_ids": sorted(described.get("UserGroupIds") or []),
        "data_tiering_enabled": described.get("DataTiering") in _ON,
        "auto_minor_version_upgrade": described.get("AutoMinorVersionUpgrade"),
        "network_type": described.get("NetworkType"),
        "ip_discovery": described.get("IpDiscovery"),
        "cluster_mode": described.get("ClusterMode"),
        "num_node_groups": len(shards) or None,
        "port": _port(described),
    }


def _port(described: Mapping[str, Any]) -> int | None:
    endpoints = [described.get("ConfigurationEndpoint")]
    endpoints += [entry.get("PrimaryEndpoint") for entry in described.get("NodeGroups") or []]
    return next((endpoint["Port"] for endpoint in endpoints if endpoint and endpoint.get("Port")), None)


def _member_values(member: Mapping[str, Any]) -> dict[str, Any]:
    topic = member.get("NotificationConfiguration") or {}
    groups = [entry["SecurityGroupId"] for entry in member.get("SecurityGroups") or [] if entry["Status"] != "removing"]
    return {
        "engine": member.get("Engine"),
        "engine_version": member.get("EngineVersion"),
        "cache_parameter_group_name": (member.get("CacheParameterGroup") or {}).get("CacheParameterGroupName"),
        "cache_subnet_group_name": member.get("CacheSubnetGroupName"),
        "notification_topic_arn": topic.get("TopicArn") if topic.get("TopicStatus") == "active" else "",
        "preferred_maintenance_window": member.get("PreferredMaintenanceWindow"),
        "security_group_ids": sorted(groups),
        "auto_minor_version_upgrade": member.get("AutoMinorVersionUpgrade"),
    }


def _pending_values(pending: Mapping[str, Any]) -> dict[str, Any]:
    failover = pending.get("AutomaticFailoverStatus")
    return {
        "automatic_failover_enabled": None if failover is None else failover in _ON,
        "transit_encryption_enabled": pending.get("TransitEncryptionEnabled"),
        "transit_encryption_mode": pending.get("TransitEncryptionMode"),
        "cluster_mode": pending.get("ClusterMode"),
    }


def _pending_member_values(pending: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "engine_version": pending.get("EngineVersion"),
        "cache_node_type": pending.get("CacheNodeType"),
        "transit_encryption_enabled": pending.get("TransitEncryptionEnabled"),
        "transit_encryption_mode": pending.get("TransitEncryptionMode"),
    }
