# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a wish and a replication group to the requests that make one the other. Pure. Internal: may change in any
release."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .._common.errors import OperationError
from .attributes import ATTRIBUTES, CREATE_ONLY, Attribute, older_version, same_set
from .model import Group

HIDDEN = "(not shown)"
Wish = Mapping[str, Any]


@dataclass(frozen=True)
class Step:
    """One request: C(method) is boto3's, C(options) are those of the module that it serves. C(arguments) may hold a
    token and are never shown."""

    method: str
    arguments: Mapping[str, Any] = field(repr=False)
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """What to do, in order; C(before) and C(after) have what differs, for people; C(not_compared) names the options
    whose current value AWS does not tell."""

    steps: tuple[Step, ...] = ()
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)
    not_compared: tuple[str, ...] = ()

    @property
    def changes(self) -> bool:
        return bool(self.steps)


class Draft:
    """A plan while it is being made."""

    def __init__(self, group_id: str) -> None:
        self.group_id = group_id
        self.before: dict[str, Any] = {}
        self.after: dict[str, Any] = {}
        self.not_compared: list[str] = []
        self.refusals: list[str] = []
        # What goes into the one ModifyReplicationGroup of all plain attributes.
        self.modify: dict[str, Any] = {}
        self.modified: list[str] = []

    def differs(self, option: str, before: Any, after: Any) -> None:
        """Note a difference for people."""
        self.before[option], self.after[option] = before, after

    def change(self, option: str, before: Any, after: Any, **arguments: Any) -> None:
        """Put a difference into the common modification."""
        self.differs(option, before, after)
        self.modified.append(option)
        self.modify.update(arguments)

    def refuse(self, reason: str) -> None:
        """Note that a wish cannot be met."""
        self.refusals.append(reason)


def creation(wish: Wish) -> Plan:
    """The plan for a group that does not exist. C(tags) are a list of C(Key) and C(Value)."""
    group_id = wish["replication_group_id"]
    names = {attribute.option: attribute.create for attribute in ATTRIBUTES} | CREATE_ONLY
    given = {option: wish[option] for option in names if wish.get(option) not in (None, "", [])}
    given.setdefault("replication_group_description", group_id)
    if "num_cache_clusters" in given:
        # It is for one shard, and AWS takes the one count or the other.
        given.pop("num_node_groups", None)
    arguments = {names[option]: value for option, value in given.items()}
    if wish.get("tags"):
        arguments["Tags"] = wish["tags"]
    after = {**given, "state": "present"}
    if "auth_token" in after:
        after["auth_token"] = HIDDEN
    step = Step("create_replication_group", {"ReplicationGroupId": group_id, **arguments}, tuple(given))
    return Plan((step,), {"state": "absent"}, after)


def modification(wish: Wish, group: Group) -> Plan:
    """The least that makes C(group) what was wished for; options that are None are left alone.

    Raises OperationError, with all reasons, when something of it is impossible."""
    draft = Draft(group.id)
    _compare_attributes(draft, wish, group)
    _compare_users(draft, wish, group)
    encryption = _encryption(draft, wish, group)
    more, fewer = _replicas(draft, wish, group)
    shards = _shards(draft, wish, group)
    token = _token(draft, wish, group)
    if draft.refusals:
        raise OperationError(
            f"change replication group {group.id} as asked",
            "; ".join(draft.refusals) + ".",
            "correct these options, or create another group and move to it (a snapshot carries the data over).",
        )
    common = []
    if draft.modify:
        arguments = {**draft.modify, "ApplyImmediately": bool(wish.get("apply_immediately"))}
        common = [_modify(group, tuple(draft.modified), **arguments)]
    # Replicas come before the failover that needs them, and go after it has been switched off.
    steps = (*more, *common, *encryption, *fewer, *shards, *token)
    return Plan(steps, draft.before, draft.after, tuple(draft.not_compared))


def unsettled(wish: Wish, group: Group, options: Sequence[str]) -> list[str]:
    """Which of the C(options) are not yet as wished for. Tokens are never seen; their state is in the group."""
    asked = {name: wish.get(name) for name in options if name != "auth_token"}
    return sorted(modification({**asked, "apply_immediately": wish.get("apply_immediately")}, group).after)


def deletion(group_id: str, final_snapshot_identifier: str | None, retain_primary_cluster: bool) -> Plan:
    """The plan that removes a group."""
    arguments: dict[str, Any] = {"ReplicationGroupId": group_id, "RetainPrimaryCluster": retain_primary_cluster}
    after: dict[str, Any] = {"state": "absent"}
    if final_snapshot_identifier:
        arguments["FinalSnapshotIdentifier"] = after["final_snapshot_identifier"] = final_snapshot_identifier
    return Plan((Step("delete_replication_group", arguments),), {"state": "present"}, after)


