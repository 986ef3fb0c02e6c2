# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""elasticache_replication_group and its _info as Ansible runs them, against a real moto server.

moto keeps no member clusters, ignores num_cache_clusters, modifies only some attributes, and leaves a deleted group in
status deleting; what it cannot show is in module_utils/_elasticache, with answers of botocore's Stubber."""

from __future__ import annotations

import json

import botocore.handlers
import pytest
import yaml
from ansible.module_utils.testing import patch_module_args
from ansible_collections.amazon.aws.plugins.module_utils.modules import aws_argument_spec
from ansible_collections.churnguard.ops.plugins.module_utils._elasticache.args import group_options, operation_options
from ansible_collections.churnguard.ops.plugins.modules import (
    elasticache_replication_group,
    elasticache_replication_group_info,
)
from ansible_collections.churnguard.ops.tests.unit.support.moto import GUIDES_CACHE

TOKEN = "a-token-of-24-characters"
CACHE = {**GUIDES_CACHE, "auth_token": TOKEN, "tags": {"Project": "churnguard", "Part": "cache"}}


@pytest.fixture
def requests(monkeypatch):
    """The operations that are sent to ElastiCache, by botocore's own events."""
    sent: list[str] = []

    def note(model, **event):
        sent.append(model.name)

    handlers = [*botocore.handlers.BUILTIN_HANDLERS, ("before-call.elasticache", note)]
    monkeypatch.setattr(botocore.handlers, "BUILTIN_HANDLERS", handlers)
    return sent


@pytest.fixture
def run(moto, capsys, requests):
    def call(module, **options) -> dict:
        requests.clear()
        with patch_module_args({**moto.options, **options}), pytest.raises(SystemExit) as ended:
            module.main()
        output = capsys.readouterr().out
        assert TOKEN not in output
        result = json.loads(output)
        assert (ended.value.code == 0) == (not result.get("failed", False))
        return result

    return call


@pytest.fixture
def manage(run):
    return lambda **options: run(elasticache_replication_group, **{**CACHE, **options})


@pytest.fixture
def look(run):
    return lambda **options: run(elasticache_replication_group_info, **options)["replication_groups"]


def test_a_group_is_created_as_asked(manage, look):
    result = manage()
    assert (result["changed"], result["msg"]) == (True, "Created replication group churnguard-redis.")
    (group,) = look(replication_group_id="churnguard-redis")
    assert group == result["replication_group"] | {"primaries": {"0001": "churnguard-redis-001"}}
    assert group["status"] == "available"
    assert group["member_clusters"] == [f"churnguard-redis-00{number}" for number in (1, 2, 3)]
    assert (group["cache_node_type"], group["snapshot_window"]) == ("cache.r7g.large", "06:00-08:00")
    assert (group["transit_encryption_enabled"], group["at_rest_encryption_enabled"]) == (True, True)
    assert (group["auth_token_enabled"], group["multi_az"]) == (True, "enabled")
    assert group["tags"] == CACHE["tags"]


def test_a_run_with_nothing_to_do_makes_three_requests(manage, requests):
    manage()
    result = manage(_ansible_diff=True)
    assert requests == ["DescribeReplicationGroups", "DescribeCacheClusters", "ListTagsForResource"]
    assert (result["changed"], result["diff"]) == (False, {"before": {}, "after": {}})
    assert result["msg"] == "Nothing to change in replication group churnguard-redis."


def test_what_aws_does_not_tell_is_named_and_warned_of(manage):
    manage()
    result = manage()
    assert result["not_compared"] == ["engine_version", "preferred_maintenance_window"]
    assert "AWS does not tell the current value of engine_version" in str(result["warnings"])


def test_a_change_is_one_request_with_what_differs(manage, requests, look):
    manage()
    result = manage(cache_node_type="cache.r7g.xlarge", snapshot_retention_limit=14, _ansible_diff=True)
    assert result["changed"] is True
    assert result["diff"] == {
        "before": {"cache_node_type": "cache.r7g.large", "snapshot_retention_limit": 7},
        "after": {"cache_node_type": "cache.r7g.xlarge", "snapshot_retention_limit": 14},
    }
    assert requests.count("ModifyReplicationGroup") == 1
    assert {name for name in requests if not name.startswith(("Describe", "List"))} == {"ModifyReplicationGroup"}
    (group,) = look(replication_group_id="churnguard-redis")
    assert (group["cache_node_type"], group["snapshot_retention_limit"]) == ("cache.r7g.xlarge", 14)
    assert manage(cache_node_type="cache.r7g.xlarge", snapshot_retention_limit=14)["changed"] is False


