# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a wait is over. Pure. Internal: may change in any release."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .._common.waiting import DONE, FAILED, PENDING, Finding
from .model import AVAILABLE, CREATE_FAILED, DELETING, Group

_GONE = "it does not exist"
# Messages of a failover, in their order:
# https://docs.aws.amazon.com/AmazonElastiCache/latest/APIReference/API_TestFailover.html
_CALLED = re.compile(r"test failover api called for node group (\S+)", re.I)
_PROMOTED = re.compile(r"failover from (?:primary|master) node (\S+) to replica node (\S+) completed", re.I)
_RECOVERED = re.compile(r"finished recovery for cache nodes", re.I)


def available(status: str | None) -> Finding:
    """Whether a group of that C(status) (None: there is none) takes requests."""
    if status == AVAILABLE:
        return Finding(DONE, "it is available")
    if status is None:
        return Finding(FAILED, _GONE)
    if status in (CREATE_FAILED, DELETING):
        return Finding(FAILED, f"its status is {status}")
    return Finding(PENDING, f"its status is {status}")


def settled(group: Group | None, left: Sequence[str]) -> Finding:
    """Whether a change is in effect: the group is available, and none of its options is C(left) as it was."""
    finding = available(group.status if group else None)
    if not finding.done or group is None:
        return finding
    if group.auth_token_pending:
        return Finding(PENDING, "its auth token is being changed")
    if left:
        return Finding(PENDING, f"it is available, but AWS still has the old value of {', '.join(left)}")
    return finding


def gone(status: str | None) -> Finding:
    """Whether a group that was to be deleted is no more."""
    return Finding(DONE, _GONE) if status is None else Finding(PENDING, f"its status is {status}")


def snapshot_taken(snapshot: Mapping[str, Any] | None) -> Finding:
    """Whether a snapshot can be restored from."""
    if snapshot is None:
        return Finding(FAILED, _GONE)
    status = snapshot.get("SnapshotStatus") or ""
    if status in ("available", "restoring", "copying"):
        return Finding(DONE, f"its status is {status}")
    if status in ("failed", "deleting"):
        return Finding(FAILED, f"its status is {status}")
    return Finding(PENDING, f"its status is {status}")


@dataclass(frozen=True)
class Failover:
    """What AWS' events say of a failover. Times are AWS'; None is not yet."""

    called: datetime | None = None
    promoted: datetime | None = None
    recovered: datetime | None = None
    primary_before: str | None = None
    primary_after: str | None = None
    messages: tuple[str, ...] = ()


def read_failover(events: Iterable[Mapping[str, Any]], group: Group, shard_id: str) -> Failover:
    """The newest failover of a shard in C(events) (oldest first): only what follows its call counts, in order."""
    sources = {group.id, *group.members}
    own = [event for event in events if event.get("SourceIdentifier") in sources]
    begins = [
        at
        for at, event in enumerate(own)
        if event["SourceIdentifier"] == group.id and _is_call(event.get("Message") or "", shard_id)
    ]
    if not begins:
        return Failover()
    called = own[begins[-1]]
    found = {"called": called["Date"], "messages": [called["Message"]]}
    for event in own[begins[-1] + 1 :]:
        _read_event(event, found)
    return Failover(**{**found, "messages": tuple(found["messages"])})


def _is_call(message: str, shard_id: str) -> bool:
    match = _CALLED.search(message)
    return bool(match) and match.group(1).strip(".") == shard_id


def _read_event(event: Mapping[str, Any], found: dict[str, Any]) -> None:
    message = event.get("Message") or ""
    promotion = _PROMOTED.search(message)
    if promotion and "promoted" not in found:
        found.update(promoted=event["Date"], primary_before=promotion.group(1), primary_after=promotion.group(2))
    elif promotion:
        return
    elif _RECOVERED.search(message) and "promoted" in found and "recovered" not in found:
        if event["SourceIdentifier"] != found["primary_before"]:
            return
        found["recovered"] = event["Date"]
    else:
        return
    found["messages"].append(message)


def failed_over(failover: Failover, group: Group | None, shard_id: str, old_primary: str | None) -> Finding:
    """Whether a failover is over: AWS says that another node is the primary and the old one is back, the group agrees,
    and takes requests again."""
    if group is None:
        return Finding(FAILED, _GONE)
    if group.status in (CREATE_FAILED, DELETING):
        return Finding(FAILED, f"its status is {group.status}")
    if failover.called is None:
        return Finding(PENDING, "AWS has no event of the call yet")
    if failover.promoted is None:
        return Finding(PENDING, "no replica has been promoted yet")
    shard = group.shard(shard_id)
    if old_primary is not None and shard is not None and shard.primary == old_primary:
        return Finding(PENDING, f"{old_primary} is still the primary")
    if failover.recovered is None:
        return Finding(PENDING, f"{failover.primary_after} is the primary, {failover.primary_before} is not back yet")
    if group.status != AVAILABLE:
        return Finding(PENDING, f"its status is {group.status}")
    return Finding(DONE, f"{failover.primary_after} is the primary")
