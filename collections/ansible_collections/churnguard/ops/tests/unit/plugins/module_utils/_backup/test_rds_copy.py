# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies against answers of botocore's Stubber, for what moto cannot show: waits, failures, races, throttling."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._backup.rds_api import RdsSnapshots
from ansible_collections.churnguard.ops.plugins.module_utils._backup.rds_copy import CopySession, Patience, prune
from ansible_collections.churnguard.ops.plugins.module_utils._backup.rds_plan import CopyWish
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.tests.unit.support.clock import START, FakeClock
from botocore.stub import Stubber

ARN = "arn:aws:rds:us-east-1:123456789012:snapshot:shop-1"
COPY_ARN = "arn:aws:rds:us-west-2:123456789012:snapshot:copy-1"
KEY = "arn:aws:kms:us-west-2:123456789012:key/1234"
WISH = CopyWish("us-east-1", "us-west-2", "copy-1", KEY, 30, "churnguard.ops", {})


def described(name: str, arn: str, status: str = "available", **more: Any) -> dict[str, Any]:
    taken = {"SnapshotCreateTime": datetime(2026, 11, 21, tzinfo=UTC)}
    return {"DBSnapshotIdentifier": name, "DBSnapshotArn": arn, "Status": status, "Encrypted": True, **taken, **more}


def copy(status: str = "available", **more: Any) -> dict[str, Any]:
    return described("copy-1", COPY_ARN, status, SourceDBSnapshotIdentifier=ARN, KmsKeyId=KEY, **more)


class Region:
    """A region's RDS, whose answers are prepared one by one and checked against RDS's own model."""

    def __init__(self, name: str, clock: FakeClock) -> None:
        credentials = {"aws_access_key_id": "x", "aws_secret_access_key": "x"}
        client = boto3.client("rds", region_name=name, **credentials)
        self.stub = Stubber(client)
        self.stub.activate()
        self.snapshots = RdsSnapshots(client, name, clock)

    def finds(self, *snapshots: dict[str, Any] | None) -> None:
        for snapshot in snapshots:
            if snapshot is None:
                self.refuses("describe_db_snapshots", "DBSnapshotNotFound", 404)
            else:
                self.stub.add_response("describe_db_snapshots", {"DBSnapshots": [snapshot]})

    def refuses(self, method: str, code: str, status: int = 400, message: str = "no") -> None:
        self.stub.add_client_error(method, code, message, status)


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def east(clock):
    region = Region("us-east-1", clock)
    yield region
    region.stub.assert_no_pending_responses()


@pytest.fixture
def west(clock):
    region = Region("us-west-2", clock)
    yield region
    region.stub.assert_no_pending_responses()


@pytest.fixture
def session(east, west, clock):
    def make(wait=True, timeout=600.0, check_mode=False):
        return CopySession(east.snapshots, west.snapshots, clock, Patience(wait, timeout, 15.0), check_mode)

    return make


def test_a_copy_is_waited_for_until_it_is_available(session, east, west, clock):
    east.finds(described("shop-1", ARN))
    west.finds(None)
    west.stub.add_response("copy_db_snapshot", {"DBSnapshot": copy("creating")})
    west.finds(copy("creating", PercentProgress=10), copy("creating", PercentProgress=80), copy())
    copied = session().copy(WISH, "shop-1")
    assert copied.changed
    assert copied.snapshot["Status"] == "available"
    assert (copied.waited_s, clock.elapsed) == (30.0, 30.0)


def test_the_source_is_waited_for_first_and_both_share_the_deadline(session, east, west):
    east.finds(described("shop-1", ARN, "creating"), described("shop-1", ARN, "creating"), described("shop-1", ARN))
    west.finds(None)
    west.stub.add_response("copy_db_snapshot", {"DBSnapshot": copy("creating")})
    west.finds(*[copy("creating")] * 4)
    with pytest.raises(OperationError, match=r"after 45 s it is creating.*run the same again"):
        session(timeout=60.0).copy(WISH, "shop-1")


def test_a_copy_that_fails_ends_the_wait_at_once(session, east, west, clock):
    east.finds(described("shop-1", ARN))
    west.finds(None)
    west.stub.add_response("copy_db_snapshot", {"DBSnapshot": copy("creating")})
    west.finds(copy("failed"))
    with pytest.raises(OperationError, match=r"it is failed.*aws rds delete-db-snapshot --region us-west-2"):
        session().copy(WISH, "shop-1")
    assert clock.elapsed == 0


def test_a_copy_that_vanishes_ends_the_wait(session, east, west):
    east.finds(described("shop-1", ARN))
    west.finds(None)
    west.stub.add_response("copy_db_snapshot", {"DBSnapshot": copy("creating")})
    west.finds(None, copy("creating"), None)
    with pytest.raises(OperationError, match="gone: somebody has deleted it"):
        session().copy(WISH, "shop-1")


def test_a_source_that_failed_is_not_copied(session, east, west):
    east.finds(described("shop-1", ARN, "failed"), described("shop-1", ARN, "failed"))
    with pytest.raises(OperationError, match="use the DB snapshot shop-1 in us-east-1: it is failed"):
        session().copy(WISH, "shop-1")


def test_a_source_that_is_not_there_is_named(session, east):
    east.finds(None)
    with pytest.raises(OperationError, match="there is none of that name in us-east-1"):
        session().copy(WISH, "shop-1")


