# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""eks_cluster and s3_bucket_replication against a moto server: check mode, diff, idempotence, and what is refused."""

from __future__ import annotations

import pytest
from ansible_collections.churnguard.ops.plugins.modules import eks_cluster, s3_bucket_replication

ROLE = "arn:aws:iam::123456789012:role/shop"
KEY = "arn:aws:kms:us-west-2:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"


@pytest.fixture
def cluster(run_aws):
    """Runs eks_cluster for the cluster C(shop)."""
    asked = {"name": "shop", "role_arn": ROLE, "subnet_ids": ["subnet-a", "subnet-b"], "tags": {"Project": "shop"}}
    return lambda **options: run_aws(eks_cluster, **{**asked, "wait_interval": 1, **options})


class TestEksCluster:
    def test_check_mode_makes_no_cluster(self, cluster, aws):
        would = cluster(check=True)
        assert (would["changed"], would["actions"], would["cluster"]) == (True, ["make the cluster"], {})
        assert would["diff"]["before"] == {}
        assert would["diff"]["after"]["endpoint_public_access"] is False
        assert aws("eks").list_clusters()["clusters"] == []

    def test_it_is_made_closed_and_logged_and_then_left_alone(self, cluster, aws):
        assert cluster(secrets_kms_key_arn=KEY)["actions"] == ["make the cluster"]
        made = aws("eks").describe_cluster(name="shop")["cluster"]
        assert (made["status"], made["tags"]) == ("ACTIVE", {"Project": "shop"})
        assert made["resourcesVpcConfig"]["endpointPublicAccess"] is False
        assert made["encryptionConfig"] == [{"resources": ["secrets"], "provider": {"keyArn": KEY}}]
        (logging,) = made["logging"]["clusterLogging"]
        assert (logging["enabled"], len(logging["types"])) == (True, 5)
        again = cluster(secrets_kms_key_arn=KEY)
        assert (again["changed"], again["actions"], again["node_groups"]) == (False, [], [])
        assert again["diff"]["before"] == again["diff"]["after"]
        assert again["cluster"]["arn"] == made["arn"]

    def test_a_change_is_told_in_check_mode_and_then_made(self, cluster, aws):
        cluster()
        arn = aws("eks").describe_cluster(name="shop")["cluster"]["arn"]
        for check, tags in ((True, {"Project": "shop"}), (False, {"Project": "shop", "Owner": "ops"})):
            told = cluster(check=check, tags={"Owner": "ops"})
            assert (told["changed"], told["actions"]) == (True, ["set tags"])
            assert told["diff"]["after"]["tags"] == {"Project": "shop", "Owner": "ops"}
            assert aws("eks").list_tags_for_resource(resourceArn=arn)["tags"] == tags
        assert cluster(tags={"Owner": "ops"})["changed"] is False

    def test_node_groups_are_returned(self, cluster, aws):
        cluster()
        aws("eks").create_nodegroup(clusterName="shop", nodegroupName="general", nodeRole=ROLE, subnets=["subnet-a"])
        assert [group["nodegroup_name"] for group in cluster()["node_groups"]] == ["general"]

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"endpoint_public_access": True}, "to the whole internet"),
            ({"endpoint_private_access": False}, "nobody could reach its API server"),
            ({"subnet_ids": ["subnet-a"]}, "give two or more subnet_ids"),
        ],
    )
    def test_what_nobody_should_have_is_refused_before_anything_is_made(self, cluster, aws, options, said):
        refused = cluster(**options)
        assert refused["failed"]
        assert said in refused["msg"]
        assert aws("eks").list_clusters()["clusters"] == []

    def test_what_cannot_be_changed_is_named(self, cluster):
        cluster()
        refused = cluster(role_arn=f"{ROLE}-other")
        assert refused["failed"]
        assert "stays what it was when the cluster was made" in refused["msg"]


@pytest.fixture
def buckets(aws):
    """Two versioned buckets."""
    s3 = aws("s3")
    for name in ("files", "files-replica"):
        s3.create_bucket(Bucket=name)
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return s3


@pytest.fixture
def replicate(run_aws):
    """Runs s3_bucket_replication for the bucket C(files)."""
    asked = {"name": "files", "role_arn": ROLE, "destination_bucket": "files-replica"}
    return lambda **options: run_aws(s3_bucket_replication, **{**asked, **options})


def rules(s3):
    return s3.get_bucket_replication(Bucket="files")["ReplicationConfiguration"]["Rules"]


class TestS3BucketReplication:
    def test_check_mode_tells_the_rule_and_writes_none(self, replicate, buckets):
        would = replicate(check=True)
        assert would["changed"] is True
        assert would["diff"] == {"before": {}, "after": would["replication"]}
        assert [rule["ID"] for rule in would["replication"]["Rules"]] == ["cross-region"]
        with pytest.raises(buckets.exceptions.ClientError, match="ReplicationConfigurationNotFound"):
            rules(buckets)

    def test_the_rule_is_written_once(self, replicate, buckets):
        assert replicate(destination_kms_key_arn=KEY)["changed"] is True
        (rule,) = rules(buckets)
        assert (rule["Status"], rule["DeleteMarkerReplication"]["Status"]) == ("Enabled", "Disabled")
        assert rule["Destination"]["Bucket"] == "arn:aws:s3:::files-replica"
        assert rule["Destination"]["EncryptionConfiguration"] == {"ReplicaKmsKeyID": KEY}
        again = replicate(destination_kms_key_arn=KEY)
        assert again["changed"] is False
        assert again["diff"]["before"] == again["diff"]["after"]

    def test_a_changed_rule_is_replaced_and_others_stay(self, replicate, buckets):
        replicate(rule_id="audit")
        replicate()
        assert replicate(destination_storage_class="STANDARD_IA")["changed"] is True
        found = {rule["ID"]: rule["Destination"].get("StorageClass") for rule in rules(buckets)}
        assert found == {"audit": None, "cross-region": "STANDARD_IA"}

    def test_a_bucket_that_is_not_there_is_named_with_what_was_tried(self, replicate, moto):
        refused = replicate()
        assert refused["failed"]
        assert "set the replication of bucket files" in refused["msg"]
        assert "NoSuchBucket" in refused["msg"]

    def test_a_bucket_without_versions_is_refused_by_s3(self, replicate, aws):
        aws("s3").create_bucket(Bucket="files")
        refused = replicate()
        assert refused["failed"]
        assert "ersioning" in refused["msg"]
