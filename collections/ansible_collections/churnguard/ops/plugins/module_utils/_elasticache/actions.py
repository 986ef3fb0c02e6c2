# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done with a replication group that exists: take a snapshot, fail over. Internal: may change in any
release."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from ansible.module_utils.common.dict_transformations import camel_dict_to_snake_dict

from .._aws import tags as aws_tags
from .._common.clock import isoformat
from .._common.errors import OperationError
from .._common.waiting import Finding
from . import wait
from .desk import Desk, Outcome
from .model import AVAILABLE, Group, Shard, read_group
from .wait import Failover

# AWS' events carry the time of what they tell of, which may be a little before the answer to the request.
_EVENTS_BEFORE = timedelta(seconds=60)


def take_snapshot(
    desk: Desk, name: str, kms_key_id: str | None, tags: Mapping[str, Any] | None, check_mode: bool
) -> Outcome:
    """Take a snapshot of the group unless there is one of that name. Raises OperationError."""
    existing = desk.api.snapshot(name)
    if existing is not None:
        _check_owner(desk, name, existing)
        outcome = Outcome(False, f"Snapshot {name} of {desk.name} exists.")
        outcome.more["snapshot"] = _plain(existing)
        if desk.waiting.wanted and not check_mode:
            outcome.more["snapshot"] = await_snapshot(desk, name)
        return outcome
    described = _need_group(desk, f"take snapshot {name} of")
    after = {"snapshot_name": name, "replication_group_id": desk.group_id}
    outcome = Outcome(True, f"Would take snapshot {name} of {desk.name}.", {"snapshot_name": None}, after)
    if check_mode:
        return outcome
    desk.need_available(described, f"take snapshot {name} of")
    desk.api.create_snapshot(name, desk.group_id, kms_key_id, aws_tags.to_aws(tags or {}))
    outcome.msg = f"Took snapshot {name} of {desk.name}."
    if desk.waiting.wanted:
        outcome.more["snapshot"] = await_snapshot(desk, name)
    return outcome


def await_snapshot(desk: Desk, name: str) -> dict[str, Any]:
    """The snapshot once it can be restored from. Raises OperationError."""
    seen: dict[str, Any] = {}

    def look() -> Finding:
        snapshot = desk.api.snapshot(name)
        seen.update(snapshot or {})
        return wait.snapshot_taken(snapshot)

    desk.wait(look, f"take snapshot {name} of {desk.name}")
    return _plain(seen)


def fail_over(desk: Desk, shard_id: str | None, failover_from: str | None, check_mode: bool) -> Outcome:
    """Make a replica of a shard its primary, unless C(failover_from) is the primary no more. Raises OperationError."""
    described = _need_group(desk, "fail over")
    group = read_group(described)
    shard = _shard(group, shard_id)
    if _moved(group, shard, failover_from):
        if desk.waiting.wanted and not check_mode:
            group = read_group(desk.need_available(described, "see the end of the failover of"))
        shard = group.shard(shard.id) or shard
        outcome = Outcome(False, f"The primary of {desk.name} is {shard.primary}, no longer {failover_from}.")
        outcome.more["failover"] = {"node_group_id": shard.id, "primary_after": shard.primary}
        return outcome
    _check_able(group, shard)
    before = {"node_group_id": shard.id, "primary": shard.primary}
    outcome = Outcome(True, f"Would fail over shard {shard.id} of {desk.name}.", before, {**before, "primary": "other"})
    if check_mode:
        return outcome
    if described["Status"] != AVAILABLE:
        described = desk.need_available(described, "fail over")
        shard = _shard(read_group(described), shard.id)
        if _moved(group, shard, failover_from):
            outcome.changed, outcome.msg = False, f"The primary of {desk.name} is {shard.primary} by now."
            return outcome
    _run(desk, shard, outcome)
    return outcome


