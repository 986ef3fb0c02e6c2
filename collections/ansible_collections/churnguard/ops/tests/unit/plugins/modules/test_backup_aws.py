# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""rds_snapshot_copy, bucket_sync and backup_catalog_info as Ansible runs them, against a real moto server.

Waits and refusals that moto cannot show are in module_utils/_backup/test_rds_copy.py."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._drill import history
from ansible_collections.churnguard.ops.plugins.modules import (
    backup_catalog_info,
    bucket_sync,
    rds_snapshot_copy,
)

EAST, WEST = "us-east-1", "us-west-2"


@pytest.fixture
def run(run_aws):
    return run_aws


@pytest.fixture
def keys(aws):
    return {region: aws("kms", region).create_key()["KeyMetadata"]["Arn"] for region in (EAST, WEST)}


@pytest.fixture
def shop(aws, keys):
    """An encrypted DB instance with one manual snapshot."""
    rds = aws("rds")
    rds.create_db_instance(
        DBInstanceIdentifier="shop",
        DBInstanceClass="db.t3.small",
        Engine="postgres",
        AllocatedStorage=20,
        MasterUsername="owner",
        MasterUserPassword="a-long-password",
        StorageEncrypted=True,
        KmsKeyId=keys[EAST],
    )
    tags = [{"Key": "team", "Value": "ops"}]
    rds.create_db_snapshot(DBInstanceIdentifier="shop", DBSnapshotIdentifier="shop-1", Tags=tags)
    return rds


@pytest.fixture
def copying(run, shop, keys):
    def call(check=False, **options):
        place = {"source_snapshot": "shop-1", "source_region": EAST, "region": WEST, "kms_key_id": keys[WEST]}
        return run(rds_snapshot_copy, check, **{**place, **options})

    return call


def names(rds):
    return sorted(one["DBSnapshotIdentifier"] for one in rds.describe_db_snapshots()["DBSnapshots"])


class TestCopy:
    def test_check_then_copy_then_nothing_to_do(self, copying, aws, keys):
        west = aws("rds", WEST)
        planned = copying(check=True)
        assert (planned["changed"], planned["snapshot"], names(west)) == (True, {}, [])
        made = copying()
        assert made["changed"]
        assert made["diff"]["after"] == planned["diff"]["after"]
        (copy,) = west.describe_db_snapshots()["DBSnapshots"]
        assert (copy["Encrypted"], copy["KmsKeyId"]) == (True, keys[WEST])
        tags = {tag["Key"]: tag["Value"] for tag in copy["TagList"]}
        assert tags["team"] == "ops"
        assert tags["source"].endswith("snapshot:shop-1")
        again = copying()
        assert (again["changed"], again["diff"]["before"]) == (False, again["diff"]["after"])
        assert copying(check=True)["changed"] is False
        assert names(west) == ["shop-1-from-us-east-1"]

    def test_a_longer_retention_is_a_new_tag_and_no_new_copy(self, copying, aws):
        first = copying(retention_days=10)
        assert copying(check=True, retention_days=20)["changed"]
        second = copying(retention_days=20)
        assert second["changed"]
        assert second["snapshot"]["tags"]["expires_at"] > first["snapshot"]["tags"]["expires_at"]
        assert second["diff"]["before"]["tags"]["team"] == second["diff"]["after"]["tags"]["team"]
        assert copying(retention_days=20)["changed"] is False
        assert len(names(aws("rds", WEST))) == 1

    def test_an_automated_snapshot_is_copied_under_a_name_that_is_allowed(self, copying, shop):
        automated = next(name for name in names(shop) if name.startswith("rds:"))
        made = copying(source_snapshot=automated)
        assert made["snapshot"]["db_snapshot_identifier"] == f"{automated[4:]}-from-us-east-1"

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"kms_key_id": None}, "is encrypted with a key of us-east-1"),
            ({"source_snapshot": "shop-9"}, "there is none of that name in us-east-1"),
            ({"region": EAST}, "both are the same region"),
            ({"retention_days": 0}, "use retention_days 0: it is less than 1"),
        ],
    )
    def test_mistakes_are_named_and_nothing_is_written(self, copying, aws, options, said):
        refused = copying(**options)
        assert refused["failed"]
        assert said in refused["msg"]
        assert names(aws("rds", WEST)) == []