def _modify(group: Group, options: tuple[str, ...], **arguments: Any) -> Step:
    return Step("modify_replication_group", {"ReplicationGroupId": group.id, **arguments}, options)


def _compare_attributes(draft: Draft, wish: Wish, group: Group) -> None:
    now = bool(wish.get("apply_immediately"))
    engine = wish.get("engine")
    other_engine = engine is not None and group.values.get("engine") not in (None, engine)
    for attribute in ATTRIBUTES:
        value = wish.get(attribute.option)
        if value is None:
            continue
        try:
            current = group.current(attribute.option, now)
        except KeyError:
            draft.not_compared.append(attribute.option)
            continue
        if attribute.option == "kms_key_id" and "alias/" in value:
            # Only KMS knows which key an alias stands for.
            draft.not_compared.append(attribute.option)
        elif attribute.option == "engine_version" and other_engine:
            draft.change("engine_version", current, value, EngineVersion=value)
        elif not attribute.same(value, current):
            _change_attribute(draft, attribute, value, current, group)


def _change_attribute(draft: Draft, attribute: Attribute, value: Any, current: Any, group: Group) -> None:
    option = attribute.option
    reason = _impossible(attribute, value, current)
    if reason:
        draft.refuse(f"{option} is {current!r} and {reason}, so it cannot become {value!r}")
    elif option == "notification_topic_arn":
        status = {"NotificationTopicStatus": "active" if value else "inactive"}
        draft.change(option, current, value, **({"NotificationTopicArn": value} if value else {}), **status)
    elif option == "snapshot_retention_limit" and not current and not group.cluster_enabled and group.members:
        # AWS asks from which node snapshots are to be taken when they begin; a replica spares the primary.
        draft.change(option, current, value, SnapshotRetentionLimit=value, SnapshottingClusterId=_quiet_member(group))
    else:
        draft.change(option, current, value, **{attribute.modify or "": value})


def _impossible(attribute: Attribute, value: Any, current: Any) -> str:
    if attribute.modify is None:
        return "stays as it was created"
    if attribute.option == "engine" and (current, value) != ("redis", "valkey"):
        return "only redis can be changed, to valkey"
    if attribute.option == "engine_version" and older_version(value, current):
        return "AWS has no way back to an older version"
    if attribute.option == "cluster_mode" and (current, value) == ("disabled", "enabled"):
        return "has to become 'compatible' first, until all clients know cluster mode"
    if attribute.option == "cluster_mode" and current == "enabled":
        return "cluster mode stays"
    return ""


def _quiet_member(group: Group) -> str:
    nodes = [node for shard in group.shards for node in shard.members]
    return next((node.id for node in nodes if node.role == "replica"), group.members[0])


def _compare_users(draft: Draft, wish: Wish, group: Group) -> None:
    wanted, current = wish.get("user_group_ids"), group.values.get("user_group_ids", [])
    if wanted is not None and not same_set(wanted, current):
        add, remove = sorted(set(wanted) - set(current)), sorted(set(current) - set(wanted))
        arguments: dict[str, Any] = {"RemoveUserGroups": True} if not wanted else {}
        if wanted and add:
            arguments["UserGroupIdsToAdd"] = add
        if wanted and remove:
            arguments["UserGroupIdsToRemove"] = remove
        draft.change("user_group_ids", current, sorted(wanted), **arguments)
    if wish.get("auth_token_update_strategy") == "delete" and group.auth_token_enabled:
        # AWS takes it together with the change to user groups only.
        draft.change("auth_token", "set", "deleted", AuthTokenUpdateStrategy="DELETE")


def _encryption(draft: Draft, wish: Wish, group: Group) -> list[Step]:
    """In-transit encryption is switched in steps that let clients through all the time."""
    now = bool(wish.get("apply_immediately"))
    on = bool(group.current("transit_encryption_enabled", now))
    mode = (None if now else group.pending.get("transit_encryption_mode")) or group.values.get(
        "transit_encryption_mode"
    )
    wanted = on if wish.get("transit_encryption_enabled") is None else wish["transit_encryption_enabled"]
    wanted_mode = wish.get("transit_encryption_mode")
    modes: list[dict[str, Any]] = []
    if wanted and not on:
        if wanted_mode is None:
            draft.refuse(
                "transit_encryption_enabled is False: give transit_encryption_mode, preferred first, and required when "
                "every client speaks TLS"
            )
            return []
        modes.append({"TransitEncryptionEnabled": True, "TransitEncryptionMode": "preferred"})
        modes += [{"TransitEncryptionMode": "required"}] if wanted_mode == "required" else []
    elif wanted and wanted_mode not in (None, mode):
        modes.append({"TransitEncryptionMode": wanted_mode})
    elif on and not wanted:
        modes += [{"TransitEncryptionMode": "preferred"}] if mode == "required" else []
        modes.append({"TransitEncryptionEnabled": False})
    if wanted != on:
        draft.differs("transit_encryption_enabled", on, wanted)
    if wanted and wanted_mode not in (None, mode):
        draft.differs("transit_encryption_mode", mode, wanted_mode)
    last = len(modes) - 1
    options = ("transit_encryption_enabled", "transit_encryption_mode")
    # The second step needs the first to be in effect, so neither waits for the maintenance window.
    return [
        _modify(group, options if at == last else (), **arguments, ApplyImmediately=True)
        for at, arguments in enumerate(modes)
    ]


