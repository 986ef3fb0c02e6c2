"""playbooks/backup*.yml against a real moto server, a real PostgreSQL and a real pgBackRest."""

from __future__ import annotations

import json
import subprocess
import sys

import boto3
import pytest
import yaml

from tests.roles.playing import ROOT

sys.path[:0] = [str(ROOT / "collections"), str(ROOT / "lab")]

from ansible_collections.churnguard.ops.tests.unit.support.moto import MotoServer  # noqa: E402
from churnguard_lab.cluster import Cluster  # noqa: E402

from tests.lab.ports import free_ports  # noqa: E402

EAST, WEST = "us-east-1", "us-west-2"
NO_DRILLS = [{"component": "database", "retention_days": 30, "encrypted": True, "max_age": 5400}]


@pytest.fixture(scope="module")
def moto():
    with MotoServer() as running:
        yield running


@pytest.fixture(scope="module")
def aws(moto):
    def client(service, region=EAST):
        keys = {"aws_access_key_id": "lab", "aws_secret_access_key": "moto-secret-key"}
        return boto3.client(service, region_name=region, endpoint_url=moto.url, **keys)

    return client


@pytest.fixture(scope="module")
def shop(aws):
    """A DB instance, a bucket with files, and a versioned bucket in the other region: the targets for them."""
    keys = {region: aws("kms", region).create_key()["KeyMetadata"]["Arn"] for region in (EAST, WEST)}
    aws("rds").create_db_instance(
        DBInstanceIdentifier="shop",
        DBInstanceClass="db.t3.small",
        Engine="postgres",
        AllocatedStorage=20,
        MasterUsername="owner",
        MasterUserPassword="a-long-password",
        StorageEncrypted=True,
        KmsKeyId=keys[EAST],
    )
    aws("s3").create_bucket(Bucket="shop-files")
    aws("s3").put_object(Bucket="shop-files", Key="a.csv", Body=b"a,b")
    target = aws("s3", WEST)
    target.create_bucket(Bucket="shop-recovery", CreateBucketConfiguration={"LocationConstraint": WEST})
    target.put_bucket_versioning(Bucket="shop-recovery", VersioningConfiguration={"Status": "Enabled"})
    copies = {"copy_region": WEST, "copy_kms_key_id": keys[WEST]}
    files = {"source_bucket": "shop-files", "source_region": EAST, "bucket": "shop-recovery", "region": WEST}
    return [
        {"component": "database", "provider": "rds", "db_instance_identifier": "shop", "region": EAST, **copies},
        {"component": "application_data", "provider": "bucket_sync", **files, "prefix": "files/"},
    ]


@pytest.fixture
def play(run_playbook, moto, tmp_path):
    """Runs a playbook of the backups in production's inventory, led to moto."""

    def run(playbook, targets, *options, **variables):
        place = {"backup_targets": targets, "churnguard_aws_environment": moto.environment}
        given = {**place, "report_root": str(tmp_path / "reports"), "backup_drills_dir": "", **variables}
        return run_playbook(playbook, "production", *options, env={"COLUMNS": "250"}, **given)

    return run


def test_backups_are_made_copied_and_found(play, shop, aws, tmp_path):
    policies = yaml.safe_load((ROOT / "roles/backup/defaults/main.yml").read_text())["backup_policies"]
    for policy in policies:
        policy.pop("drill_within", None)
    checked = play("backup", shop, "--check").passed()
    assert checked.changed >= 2
    assert [one for one in _snapshots(aws, EAST) if not one.startswith("rds:")] == []

    made = play("backup", shop).passed()
    assert "2 of 2 targets are backed up." in made.text
    (snapshot,) = [one for one in _snapshots(aws, EAST) if not one.startswith("rds:")]
    assert _snapshots(aws, WEST) == [f"{snapshot}-from-{EAST}"]

    after = play("backup_status", shop, backup_policies=policies[:2]).passed()
    assert f"{snapshot}-from-{EAST}" in after.text
    assert after.changed == 0
    (kept,) = (tmp_path / "reports").rglob("envelopes/*backup_catalog_info.json")
    assert json.loads(kept.read_text())["verdict"] == "passed"


