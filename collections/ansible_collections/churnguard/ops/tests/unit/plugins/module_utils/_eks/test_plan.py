# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What leads from a cluster to the wanted one, and what EKS can no longer change."""

from __future__ import annotations

from dataclasses import replace

import boto3
import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.plugins.module_utils._eks import plan
from ansible_collections.churnguard.ops.plugins.module_utils._eks.course import Clusters, Course
from ansible_collections.churnguard.ops.tests.unit.support.clock import FakeClock
from botocore.stub import Stubber

KEY = "arn:aws:kms:us-west-2:111122223333:key/one"
WISH = plan.Wish(
    name="shop",
    role="arn:aws:iam::111122223333:role/shop",
    subnets=("subnet-a", "subnet-b"),
    version="1.35",
    public=True,
    public_cidrs=("198.51.100.0/24",),
    secrets_key=KEY,
    tags={"Project": "shop"},
)


def cluster(wish: plan.Wish = WISH, **changes) -> dict:
    """What EKS would describe after creating C(wish), with changes."""
    asked = plan.creation(wish)
    return {**asked, "arn": "arn:aws:eks:us-west-2:111122223333:cluster/shop", "status": "ACTIVE", **changes}


def test_a_cluster_as_it_is_made_needs_nothing():
    assert plan.steps(WISH, cluster()) == []


@pytest.mark.parametrize(
    ("wish", "methods"),
    [
        (replace(WISH, public_cidrs=("203.0.113.0/24",)), ["update_cluster_config"]),
        (replace(WISH, public=False, public_cidrs=()), ["update_cluster_config"]),
        (replace(WISH, log_types=("audit",)), ["update_cluster_config"]),
        (replace(WISH, tags={"Owner": "me"}), ["tag_resource"]),
        (replace(WISH, version="1.37"), ["update_cluster_version", "update_cluster_version"]),
        (replace(WISH, version="", secrets_key="", tags={}), []),
    ],
)
def test_each_difference_has_its_request(wish, methods):
    assert [step.method for step in plan.steps(wish, cluster())] == methods


def test_upgrades_go_through_every_minor_version():
    steps = plan.steps(replace(WISH, version="1.38"), cluster())
    assert [step.arguments["version"] for step in steps] == ["1.36", "1.37", "1.38"]


def test_secrets_are_encrypted_afterwards_where_they_were_not():
    (step,) = plan.steps(WISH, cluster(encryptionConfig=[]))
    assert step.method == "associate_encryption_config"
    assert step.arguments["encryptionConfig"] == [{"resources": ["secrets"], "provider": {"keyArn": KEY}}]


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        (replace(WISH, version="1.34"), "never goes back to 1.34"),
        (replace(WISH, secrets_key=KEY + "2"), "which EKS cannot change"),
        (replace(WISH, role="other"), "role_arn is"),
        (replace(WISH, subnets=("subnet-a", "subnet-c")), "subnet_ids is"),
        (replace(WISH, version="latest"), "it is not like 1.35"),
    ],
)
def test_what_cannot_be_changed_is_refused(wish, said):
    with pytest.raises(OperationError, match=said):
        plan.steps(wish, cluster())


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        (replace(WISH, public_cidrs=()), "opens its API server to the whole internet"),
        (replace(WISH, public=False, private=False), "nobody could reach"),
        (replace(WISH, subnets=("subnet-a",)), "subnets in two zones"),
    ],
)
def test_a_wish_that_nobody_should_have_is_refused(wish, said):
    with pytest.raises(OperationError, match=said):
        plan.check(wish)


@pytest.fixture
def eks():
    """A real client whose answers are scripted."""
    client = boto3.client("eks", region_name="us-west-2", aws_access_key_id="x", aws_secret_access_key="x")
    with Stubber(client) as stub:
        yield client, stub


def described(status: str) -> dict:
    return {"cluster": {"name": "shop", "status": status}}


def course(client, timeout: float = 60) -> Course:
    clock = FakeClock()
    return Course(Clusters(client, clock), clock, timeout, 15)


def test_making_waits_until_the_cluster_is_active(eks):
    client, stub = eks
    stub.add_client_error("describe_cluster", "ResourceNotFoundException")
    stub.add_response("create_cluster", described("CREATING"), plan.creation(WISH))
    for status in ("CREATING", "CREATING", "ACTIVE"):
        stub.add_response("describe_cluster", described(status))
    actions, before, after = course(client).run(WISH, check_mode=False)
    assert (actions, before, after["status"]) == (["make the cluster"], None, "ACTIVE")
    stub.assert_no_pending_responses()


@pytest.mark.parametrize(("status", "said"), [("FAILED", "will not become active"), ("CREATING", "not active after")])
def test_a_cluster_that_does_not_come_is_told(eks, status, said):
    client, stub = eks
    stub.add_client_error("describe_cluster", "ResourceNotFoundException")
    stub.add_response("create_cluster", described("CREATING"))
    for _look in range(6):
        stub.add_response("describe_cluster", described(status))
    with pytest.raises(OperationError, match=said):
        course(client).run(WISH, check_mode=False)


def test_an_update_without_effect_is_no_success(eks):
    client, stub = eks
    now = cluster(logging={"clusterLogging": []})
    stub.add_response("describe_cluster", {"cluster": now})
    stub.add_response("describe_cluster", {"cluster": now})
    stub.add_response("update_cluster_config", {"update": {}})
    stub.add_response("describe_cluster", {"cluster": now})
    with pytest.raises(OperationError, match="ended it without effect: change what is logged"):
        course(client).run(WISH, check_mode=False)


def test_check_mode_only_looks(eks):
    client, stub = eks
    stub.add_client_error("describe_cluster", "ResourceNotFoundException")
    assert course(client).run(WISH, check_mode=True) == (["make the cluster"], None, None)
    stub.assert_no_pending_responses()
