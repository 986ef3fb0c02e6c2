"""playbooks/dr_sweep.yml finds what drills left in AWS by its tags, on a real moto server."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta

import boto3
import pytest

from tests.roles.playing import ROOT, Playbook

sys.path.append(str(ROOT / "collections"))

from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import isoformat  # noqa: E402
from ansible_collections.churnguard.ops.plugins.module_utils._drill.aws_kinds import drill_tags  # noqa: E402
from ansible_collections.churnguard.ops.tests.unit.support.moto import MotoServer  # noqa: E402

REGION = "us-east-1"
DRILL = "region_loss-20261122t030405Z-0a1b"


@pytest.fixture
def moto():
    with MotoServer() as running:
        yield running


def test_check_mode_lists_and_a_run_removes_and_fails_for_what_is_protected(moto, run_playbook: Playbook, tmp_path):
    rds = boto3.client(
        "rds", REGION, endpoint_url=moto.url, aws_access_key_id="lab", aws_secret_access_key="moto-secret-key"
    )
    expired = isoformat(datetime.now(UTC) - timedelta(hours=1))
    for name, protected in (("drill-copy", False), ("drill-kept", True)):
        tags = [{"Key": key, "Value": value} for key, value in drill_tags(DRILL, expired, name).items()]
        rds.create_db_instance(
            DBInstanceIdentifier=name,
            DBInstanceClass="db.t4g.micro",
            Engine="postgres",
            AllocatedStorage=20,
            MasterUsername="drill",
            MasterUserPassword="word-of-a-test",
            DeletionProtection=protected,
            Tags=tags,
        )
    variables = {
        "churnguard_aws_endpoint_url": moto.url,
        "dr_drill_dir": str(tmp_path),
        "dr_drill_scratch_dirs": [],
        "dr_drill_sweep_aws_regions": [REGION],
    }

    def instances() -> list[str]:
        return [found["DBInstanceIdentifier"] for found in rds.describe_db_instances()["DBInstances"]]

    looked = run_playbook("dr_sweep", "lab", "--check", "--diff", **variables, dr_drill_sweep_lift_protection=True)
    assert "Would finish 0 drills and remove drill-copy, drill-kept" in looked.passed().text
    assert instances() == ["drill-copy", "drill-kept"]

    swept = run_playbook("dr_sweep", "lab", **variables)
    assert swept.code != 0 and "drill-kept: it is protected from deletion" in swept.text
    command = f"aws rds delete-db-instance --region {REGION} --db-instance-identifier drill-kept --skip-final-snapshot"
    assert command in swept.text and instances() == ["drill-kept"]
