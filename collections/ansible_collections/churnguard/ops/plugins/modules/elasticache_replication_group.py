#!/usr/bin/python
# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: elasticache_replication_group
short_description: Manage a replication group of Amazon ElastiCache
version_added: 1.0.0
description:
  - Creates, changes, scales, fails over, snapshots and deletes a replication group of Redis or Valkey.
  - Options have the names of the AWS API in snake_case. One that is not given is left alone.
  - Sends the least that makes the group as asked, and nothing when it is. A run with nothing to do makes at most three
    requests.
extends_documentation_fragment:
  - churnguard.ops.aws
attributes:
  check_mode:
    description: Can run in check mode; AWS is only read.
    support: full
  diff_mode:
    description: Returns what differs. A token is never shown.
    support: full
  idempotent:
    description:
      - With O(state=failover) only if O(failover_from) is given. With O(auth_token_update_strategy) V(rotate) only if
        O(auth_token_issued) is given, and with V(set) never.
    support: partial
options:
  replication_group_id:
    description: Name of the group.
    type: str
    required: true
    aliases: [name]
  state:
    description:
      - V(present) creates the group or changes what differs. V(absent) deletes it.
      - V(snapshot) takes a snapshot named O(snapshot_name), unless there is one.
      - V(failover) makes a replica the primary, with the API's TestFailover. AWS limits it to 15 shards in 24 hours.
    type: str
    choices: [present, absent, snapshot, failover]
    default: present
  replication_group_description:
    description: What the group is for. A new group gets its name when this is not given.
    type: str
    aliases: [description]
  engine:
    description: What the group runs. V(redis) can be changed to V(valkey), never back.
    type: str
    choices: [redis, valkey]
  engine_version:
    description:
      - Version of the engine, such as V(7.0) or V(6.x). From Redis 6 on, and for Valkey, AWS chooses the patch, so that
        V(7.0) is met by 7.0.7. There is no way back to an older version.
    type: str
  cache_node_type:
    description: Type of the nodes, such as V(cache.r7g.large).
    type: str
    aliases: [node_type]
  num_cache_clusters:
    description: Nodes of a group with one shard, the primary included.
    type: int
  num_node_groups:
    description: Shards. More than one needs cluster mode. The last ones are removed, after AWS has moved their slots.
    type: int
  replicas_per_node_group:
    description: Replicas in each shard.
    type: int
  cluster_mode:
    description: Cluster mode. From V(disabled) the way to V(enabled) is through V(compatible).
    type: str
    choices: [enabled, disabled, compatible]
  preferred_cache_cluster_azs:
    description: Availability zones of the nodes, the primary's first. For a new group with O(num_cache_clusters) only.
    type: list
    elements: str
  cache_parameter_group_name:
    description: Parameter group.
    type: str
  cache_subnet_group_name:
    description: Subnet group. Cannot be changed.
    type: str
  security_group_ids:
    description: Security groups of the nodes. The order is of no matter.
    type: list
    elements: str
  port:
    description: Port. Cannot be changed.
    type: int
  network_type:
    description: Type of the network. Cannot be changed.
    type: str
    choices: [ipv4, ipv6, dual_stack]
  ip_discovery:
    description: Addresses that clients are told of.
    type: str
    choices: [ipv4, ipv6]
  automatic_failover_enabled:
    description: Whether a replica becomes the primary when the primary fails.
    type: bool
  multi_az_enabled:
    description: Whether nodes are spread over availability zones. Needs O(automatic_failover_enabled).
    type: bool
  at_rest_encryption_enabled:
    description: Encryption of what is stored. Cannot be changed.
    type: bool
  kms_key_id:
    description:
      - Key of that encryption, as id, ARN or alias. Cannot be changed; an alias is not compared.
      - With O(state=snapshot), the key of the snapshot.
    type: str
  transit_encryption_enabled:
    description: Encryption of connections.
    type: bool
  transit_encryption_mode:
    description:
      - V(preferred) lets clients in with and without TLS, V(required) only with. To encrypt a group in use, set
        V(preferred), let all clients use TLS, then set V(required). These changes do not wait for the maintenance
        window.
    type: str
    choices: [preferred, required]
  auth_token:
    description:
      - Password of the group. Needs O(transit_encryption_enabled). AWS never tells it, so that by itself it is only
        used for a new group.
    type: str
  auth_token_update_strategy:
    description:
      - V(rotate) makes O(auth_token) valid beside the former one. V(set) makes it the only one. V(delete) removes it
        for O(user_group_ids).
      - For a group without a token, V(set) does both steps.
    type: str
    choices: [rotate, set, delete]
  auth_token_issued:
    description:
      - When O(auth_token) was made, ISO 8601 with time zone. V(rotate) then only acts if the group's token is older.
    type: str
  user_group_ids:
    description: User groups that may connect. Empty removes them all.
    type: list
    elements: str
  preferred_maintenance_window:
    description: Weekly window for maintenance, UTC, such as V(sun:05:00-sun:06:00).
    type: str
    aliases: [maintenance_window]
  snapshot_window:
    description: Daily window for the automatic snapshot, UTC, such as V(06:00-08:00).
    type: str
  snapshot_retention_limit:
    description: Days to keep automatic snapshots. V(0) takes none.
    type: int
  notification_topic_arn:
    description: SNS topic for events. Empty switches notifications off.
    type: str
  auto_minor_version_upgrade:
    description: Whether AWS upgrades to new minor versions.
    type: bool
  data_tiering_enabled:
    description: Data tiering, for nodes of type r6gd. Cannot be changed.
    type: bool
  apply_immediately:
    description:
      - Whether changes that interrupt do not wait for the maintenance window. What waits counts as done.
      - Replicas, shards, encryption and tokens never wait for it.
    type: bool
    default: false
  snapshot_name:
    description:
      - With O(state=present), the snapshot that a new group is filled from. With O(state=snapshot), the one to take.
    type: str
  final_snapshot_identifier:
    description: Snapshot to take before O(state=absent) deletes. With O(wait) it has to be usable in the end.
    type: str
  retain_primary_cluster:
    description: With O(state=absent), keep the primary as a cluster of its own.
    type: bool
    default: false
  node_group_id:
    description: With O(state=failover), the shard. Only needed where there are several.
    type: str
  failover_from:
    description:
      - With O(state=failover), the node that is not to be the primary any more. Nothing is done when it is not.
      - AWS does not tell the primary in cluster mode.
    type: str
  tags:
    description:
      - Tags of the group, or with O(state=snapshot) of the snapshot. Those of a group are left alone without it.
    type: dict
    aliases: [resource_tags]
  purge_tags:
    description: Whether tags that are not in O(tags) are removed. Those that begin with C(aws:) never are.
    type: bool
    default: true
  wait:
    description:
      - Wait until what was begun is in effect, and first until a group that is being changed is available. Between two
        steps of one task it always waits.
    type: bool
    default: true
  wait_timeout:
    description: Seconds to wait in all.
    type: int
    default: 3600
  wait_interval:
    description: Seconds between looks.
    type: int
    default: 15
