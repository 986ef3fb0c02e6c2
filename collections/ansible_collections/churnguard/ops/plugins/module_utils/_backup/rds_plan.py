# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of RDS snapshots: what is wanted, what is in the way, what may be deleted. Pure. Internal: may change in any
release."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from .._common.clock import isoformat
from .._common.errors import OperationError
from .._common.waiting import DONE, FAILED, PENDING, Finding
from .policy import moment

# The tags that make a snapshot ours to delete.
OWNER_TAG = "managed_by"
SOURCE_TAG = "source"
EXPIRES_TAG = "expires_at"
OWN_TAGS = (OWNER_TAG, SOURCE_TAG, EXPIRES_TAG)

AVAILABLE = "available"
# States of a DB snapshot that lead to available by themselves; see "DB snapshot status" in RDS's user guide.
UNDER_WAY = frozenset({"creating", "copying", "pending", "modifying", "backing-up"})
_LONGEST_NAME = 255


@dataclass(frozen=True)
class CopyWish:
    """The copy that is to be there. C(key) is a KMS key of the target region, or empty."""

    source_region: str
    target_region: str
    target: str
    key: str
    retention_days: int
    owner: str
    tags: dict[str, str]
    encrypted: bool = True


def target_name(source: str, source_region: str) -> str:
    """The copy's name if none was given: the same for every run. Automated snapshots have a colon in theirs, which a
    manual one may not have."""
    base = source.rsplit(":", 1)[-1]
    cleaned = re.sub(r"[^a-z0-9]+", "-", f"{base}-from-{source_region}".lower()).strip("-")
    return cleaned[:_LONGEST_NAME].rstrip("-")


def tags_of(snapshot: dict[str, Any]) -> dict[str, str]:
    """A snapshot's tags as a dictionary."""
    return {tag["Key"]: tag.get("Value", "") for tag in snapshot.get("TagList") or []}


def data_time(snapshot: dict[str, Any]) -> datetime | None:
    """The moment whose data a snapshot holds: a copy has its source's, not its own creation's."""
    return moment(snapshot.get("OriginalSnapshotCreateTime")) or moment(snapshot.get("SnapshotCreateTime"))


def wanted_tags(wish: CopyWish, source: dict[str, Any]) -> dict[str, str]:
    """The source's tags, those of the wish, and ours. C(expires_at) counts from the data's moment, so that a second
    run asks for the same. Tags that begin with aws: belong to AWS and cannot be set."""
    kept = {name: value for name, value in tags_of(source).items() if not name.startswith("aws:")}
    taken = data_time(source)
    if taken is None:
        raise OperationError(
            f"copy {source['DBSnapshotIdentifier']}",
            "RDS does not say when it was taken, so it cannot be said when the copy expires.",
            "wait until the snapshot is complete.",
        )
    expires = isoformat(taken + timedelta(days=wish.retention_days))
    own = {OWNER_TAG: wish.owner, SOURCE_TAG: source["DBSnapshotArn"], EXPIRES_TAG: expires}
    return {**kept, **wish.tags, **own}


def check_wish(wish: CopyWish, source: dict[str, Any]) -> None:
    """Refuse, before any write, what RDS would refuse later or what would break the policy. Raises OperationError."""
    attempted = f"copy {source['DBSnapshotIdentifier']} from {wish.source_region} to {wish.target_region}"
    if wish.source_region == wish.target_region:
        raise OperationError(attempted, "both are the same region.", "give another region: one can be lost as a whole.")
    encrypted = bool(source.get("Encrypted"))
    if encrypted and not wish.key:
        raise OperationError(
            attempted,
            f"it is encrypted with a key of {wish.source_region}, which {wish.target_region} cannot use.",
            f"give kms_key_id, a key of {wish.target_region}.",
        )
    if wish.encrypted and not wish.key:
        raise OperationError(
            attempted, "the copy would not be encrypted.", "give kms_key_id, or set encrypted to false."
        )
    found = re.match(r"arn:[^:]+:kms:([^:]+):", wish.key)
    if found and found[1] != wish.target_region:
        raise OperationError(
            attempted, f"the key is one of {found[1]}.", f"give kms_key_id, a key of {wish.target_region}."
        )


