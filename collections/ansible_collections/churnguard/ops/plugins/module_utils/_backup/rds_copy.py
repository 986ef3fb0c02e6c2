# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One copy of an RDS snapshot, from the wish to the proof, and the retention of copies. Internal: may change in any
release."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .._aws.errors import AwsError
from .._common.clock import Clock
from .._common.errors import OperationError
from .._common.waiting import Finding, wait_until
from . import rds_plan
from .rds_api import EXISTS, RdsSnapshots
from .rds_plan import CopyWish


@dataclass(frozen=True)
class Patience:
    """Whether to wait, for how many seconds, and how often to look (seconds)."""

    wait: bool
    timeout: float
    interval: float = 15.0


@dataclass(frozen=True)
class Copied:
    """The copy as RDS describes it (None in check mode before it exists), its tags before and after, and whether
    anything was, or would be, changed."""

    snapshot: dict[str, Any] | None
    before: dict[str, Any] | None
    after: dict[str, Any]
    changed: bool
    waited_s: float = 0.0


class CopySession:
    """Copies a snapshot from one region to another; C(source) and C(target) are the snapshots of the two."""

    def __init__(
        self, source: RdsSnapshots, target: RdsSnapshots, clock: Clock, patience: Patience, check_mode: bool
    ) -> None:
        self._source = source
        self._target = target
        self._clock = clock
        self._patience = patience
        self._check_mode = check_mode

    def copy(self, wish: CopyWish, source_name: str) -> Copied:
        """Have the copy there. Raises OperationError."""
        source = self._read_source(wish, source_name)
        rds_plan.check_wish(wish, source)
        waited = 0.0
        if source.get("Status") != rds_plan.AVAILABLE and not self._check_mode:
            source, waited = self._wait(self._source, source["DBSnapshotIdentifier"], self._patience.timeout, True)
        tags = rds_plan.wanted_tags(wish, source)
        existing = self._target.get(wish.target)
        if existing is None:
            return self._create(wish, source, tags, waited)
        return self._keep(wish, source, existing, tags, waited)

    def _read_source(self, wish: CopyWish, name: str) -> dict[str, Any]:
        source = self._source.get(name)
        if source is None:
            raise OperationError(
                f"copy the DB snapshot {name}",
                f"there is none of that name in {wish.source_region}.",
                "check source_snapshot and source_region.",
            )
        return source

    def _create(self, wish: CopyWish, source: dict[str, Any], tags: dict[str, str], waited: float) -> Copied:
        after = _facts(wish.target, tags, wish.key)
        if self._check_mode:
            return Copied(None, None, after, True, waited)
        try:
            made = self._target.copy(source["DBSnapshotArn"], wish.target, wish.source_region, tags, wish.key)
        except AwsError as error:
            # Another run was faster, or an earlier try did arrive: what counts is what is there now.
            made = self._target.get(wish.target) if error.code in EXISTS else None
            if made is None:
                raise
            rds_plan.check_existing(made, source["DBSnapshotArn"], wish.target_region)
        snapshot, more = self._finish(wish, made, waited, False)
        return Copied(snapshot, None, after, True, more)

    def _keep(
        self, wish: CopyWish, source: dict[str, Any], existing: dict[str, Any], tags: dict[str, str], waited: float
    ) -> Copied:
        rds_plan.check_existing(existing, source["DBSnapshotArn"], wish.target_region)
        had = rds_plan.tags_of(existing)
        missing = {name: value for name, value in tags.items() if had.get(name) != value}
        if missing and not self._check_mode:
            self._target.add_tags(existing["DBSnapshotArn"], missing)
        snapshot, more = existing, waited
        if not self._check_mode:
            snapshot, more = self._finish(wish, existing, waited, True)
        before = _facts(wish.target, had, existing.get("KmsKeyId") or "")
        after = {**before, "tags": {**had, **missing}}
        tagged = [{"Key": name, "Value": value} for name, value in after["tags"].items()]
        return Copied({**snapshot, "TagList": tagged}, before, after, bool(missing), more)

    def _finish(
        self, wish: CopyWish, snapshot: dict[str, Any], waited: float, seen: bool
    ) -> tuple[dict[str, Any], float]:
        if self._patience.wait:
            snapshot, more = self._wait(self._target, wish.target, self._patience.timeout - waited, seen)
            rds_plan.check_result(snapshot, wish)
            waited += more
        elif rds_plan.look_at(snapshot, True).failed:
            raise _unusable(wish.target, wish.target_region, rds_plan.look_at(snapshot, True).detail)
        return snapshot, waited

    def _wait(self, snapshots: RdsSnapshots, name: str, timeout: float, seen: bool) -> tuple[dict[str, Any], float]:
        """The snapshot once it is available, and the seconds waited. Raises OperationError at the deadline, or as soon
        as waiting cannot help."""
        newest: list[dict[str, Any]] = []

        def look() -> Finding:
            snapshot = snapshots.get(name)
            finding = rds_plan.look_at(snapshot, seen or bool(newest))
            if snapshot is not None:
                newest.append(snapshot)
                del newest[:-1]
            return finding

        finding, waited = wait_until(look, self._clock, max(timeout, 0.0), self._patience.interval)
        if finding.failed:
            raise _unusable(name, snapshots.region, finding.detail)
        if not finding.done:
            raise OperationError(
                f"wait for the DB snapshot {name} in {snapshots.region}",
                f"after {waited:.0f} s it is {finding.detail}.",
                "run the same again: RDS goes on by itself and the next run waits for the rest.",
            )
        return newest[-1], waited


def prune(
    snapshots: RdsSnapshots, instance: str, owner: str, keep_last: int, clock: Clock, check_mode: bool
) -> tuple[list[str], dict[str, str]]:
    """Delete the expired snapshots of C(instance) that carry our tags: their names, and why each other one stays.

    Each one is looked at again right before it goes. RDS refuses requests of a clock that is 15 minutes off, so that
    this machine's clock will do for expiry dates."""
    found = snapshots.list(instance)
    plan = rds_plan.plan_pruning(found, owner, clock.now(), keep_last)
    deleted, keep = [], dict(plan.keep)
    for name in plan.delete:
        now_there = snapshots.get(name)
        if now_there is None:
            continue
        others = [one for one in found if one["DBSnapshotIdentifier"] != name]
        if name not in rds_plan.plan_pruning([*others, now_there], owner, clock.now(), keep_last).delete:
            keep[name] = "it changed while this ran"
            continue
        if not check_mode:
            snapshots.delete(name)
        deleted.append(name)
    return deleted, keep


def _facts(name: str, tags: dict[str, str], key: str) -> dict[str, Any]:
    return {"db_snapshot_identifier": name, "kms_key_id": key, "tags": dict(sorted(tags.items()))}


def _unusable(name: str, region: str, detail: str) -> OperationError:
    return OperationError(
        f"use the DB snapshot {name} in {region}",
        f"it is {detail}, and will not become available by itself.",
        f"see why in RDS's events, remove it (aws rds delete-db-snapshot --region {region} --db-snapshot-identifier "
        f"{name}) and run again.",
    )