seealso:
  - module: churnguard.ops.elasticache_replication_group_info
  - module: community.aws.elasticache
    description: >-
      It manages single cache clusters through CreateCacheCluster, so that replicas, failover, encryption with a token
      and Valkey are out of its reach; it has no check mode.
  - module: community.aws.elasticache_snapshot
    description: It does not wait for the snapshot, and has no check mode.
  - name: TestFailover
    description: What AWS says of the order of events, and of when it may refuse.
    link: https://docs.aws.amazon.com/AmazonElastiCache/latest/APIReference/API_TestFailover.html
author:
  - churnguard.ops contributors (@churnguard)
"""

EXAMPLES = r"""
- name: Cache of the application
  churnguard.ops.elasticache_replication_group:
    replication_group_id: churnguard-redis
    replication_group_description: ChurnGuard Redis Cluster
    engine: redis
    engine_version: "7.0"
    cache_node_type: cache.r7g.large
    num_cache_clusters: 3
    automatic_failover_enabled: true
    multi_az_enabled: true
    at_rest_encryption_enabled: true
    transit_encryption_enabled: true
    auth_token: "{{ lookup('amazon.aws.secretsmanager_secret', 'churnguard/redis-auth-token') }}"
    cache_subnet_group_name: churnguard-redis
    security_group_ids: [sg-0123456789abcdef0]
    preferred_maintenance_window: sun:05:00-sun:06:00
    snapshot_window: 06:00-08:00
    snapshot_retention_limit: 7

- name: Larger nodes, now
  churnguard.ops.elasticache_replication_group:
    replication_group_id: churnguard-redis
    cache_node_type: cache.r7g.xlarge
    apply_immediately: true

- name: A new token beside the old one; with set when every client has it
  churnguard.ops.elasticache_replication_group:
    replication_group_id: churnguard-redis
    auth_token: "{{ new_token }}"
    auth_token_update_strategy: rotate
    auth_token_issued: 2026-11-21T19:33:00Z

- name: Take a snapshot
  churnguard.ops.elasticache_replication_group:
    replication_group_id: churnguard-redis
    state: snapshot
    snapshot_name: churnguard-redis-before-upgrade

