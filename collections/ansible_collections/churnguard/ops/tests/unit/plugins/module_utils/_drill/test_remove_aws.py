# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Removing a DB instance: protection off, deleted, listed-gone; else exact commands. A Stubber plays AWS."""

from __future__ import annotations

import boto3
import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import Clock
from ansible_collections.churnguard.ops.plugins.module_utils._drill.aws_kinds import (
    RDS_INSTANCE,
    REPLICATION_GROUP,
    TAG_DRILL,
)
from ansible_collections.churnguard.ops.plugins.module_utils._drill.model import Resource
from ansible_collections.churnguard.ops.plugins.module_utils._drill.removal import NotRemoved, Tools
from ansible_collections.churnguard.ops.plugins.module_utils._drill.remove_aws import remove
from botocore.stub import Stubber

DRILL = "region_loss-20261122t030405Z-0a1b"
COPY = Resource("rds_instance", "drill-copy", {"region": "eu-west-1"})
NAMED = {"DBInstanceIdentifier": "drill-copy"}


class Patient(Clock):
    """Sleeps no real time."""

    def __init__(self) -> None:
        self.elapsed = 0.0

    def monotonic(self) -> float:
        return self.elapsed

    def sleep(self, seconds: float) -> None:
        self.elapsed += seconds


@pytest.fixture
def rds():
    client = boto3.client("rds", region_name="eu-west-1", aws_access_key_id="none", aws_secret_access_key="none")
    with Stubber(client) as stubber:
        yield client, stubber
        stubber.assert_no_pending_responses()


def listed(stubber: Stubber, status: str, protected: bool = False, drill: str = DRILL) -> None:
    tags = [{"Key": TAG_DRILL, "Value": drill}]
    found = {**NAMED, "DBInstanceStatus": status, "DeletionProtection": protected, "TagList": tags}
    stubber.add_response("describe_db_instances", {"DBInstances": [found]}, NAMED)


def gone(stubber: Stubber) -> None:
    stubber.add_client_error("describe_db_instances", "DBInstanceNotFound", "not found", 404, expected_params=NAMED)


def deleted(stubber: Stubber) -> None:
    wanted = {**NAMED, "SkipFinalSnapshot": True, "DeleteAutomatedBackups": True}
    stubber.add_response("delete_db_instance", {}, wanted)


def unprotected(stubber: Stubber) -> None:
    wanted = {**NAMED, "DeletionProtection": False, "ApplyImmediately": True}
    stubber.add_response("modify_db_instance", {}, wanted)


def test_protection_is_taken_off_and_the_end_is_waited_for(rds):
    client, stubber = rds
    listed(stubber, "available", protected=True)
    unprotected(stubber)
    deleted(stubber)
    listed(stubber, "deleting", protected=False)
    gone(stubber)
    removal = remove(client, RDS_INSTANCE, COPY, Tools(DRILL, Patient()))
    assert removal.removed and "not listed any more" in removal.proof


def test_one_that_was_never_made_is_nothing_to_do(rds):
    client, stubber = rds
    gone(stubber)
    assert remove(client, RDS_INSTANCE, COPY, Tools(DRILL, Patient())).removed is False


def test_one_that_is_being_deleted_is_only_waited_for(rds):
    client, stubber = rds
    listed(stubber, "deleting")
    gone(stubber)
    assert remove(client, RDS_INSTANCE, COPY, Tools(DRILL, Patient())).removed


def test_somebody_elses_is_never_deleted(rds):
    client, stubber = rds
    listed(stubber, "available", drill="another")
    with pytest.raises(NotRemoved, match="does not name this drill"):
        remove(client, RDS_INSTANCE, COPY, Tools(DRILL, Patient()))


def test_a_refused_deletion_names_the_commands_that_finish_it(rds):
    client, stubber = rds
    listed(stubber, "available")
    stubber.add_client_error("delete_db_instance", "InvalidDBInstanceState", "deletion protection is on")
    with pytest.raises(NotRemoved) as refused:
        remove(client, RDS_INSTANCE, COPY, Tools(DRILL, Patient()))
    assert len(refused.value.commands) == 2
    assert all("drill-copy" in command and "eu-west-1" in command for command in refused.value.commands)
    assert "deletion protection is on" in str(refused.value)


def test_one_that_does_not_go_in_time_is_left_with_its_commands(rds):
    client, stubber = rds
    listed(stubber, "available")
    deleted(stubber)
    for _look in range(241):
        listed(stubber, "deleting")
    with pytest.raises(NotRemoved, match="is deleting after 3600 s"):
        remove(client, RDS_INSTANCE, COPY, Tools(DRILL, Patient()))


def test_a_cache_goes_with_all_its_nodes_and_its_tags_are_asked_for():
    client = boto3.client("elasticache", region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b")
    named, arn = {"ReplicationGroupId": "drill-cache"}, "arn:aws:elasticache:eu-west-1:1:replicationgroup:drill-cache"
    with Stubber(client) as stubber:
        for status in ("available", "deleting"):
            found = {**named, "Status": status, "ARN": arn}
            stubber.add_response("describe_replication_groups", {"ReplicationGroups": [found]}, named)
            if status == "available":
                tags = {"TagList": [{"Key": TAG_DRILL, "Value": DRILL}]}
                stubber.add_response("list_tags_for_resource", tags, {"ResourceName": arn})
                stubber.add_response("delete_replication_group", {}, {**named, "RetainPrimaryCluster": False})
        code = "ReplicationGroupNotFoundFault"
        stubber.add_client_error("describe_replication_groups", code, "gone", 404, expected_params=named)
        resource = Resource("elasticache_replication_group", "drill-cache", {"region": "eu-west-1"})
        removal = remove(client, REPLICATION_GROUP, resource, Tools(DRILL, Patient()))
        stubber.assert_no_pending_responses()
    assert removal.removed and "not listed any more" in removal.proof