def test_one_target_that_fails_does_not_keep_the_others_from_being_backed_up(play, shop, aws):
    broken = {**shop[0], "db_instance_identifier": "nobody"}
    aws("s3").put_object(Bucket="shop-files", Key="b.csv", Body=b"c,d")
    run = play("backup", [broken, shop[1]])
    assert run.code != 0
    assert "1 of 2 targets could not be backed up: database by rds:" in run.text
    copied = aws("s3", WEST).get_object(Bucket="shop-recovery", Key="files/objects/b.csv")["Body"].read()
    assert copied == b"c,d"


def test_what_does_not_belong_together_is_named_before_anything_is_backed_up(play, shop):
    run = play("backup", [{**shop[0], "component": "ledger"}], backup_components=["ledger", "cache"])
    assert run.code != 0
    assert "No policy is for ledger; add one to backup_policies." in run.text
    assert "No target has cache; correct backup_components" in run.text


def test_the_schedule_is_written_for_cron_and_for_awx(play, tmp_path):
    cron = tmp_path / "cron"
    play("backup_schedule", [], backup_schedule_path=str(cron)).passed()
    jobs = [line for line in cron.read_text().splitlines() if " ops cd " in line]
    assert len(jobs) == 6
    assert jobs[0].startswith("0 * * * * ops cd /home/ops/churnguard && flock -w 1800 ")
    assert jobs[0].endswith("""playbooks/backup.yml -e '{"backup_components": ["database"]}'""")
    for job in jobs:
        # The shell that cron hands the line to has to understand it, and every playbook has to be there.
        subprocess.run(["bash", "-n", "-c", job.split(" ops ", 1)[1]], check=True)
        assert (ROOT / job.split(" -i inventories/production ")[1].split(" ")[0]).is_file()

    awx = tmp_path / "awx.yml"
    play("backup_schedule", [], backup_scheduler="awx", backup_schedule_path=str(awx)).passed()
    schedules = yaml.safe_load(awx.read_text())["controller_schedules"]
    assert schedules[0]["extra_data"] == {"backup_components": ["database"]}
    assert all(one["rrule"].startswith("DTSTART:") for one in schedules)
    assert {one["unified_job_template"] for one in schedules} <= {path.stem for path in ROOT.glob("playbooks/*.yml")}


def test_a_cluster_is_backed_up_verified_and_found(play, tmp_path):
    (port,) = free_ports(1)
    with Cluster(tmp_path / "cluster", port=port, repository=tmp_path / "repository") as cluster:
        target = {"component": "database", "provider": "pgbackrest", "stanza": cluster.stanza}
        targets = [{**target, "config": str(cluster.pgbackrest_config)}]
        records = tmp_path / "verified"
        asked = {"backup_policies": NO_DRILLS, "backup_verifications_dir": str(records)}
        play("backup", targets, **asked).passed()
        policy = {**NO_DRILLS[0], "verify_within": 600}
        found = play("backup_status", targets, backup_policies=[policy], backup_verifications_dir=str(records)).passed()
        assert "database is ok." in found.text

        (manifest,) = cluster.repository.glob("backup/main/[0-9]*F/backup.manifest")
        data = next(manifest.parent.rglob("PG_VERSION*"))
        data.write_bytes(b"\0" * data.stat().st_size)
        broken = play("backup_verify", targets, **asked)
        assert broken.code != 0
        assert "database by pgbackrest: Stanza main: 1 full. Wrong: verify finds 1 broken files." in broken.text


def _snapshots(aws, region: str) -> list[str]:
    found = aws("rds", region).describe_db_snapshots()["DBSnapshots"]
    return sorted(one["DBSnapshotIdentifier"] for one in found)
