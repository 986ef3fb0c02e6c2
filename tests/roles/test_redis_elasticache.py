"""Role redis_elasticache against a real moto server."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from tests.roles.playing import ROOT, Playbook, Run

sys.path.append(str(ROOT / "collections"))

from ansible_collections.churnguard.ops.tests.unit.support.moto import MotoServer  # noqa: E402

TOKEN = "Only-the-cache-and-its-clients-know-this"
INVENTORY = """
all:
  hosts:
    localhost:
      ansible_connection: local
      ansible_python_interpreter: "{{ ansible_playbook_python }}"
"""
PLAY = """
- name: Cache
  hosts: localhost
  gather_facts: false
  roles: [redis_elasticache]
  post_tasks:
    - name: Show the endpoint
      ansible.builtin.debug:
        var: redis_elasticache_endpoint
"""


@pytest.fixture(scope="module")
def moto() -> Iterator[MotoServer]:
    with MotoServer() as running:
        yield running


@pytest.fixture
def aws(moto):
    """Clients of the emptied server, by service."""
    moto.reset()

    def client(service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=moto.url,
            region_name="us-east-1",
            aws_access_key_id="lab",
            aws_secret_access_key="moto-secret-key",
        )

    return client


@pytest.fixture
def subnets(aws) -> list[str]:
    ec2 = aws("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.20.0.0/16")["Vpc"]["VpcId"]
    return [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.20.{number}.0/24", AvailabilityZone=f"us-east-1{zone}")["Subnet"][
            "SubnetId"
        ]
        for number, zone in enumerate("ab")
    ]


@pytest.fixture
def play(moto, subnets, run_playbook: Playbook, tmp_path):
    path = tmp_path / "cache.yml"
    path.write_text(PLAY, encoding="utf-8")
    # None of the environments', whose variables would hide the role's defaults.
    inventory = tmp_path / "hosts.yml"
    inventory.write_text(INVENTORY, encoding="utf-8")

    def run(*options: str, **variables: Any) -> Run:
        given = {
            "redis_elasticache_subnet_ids": subnets,
            "redis_elasticache_security_group_ids": ["sg-0123456789abcdef0"],
            **variables,
        }
        ended = run_playbook(path, str(inventory), *options, "-vv", env=moto.environment, **given)
        assert TOKEN not in ended.output
        return ended

    return run


@pytest.fixture
def secret(aws) -> str:
    aws("secretsmanager").create_secret(Name="churnguard/redis", SecretString=json.dumps({"auth_token": TOKEN}))
    return "churnguard/redis"


def test_the_guides_cache_is_made_and_the_second_run_changes_nothing(play, aws, secret, subnets):
    checked = play("--check", redis_elasticache_auth_token_secret=secret).passed()
    elasticache = aws("elasticache")
    assert elasticache.describe_replication_groups()["ReplicationGroups"] == []
    assert checked.changed == 2

    made = play(redis_elasticache_auth_token_secret=secret, redis_elasticache_tags={"Project": "churnguard"}).passed()
    assert made.changed == 2
    assert "master.churnguard-redis" in made.text
    (group,) = elasticache.describe_replication_groups(ReplicationGroupId="churnguard-redis")["ReplicationGroups"]
    assert group["Description"] == "ChurnGuard Redis Cluster"
    assert (group["Engine"], group["CacheNodeType"], len(group["MemberClusters"])) == ("redis", "cache.r7g.large", 3)
    assert (group["AutomaticFailover"], group["MultiAZ"]) == ("enabled", "enabled")
    assert (group["AtRestEncryptionEnabled"], group["TransitEncryptionEnabled"]) == (True, True)
    assert group["AuthTokenEnabled"] is True
    assert (group["SnapshotWindow"], group["SnapshotRetentionLimit"]) == ("06:00-08:00", 7)
    assert group["NodeGroups"][0]["PrimaryEndpoint"]["Port"] == 6379
    tags = elasticache.list_tags_for_resource(ResourceName=group["ARN"])["TagList"]
    assert {tag["Key"]: tag["Value"] for tag in tags} == {"Name": "churnguard-redis", "Project": "churnguard"}
    (network,) = elasticache.describe_cache_subnet_groups(CacheSubnetGroupName="churnguard-redis")["CacheSubnetGroups"]
    assert sorted(subnet["SubnetIdentifier"] for subnet in network["Subnets"]) == sorted(subnets)

    again = play(redis_elasticache_auth_token_secret=secret, redis_elasticache_tags={"Project": "churnguard"}).passed()
    assert again.changed == 0


def test_without_a_password_nothing_is_made(play, aws):
    refused = play()
    assert refused.code != 0
    assert "The cache churnguard-redis would have no password" in refused.text
    assert aws("elasticache").describe_cache_subnet_groups()["CacheSubnetGroups"] == []


def test_a_secret_that_is_missing_is_an_error_except_in_check_mode(play, aws):
    assert play("--check", redis_elasticache_auth_token_secret="churnguard/none").passed().changed == 2
    refused = play(redis_elasticache_auth_token_secret="churnguard/none")
    assert refused.code != 0
    assert "churnguard/none" in refused.text
    assert aws("elasticache").describe_replication_groups()["ReplicationGroups"] == []
