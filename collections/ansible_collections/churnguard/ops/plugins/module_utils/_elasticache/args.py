# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of the modules. Internal: may change in any release."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._common.clock import parse_time
from .._common.errors import OperationError


def group_options() -> dict[str, dict[str, Any]]:
    """What a replication group is to be like."""
    return {
        "replication_group_description": {"type": "str", "aliases": ["description"]},
        "engine": {"type": "str", "choices": ["redis", "valkey"]},
        "engine_version": {"type": "str"},
        "cache_node_type": {"type": "str", "aliases": ["node_type"]},
        "num_cache_clusters": {"type": "int"},
        "num_node_groups": {"type": "int"},
        "replicas_per_node_group": {"type": "int"},
        "cluster_mode": {"type": "str", "choices": ["enabled", "disabled", "compatible"]},
        "preferred_cache_cluster_azs": {"type": "list", "elements": "str"},
        "cache_parameter_group_name": {"type": "str"},
        "cache_subnet_group_name": {"type": "str"},
        "security_group_ids": {"type": "list", "elements": "str"},
        "port": {"type": "int"},
        "network_type": {"type": "str", "choices": ["ipv4", "ipv6", "dual_stack"]},
        "ip_discovery": {"type": "str", "choices": ["ipv4", "ipv6"]},
        "automatic_failover_enabled": {"type": "bool"},
        "multi_az_enabled": {"type": "bool"},
        "at_rest_encryption_enabled": {"type": "bool"},
        "kms_key_id": {"type": "str", "no_log": False},
        "transit_encryption_enabled": {"type": "bool"},
        "transit_encryption_mode": {"type": "str", "choices": ["preferred", "required"]},
        "auth_token": {"type": "str", "no_log": True},
        "auth_token_update_strategy": {"type": "str", "choices": ["rotate", "set", "delete"], "no_log": False},
        "auth_token_issued": {"type": "str", "no_log": False},
        "user_group_ids": {"type": "list", "elements": "str"},
        "preferred_maintenance_window": {"type": "str", "aliases": ["maintenance_window"]},
        "snapshot_window": {"type": "str"},
        "snapshot_retention_limit": {"type": "int"},
        "notification_topic_arn": {"type": "str"},
        "auto_minor_version_upgrade": {"type": "bool"},
        "data_tiering_enabled": {"type": "bool"},
        "apply_immediately": {"type": "bool", "default": False},
        "snapshot_name": {"type": "str"},
        "tags": {"type": "dict", "aliases": ["resource_tags"]},
        "purge_tags": {"type": "bool", "default": True},
    }


def operation_options() -> dict[str, dict[str, Any]]:
    """Which group, what to do with it, and how long to wait."""
    return {
        "replication_group_id": {"type": "str", "required": True, "aliases": ["name"]},
        "state": {
            "type": "str",
            "choices": ["present", "absent", "snapshot", "failover"],
            "default": "present",
        },
        "final_snapshot_identifier": {"type": "str"},
        "retain_primary_cluster": {"type": "bool", "default": False},
        "node_group_id": {"type": "str"},
        "failover_from": {"type": "str"},
        "wait": {"type": "bool", "default": True},
        "wait_timeout": {"type": "int", "default": 3600},
        "wait_interval": {"type": "int", "default": 15},
    }


def wish_of(params: Mapping[str, Any]) -> dict[str, Any]:
    """The wish that module parameters express; C(auth_token_issued) becomes an aware datetime.

    Raises OperationError when it is none."""
    wish = {name: params[name] for name in ("replication_group_id", *group_options())}
    issued = wish["auth_token_issued"]
    if issued is not None:
        try:
            wish["auth_token_issued"] = parse_time(issued)
        except ValueError:
            wish["auth_token_issued"] = None
        if wish["auth_token_issued"] is None or wish["auth_token_issued"].tzinfo is None:
            raise OperationError(
                f"read auth_token_issued {issued!r}",
                "it is not ISO 8601 with a time zone.",
                "give it like 2026-11-21T19:33:00Z.",
            )
    return wish
