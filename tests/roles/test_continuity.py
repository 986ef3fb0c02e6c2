"""Backups and drills as metrics: roles backup and dr_drill with a real Pushgateway, and without one."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import boto3
import pytest

from tests.roles.playing import ROOT

from .pushgateway import Pushgateway

sys.path[:0] = [str(ROOT / "collections"), str(ROOT / "lab"), str(ROOT / "tests" / "monitoring")]

import rulebook  # noqa: E402
from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import isoformat  # noqa: E402
from ansible_collections.churnguard.ops.tests.unit.support.moto import MotoServer  # noqa: E402

from tests.lab.ports import free_ports  # noqa: E402

REGION = "us-east-1"
BACKUPS = ("job=churnguard-continuity", "part=backups")
DRILLS = ("job=churnguard-continuity", "part=drills")
SUCCESS = "churnguard_backup_last_success_timestamp_seconds"
STATE = "churnguard_backup_state"
UPDATED = "churnguard_continuity_updated_timestamp_seconds"
LAST_RUN = "churnguard_drill_last_run_timestamp_seconds"
PASSED = "churnguard_drill_passed"
FILES = {"component": "files", "provider": "bucket_sync", "source_bucket": "shop-files", "source_region": REGION}
POLICIES = [{"component": name, "max_age": 3600} for name in ("files", "letters")]


@pytest.fixture(scope="module")
def moto():
    with MotoServer() as running:
        keys = {"aws_access_key_id": "lab", "aws_secret_access_key": "moto-secret-key"}
        s3 = boto3.client("s3", region_name=REGION, endpoint_url=running.url, **keys)
        for bucket in ("shop-files", "files-copy", "letters-copy"):
            s3.create_bucket(Bucket=bucket)
            s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        s3.put_object(Bucket="shop-files", Key="a.csv", Body=b"a,b")
        yield running


@pytest.fixture
def gateway(tmp_path):
    with Pushgateway(tmp_path, free_ports(1)[0]) as running:
        yield running


@pytest.fixture
def play(run_playbook, moto, tmp_path):
    """Runs a playbook of the backups in production's inventory, led to moto: files and letters, in a bucket each."""
    targets = [
        {**FILES, "component": name, "bucket": f"{name}-copy", "region": REGION, "prefix": f"{name}/"}
        for name in ("files", "letters")
    ]
    given = {
        "backup_targets": targets,
        "backup_policies": POLICIES,
        "backup_drills_dir": "",
        "churnguard_aws_environment": moto.environment,
        "report_root": str(tmp_path / "reports"),
    }

    def run(playbook, *options, **variables):
        return run_playbook(playbook, "production", *options, env={"COLUMNS": "250"}, **{**given, **variables})

    return run


def write_history(folder, *drills):
    """A history of drills: scenario, days ago, verdict."""
    folder.mkdir(exist_ok=True)
    lines = [
        {
            "drill_id": f"{scenario}-{days}",
            "scenario": scenario,
            "started": isoformat(datetime.now(UTC) - timedelta(days=days)),
            "verdict": verdict,
        }
        for scenario, days, verdict in drills
    ]
    keys = ("rto_s", "rpo_s", "lost_acked_writes", "rto_limit_s", "rpo_limit_s")
    text = "".join(json.dumps({**dict.fromkeys(keys), **line}) + "\n" for line in lines)
    (folder / "history.jsonl").write_text(text)


