# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One table: how each kind of thing that a drill makes, or does, is taken away again. Internal: may change in any
release.

A remover gets the resource as the journal has it, and tools. It removes the thing or undoes the act, looks whether it
is gone, and returns a Removal with the proof. It finds nothing to do when the thing was never made, or is gone.
Whatever keeps it from removing is a NotRemoved, with the exact commands that finish the work. It never trusts an
identifier alone: a folder is removed only with the drill's marker in it, a process only if it works for the drill.

To add a kind: a function in a remove_*.py beside this file, and its line in REMOVERS.
"""

from __future__ import annotations

from collections.abc import Callable

from . import remove_aws, remove_database, remove_local, remove_redis, remove_region
from .model import Removal, Resource
from .removal import NotRemoved, Tools

Remover = Callable[[Resource, Tools], Removal]

REMOVERS: dict[str, Remover] = {
    "directory": remove_local.directory,
    "moved_directory": remove_local.moved_directory,
    "process": remove_local.process,
    "postgresql": remove_local.postgresql,
    "mount": remove_local.mount,
    "rds_instance": remove_aws.rds_instance,
    "rds_snapshot": remove_aws.rds_snapshot,
    "elasticache_replication_group": remove_aws.replication_group,
    "restore_target": remove_database.restore_target,
    "heartbeat_table": remove_database.heartbeat_table,
    "redis_node": remove_redis.node,
    "redis_route": remove_redis.route,
    "redis_keys": remove_redis.keys,
    "redis_primary": remove_redis.primary,
    "paused_process": remove_redis.paused_process,
    "region": remove_region.region,
    "second_region": remove_region.second_region,
    "replication_slot": remove_region.slot,
    "traffic": remove_region.traffic,
}

__all__ = ["REMOVERS", "NotRemoved", "Removal", "Remover", "Resource", "Tools", "remover_of"]


def remover_of(kind: str) -> Remover:
    """The remover of a kind. Raises ValueError: such a thing must not be made."""
    if kind not in REMOVERS:
        raise ValueError(
            f"nothing removes a resource of kind {kind!r}; removers.py knows {', '.join(sorted(REMOVERS))}"
        )
    return REMOVERS[kind]
