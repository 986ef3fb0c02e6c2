# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every option of a replication group: what AWS calls it, whether it can change, and when two values mean the same.
Internal: may change in any release."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Attribute:
    """C(create) and C(modify) are the names in CreateReplicationGroup and ModifyReplicationGroup; without C(modify) it
    stays as it was created. C(same) tells from wish and current value whether there is nothing to do."""

    option: str
    create: str
    modify: str | None
    same: Callable[[Any, Any], bool] = operator.eq


def same_text(wish: str, current: str) -> bool:
    """Whether two names are one: AWS keeps them in lower case."""
    return wish.lower() == current.lower()


def same_set(wish: list[str], current: list[str]) -> bool:
    """Whether two lists name the same things."""
    return set(wish) == set(current)


def same_window(wish: str, current: str) -> bool:
    """Whether two windows are one, such as Sun:5:00-Sun:6:00 and sun:05:00-sun:06:00."""
    return normal_window(wish) == normal_window(current)


def normal_window(window: str) -> str:
    """A window in AWS' own form: lower case, two digits."""
    return re.sub(r"(?<!\d)(\d):", r"0\1:", window.lower().replace(" ", ""))


def version_parts(version: str) -> tuple[int, ...]:
    """The numbers that somebody can choose. Since Redis 6 and in Valkey these are major and minor (AWS sets the patch),
    and V(6.x) leaves the minor to AWS, too; before, all three.

    Source: https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/supported-engine-versions.html
    """
    parts = tuple(int(part) for part in version.split(".") if part.isdigit())
    return parts[:2] if parts and parts[0] >= 6 else parts


def same_version(wish: str, current: str) -> bool:
    """Whether the current version is what was asked for, such as 7.0.7 for 7.0."""
    wanted = version_parts(wish)
    return bool(wanted) and version_parts(current)[: len(wanted)] == wanted


def older_version(wish: str, current: str) -> bool:
    """Whether the wish is a way back, which AWS does not have."""
    wanted = version_parts(wish)
    return wanted < version_parts(current)[: len(wanted)]


def same_key(wish: str, current: str) -> bool:
    """Whether a key's id or ARN names the key whose ARN (or id) AWS told."""
    return wish == current or wish.rpartition("/")[2] == current.rpartition("/")[2]


# Sent in this order. Encryption, shards, replicas, users and tokens have rules of their own (plan.py).
ATTRIBUTES = (
    Attribute("replication_group_description", "ReplicationGroupDescription", "ReplicationGroupDescription"),
    Attribute("engine", "Engine", "Engine"),
    Attribute("engine_version", "EngineVersion", "EngineVersion", same_version),
    Attribute("cache_node_type", "CacheNodeType", "CacheNodeType"),
    Attribute("cache_parameter_group_name", "CacheParameterGroupName", "CacheParameterGroupName", same_text),
    Attribute("security_group_ids", "SecurityGroupIds", "SecurityGroupIds", same_set),
    Attribute("preferred_maintenance_window", "PreferredMaintenanceWindow", "PreferredMaintenanceWindow", same_window),
    Attribute("snapshot_window", "SnapshotWindow", "SnapshotWindow", same_window),
    Attribute("snapshot_retention_limit", "SnapshotRetentionLimit", "SnapshotRetentionLimit"),
    Attribute("automatic_failover_enabled", "AutomaticFailoverEnabled", "AutomaticFailoverEnabled"),
    Attribute("multi_az_enabled", "MultiAZEnabled", "MultiAZEnabled"),
    Attribute("auto_minor_version_upgrade", "AutoMinorVersionUpgrade", "AutoMinorVersionUpgrade"),
    Attribute("notification_topic_arn", "NotificationTopicArn", "NotificationTopicArn"),
    Attribute("ip_discovery", "IpDiscovery", "IpDiscovery"),
    Attribute("cluster_mode", "ClusterMode", "ClusterMode"),
    Attribute("port", "Port", None),
    Attribute("cache_subnet_group_name", "CacheSubnetGroupName", None, same_text),
    Attribute("at_rest_encryption_enabled", "AtRestEncryptionEnabled", None),
    Attribute("kms_key_id", "KmsKeyId", None, same_key),
    Attribute("data_tiering_enabled", "DataTieringEnabled", None),
    Attribute("network_type", "NetworkType", None),
)
# Only of use when a group is created; afterwards there is nothing to compare them with.
CREATE_ONLY = {
    "transit_encryption_enabled": "TransitEncryptionEnabled",
    "transit_encryption_mode": "TransitEncryptionMode",
    "num_cache_clusters": "NumCacheClusters",
    "num_node_groups": "NumNodeGroups",
    "replicas_per_node_group": "ReplicasPerNodeGroup",
    "preferred_cache_cluster_azs": "PreferredCacheClusterAZs",
    "snapshot_name": "SnapshotName",
    "user_group_ids": "UserGroupIds",
    "auth_token": "AuthToken",
}
