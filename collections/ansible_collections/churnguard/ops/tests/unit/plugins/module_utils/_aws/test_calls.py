# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests under throttling and refusal, with botocore's Stubber."""

from __future__ import annotations

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._aws import tags
from ansible_collections.churnguard.ops.plugins.module_utils._aws.calls import PATIENCE
from ansible_collections.churnguard.ops.plugins.module_utils._aws.errors import AwsError, next_step
from ansible_collections.churnguard.ops.plugins.module_utils._elasticache.plan import Step
from ansible_collections.churnguard.ops.tests.unit.support.elasticache import NAME, Aws, described, script

STEP = Step("modify_replication_group", {"ReplicationGroupId": NAME, "SnapshotRetentionLimit": 1})


def test_a_throttled_request_is_made_again_after_growing_pauses():
    with script() as aws:
        for _attempt in range(5):
            aws.refuse("describe_replication_groups", "Throttling", "Rate exceeded")
        aws.group(described())
        assert aws.api.group(NAME)["Status"] == "available"
        assert 0 < aws.clock.elapsed <= 1 + 2 + 4 + 8 + 16


def test_a_throttled_write_is_made_again():
    with script() as aws:
        aws.refuse("modify_replication_group", "Throttling")
        aws.expect("modify_replication_group", SnapshotRetentionLimit=1)
        aws.api.run(STEP)


def test_a_write_that_may_have_been_carried_out_is_not_made_again():
    with script() as aws:
        aws.refuse("modify_replication_group", "InternalFailure", "oops")
        with pytest.raises(AwsError) as raised:
            aws.api.run(STEP)
        assert (raised.value.code, aws.clock.elapsed) == ("InternalFailure", 0)


def test_a_read_is_made_again_after_a_failure_inside_aws():
    with script() as aws:
        aws.refuse("describe_replication_groups", "InternalFailure")
        aws.group(described())
        assert aws.api.group(NAME) is not None


def test_throttling_that_does_not_end_is_an_error_in_the_end():
    aws = Aws()
    for _attempt in range(500):
        aws.refuse("describe_replication_groups", "Throttling", "Rate exceeded")
    with aws.stub:
        with pytest.raises(AwsError, match="AWS answered Throttling: Rate exceeded. Next: run again later"):
            aws.api.group(NAME)
        assert aws.clock.elapsed <= PATIENCE


def test_a_refusal_names_the_right_that_is_missing():
    with script() as aws:
        aws.refuse("describe_replication_groups", "AccessDenied", "User is not authorized.")
        with pytest.raises(AwsError) as raised:
            aws.api.group(NAME)
    assert str(raised.value) == (
        f"Could not describe replication group {NAME}: AWS answered AccessDenied: User is not authorized. "
        "Next: allow elasticache:DescribeReplicationGroups in the policy of the identity that runs this."
    )


def test_all_pages_are_read():
    with script() as aws:
        first = {"ReplicationGroups": [described()], "Marker": "more"}
        aws.stub.add_response("describe_replication_groups", first, {})
        aws.stub.add_response(
            "describe_replication_groups", {"ReplicationGroups": [described("creating")]}, {"Marker": "more"}
        )
        assert [group["Status"] for group in aws.api.groups()] == ["available", "creating"]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("ExpiredToken", "renew the credentials"),
        ("Throttling", "run again later"),
        ("InvalidAction", "check endpoint_url"),
        ("SnapshotQuotaExceededFault", "quota"),
        ("NodeQuotaForCustomerExceeded", "quota"),
        ("InvalidReplicationGroupState", "wait until the resource is available"),
        ("CacheSubnetGroupNotFoundFault", "create what is missing first"),
        ("InvalidParameterCombination", "correct the option that AWS names"),
        ("", "check region and endpoint_url"),
        ("SomethingNew", "read AWS' answer"),
    ],
)
def test_every_error_has_a_next_step(code, words):
    assert words in next_step(code, "elasticache:CreateReplicationGroup")


def test_missing_credentials_have_their_own_next_step():
    assert "give credentials" in next_step("", "elasticache:*", "Unable to locate credentials")


@pytest.mark.parametrize(
    ("current", "wish", "purge", "difference"),
    [
        ({}, {}, True, ({}, [])),
        ({"a": "1"}, {"a": 1}, True, ({}, [])),
        ({"a": "1"}, {"a": "2"}, True, ({"a": "2"}, [])),
        ({"a": "1", "b": "2"}, {"a": "1"}, True, ({}, ["b"])),
        ({"a": "1", "b": "2"}, {"a": "1"}, False, ({}, [])),
        ({"aws:cloudformation:stack": "x"}, {}, True, ({}, [])),
    ],
)
def test_tags_differ_by_what_is_to_be_set_and_removed(current, wish, purge, difference):
    assert tags.difference(current, wish, purge) == difference
    assert tags.from_aws(tags.to_aws(wish)) == tags.as_text(wish)
