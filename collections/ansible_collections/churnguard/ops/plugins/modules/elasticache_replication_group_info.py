#!/usr/bin/python
# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: elasticache_replication_group_info
short_description: Show replication groups of Amazon ElastiCache
version_added: 1.0.0
description:
  - Returns one replication group, or all of an account and region, with a node of each and its tags.
extends_documentation_fragment:
  - churnguard.ops.aws
  - churnguard.ops.read_only
options:
  replication_group_id:
    description: Name of the group. Without it, all groups are returned, at two requests more for each.
    type: str
    aliases: [name]
  snapshots:
    description: Whether to return the snapshots of each group, too.
    type: bool
    default: false
seealso:
  - module: churnguard.ops.elasticache_replication_group
  - module: community.aws.elasticache_info
    description: It lists single cache clusters with the group's name at most, not shards, roles or endpoints.
author:
  - churnguard.ops contributors (@churnguard)
"""

EXAMPLES = r"""
- name: Look at the cache
  churnguard.ops.elasticache_replication_group_info:
    replication_group_id: churnguard-redis
    snapshots: true
  register: cache

- name: Show its primary endpoint
  ansible.builtin.debug:
    var: cache.replication_groups[0].node_groups[0].primary_endpoint.address
"""

RETURN = r"""
replication_groups:
  description: The groups as DescribeReplicationGroups has them, in snake_case. Empty when there is none.
  returned: success
  type: list
  elements: dict
  contains:
    replication_group_id:
      description: Its name.
      type: str
      returned: always
    status:
      description: Its status.
      type: str
      returned: always
    node_groups:
      description: Shards with their nodes, roles and endpoints.
      type: list
      elements: dict
      returned: always
    primaries:
      description: The primary of each shard, by shard; null where AWS does not tell, as in cluster mode.
      type: dict
      returned: always
      sample: {"0001": churnguard-redis-001}
    member:
      description: Its first node as DescribeCacheClusters has it; null when AWS has none of that name.
      type: dict
      returned: always
    tags:
      description: Its tags.
      type: dict
      returned: always
    snapshots:
      description: Its snapshots as DescribeSnapshots has them, in snake_case.
      type: list
      elements: dict
      returned: when asked for
"""

from typing import Any

from ansible.module_utils.common.dict_transformations import camel_dict_to_snake_dict
from ansible_collections.churnguard.ops.plugins.module_utils._aws.calls import Caller
from ansible_collections.churnguard.ops.plugins.module_utils._aws.library import aws_module
from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import Clock
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.plugins.module_utils._elasticache.api import ElastiCacheApi
from ansible_collections.churnguard.ops.plugins.module_utils._elasticache.desk import Desk, Waiting


def argument_spec() -> dict[str, dict[str, Any]]:
    return {
        "replication_group_id": {"type": "str", "aliases": ["name"]},
        "snapshots": {"type": "bool", "default": False},
    }


def read(api: ElastiCacheApi, clock: Clock, params: dict[str, Any]) -> list[dict[str, Any]]:
    """The groups that are asked for. Raises OperationError."""
    name = params["replication_group_id"]
    described = [api.group(name)] if name else api.groups()
    return [_read_one(api, clock, entry, params["snapshots"]) for entry in described if entry is not None]


def _read_one(api: ElastiCacheApi, clock: Clock, described: dict[str, Any], snapshots: bool) -> dict[str, Any]:
    desk = Desk(api, clock, described["ReplicationGroupId"], Waiting(wanted=False))
    sight = desk.see(described)
    shown = {**sight.plain(), "primaries": {shard.id: shard.primary for shard in sight.group.shards}}
    if snapshots:
        shown["snapshots"] = [camel_dict_to_snake_dict(entry) for entry in api.snapshots(desk.group_id)]
    return shown


def main() -> None:
    module = aws_module(argument_spec=argument_spec(), supports_check_mode=True)
    clock = Clock()
    try:
        api = ElastiCacheApi(Caller(module.client("elasticache"), clock))
        groups = read(api, clock, module.params)
    except OperationError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, replication_groups=groups)


if __name__ == "__main__":
    main()
