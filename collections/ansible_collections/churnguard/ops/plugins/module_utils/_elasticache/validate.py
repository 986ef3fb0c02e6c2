# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a wish before anybody asks AWS. Pure. Internal: may change in any release."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .._common.errors import OperationError
from .attributes import normal_window

_DAY = "(?:mon|tue|wed|thu|fri|sat|sun)"
_TIME = r"(?:[01]\d|2[0-3]):[0-5]\d"
# Rules of CreateReplicationGroup:
# https://docs.aws.amazon.com/AmazonElastiCache/latest/APIReference/API_CreateReplicationGroup.html
_IDENTIFIER = re.compile(r"[A-Za-z](?:-?[A-Za-z0-9])*")
_MAINTENANCE = re.compile(f"{_DAY}:{_TIME}-{_DAY}:{_TIME}")
_SNAPSHOTS = re.compile(f"{_TIME}-{_TIME}")
_VERSION = re.compile(r"\d+(?:\.(?:\d+|x)){0,2}")
_TOKEN = re.compile(r"[A-Za-z0-9!&#$^<>-]{16,128}")
_RANGES = {
    "num_cache_clusters": (1, 6),
    "replicas_per_node_group": (0, 5),
    "num_node_groups": (1, 500),
    "snapshot_retention_limit": (0, 35),
    "port": (1, 65535),
}


def check(wish: Mapping[str, Any]) -> None:
    """Raises OperationError that names everything that is wrong. No value of a secret is repeated."""
    problems = [*_forms(wish), *_ranges(wish), *_combinations(wish)]
    if problems:
        raise OperationError(
            f"use these options for replication group {wish['replication_group_id']}",
            "; ".join(problems) + ".",
            "correct them.",
        )


def _forms(wish: Mapping[str, Any]) -> list[str]:
    problems = []
    name = wish["replication_group_id"]
    if not _IDENTIFIER.fullmatch(name) or len(name) > 40:
        problems.append(
            f"replication_group_id {name!r} is not 1 to 40 letters, digits and single hyphens that begin with a letter"
        )
    for option, form, example in (
        ("preferred_maintenance_window", _MAINTENANCE, "sun:05:00-sun:06:00"),
        ("snapshot_window", _SNAPSHOTS, "06:00-08:00"),
    ):
        if wish.get(option) is not None and not form.fullmatch(normal_window(wish[option])):
            problems.append(f"{option} {wish[option]!r} is not like {example}")
    if wish.get("engine_version") is not None and not _VERSION.fullmatch(wish["engine_version"]):
        problems.append(f"engine_version {wish['engine_version']!r} is not like 7.0")
    if wish.get("auth_token") is not None and not _TOKEN.fullmatch(wish["auth_token"]):
        problems.append("auth_token is not 16 to 128 letters, digits and the characters ! & # $ ^ < > -")
    return problems


def _ranges(wish: Mapping[str, Any]) -> list[str]:
    return [
        f"{option} {wish[option]} is not within {low} and {high}"
        for option, (low, high) in _RANGES.items()
        if wish.get(option) is not None and not low <= wish[option] <= high
    ]


def _combinations(wish: Mapping[str, Any]) -> list[str]:
    problems = []
    if wish.get("multi_az_enabled") and wish.get("automatic_failover_enabled") is False:
        problems.append("multi_az_enabled needs automatic_failover_enabled")
    alone = wish.get("num_cache_clusters") == 1 or wish.get("replicas_per_node_group") == 0
    if wish.get("automatic_failover_enabled") and alone and not _many_shards(wish):
        problems.append("automatic_failover_enabled needs at least one replica")
    if wish.get("num_cache_clusters") is not None and _many_shards(wish):
        problems.append("num_cache_clusters is for groups with one shard: give replicas_per_node_group")
    if wish.get("transit_encryption_enabled") is False:
        problems += [
            f"{option} needs transit_encryption_enabled"
            for option in ("transit_encryption_mode", "auth_token")
            if wish.get(option) is not None
        ]
    if wish.get("kms_key_id") and wish.get("at_rest_encryption_enabled") is False:
        problems.append("kms_key_id needs at_rest_encryption_enabled")
    zones, nodes = wish.get("preferred_cache_cluster_azs"), wish.get("num_cache_clusters")
    if zones and nodes is not None and len(zones) != nodes:
        problems.append(f"preferred_cache_cluster_azs names {len(zones)} zones for {nodes} nodes")
    return problems


def _many_shards(wish: Mapping[str, Any]) -> bool:
    return (wish.get("num_node_groups") or 1) > 1