- name: Fail over, and do nothing when it has happened already
  churnguard.ops.elasticache_replication_group:
    replication_group_id: churnguard-redis
    state: failover
    failover_from: churnguard-redis-001

- name: Delete it, but keep its data
  churnguard.ops.elasticache_replication_group:
    replication_group_id: churnguard-redis
    state: absent
    final_snapshot_identifier: churnguard-redis-final
"""

RETURN = r"""
replication_group:
  description:
    - The group as an entry of RV(churnguard.ops.elasticache_replication_group_info#module:replication_groups) has it.
    - C(member) has what only nodes tell, such as engine version, security groups and windows.
  returned: with state present, except in check mode when it would be created
  type: dict
not_compared:
  description: Options that were given, and whose current value AWS did not tell.
  returned: with state present
  type: list
  elements: str
  sample: [kms_key_id]
snapshot:
  description: The snapshot as DescribeSnapshots has it, in snake_case.
  returned: when a snapshot was waited for, or exists
  type: dict
failover:
  description:
    - What AWS' events say of the failover - the shard (C(node_group_id)) and its former primary (C(primary_before)).
    - When it was waited for, also the new primary (C(primary_after)); the moments, UTC, at which AWS took the request
      (C(called_at)), the replica became the primary (C(promoted_at)), and the former primary was back as a replica
      (C(recovered_at)); the seconds from the request to both (C(promotion_seconds), C(recovery_seconds)); and the
      events themselves (C(messages)).
  returned: with state failover, except in check mode
  type: dict
msg:
  description: The outcome in a sentence.
  returned: always
  type: str
"""

from typing import Any

from ansible_collections.churnguard.ops.plugins.module_utils._aws.calls import Caller
from ansible_collections.churnguard.ops.plugins.module_utils._aws.library import aws_module
from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import Clock
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.plugins.module_utils._elasticache import actions, validate
from ansible_collections.churnguard.ops.plugins.module_utils._elasticache.api import ElastiCacheApi
from ansible_collections.churnguard.ops.plugins.module_utils._elasticache.args import (
    group_options,
    operation_options,
    wish_of,
)
from ansible_collections.churnguard.ops.plugins.module_utils._elasticache.desk import Desk, Outcome, Waiting
from ansible_collections.churnguard.ops.plugins.module_utils._elasticache.keeper import Keeper


def operate(desk: Desk, params: dict[str, Any], wish: dict[str, Any], check_mode: bool) -> Outcome:
    """Carry out the state that is asked for. Raises OperationError."""
    if params["state"] == "present":
        return Keeper(desk, wish, check_mode).present()
    if params["state"] == "absent":
        keeper = Keeper(desk, wish, check_mode)
        return keeper.absent(params["final_snapshot_identifier"], params["retain_primary_cluster"])
    if params["state"] == "snapshot":
        return actions.take_snapshot(desk, params["snapshot_name"], params["kms_key_id"], params["tags"], check_mode)
    return actions.fail_over(desk, params["node_group_id"], params["failover_from"], check_mode)


def result_of(outcome: Outcome, state: str, diff: bool) -> dict[str, Any]:
    """The module's result."""
    result: dict[str, Any] = {"changed": outcome.changed, "msg": outcome.msg, **outcome.more}
    if state == "present":
        result["not_compared"] = outcome.not_compared
    if diff:
        result["diff"] = {"before": outcome.before, "after": outcome.after}
    return result


def main() -> None:
    module = aws_module(
        argument_spec={**operation_options(), **group_options()},
        mutually_exclusive=[("num_cache_clusters", "replicas_per_node_group")],
        required_if=[("state", "snapshot", ["snapshot_name"])],
        required_by={"auth_token_issued": ["auth_token"]},
        supports_check_mode=True,
    )
    params, clock = module.params, Clock()
    try:
        wish = wish_of(params)
        validate.check(wish)
        api = ElastiCacheApi(Caller(module.client("elasticache"), clock))
        waiting = Waiting(params["wait"], params["wait_timeout"], params["wait_interval"])
        desk = Desk(api, clock, params["replication_group_id"], waiting, module.debug)
        outcome = operate(desk, params, wish, module.check_mode)
    except OperationError as error:
        module.fail_json(msg=str(error))
    if outcome.not_compared:
        module.warn(
            f"AWS does not tell the current value of {', '.join(outcome.not_compared)} of {desk.name}, so that it was "
            "not compared."
        )
    module.exit_json(**result_of(outcome, params["state"], module._diff))


if __name__ == "__main__":
    main()