def test_a_key_that_cannot_be_used_is_explained(session, east, west):
    east.finds(described("shop-1", ARN))
    west.finds(None)
    west.refuses("copy_db_snapshot", "KMSKeyNotAccessibleFault", message="The key is disabled")
    with pytest.raises(OperationError, match=r"The key is disabled.*use a KMS key of us-west-2 that is enabled"):
        session().copy(WISH, "shop-1")


def test_throttling_is_waited_out(session, east, west, clock):
    east.refuses("describe_db_snapshots", "Throttling")
    east.finds(described("shop-1", ARN))
    west.finds(None)
    west.refuses("copy_db_snapshot", "Throttling", message="Rate exceeded")
    west.refuses("copy_db_snapshot", "RequestLimitExceeded")
    west.stub.add_response("copy_db_snapshot", {"DBSnapshot": copy("creating")})
    west.finds(copy())
    assert session().copy(WISH, "shop-1").changed
    assert clock.elapsed > 0


def test_throttling_without_end_is_an_error(session, east, clock):
    for _refusal in range(40):
        east.refuses("describe_db_snapshots", "Throttling")
    with pytest.raises(OperationError, match="Throttling"):
        session().copy(WISH, "shop-1")
    assert clock.elapsed <= 120
    # What is left over was only there so that it could go on for too long.
    east.stub._queue.clear()


def test_another_run_that_was_faster_made_the_same_copy(session, east, west):
    east.finds(described("shop-1", ARN))
    west.finds(None)
    west.refuses("copy_db_snapshot", "DBSnapshotAlreadyExists")
    west.finds(copy("creating"), copy())
    assert session().copy(WISH, "shop-1").snapshot["Status"] == "available"


def test_another_snapshot_of_that_name_is_not_taken_for_the_copy(session, east, west):
    east.finds(described("shop-1", ARN))
    west.finds(None)
    west.refuses("copy_db_snapshot", "DBSnapshotAlreadyExists")
    west.finds(described("copy-1", COPY_ARN))
    with pytest.raises(OperationError, match="give another target_snapshot"):
        session().copy(WISH, "shop-1")


def test_without_waiting_a_failed_copy_is_still_an_error(session, east, west):
    tags = [{"Key": "managed_by", "Value": "churnguard.ops"}, {"Key": "source", "Value": ARN}]
    tags.append({"Key": "expires_at", "Value": "2026-12-21T00:00:00.000Z"})
    east.finds(described("shop-1", ARN))
    west.finds(copy("failed", TagList=tags))
    with pytest.raises(OperationError, match="it is failed"):
        session(wait=False).copy(WISH, "shop-1")


def test_a_copy_with_another_key_is_no_success(session, east, west):
    east.finds(described("shop-1", ARN))
    west.finds(None)
    west.stub.add_response("copy_db_snapshot", {"DBSnapshot": copy("creating")})
    west.finds({**copy(), "KmsKeyId": KEY + "5"})
    with pytest.raises(OperationError, match="its key is"):
        session().copy(WISH, "shop-1")


def test_check_mode_waits_for_nothing_and_writes_nothing(session, east, west, clock):
    east.finds(described("shop-1", ARN, "creating"))
    west.finds(None)
    copied = session(check_mode=True).copy(WISH, "shop-1")
    assert (copied.changed, copied.snapshot, clock.elapsed) == (True, None, 0)
    assert copied.after["tags"]["source"] == ARN


class TestPruning:
    @staticmethod
    def old(name="old", status="available", days=40):
        tags = [
            {"Key": "managed_by", "Value": "churnguard.ops"},
            {"Key": "expires_at", "Value": (START - timedelta(days=1)).isoformat()},
        ]
        taken = {"SnapshotCreateTime": START - timedelta(days=days), "SnapshotType": "manual"}
        return {"DBSnapshotIdentifier": name, "DBSnapshotArn": "a", "Status": status, "TagList": tags, **taken}

    def lists(self, west, *snapshots):
        west.stub.add_response("describe_db_snapshots", {"DBSnapshots": list(snapshots)})

    def test_one_that_was_prolonged_meanwhile_stays(self, west, clock):
        self.lists(west, self.old("new", days=1), self.old("new2", days=2), self.old())
        prolonged = {**self.old(), "TagList": [{"Key": "managed_by", "Value": "churnguard.ops"}]}
        west.finds(prolonged)
        deleted, keep = prune(west.snapshots, "shop", "churnguard.ops", 2, clock, False)
        assert deleted == []
        assert keep["old"] == "it changed while this ran"

    def test_one_that_is_gone_meanwhile_is_as_good(self, west, clock):
        self.lists(west, self.old("new", days=1), self.old(), self.old("older"))
        west.finds(None, self.old("older"))
        west.refuses("delete_db_snapshot", "DBSnapshotNotFound", 404)
        assert prune(west.snapshots, "shop", "churnguard.ops", 1, clock, False)[0] == ["older"]

    def test_a_refusal_says_what_was_not_deleted(self, west, clock):
        self.lists(west, self.old("new", days=1), self.old())
        west.finds(self.old())
        west.refuses("delete_db_snapshot", "InvalidDBSnapshotState", message="in use")
        with pytest.raises(OperationError, match="delete the DB snapshot old in us-west-2.*in use"):
            prune(west.snapshots, "shop", "churnguard.ops", 1, clock, False)