def check_existing(existing: dict[str, Any], source_arn: str, region: str) -> None:
    """Refuse a name that is taken by something that is not a copy of this source. Raises OperationError."""
    name = existing["DBSnapshotIdentifier"]
    come_from = existing.get("SourceDBSnapshotIdentifier") or tags_of(existing).get(SOURCE_TAG)
    if come_from != source_arn:
        raise OperationError(
            f"use {name} in {region} as the copy of {source_arn}",
            f"a snapshot of that name exists, and it comes from {come_from or 'no other snapshot'}.",
            "give another target_snapshot.",
        )


def look_at(snapshot: dict[str, Any] | None, seen: bool) -> Finding:
    """How far a snapshot is: done when it is available. One that was C(seen) and is gone will not come back; one that
    was not may not have reached every server of RDS yet."""
    if snapshot is None:
        return (
            Finding(FAILED, "it is gone: somebody has deleted it") if seen else Finding(PENDING, "not to be seen yet")
        )
    status = snapshot.get("Status", "unknown")
    detail = f"{status}, {snapshot.get('PercentProgress', 0)} %"
    if status == AVAILABLE:
        return Finding(DONE, detail)
    return Finding(PENDING if status in UNDER_WAY else FAILED, detail)


def check_result(snapshot: dict[str, Any], wish: CopyWish) -> None:
    """Available is not enough: the copy has to be as asked for. Raises OperationError."""
    name = snapshot["DBSnapshotIdentifier"]
    delete = f"aws rds delete-db-snapshot --region {wish.target_region} --db-snapshot-identifier {name}"
    if wish.key and not snapshot.get("Encrypted"):
        raise OperationError(
            f"have {name} encrypted", "RDS made the copy without encryption.", f"remove it ({delete}) and run again."
        )
    used = snapshot.get("KmsKeyId") or ""
    if re.match(r"arn:[^:]+:kms:[^:]+:[^:]+:key/", wish.key) and used != wish.key:
        raise OperationError(
            f"have {name} encrypted with {wish.key}",
            f"its key is {used or 'not known'}.",
            f"remove it ({delete}) and run again, or give the key that it has.",
        )


@dataclass(frozen=True)
class Pruning:
    """What retention makes of the snapshots of one DB instance: names to delete, and why the others stay."""

    delete: list[str]
    keep: dict[str, str]


def plan_pruning(snapshots: Sequence[dict[str, Any]], owner: str, now: datetime, keep_last: int) -> Pruning:
    """Only what carries our tags, has expired, and is not among the newest C(keep_last) good ones of ours goes."""
    ours = [one for one in snapshots if tags_of(one).get(OWNER_TAG) == owner]
    good = [one for one in ours if one.get("Status") == AVAILABLE and data_time(one) is not None]
    newest = sorted(good, key=lambda one: (data_time(one), one["DBSnapshotIdentifier"]), reverse=True)[:keep_last]
    protected = {one["DBSnapshotIdentifier"] for one in newest}
    delete, keep = [], {}
    for snapshot in snapshots:
        name = snapshot["DBSnapshotIdentifier"]
        reason = _reason_to_keep(snapshot, owner, now)
        if not reason and name in protected:
            reason = f"one of the last {keep_last} good ones"
        if reason:
            keep[name] = reason
        else:
            delete.append(name)
    return Pruning(sorted(delete), keep)


def _reason_to_keep(snapshot: dict[str, Any], owner: str, now: datetime) -> str:
    tags = tags_of(snapshot)
    if snapshot.get("SnapshotType", "manual") != "manual":
        return "RDS's own: its retention is the DB instance's"
    if tags.get(OWNER_TAG) != owner:
        return f"not made here: it has no tag {OWNER_TAG}={owner}"
    if snapshot.get("Status") in UNDER_WAY or snapshot.get("Status") == "deleting":
        return f"under way: {snapshot['Status']}"
    expires = moment(tags.get(EXPIRES_TAG))
    if expires is None:
        return f"its tag {EXPIRES_TAG} is missing or no moment"
    if expires > now:
        return f"expires at {isoformat(expires)}"
    return ""