def _run(desk: Desk, shard: Shard, outcome: Outcome) -> None:
    begun = desk.clock.now()
    answered = desk.api.fail_over(desk.group_id, shard.id) or begun
    outcome.msg = f"Shard {shard.id} of {desk.name} is failing over."
    outcome.more["failover"] = {"node_group_id": shard.id, "primary_before": shard.primary}
    if not desk.waiting.wanted:
        return
    seen = {"failover": Failover()}

    def look() -> Finding:
        described = desk.api.group(desk.group_id)
        group = read_group(described) if described is not None else None
        if group is not None:
            seen["failover"] = wait.read_failover(desk.api.events(answered - _EVENTS_BEFORE), group, shard.id)
        return wait.failed_over(seen["failover"], group, shard.id, shard.primary)

    desk.wait(look, f"fail over shard {shard.id} of {desk.name}")
    failover = seen["failover"]
    outcome.msg = f"{failover.primary_after} is the primary of shard {shard.id} of {desk.name}."
    outcome.after["primary"] = failover.primary_after
    outcome.more["failover"] = {"node_group_id": shard.id, **_times(failover)}


def _times(failover: Failover) -> dict[str, Any]:
    plain = asdict(failover)
    moments = {name: plain.pop(name) for name in ("called", "promoted", "recovered")}
    plain["messages"] = list(failover.messages)
    for name, moment in moments.items():
        plain[f"{name}_at"] = None if moment is None else isoformat(moment)
    if failover.called and failover.promoted:
        plain["promotion_seconds"] = (failover.promoted - failover.called).total_seconds()
    if failover.called and failover.recovered:
        plain["recovery_seconds"] = (failover.recovered - failover.called).total_seconds()
    return plain


def _need_group(desk: Desk, attempted: str) -> dict[str, Any]:
    described = desk.api.group(desk.group_id)
    if described is None:
        raise OperationError(
            f"{attempted} {desk.name}", "it does not exist.", "check replication_group_id, region and account."
        )
    return described


def _shard(group: Group, shard_id: str | None) -> Shard:
    names = [shard.id for shard in group.shards]
    if shard_id is None and len(group.shards) == 1:
        return group.shards[0]
    found = group.shard(shard_id or "")
    if found is None:
        said = f"there is no shard {shard_id}" if shard_id else f"it has {len(names)} shards"
        raise OperationError(
            f"fail over replication group {group.id}",
            f"{said}.",
            f"give node_group_id, one of {', '.join(names) or 'those it will have once it is available'}.",
        )
    return found


def _moved(group: Group, shard: Shard, failover_from: str | None) -> bool:
    """Whether C(failover_from) has lost the shard already."""
    if failover_from is None:
        return False
    attempted = f"fail over from {failover_from} in replication group {group.id}"
    if failover_from not in [member.id for member in shard.members]:
        names = ", ".join(member.id for member in shard.members)
        raise OperationError(attempted, f"shard {shard.id} has no such node.", f"name the primary, one of {names}.")
    if shard.primary is None:
        raise OperationError(
            attempted,
            "AWS does not tell which node is the primary.",
            "leave failover_from out in cluster mode; elsewhere, run again when the group is available.",
        )
    return shard.primary != failover_from


def _check_able(group: Group, shard: Shard) -> None:
    attempted = f"fail over shard {shard.id} of replication group {group.id}"
    if shard.replicas < 1:
        raise OperationError(attempted, "it has no replica.", "add one with replicas_per_node_group.")
    if not group.values["automatic_failover_enabled"]:
        raise OperationError(
            attempted, "automatic failover is off.", "set automatic_failover_enabled to true with state=present."
        )


def _check_owner(desk: Desk, name: str, snapshot: Mapping[str, Any]) -> None:
    owner = snapshot.get("ReplicationGroupId")
    if owner != desk.group_id:
        other = owner or snapshot.get("CacheClusterId") or "something else"
        raise OperationError(
            f"take snapshot {name} of {desk.name}",
            f"there is a snapshot of that name already, of {other}.",
            "choose another snapshot_name.",
        )


def _plain(snapshot: Mapping[str, Any]) -> dict[str, Any]:
    return camel_dict_to_snake_dict(dict(snapshot))