class TestPruning:
    @pytest.fixture
    def aged(self, shop):
        """Snapshots of the instance that expired, by days from now; all hold the data of now."""

        def make(**expiries):
            for name, days in expiries.items():
                when = (datetime.now(UTC) + timedelta(days=days)).isoformat()
                tags = [{"Key": "managed_by", "Value": "churnguard.ops"}, {"Key": "expires_at", "Value": when}]
                shop.create_db_snapshot(DBInstanceIdentifier="shop", DBSnapshotIdentifier=name, Tags=tags)

        return make

    def test_expired_copies_go_and_nothing_else(self, run, shop, aged):
        aged(old=-2, older=-9, young=5, newest=30)
        options = {"state": "pruned", "db_instance_identifier": "shop", "region": EAST, "keep_last": 1}
        planned = run(rds_snapshot_copy, check=True, **options)
        assert (planned["changed"], planned["deleted"]) == (True, ["old", "older"])
        assert {"old", "older"} <= set(names(shop))
        done = run(rds_snapshot_copy, **options)
        assert done["deleted"] == planned["deleted"]
        assert "old" in done["diff"]["before"]["snapshots"]
        assert [name for name in names(shop) if ":" not in name] == ["newest", "shop-1", "young"]
        assert "not made here" in done["kept"]["shop-1"]
        again = run(rds_snapshot_copy, **options)
        assert (again["changed"], again["deleted"]) == (False, [])

    def test_the_last_ones_stay_though_they_have_expired(self, run, shop, aged):
        aged(old=-2, older=-9)
        options = {"state": "pruned", "db_instance_identifier": "shop", "region": EAST}
        assert run(rds_snapshot_copy, **options, keep_last=2)["deleted"] == []
        refused = run(rds_snapshot_copy, **options, keep_last=0)
        assert refused["failed"]
        assert {"old", "older"} <= set(names(shop))


@pytest.fixture
def buckets(aws):
    """Two buckets in two regions, and a way to put files into the first; the second is versioned."""
    source, target = aws("s3"), aws("s3", WEST)
    source.create_bucket(Bucket="shop-files")
    target.create_bucket(Bucket="shop-recovery", CreateBucketConfiguration={"LocationConstraint": WEST})
    target.put_bucket_versioning(Bucket="shop-recovery", VersioningConfiguration={"Status": "Enabled"})
    return source, target


@pytest.fixture
def syncing(run):
    def call(check=False, **options):
        place = {"source_bucket": "shop-files", "source_region": EAST, "bucket": "shop-recovery", "region": WEST}
        return run(bucket_sync, check, **{**place, "prefix": "files/", **options})

    return call


def fill(source, **files):
    for name, text in files.items():
        source.put_object(Bucket="shop-files", Key=f"d/{name}", Body=text.encode())


def content(target, name):
    return target.get_object(Bucket="shop-recovery", Key=f"files/objects/d/{name}")["Body"].read().decode()


