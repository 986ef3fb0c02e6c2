# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of snapshots and their retention, decided without AWS."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._backup.rds_plan import (
    CopyWish,
    check_existing,
    check_result,
    check_wish,
    data_time,
    look_at,
    plan_pruning,
    target_name,
    wanted_tags,
)
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
ARN = "arn:aws:rds:us-east-1:123456789012:snapshot:shop-1"
KEY = "arn:aws:kms:us-west-2:123456789012:key/1234"
WISH = CopyWish("us-east-1", "us-west-2", "shop-1-copy", KEY, 30, "churnguard.ops", {"team": "data"})


def source(**changed):
    described = {
        "DBSnapshotIdentifier": "shop-1",
        "DBSnapshotArn": ARN,
        "Status": "available",
        "Encrypted": True,
        "SnapshotCreateTime": NOW - timedelta(days=1),
        "TagList": [
            {"Key": "team", "Value": "ops"},
            {"Key": "stage", "Value": "prod"},
            {"Key": "aws:backup:source", "Value": "x"},
        ],
    }
    return {**described, **changed}


def kept(name, days_old, expires_in=None, status="available", owner="churnguard.ops", kind="manual"):
    tags = [{"Key": "managed_by", "Value": owner}] if owner else []
    if expires_in is not None:
        tags.append({"Key": "expires_at", "Value": (NOW + timedelta(days=expires_in)).isoformat()})
    return {
        "DBSnapshotIdentifier": name,
        "Status": status,
        "SnapshotType": kind,
        "SnapshotCreateTime": NOW - timedelta(days=days_old),
        "TagList": tags,
    }


def test_tags_are_the_sources_the_wishs_and_ours():
    assert wanted_tags(WISH, source()) == {
        "stage": "prod",
        "team": "data",
        "managed_by": "churnguard.ops",
        "source": ARN,
        "expires_at": "2026-12-21T12:00:00.000Z",
    }


def test_expiry_counts_from_the_data_and_not_from_the_copy():
    old = source(OriginalSnapshotCreateTime=NOW - timedelta(days=20))
    assert data_time(old) == NOW - timedelta(days=20)
    assert wanted_tags(WISH, old)["expires_at"] == "2026-12-02T12:00:00.000Z"


def test_without_a_time_nothing_can_expire_so_nothing_is_copied():
    with pytest.raises(OperationError, match="does not say when it was taken"):
        wanted_tags(WISH, source(SnapshotCreateTime=None))


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("shop-1", "shop-1-from-us-east-1"),
        ("rds:shop-2026-11-22-03-00", "shop-2026-11-22-03-00-from-us-east-1"),
        (ARN, "shop-1-from-us-east-1"),
        ("Shop--1-", "shop-1-from-us-east-1"),
        ("x" * 300, "x" * 255),
    ],
)
def test_names_are_ones_that_rds_takes(name, target):
    assert target_name(name, "us-east-1") == target


@pytest.mark.parametrize(
    ("wish", "snapshot", "said"),
    [
        (replace(WISH, target_region="us-east-1"), source(), "both are the same region"),
        (replace(WISH, key=""), source(), "is encrypted with a key of us-east-1"),
        (replace(WISH, key=""), source(Encrypted=False), "would not be encrypted"),
        (replace(WISH, key=KEY.replace("us-west-2", "us-east-1")), source(), "the key is one of us-east-1"),
    ],
)
def test_what_rds_would_refuse_is_refused_before_any_write(wish, snapshot, said):
    with pytest.raises(OperationError, match=said):
        check_wish(wish, snapshot)


@pytest.mark.parametrize(
    ("wish", "snapshot"),
    [
        (WISH, source()),
        (WISH, source(Encrypted=False)),
        (replace(WISH, key="alias/backups"), source()),
        (replace(WISH, key="", encrypted=False), source(Encrypted=False)),
    ],
)
def test_what_can_be_copied_is(wish, snapshot):
    check_wish(wish, snapshot)