def test_backups_are_pushed_and_drills_do_not_overwrite_them(play, gateway, run_playbook, tmp_path):
    export = {"pushgateway_url": f"{gateway.url}/"}
    checked = play("backup", "--check", backup_metrics_export=export).passed()
    assert gateway.series() == {}, checked.output

    # Only the files are backed up: what is told is about the letters, too.
    began = time.time()
    made = play("backup", backup_components=["files"], backup_metrics_export=export).passed()
    assert "1 of 1 targets are backed up." in made.text
    found = gateway.series()
    newest = found[SUCCESS, "component=files", "copy=false", *BACKUPS]
    assert began - 1 <= newest <= time.time() + 1
    states = {key[2]: value for key, value in states_of(found, "files").items()}
    assert {name for name, value in states.items() if value == 1} == {"state=ok"}
    assert len(states) == 5
    assert not [key for key in found if key[:2] == (SUCCESS, "component=letters")]
    assert found[STATE, "component=letters", *BACKUPS, "state=missing"] == 1

    # An older one stays there, and what is told of it goes on.
    looked = play("backup_status", backup_metrics_export=export)
    assert looked.code != 0 and "letters is missing" in looked.text
    after = gateway.series()
    assert after[SUCCESS, "component=files", "copy=false", *BACKUPS] == newest
    assert after[UPDATED, *BACKUPS] > found[UPDATED, *BACKUPS]

    write_history(tmp_path / "drills", ("database_loss", 2, "passed"), ("cache_failover", 1, "failed"))
    drilled = {"dr_drill_dir": str(tmp_path / "drills"), "dr_drill_wanted": ["database_loss", "region_loss"]}
    told = run_playbook("dr_status", "production", **drilled, dr_drill_metrics_export=export)
    assert told.code != 0 and "region_loss" in told.text
    both = gateway.series()
    assert both[PASSED, *DRILLS, "scenario=database_loss"] == 1
    assert both[PASSED, *DRILLS, "scenario=cache_failover"] == 0
    assert 2 * 86400 - 60 < time.time() - both[LAST_RUN, *DRILLS, "scenario=database_loss"] < 2 * 86400 + 600
    assert both[LAST_RUN, *DRILLS, "scenario=region_loss"] == 0
    assert both[UPDATED, *DRILLS] > both[UPDATED, *BACKUPS]
    assert {key: value for key, value in both.items() if "part=backups" in key} == after

    accepted = subprocess.run(
        [rulebook.executable(), "check", "metrics"], input=gateway.text(), capture_output=True, text=True, timeout=60
    )
    ours = [line for line in accepted.stdout.splitlines() + accepted.stderr.splitlines() if "churnguard_" in line]
    assert ours == []

    # A component that is no longer backed up goes, too: the group is replaced as a whole.
    fewer = {"backup_targets": [{**FILES, "bucket": "files-copy", "region": REGION, "prefix": "files/"}]}
    play("backup_verify", **fewer, backup_policies=POLICIES[:1], backup_metrics_export=export).passed()
    last = gateway.series()
    assert not [key for key in last if "component=letters" in key]
    assert {key: value for key, value in last.items() if "part=drills" in key} == {
        key: value for key, value in both.items() if "part=drills" in key
    }


def test_without_a_pushgateway_they_are_a_file_and_one_that_is_away_fails_nothing(play, run_playbook, tmp_path):
    folder = tmp_path / "textfile"
    nowhere = f"http://127.0.0.1:{free_ports(1)[0]}"
    export = {"textfile": str(folder / "backups.prom"), "pushgateway_url": nowhere}
    made = play("backup", backup_components=["files"], backup_metrics_export=export).passed()
    assert f"1 of 1 targets are backed up. Metrics could not be pushed to {nowhere}/metrics/job/" in made.text
    assert "Connection refused" in made.text
    text = (folder / "backups.prom").read_text()
    assert f'{SUCCESS}{{component="files",copy="false"}}' in text
    write_history(tmp_path / "drills", ("database_loss", 2, "passed"))
    drilled = {"dr_drill_dir": str(tmp_path / "drills"), "dr_drill_wanted": ["database_loss"]}
    told = {"textfile": str(folder / "drills.prom")}
    run_playbook("dr_status", "production", **drilled, dr_drill_metrics_export=told).passed()
    # node_exporter reads all files as one: a series may be in one of them only.
    both = text + (folder / "drills.prom").read_text()
    series = [line.rsplit(" ", 1)[0] for line in both.splitlines() if not line.startswith("#")]
    assert len(series) == len(set(series))
    assert sorted(path.name for path in folder.iterdir()) == ["backups.prom", "drills.prom"]

    full = run_playbook(
        "dr_status", "production", **drilled, dr_drill_metrics_export={"textfile": "/proc/nobody/drills.prom"}
    ).passed()
    assert "Metrics could not be written to /proc/nobody/drills.prom: Could not write" in full.text


def test_a_catalog_that_cannot_be_read_fails_no_backup(play, gateway):
    broken = [{**policy, "max_age": -1} for policy in POLICIES]
    made = play(
        "backup",
        backup_components=["files"],
        backup_policies=broken,
        backup_metrics_export={"pushgateway_url": gateway.url},
    ).passed()
    assert "1 of 1 targets are backed up. Prometheus was not told of the backups: " in made.text
    assert gateway.series() == {}


def states_of(found, component):
    """The series of its states; the fields of a key are sorted by the labels' names."""
    chosen = {key: value for key, value in found.items() if key[:2] == (STATE, f"component={component}")}
    return {(key[0], key[1], key[-1]): value for key, value in chosen.items()}