class TestSync:
    def test_check_then_copy_then_nothing_to_do(self, syncing, buckets):
        source, target = buckets
        fill(source, a="one", b="two")
        assert syncing(check=True)["copied"] == ["d/a", "d/b"]
        assert "Contents" not in target.list_objects_v2(Bucket="shop-recovery")
        done = syncing()
        assert (done["changed"], done["copied"], done["wrong"]) == (True, ["d/a", "d/b"], [])
        assert {name: done["manifest"][name] for name in ("objects", "bytes", "encrypted")} == {
            "objects": 2,
            "bytes": 6,
            "encrypted": True,
        }
        assert content(target, "b") == "two"
        again = syncing()
        assert (again["changed"], again["copied"], again["manifest"]["unchanged"]) == (False, [], 2)

    def test_only_what_changed_is_copied_and_the_earlier_version_stays(self, syncing, buckets):
        source, target = buckets
        fill(source, a="one", b="two")
        first = syncing()["manifest"]
        fill(source, b="TWO", c="three")
        assert syncing()["copied"] == ["d/b", "d/c"]
        assert content(target, "b") == "TWO"
        stamp = first["taken_at"].replace("-", "").replace(":", "")
        record = target.get_object(Bucket="shop-recovery", Key=f"files/manifests/{stamp}.keys.json")["Body"].read()
        version = json.loads(record)["keys"]["d/b"]["version"]
        earlier = target.get_object(Bucket="shop-recovery", Key="files/objects/d/b", VersionId=version)
        assert earlier["Body"].read() == b"two"

    def test_a_copy_that_somebody_spoilt_is_made_anew(self, syncing, buckets):
        source, target = buckets
        fill(source, a="one", b="two")
        syncing()
        target.put_object(Bucket="shop-recovery", Key="files/objects/d/a", Body=b"spoilt")
        target.delete_object(Bucket="shop-recovery", Key="files/objects/d/b")
        assert syncing()["copied"] == ["d/a", "d/b"]
        assert (content(target, "a"), content(target, "b")) == ("one", "two")

    def test_what_is_gone_stays_unless_purge_is_asked_for_and_never_goes_for_good(self, syncing, buckets):
        source, target = buckets
        fill(source, a="one", b="two")
        syncing()
        source.delete_object(Bucket="shop-files", Key="d/b")
        assert syncing()["removed"] == []
        assert content(target, "b") == "two"
        assert syncing(check=True, purge=True)["removed"] == ["d/b"]
        assert syncing(purge=True)["removed"] == ["d/b"]
        versions = target.list_object_versions(Bucket="shop-recovery", Prefix="files/objects/d/b")
        assert len(versions["Versions"]) == 1
        assert syncing(purge=True)["changed"] is False

    def test_a_target_without_versions_is_refused(self, syncing, buckets):
        source, target = buckets
        fill(source, a="one")
        target.put_bucket_versioning(Bucket="shop-recovery", VersioningConfiguration={"Status": "Suspended"})
        refused = syncing()
        assert "its versioning is Suspended" in refused["msg"]
        assert "Contents" not in target.list_objects_v2(Bucket="shop-recovery")

    @pytest.mark.parametrize(
        ("options", "said"),
        [({"bucket": "shop-files"}, "the same bucket"), ({"source_bucket": "none"}, "NoSuchBucket")],
    )
    def test_mistakes_are_named(self, syncing, buckets, options, said):
        refused = syncing(**options)
        assert refused["failed"]
        assert said in refused["msg"]