def test_a_name_that_is_taken_by_something_else_is_refused():
    check_existing(source(SourceDBSnapshotIdentifier=ARN), ARN, "us-west-2")
    check_existing(source(TagList=[{"Key": "source", "Value": ARN}]), ARN, "us-west-2")
    for taken in (source(), source(SourceDBSnapshotIdentifier=ARN + "0")):
        with pytest.raises(OperationError, match="give another target_snapshot"):
            check_existing(taken, ARN, "us-west-2")


@pytest.mark.parametrize(
    ("snapshot", "seen", "state"),
    [
        (source(), True, "done"),
        (source(Status="creating", PercentProgress=40), True, "pending"),
        (source(Status="copying"), False, "pending"),
        (source(Status="failed"), True, "failed"),
        (source(Status="deleting"), True, "failed"),
        (source(Status="incompatible-restore"), True, "failed"),
        (source(Status="unheard-of"), True, "failed"),
        (None, False, "pending"),
        (None, True, "failed"),
    ],
)
def test_waiting_ends_where_it_cannot_help(snapshot, seen, state):
    assert look_at(snapshot, seen).state == state


def test_available_is_not_enough():
    check_result(source(KmsKeyId=KEY), WISH)
    check_result(source(KmsKeyId=KEY), replace(WISH, key="alias/backups"))
    with pytest.raises(OperationError, match="without encryption.*aws rds delete-db-snapshot --region us-west-2"):
        check_result(source(Encrypted=False), WISH)
    with pytest.raises(OperationError, match="its key is other"):
        check_result(source(KmsKeyId="other"), WISH)


class TestPruning:
    def plan(self, *snapshots, keep_last=1):
        return plan_pruning(snapshots, "churnguard.ops", NOW, keep_last)

    def test_only_what_is_ours_and_expired_goes(self):
        plan = self.plan(
            kept("newest", 1, 29),
            kept("expired", 40, -10),
            kept("just-not", 30, 0.0001),
            kept("foreign", 40, -10, owner="someone"),
            kept("untagged", 400, owner=""),
            kept("no-date", 400),
            kept("automated", 40, -10, kind="automated"),
            kept("copying", 40, -10, status="copying"),
            kept("deleting", 40, -10, status="deleting"),
            kept("broken", 40, -10, status="failed"),
        )
        assert plan.delete == ["broken", "expired"]
        assert plan.keep["foreign"] == "not made here: it has no tag managed_by=churnguard.ops"
        assert plan.keep["no-date"] == "its tag expires_at is missing or no moment"
        assert plan.keep["just-not"].startswith("expires at 2026-11-22T12:00:")
        assert set(plan.keep) | set(plan.delete) >= {"automated", "copying", "deleting", "untagged", "newest"}

    @pytest.mark.parametrize("keep_last", [1, 2, 3])
    def test_the_last_good_ones_stay_however_old(self, keep_last):
        snapshots = [kept(f"s{day}", day, -day) for day in (40, 50, 60)]
        plan = self.plan(*snapshots, keep_last=keep_last)
        assert plan.delete == ["s40", "s50", "s60"][keep_last:]
        assert all("of the last" in plan.keep[name] for name in ["s40", "s50", "s60"][:keep_last])

    def test_a_bad_or_a_foreign_one_is_not_among_the_last_good_ones(self):
        plan = self.plan(kept("bad", 1, -1, status="failed"), kept("theirs", 2, owner="x"), kept("good", 50, -20))
        assert plan.delete == ["bad"]
        assert plan.keep["good"] == "one of the last 1 good ones"

    def test_the_newest_is_by_the_data_and_not_by_the_copy(self):
        late_copy = {**kept("late", 1, -1), "OriginalSnapshotCreateTime": NOW - timedelta(days=90)}
        assert self.plan(late_copy, kept("young", 40, -10)).delete == ["late"]

    @pytest.mark.parametrize("text", ["", "soon", "2026-01-01T00:00:00"])
    def test_a_date_that_is_no_moment_deletes_nothing(self, text):
        snapshot = kept("old", 400)
        snapshot["TagList"].append({"Key": "expires_at", "Value": text})
        assert self.plan(kept("newest", 1, 29), snapshot).delete == []