def _replicas(draft: Draft, wish: Wish, group: Group) -> tuple[list[Step], list[Step]]:
    """Steps that add replicas, and steps that take them away."""
    option, wanted = _wanted_replicas(wish)
    if wanted is None:
        return [], []
    if not group.shards:
        draft.not_compared.append(option)
        return [], []
    if option == "num_cache_clusters" and len(group.shards) > 1:
        draft.refuse("num_cache_clusters is for groups with one shard: give replicas_per_node_group")
        return [], []
    if any(shard.replicas != wanted for shard in group.shards):
        extra = 1 if option == "num_cache_clusters" else 0
        counts = [shard.replicas + extra for shard in group.shards]
        draft.differs(option, counts[0] if len(set(counts)) == 1 else counts, wanted + extra)
    few = [shard.id for shard in group.shards if shard.replicas < wanted]
    many = [shard.id for shard in group.shards if shard.replicas > wanted]
    return (
        _replica_step("increase_replica_count", group, few, wanted, option),
        _replica_step("decrease_replica_count", group, many, wanted, option),
    )


def _wanted_replicas(wish: Wish) -> tuple[str, int | None]:
    if wish.get("num_cache_clusters") is not None:
        return "num_cache_clusters", wish["num_cache_clusters"] - 1
    return "replicas_per_node_group", wish.get("replicas_per_node_group")


def _replica_step(method: str, group: Group, shards: list[str], wanted: int, option: str) -> list[Step]:
    if not shards:
        return []
    arguments: dict[str, Any] = {"ReplicationGroupId": group.id, "ApplyImmediately": True}
    if len(shards) == len(group.shards):
        arguments["NewReplicaCount"] = wanted
    else:
        arguments["ReplicaConfiguration"] = [{"NodeGroupId": shard, "NewReplicaCount": wanted} for shard in shards]
    return [Step(method, arguments, (option,))]


def _shards(draft: Draft, wish: Wish, group: Group) -> list[Step]:
    wanted, current = wish.get("num_node_groups"), len(group.shards)
    if wanted is None or wanted == current:
        return []
    if not current:
        draft.not_compared.append("num_node_groups")
        return []
    if not group.cluster_enabled:
        draft.refuse(f"num_node_groups is {current} and more than one shard needs cluster mode")
        return []
    draft.differs("num_node_groups", current, wanted)
    arguments: dict[str, Any] = {"NodeGroupCount": wanted, "ApplyImmediately": True}
    if wanted < current:
        # AWS moves their slots to the others before it removes them; it wants to be told which.
        arguments["NodeGroupsToRemove"] = sorted(shard.id for shard in group.shards)[wanted:]
    arguments["ReplicationGroupId"] = group.id
    return [Step("modify_replication_group_shard_configuration", arguments, ("num_node_groups",))]


def _token(draft: Draft, wish: Wish, group: Group) -> list[Step]:
    """Steps for the token, which AWS never shows: an update is asked for, or follows from its age."""
    token, strategy = wish.get("auth_token"), wish.get("auth_token_update_strategy")
    if token is None or strategy == "delete":
        return []
    if strategy is None:
        if not group.auth_token_enabled:
            draft.refuse(
                "the group has no auth token: give auth_token_update_strategy, rotate first, and set when every "
                "client sends the token"
            )
        return []
    issued = wish.get("auth_token_issued")
    known = strategy == "rotate" and issued is not None and group.auth_token_modified is not None
    if known and group.auth_token_enabled and group.auth_token_modified >= issued:
        return []
    # The first token of a group can only be rotated in.
    strategies = ["ROTATE", "SET"] if strategy == "set" and not group.auth_token_enabled else [strategy.upper()]
    draft.differs("auth_token", HIDDEN if group.auth_token_enabled else None, f"{HIDDEN} {strategy}")
    return [
        _modify(group, ("auth_token",), AuthToken=token, AuthTokenUpdateStrategy=each, ApplyImmediately=True)
        for each in strategies
    ]