class TestCatalog:
    POLICY = {"component": "database", "encrypted": True, "cross_region": True, "max_age": 600, "copy_max_age": 600}
    SOURCES = [
        {"component": "database", "provider": "rds", "db_instance_identifier": "shop", "region": EAST},
        {"component": "database", "provider": "rds", "db_instance_identifier": "shop", "region": WEST, "copy": True},
    ]

    def test_a_missing_copy_fails_and_making_it_heals(self, run, copying):
        failed = run(backup_catalog_info, policies=[self.POLICY], sources=self.SOURCES)
        assert failed["failed"]
        assert [(one["location"], one["state"]) for one in failed["problems"]] == [("us-west-2/shop", "missing")]
        assert failed["envelope"]["verdict"] == "failed"
        copying()
        healed = run(backup_catalog_info, policies=[self.POLICY], sources=self.SOURCES)
        assert healed["problems"] == []
        assert (healed["changed"], healed["msg"]) == (False, "database is ok.")
        ages = [one for one in healed["envelope"]["measurements"] if one["name"] == "backup_age_s"]
        assert [(one["limit"], one["verdict"]) for one in ages] == [(600, "passed")] * 2
        (copy,) = [row for row in healed["backups"] if row["copy"]]
        assert (copy["id"], copy["size_bytes"]) == ("shop-1-from-us-east-1", 20 * 1024**3)

    def test_fail_on_decides(self, run, shop):
        looked = run(backup_catalog_info, policies=[self.POLICY], sources=self.SOURCES, fail_on=["stale"])
        assert not looked.get("failed")
        assert looked["components"][0]["state"] == "missing"

    def test_a_source_that_cannot_be_asked_does_not_hide_the_others(self, run, shop):
        nowhere = {"component": "files", "provider": "bucket_sync", "bucket": "no-such-bucket", "region": WEST}
        found = run(backup_catalog_info, policies=[], sources=[nowhere, self.SOURCES[0]], fail_on=[])
        states = {one["component"]: one["state"] for one in found["components"]}
        assert states == {"files": "missing", "database": "ok"}
        assert "NoSuchBucket" in found["problems"][0]["detail"]

    def test_a_synchronised_bucket_is_a_backup_and_one_without_proof_is_none(self, run, syncing, buckets):
        source, target = buckets
        fill(source, a="one")
        manifest = syncing()["manifest"]
        where = {"component": "files", "provider": "bucket_sync", "bucket": "shop-recovery", "region": WEST}
        policy = {"component": "files", "encrypted": True, "max_age": 600, "verify_within": 600}
        sources = [{**where, "prefix": "files/"}]
        found = run(backup_catalog_info, policies=[policy], sources=sources)
        assert [(row["state"], row["verified_at"]) for row in found["backups"]] == [("ok", manifest["verified_at"])]
        broken = {**manifest, "error": "d/a is not there", "verified_at": None, "finished_at": "2999-01-01T00:00:00Z"}
        key = "files/manifests/29990101T000000Z.manifest.json"
        target.put_object(Bucket="shop-recovery", Key=key, Body=json.dumps(broken).encode())
        found = run(backup_catalog_info, policies=[policy], sources=sources)
        assert found["components"][0]["state"] == "failed"
        assert "d/a is not there" in found["msg"]

    def test_drills_count_for_the_backup_that_their_line_of_the_history_names(self, run, shop, tmp_path):
        started = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
        subject = {"drill_id": "d-1", "scenario": "database_loss", "component": "database", "environment": "staging"}
        envelope = {"subject": subject, "started": started, "finished": started, "verdict": "passed"}
        evidence = [{"kind": "backup", "label": "shop-1"}]
        history.append(tmp_path, history.line({**envelope, "measurements": [], "evidence": evidence}))
        policy = {"component": "database", "drill_within": 7200}
        found = run(backup_catalog_info, policies=[policy], sources=self.SOURCES[:1], drills_dir=str(tmp_path))
        drilled = {row["id"]: row["drill_passed_at"] for row in found["backups"]}
        assert drilled["shop-1"] is not None
        assert [name for name, when in drilled.items() if when] == ["shop-1"]
        policy["drill_within"] = 1800
        stale = run(backup_catalog_info, policies=[policy], sources=self.SOURCES[:1], drills_dir=str(tmp_path))
        assert (stale["failed"], stale["components"][0]["state"]) == (True, "unverified")

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"sources": [{"component": "a", "provider": "pgbackrest"}]}, "it needs stanza"),
            ({"sources": [{"component": "a", "provider": "namespace_export", "namespace": "n"}]}, "it needs path"),
            ({"policies": [{"component": "a", "max_age": -1}]}, "has -1 as max_age"),
            ({"policies": [{"component": "a"}] * 2}, "more than one policy"),
        ],
    )
    def test_mistakes_are_named(self, run, options, said):
        refused = run(backup_catalog_info, **{"policies": [], "sources": [], **options})
        assert refused["failed"]
        assert said in refused["msg"]
