# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The replication rule of a bucket beside the rules of others."""

from __future__ import annotations

from dataclasses import replace

import boto3
import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.plugins.module_utils._s3.replication import (
    Replication,
    Wish,
    configuration,
    ensure,
    in_line,
)
from ansible_collections.churnguard.ops.tests.unit.support.clock import FakeClock
from botocore.stub import Stubber

WISH = Wish("files", "arn:aws:iam::111122223333:role/r", "files-replica", "arn:aws:kms:x:1:key/k", "cross-region")
OTHER = {
    "ID": "other",
    "Priority": 7,
    "Status": "Enabled",
    "Filter": {"Prefix": "a/"},
    "DeleteMarkerReplication": {"Status": "Disabled"},
    "Destination": {"Bucket": "arn:aws:s3:::elsewhere"},
}


@pytest.fixture
def s3():
    """A real client whose answers are scripted."""
    client = boto3.client("s3", region_name="us-west-2", aws_access_key_id="x", aws_secret_access_key="x")
    with Stubber(client) as stub:
        yield client, stub


def test_the_rule_is_added_beside_others_and_then_left_alone():
    settings = configuration(WISH, {"Role": WISH.role, "Rules": [OTHER]})
    assert settings["Rules"][0] == OTHER
    assert (settings["Rules"][1]["ID"], settings["Rules"][1]["Priority"]) == ("cross-region", 8)
    assert in_line(settings, WISH)


def test_objects_under_kms_are_selected_together_with_the_key_of_their_copies():
    (rule,) = configuration(WISH, None)["Rules"]
    assert rule["SourceSelectionCriteria"] == {"SseKmsEncryptedObjects": {"Status": "Enabled"}}
    (rule,) = configuration(replace(WISH, key=""), None)["Rules"]
    assert "SourceSelectionCriteria" not in rule and "EncryptionConfiguration" not in rule["Destination"]


@pytest.mark.parametrize(
    "wish",
    [
        replace(WISH, role="other"),
        replace(WISH, destination="elsewhere"),
        replace(WISH, key="other"),
        replace(WISH, deletions=True),
        replace(WISH, storage_class="STANDARD_IA"),
        replace(WISH, rule="other-name"),
    ],
)
def test_each_difference_is_seen(wish):
    assert not in_line(configuration(WISH, None), wish)


def test_check_mode_writes_nothing(s3):
    client, stub = s3
    stub.add_client_error("get_bucket_replication", "ReplicationConfigurationNotFoundError")
    changed, before, after = ensure(Replication(client, "files", FakeClock()), WISH, check_mode=True)
    assert (changed, before, after) == (True, {}, configuration(WISH, None))
    stub.assert_no_pending_responses()


def test_a_rule_that_s3_does_not_keep_is_an_error(s3):
    client, stub = s3
    stub.add_client_error("get_bucket_replication", "ReplicationConfigurationNotFoundError")
    stub.add_response("put_bucket_replication", {})
    kept = {"ReplicationConfiguration": {"Role": WISH.role, "Rules": [OTHER]}}
    stub.add_response("get_bucket_replication", kept)
    with pytest.raises(OperationError, match="S3 took it, yet shows"):
        ensure(Replication(client, "files", FakeClock()), WISH, check_mode=False)
