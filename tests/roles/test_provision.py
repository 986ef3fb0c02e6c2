"""playbooks/provision.yml against moto: check mode on an empty account, a first run, and a second that changes nothing.
What stands afterwards is read back with boto3 and held against the operations guide."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from tests.roles.playing import ROOT, Playbook, Run

sys.path.append(str(ROOT / "tests" / "lab"))

from ports import free_ports  # noqa: E402

REGION, RECOVERY, ACCOUNT = "us-west-2", "us-east-1", "123456789012"
NAME = "churnguard-lab"
BUCKET = f"{NAME}-files-{ACCOUNT}"
SECRETS = ("database", "redis", "jwt")


class Moto:
    """One moto server on loopback."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._process = subprocess.Popen(
            [Path(sys.executable).with_name("moto_server"), "-H", "127.0.0.1", "-p", str(port)],
            env={**os.environ, "MOTO_IAM_LOAD_MANAGED_POLICIES": "true"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def ready(self) -> Moto:
        """This server, once it answers."""
        deadline = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(f"{self.url}/moto-api/", timeout=5):
                    return self
            except OSError:
                assert time.monotonic() < deadline and self._process.poll() is None, f"no moto at {self.url}"
                time.sleep(0.2)

    def client(self, service: str, region: str = REGION) -> Any:
        """boto3's client of a service here."""
        return boto3.client(
            service, region, endpoint_url=self.url, aws_access_key_id="test", aws_secret_access_key="test"
        )

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(timeout=30)


@pytest.fixture(scope="module")
def accounts() -> Iterator[tuple[Moto, Moto]]:
    """Two empty accounts: one to provision, one that has to stay empty."""
    servers = [Moto(port) for port in free_ports(2)]
    try:
        yield servers[0].ready(), servers[1].ready()
    finally:
        for server in servers:
            server.stop()


@pytest.fixture(scope="module")
def runs(accounts: tuple[Moto, Moto], run_playbook: Playbook) -> dict[str, Run]:
    """The first and the second run on the first account; beside them, check mode on the second one."""
    full, empty = accounts

    def run(account: Moto, *options: str) -> Run:
        return run_playbook("provision", "lab", *options, churnguard_aws_endpoint_url=account.url)

    with ThreadPoolExecutor(1) as beside:
        check = beside.submit(run, empty, "--check")
        ended = {"first": run(full)}
        ended["secrets"] = secrets_of(full)
        ended["second"] = run(full)
        ended["check"] = check.result()
    return ended


@pytest.fixture(scope="module")
def account(accounts: tuple[Moto, Moto], runs: dict[str, Run]) -> Moto:
    """The account as the two runs left it."""
    runs["first"].passed()
    return accounts[0]


def secrets_of(account: Moto) -> dict[str, Any]:
    """The values of the entries of Secrets Manager that are there, by name."""
    client = account.client("secretsmanager")
    names = [entry["Name"] for entry in client.list_secrets()["SecretList"]]
    return {name: json.loads(client.get_secret_value(SecretId=name)["SecretString"]) for name in names}


def aliases(account: Moto, region: str = REGION) -> dict[str, str]:
    """ARNs of the project's keys by their aliases' last part."""
    client = account.client("kms", region)
    found = {entry["AliasName"]: entry for entry in client.list_aliases()["Aliases"] if "TargetKeyId" in entry}
    prefix = f"alias/{NAME}-"
    return {
        alias.removeprefix(prefix): client.describe_key(KeyId=entry["TargetKeyId"])["KeyMetadata"]["Arn"]
        for alias, entry in found.items()
        if alias.startswith(prefix)
    }


def test_check_mode_passes_on_an_empty_account_and_makes_nothing(runs, accounts):
    runs["check"].passed()
    assert runs["check"].changed > 10
    empty = accounts[1]
    assert empty.client("ec2").describe_vpcs(Filters=[{"Name": "is-default", "Values": ["false"]}])["Vpcs"] == []
    assert empty.client("s3").list_buckets()["Buckets"] == []
    assert empty.client("rds").describe_db_instances()["DBInstances"] == []
    assert empty.client("eks").list_clusters()["clusters"] == []
    assert empty.client("elasticache").describe_replication_groups()["ReplicationGroups"] == []
    assert secrets_of(empty) == {} and aliases(empty) == {}
    assert empty.client("iam").list_roles()["Roles"] == []


def test_the_second_run_changes_nothing(runs):
    assert runs["first"].passed().changed > 10
    assert runs["second"].passed().changed == 0


def test_secrets_are_made_once_and_shown_nowhere(runs, account):
    secrets = secrets_of(account)
    assert secrets == runs["secrets"], "a value changed in the second run"
    assert set(secrets) == {f"churnguard/lab/{name}" for name in SECRETS}
    generated = {
        secrets["churnguard/lab/database"]["password"],
        secrets["churnguard/lab/redis"]["auth_token"],
        secrets["churnguard/lab/jwt"]["jwt-secret"],
    }
    assert len(generated) == 3 and all(len(value) >= 48 for value in generated)
    printed = runs["first"].output + runs["second"].output
    assert not [value for value in generated if value in printed]


def test_keys_rotate(account):
    assert set(aliases(account)) == {"rds", "eks", "s3", "backups"}
    assert set(aliases(account, RECOVERY)) == {"recovery"}
    for region in (REGION, RECOVERY):
        for arn in aliases(account, region).values():
            assert account.client("kms", region).get_key_rotation_status(KeyId=arn)["KeyRotationEnabled"]


def test_only_public_subnets_reach_the_internet_directly_and_databases_not_at_all(account):
    ec2 = account.client("ec2")
    vpc = ec2.describe_vpcs(Filters=[{"Name": "tag:Name", "Values": [NAME]}])["Vpcs"][0]["VpcId"]
    mine = [{"Name": "vpc-id", "Values": [vpc]}]
    tier = {
        subnet["SubnetId"]: next(tag["Value"] for tag in subnet["Tags"] if tag["Key"] == "Name").split("-")[2]
        for subnet in ec2.describe_subnets(Filters=mine)["Subnets"]
    }
    assert sorted(tier.values()) == ["database", "database", "private", "private", "public", "public"]
    ways: dict[str, set[str]] = {}
    for table in ec2.describe_route_tables(Filters=mine)["RouteTables"]:
        out = {
            "nat" if "NatGatewayId" in route else str(route.get("GatewayId", "")).split("-")[0]
            for route in table["Routes"]
            if route.get("DestinationCidrBlock") == "0.0.0.0/0"
        }
        for association in table["Associations"]:
            if association.get("SubnetId"):
                ways.setdefault(tier[association["SubnetId"]], set()).update(out)
    assert ways == {"public": {"igw"}, "private": {"nat"}, "database": set()}


def test_security_groups_give_the_least(account):
    groups = {
        group["GroupName"]: group
        for group in account.client("ec2").describe_security_groups()["SecurityGroups"]
        if group["GroupName"].startswith(NAME)
    }
    application = groups[f"{NAME}-application"]
    assert application["IpPermissions"] == []
    assert {rule["FromPort"] for rule in application["IpPermissionsEgress"]} == {443, 5432, 6379}
    for store, port in (("database", 5432), ("redis", 6379)):
        group = groups[f"{NAME}-{store}"]
        (rule,) = group["IpPermissions"]
        assert (rule["IpProtocol"], rule["FromPort"], rule["ToPort"], rule["IpRanges"]) == ("tcp", port, port, [])
        assert [pair["GroupId"] for pair in rule["UserIdGroupPairs"]] == [application["GroupId"]]
        assert group["IpPermissionsEgress"] == []


def test_the_database_is_the_guides(account):
    rds = account.client("rds")
    (instance,) = rds.describe_db_instances(DBInstanceIdentifier=NAME)["DBInstances"]
    expected = {
        "Engine": "postgres",
        "DBInstanceClass": "db.r6g.xlarge",
        "AllocatedStorage": 100,
        "MaxAllocatedStorage": 1000,
        "StorageEncrypted": True,
        "MultiAZ": True,
        "PubliclyAccessible": False,
        "BackupRetentionPeriod": 30,
        "PreferredBackupWindow": "03:00-04:00",
        "DeletionProtection": True,
        "MonitoringInterval": 60,
        "CopyTagsToSnapshot": True,
        "KmsKeyId": aliases(account)["rds"],
        "MasterUsername": "churnguard",
    }
    assert {name: instance.get(name) for name in expected} == expected
    assert instance["EngineVersion"].split(".")[0] == "15"
    assert instance["MonitoringRoleArn"].endswith(f"role/{NAME}-rds-monitoring")
    assert instance["DBSubnetGroup"]["DBSubnetGroupName"] == NAME
    (group,) = [entry["DBParameterGroupName"] for entry in instance["DBParameterGroups"]]
    parameters = rds.describe_db_parameters(DBParameterGroupName=group)["Parameters"]
    assert {"rds.force_ssl": "1"}.items() <= {p["ParameterName"]: p["ParameterValue"] for p in parameters}.items()


def test_the_cluster_is_encrypted_logs_everything_and_is_not_open_to_everybody(account):
    eks = account.client("eks")
    cluster = eks.describe_cluster(name=NAME)["cluster"]
    (encryption,) = cluster["encryptionConfig"]
    assert encryption == {"resources": ["secrets"], "provider": {"keyArn": aliases(account)["eks"]}}
    logged = {kind for entry in cluster["logging"]["clusterLogging"] if entry["enabled"] for kind in entry["types"]}
    assert logged == {"api", "audit", "authenticator", "controllerManager", "scheduler"}
    network = cluster["resourcesVpcConfig"]
    assert network["endpointPrivateAccess"] and "0.0.0.0/0" not in network["publicAccessCidrs"]
    group = eks.describe_nodegroup(clusterName=NAME, nodegroupName="general")["nodegroup"]
    assert group["scalingConfig"] == {"minSize": 3, "maxSize": 9, "desiredSize": 3}
    template = account.client("ec2").describe_launch_template_versions(LaunchTemplateId=group["launchTemplate"]["id"])
    (version,) = template["LaunchTemplateVersions"]
    assert version["LaunchTemplateData"]["MetadataOptions"]["HttpTokens"] == "required"


def test_buckets_are_versioned_encrypted_private_and_copied(account):
    for name, region, key in (
        (BUCKET, REGION, aliases(account)["s3"]),
        (f"{BUCKET}-replica", RECOVERY, aliases(account, RECOVERY)["recovery"]),
    ):
        s3 = account.client("s3", region)
        assert s3.get_bucket_versioning(Bucket=name)["Status"] == "Enabled"
        (rule,) = s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"]
        encryption = rule["ApplyServerSideEncryptionByDefault"]
        assert (encryption["SSEAlgorithm"], encryption["KMSMasterKeyID"]) == ("aws:kms", key)
        assert all(s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"].values())
        policy = json.loads(s3.get_bucket_policy(Bucket=name)["Policy"])
        assert {"Bool": {"aws:SecureTransport": "false"}} in [one["Condition"] for one in policy["Statement"]]
        (lifecycle,) = s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]
        assert lifecycle["NoncurrentVersionExpiration"]["NoncurrentDays"] == 90
    rules = account.client("s3").get_bucket_replication(Bucket=BUCKET)["ReplicationConfiguration"]["Rules"]
    assert [rule["Destination"]["Bucket"] for rule in rules] == [f"arn:aws:s3:::{BUCKET}-replica"]


def test_the_cache_is_the_guides(account):
    (group,) = account.client("elasticache").describe_replication_groups()["ReplicationGroups"]
    assert group["ReplicationGroupId"] == f"{NAME}-redis"
    assert (group["CacheNodeType"], len(group["MemberClusters"])) == ("cache.r7g.large", 3)
    assert group["TransitEncryptionEnabled"] and group["AtRestEncryptionEnabled"]


def test_another_account_is_refused_before_anything_is_touched(accounts, runs, run_playbook):
    empty = accounts[1]
    run = run_playbook(
        "provision", "lab", churnguard_aws_endpoint_url=empty.url, churnguard_aws_account_id="999999999999"
    )
    assert run.code != 0 and "Nothing was touched" in run.text
    assert aliases(empty) == {}


def test_production_is_the_guide_to_the_letter():
    data = yaml.safe_load((ROOT / "inventories/production/group_vars/all/aws.yml").read_text(encoding="utf-8"))
    defaults = yaml.safe_load((ROOT / "roles/rds_postgres/defaults/main.yml").read_text(encoding="utf-8"))
    database = {**defaults, **{name: value for name, value in data.items() if name.startswith("rds_postgres_")}}
    expected = {
        "engine_version": "15",
        "instance_class": "db.r6g.xlarge",
        "allocated_storage": 100,
        "max_allocated_storage": 1000,
        "multi_az": True,
        "backup_retention_days": 30,
        "backup_window": "03:00-04:00",
        "maintenance_window": "sun:04:00-sun:05:00",
        "deletion_protection": True,
        "performance_insights": True,
        "monitoring_interval": 60,
    }
    assert {name: database[f"rds_postgres_{name}"] for name in expected} == expected
    assert data["redis_elasticache_replication_group_id"] == "churnguard-redis"
    zones = {re.search(r"[a-z]$", subnet["zone"])[0] for subnet in data["aws_network_subnets"]}
    assert zones == {"a", "b", "c"} and data["aws_network_nat"] == "per_zone"
    # Only the owner knows who may reach the API server, and whose account it is.
    assert not {"eks_public_access_cidrs", "churnguard_aws_account_id"} & set(data)