def test_check_mode_only_reads_and_says_what_it_would_do(manage, requests, look):
    result = manage(_ansible_check_mode=True, _ansible_diff=True)
    assert (result["changed"], result["msg"]) == (True, "Would create replication group churnguard-redis.")
    assert result["diff"]["after"]["auth_token"] == "(not shown)"
    assert look() == []
    manage()
    result = manage(_ansible_check_mode=True, cache_node_type="cache.r7g.xlarge", tags={"Part": "other"})
    assert result["msg"] == "Would change cache_node_type, tags of replication group churnguard-redis."
    assert all(name.startswith(("Describe", "List")) for name in requests)
    result = manage(_ansible_check_mode=True, state="absent")
    assert (result["changed"], result["msg"]) == (True, "Would delete replication group churnguard-redis.")
    assert look()[0]["cache_node_type"] == "cache.r7g.large"


def test_tags_are_set_and_removed(manage, requests, look):
    manage()
    assert manage(tags={"Part": "sessions", "Owner": "operations"}, purge_tags=False)["changed"] is True
    assert "RemoveTagsFromResource" not in requests
    assert look()[0]["tags"] == {"Project": "churnguard", "Part": "sessions", "Owner": "operations"}
    assert manage(tags={"Part": "sessions"})["changed"] is True
    assert look()[0]["tags"] == {"Part": "sessions"}
    assert manage(tags={"Part": "sessions"})["changed"] is False


def test_a_change_that_aws_accepts_and_does_not_make_is_a_failure(manage):
    manage()
    result = manage(snapshot_window="01:00-03:00", apply_immediately=True, wait_timeout=0)
    assert result["failed"] is True
    assert "AWS still has the old value of snapshot_window" in result["msg"]


def test_an_answer_that_is_none_of_aws_is_explained(manage):
    manage()
    result = manage(replicas_per_node_group=3, aws_config={"retries": {"max_attempts": 0}})
    assert "Could not add replicas to replication group churnguard-redis: this is no answer of AWS" in result["msg"]
    assert "exception" not in result


def test_what_cannot_be_changed_is_refused_with_all_reasons(manage, requests):
    manage()
    result = manage(port=6380, at_rest_encryption_enabled=False, cache_node_type="cache.r7g.xlarge")
    assert "port is 6379 and stays as it was created, so it cannot become 6380" in result["msg"]
    assert "at_rest_encryption_enabled is True" in result["msg"]
    assert "ModifyReplicationGroup" not in requests


def test_deleting_twice_is_one_deletion(manage, requests):
    assert manage(state="absent")["msg"] == "There is no replication group churnguard-redis."
    manage()
    assert manage(state="absent", wait=False)["changed"] is True
    assert requests == ["DescribeReplicationGroups", "DeleteReplicationGroup"]
    assert manage(state="absent", wait=False)["changed"] is False
    assert requests == ["DescribeReplicationGroups"]
    result = manage(state="absent", wait_timeout=0)
    assert "Could not see the end of replication group churnguard-redis: not done 0 s later" in result["msg"]


def test_a_snapshot_is_taken_once(manage, look, requests):
    manage()
    snapshot = {"state": "snapshot", "snapshot_name": "before-upgrade", "tags": {"Part": "cache"}}
    assert manage(**snapshot, _ansible_check_mode=True)["changed"] is True
    assert look(snapshots=True)[0]["snapshots"] == []
    result = manage(**snapshot)
    assert result["changed"] is True
    assert (result["snapshot"]["snapshot_name"], result["snapshot"]["snapshot_status"]) == (
        "before-upgrade",
        "available",
    )
    assert [entry["snapshot_name"] for entry in look(snapshots=True)[0]["snapshots"]] == ["before-upgrade"]
    assert manage(**snapshot)["changed"] is False
    assert "CreateSnapshot" not in requests


