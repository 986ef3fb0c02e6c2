# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Leftovers in AWS, found by tag and removed with proof, against a real moto server."""

from __future__ import annotations

import json
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import Clock, isoformat
from ansible_collections.churnguard.ops.plugins.module_utils._drill import journal, sweeper
from ansible_collections.churnguard.ops.plugins.module_utils._drill.aws_kinds import drill_tags
from ansible_collections.churnguard.ops.plugins.module_utils._drill.journal import Journal
from ansible_collections.churnguard.ops.tests.unit.support.moto import MotoServer

REGION = "eu-west-1"
DRILL = "region_loss-20261122t030405Z-0a1b"


def expires(hours: float) -> str:
    return isoformat(datetime.now(UTC) + timedelta(hours=hours))


def tag_list(name: str, hours: float = -1, drill: str = DRILL) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in drill_tags(drill, expires(hours), name).items()]


@pytest.fixture(scope="module")
def server():
    with MotoServer() as running:
        yield running


class Account:
    """The emptied account, and what a drill would make in it."""

    def __init__(self, server: MotoServer) -> None:
        self.server = server
        server.reset()

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            region_name=REGION,
            endpoint_url=self.server.url,
            aws_access_key_id="lab",
            aws_secret_access_key="moto-secret-key",
        )

    def instance(self, name: str, tags: list[dict[str, str]] | None = None, protected: bool = False) -> None:
        self.client("rds").create_db_instance(
            DBInstanceIdentifier=name,
            DBInstanceClass="db.t4g.micro",
            Engine="postgres",
            AllocatedStorage=20,
            MasterUsername="drill",
            MasterUserPassword="word-of-a-test",
            DeletionProtection=protected,
            Tags=tag_list(name) if tags is None else tags,
        )

    def names(self) -> set[str]:
        rds, cache = self.client("rds"), self.client("elasticache")
        snapshots = rds.describe_db_snapshots(SnapshotType="manual")["DBSnapshots"]
        return (
            {found["DBInstanceIdentifier"] for found in rds.describe_db_instances()["DBInstances"]}
            | {found["DBSnapshotIdentifier"] for found in snapshots}
            | {found["ReplicationGroupId"] for found in cache.describe_replication_groups()["ReplicationGroups"]}
        )


@pytest.fixture
def account(server, monkeypatch) -> Account:
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    return Account(server)


@pytest.fixture
def sweep(tmp_path):
    """Sweeps the region."""

    def run(**more: Any) -> sweeper.Swept:
        wanted = sweeper.Aws([REGION], more.pop("lift_protection", False))
        clock = more.pop("clock", None) or Clock()
        return sweeper.sweep(tmp_path / "drills", [], clock, {}, lambda text: None, aws=wanted, **more)

    return run


def test_what_has_expired_is_removed_with_proof_and_nothing_else(account, sweep):
    account.instance("drill-copy")
    account.client("rds").create_db_snapshot(
        DBInstanceIdentifier="drill-copy", DBSnapshotIdentifier="drill-snap", Tags=tag_list("drill-snap")
    )
    account.instance("young", tag_list("young", hours=1))
    account.instance("production", [{"Key": "Environment", "Value": "production"}])
    account.instance("strange", [{"Key": "churnguard.ops/drill", "Value": "by hand"}])
    # AWS copies tags to what is restored from a snapshot: they are those of the drill's copy.
    account.instance("restored-by-somebody", tag_list("drill-copy"))
    kept = {"young", "production", "strange", "restored-by-somebody"}
    gone = {"drill-copy", "drill-snap"}

    looked = sweep(act=False)
    assert {item["id"] for item in looked.removed} == gone and account.names() == kept | gone
    assert all("proof" not in item for item in looked.removed)

    swept = sweep()
    assert {item["id"]: item["proof"] for item in swept.removed} == {
        name: f"{name} is not listed any more" for name in gone
    }
    assert account.names() == kept and swept.left == [] and swept.changed
    reasons = {item["id"]: item["reason"] for item in swept.kept}
    assert set(reasons) == kept - {"production"}
    assert "copy of another" in reasons["restored-by-somebody"] and "names no drill" in reasons["strange"]
    assert "has not expired" in reasons["young"]

    again = sweep()
    assert not again.changed and account.names() == kept