def test_a_snapshot_of_another_group_is_not_taken_for_this_ones(manage):
    manage()
    manage(state="snapshot", snapshot_name="before-upgrade")
    other = {"replication_group_id": "churnguard-other", "state": "snapshot", "snapshot_name": "before-upgrade"}
    assert "there is a snapshot of that name already, of churnguard-redis" in manage(**other)["msg"]


def test_a_failover_of_what_is_not_there_is_refused(manage):
    assert "it does not exist" in manage(state="failover")["msg"]
    manage()
    assert "shard 0001 has no such node" in manage(state="failover", failover_from="churnguard-redis-009")["msg"]
    assert "there is no shard 0002" in manage(state="failover", node_group_id="0002")["msg"]


def test_a_failover_that_has_happened_is_not_repeated(manage, requests):
    manage()
    result = manage(state="failover", failover_from="churnguard-redis-002")
    assert result["changed"] is False
    assert result["msg"] == (
        "The primary of replication group churnguard-redis is churnguard-redis-001, no longer churnguard-redis-002."
    )
    assert requests == ["DescribeReplicationGroups"]


def test_a_failover_in_check_mode_is_only_announced(manage, requests):
    manage()
    result = manage(state="failover", failover_from="churnguard-redis-001", _ansible_check_mode=True)
    assert (result["changed"], result["msg"]) == (
        True,
        "Would fail over shard 0001 of replication group churnguard-redis.",
    )
    assert requests == ["DescribeReplicationGroups"]


def test_a_cluster_of_shards_is_created_and_kept(manage, look):
    sharded = {
        "replication_group_id": "churnguard-valkey",
        "engine": "valkey",
        "engine_version": "8.0",
        "num_node_groups": 2,
        "replicas_per_node_group": 1,
        "cluster_mode": "enabled",
    }
    assert manage(**sharded)["changed"] is True
    assert manage(**sharded)["changed"] is False
    (group,) = look(replication_group_id="churnguard-valkey")
    assert (group["engine"], group["cluster_enabled"]) == ("valkey", True)
    assert group["primaries"] == {"0001": None, "0002": None}
    assert (
        "AWS does not tell which node is the primary"
        in manage(**sharded, state="failover", node_group_id="0001", failover_from="churnguard-valkey-0001-001")["msg"]
    )
    assert "give node_group_id, one of 0001, 0002" in manage(**sharded, state="failover")["msg"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"auth_token": "short"}, "auth_token is not 16 to 128 letters"),
        ({"auth_token": TOKEN, "transit_encryption_enabled": None}, "auth_token needs transit_encryption_enabled"),
        ({"state": "snapshot"}, "state is snapshot but all of the following are missing: snapshot_name"),
        ({"num_cache_clusters": 3}, "mutually exclusive"),
        ({"auth_token_issued": "yesterday"}, "it is not ISO 8601 with a time zone"),
    ],
)
def test_what_makes_no_sense_is_refused_before_aws_is_asked(manage, requests, options, message):
    result = manage(**options)
    assert message in result["msg"]
    assert not [name for name in requests if not name.startswith("Describe")]


def test_a_server_out_of_reach_is_explained(manage):
    result = manage(endpoint_url="http://127.0.0.1:9", aws_config={"retries": {"max_attempts": 0}})
    assert "Could not describe replication group churnguard-redis" in result["msg"]
    assert "check region and endpoint_url" in result["msg"]
    assert "exception" not in result


@pytest.mark.parametrize(
    ("module", "spec"),
    [
        (elasticache_replication_group, {**operation_options(), **group_options()}),
        (elasticache_replication_group_info, elasticache_replication_group_info.argument_spec()),
    ],
)
def test_what_is_documented_is_what_is_accepted(module, spec):
    documented = yaml.safe_load(module.DOCUMENTATION)["options"]
    assert set(documented) == set(spec)
    assert not set(spec) & set(aws_argument_spec())
    for name, entry in spec.items():
        for key in ("type", "default", "choices", "elements", "required", "aliases"):
            assert documented[name].get(key) == entry.get(key), (name, key)