def test_a_cache_that_stays_in_its_deletion_is_left_with_the_command(account, sweep):
    """moto's replication groups stay so for good; test_remove_aws.py has one that goes."""
    account.client("elasticache").create_replication_group(
        ReplicationGroupId="drill-cache",
        ReplicationGroupDescription="of a drill",
        CacheNodeType="cache.t4g.micro",
        Tags=tag_list("drill-cache"),
    )
    assert [item["kind"] for item in sweep(act=False).removed] == ["elasticache_replication_group"]
    (left,) = sweep(clock=Leaping()).left
    assert "drill-cache is deleting after 3600 s" in left["error"]
    place = f"--region {REGION} --replication-group-id drill-cache"
    assert left["commands"] == [f"aws elasticache delete-replication-group {place} --no-retain-primary-cluster"]


class Leaping(Clock):
    """Ten minutes go by at each sleep."""

    def __init__(self) -> None:
        self.slept = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.slept

    def sleep(self, seconds: float) -> None:
        self.slept += 600.0


def test_what_is_protected_is_left_with_the_commands_until_that_is_allowed_to_be_lifted(account, sweep):
    account.instance("drill-copy", protected=True)
    for act in (False, True):
        swept = sweep(act=act)
        (left,) = swept.left
        assert "protected from deletion" in left["error"] and not swept.changed
        place = f"--region {REGION} --db-instance-identifier drill-copy"
        assert left["commands"] == [
            f"aws rds modify-db-instance {place} --no-deletion-protection --apply-immediately",
            f"aws rds delete-db-instance {place} --skip-final-snapshot --delete-automated-backups",
        ]
        assert account.names() == {"drill-copy"}
    assert [item["id"] for item in sweep(lift_protection=True).removed] == ["drill-copy"]
    assert account.names() == set()


def test_an_identity_that_may_not_lift_the_protection_leaves_it_and_says_so(account, sweep, monkeypatch):
    account.instance("drill-copy", protected=True)
    iam = account.client("iam")
    iam.create_user(UserName="sweeper")
    key = iam.create_access_key(UserName="sweeper")["AccessKey"]
    statements = [
        {"Effect": effect, "Action": action, "Resource": "*"}
        for effect, action in (("Allow", "*"), ("Deny", "rds:ModifyDBInstance"))
    ]
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    iam.put_user_policy(UserName="sweeper", PolicyName="sweep", PolicyDocument=policy)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
    # boto3 keeps the credentials that a process began with.
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    authorize(account.server, "0")
    try:
        swept = sweep(lift_protection=True)
    finally:
        authorize(account.server, "inf")
    (left,) = swept.left
    assert "AccessDenied" in left["error"] and "rds:ModifyDBInstance" in left["error"]
    assert len(left["commands"]) == 2 and account.names() == {"drill-copy"}


def authorize(server: MotoServer, after: str) -> None:
    """Have moto ask IAM from the request after that many on."""
    request = urllib.request.Request(
        f"{server.url}/moto-api/reset-auth", after.encode(), {"Content-Type": "text/plain"}
    )
    with urllib.request.urlopen(request, timeout=30):
        pass


def test_what_nothing_here_removes_is_told(account, sweep):
    tags = {tag["Key"]: tag["Value"] for tag in tag_list("drill-queue")}
    account.client("sqs").create_queue(QueueName="drill-queue", tags=tags)
    (left,) = sweep().left
    assert left["kind"] == "unknown" and left["id"].endswith(":drill-queue") and left["id"] in left["commands"][0]


def test_a_drill_that_has_its_journal_sees_to_its_own(account, sweep, tmp_path):
    account.instance("drill-copy", protected=True)
    made = Journal(tmp_path / "drills" / DRILL, Clock())
    made.open()
    subject = {"scenario": "region_loss", "component": "x", "source": "x", "target": "x", "environment": "lab"}
    started = {"subject": {**subject, "drill_id": DRILL}, "text": ""}
    made.append(journal.STARTED, {**started, "expires_at": expires(1)})
    made.append(journal.PLANNED, {"kind": "rds_instance", "id": "drill-copy", "remove": {"region": REGION}})
    swept = sweep()
    assert {item.get("id") for item in swept.kept} == {None, "drill-copy"} and account.names() == {"drill-copy"}
    made.append(journal.STARTED, {**started, "expires_at": expires(-1)})
    made.close()
    lines = (tmp_path / "drills" / DRILL / journal.FILE).read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "drills" / DRILL / journal.FILE).write_text("".join([lines[2], lines[1]]), encoding="utf-8")
    swept = sweep()
    assert [drill.state for drill in swept.drills] == ["cleaned"] and account.names() == set()
    assert swept.removed == swept.left == []


def test_an_aws_that_does_not_answer_is_left_and_not_silent(sweep, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "lab")
    # Nobody listens on the port of nobody.
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    (left,) = sweep().left
    assert "look for what drills left in eu-west-1" in left["error"] and left["commands"]
