# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When two values of an option mean the same, and what is refused before AWS is asked."""

from __future__ import annotations

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.plugins.module_utils._elasticache import attributes, validate

KEY = "arn:aws:kms:us-east-1:123456789012:key/1234-abcd"


@pytest.mark.parametrize(
    ("same", "wish", "current", "answer"),
    [
        (attributes.same_version, "7.0", "7.0.7", True),
        (attributes.same_version, "7.0.4", "7.0.7", True),
        (attributes.same_version, "7", "7.1.0", True),
        (attributes.same_version, "6.x", "6.2.6", True),
        (attributes.same_version, "7.1", "7.0.7", False),
        (attributes.same_version, "7.10", "7.1.0", False),
        (attributes.same_version, "8.0", "8.0.1", True),
        (attributes.same_version, "5.0.6", "5.0.6", True),
        (attributes.same_version, "5.0.5", "5.0.6", False),
        (attributes.same_window, "Sun:05:00-Sun:06:00", "sun:05:00-sun:06:00", True),
        (attributes.same_window, "sun:5:00-sun:6:00", "sun:05:00-sun:06:00", True),
        (attributes.same_window, "05:00-6:00", "05:00-06:00", True),
        (attributes.same_window, "sun:05:00-sun:06:00", "mon:05:00-mon:06:00", False),
        (attributes.same_window, "10:00-11:00", "01:00-11:00", False),
        (attributes.same_text, "ChurnGuard-Redis", "churnguard-redis", True),
        (attributes.same_text, "a", "b", False),
        (attributes.same_set, ["sg-2", "sg-1"], ["sg-1", "sg-2"], True),
        (attributes.same_set, ["sg-1"], ["sg-1", "sg-2"], False),
        (attributes.same_key, "1234-abcd", KEY, True),
        (attributes.same_key, KEY, KEY, True),
        (attributes.same_key, "9999-abcd", KEY, False),
        (attributes.same_key, KEY, "", False),
    ],
)
def test_values_that_mean_the_same(same, wish, current, answer):
    assert same(wish, current) is answer


@pytest.mark.parametrize(
    ("wish", "current", "answer"),
    [("7.0", "7.1.0", True), ("7.1", "7.0.7", False), ("6.x", "7.0.7", True), ("7.0", "7.0.7", False)],
)
def test_a_way_back_is_known_as_one(wish, current, answer):
    assert attributes.older_version(wish, current) is answer


def test_every_option_is_in_one_table_only():
    names = [attribute.option for attribute in attributes.ATTRIBUTES]
    assert len(names) == len(set(names))
    assert not set(names) & set(attributes.CREATE_ONLY)


GOOD = {
    "replication_group_id": "churnguard-redis",
    "num_cache_clusters": 3,
    "automatic_failover_enabled": True,
    "multi_az_enabled": True,
    "transit_encryption_enabled": True,
    "auth_token": "a!b&c#d$e^f<g>h-12345",
    "engine_version": "7.0",
    "preferred_maintenance_window": "Sun:5:00-Sun:6:00",
    "snapshot_window": "06:00-08:00",
    "snapshot_retention_limit": 35,
    "port": 6379,
}


def test_a_sensible_wish_passes():
    assert validate.check(GOOD) is None
    assert validate.check({"replication_group_id": "a"}) is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"replication_group_id": "1st"}, "replication_group_id '1st' is not"),
        ({"replication_group_id": "a--b"}, "single hyphens"),
        ({"replication_group_id": "a-"}, "replication_group_id"),
        ({"replication_group_id": "a" * 41}, "1 to 40"),
        ({"preferred_maintenance_window": "sunday 5-6"}, "is not like sun:05:00-sun:06:00"),
        ({"snapshot_window": "25:00-26:00"}, "is not like 06:00-08:00"),
        ({"engine_version": "newest"}, "is not like 7.0"),
        ({"auth_token": "with/slash-with/slash"}, "auth_token is not 16 to 128"),
        ({"auth_token": "x" * 129}, "auth_token is not 16 to 128"),
        ({"num_cache_clusters": 7}, "num_cache_clusters 7 is not within 1 and 6"),
        ({"num_cache_clusters": None, "replicas_per_node_group": 6}, "replicas_per_node_group 6 is not within 0 and 5"),
        ({"snapshot_retention_limit": 36}, "snapshot_retention_limit 36 is not within 0 and 35"),
        ({"automatic_failover_enabled": False}, "multi_az_enabled needs automatic_failover_enabled"),
        ({"num_cache_clusters": 1}, "automatic_failover_enabled needs at least one replica"),
        ({"num_node_groups": 2}, "num_cache_clusters is for groups with one shard"),
        ({"transit_encryption_enabled": False}, "auth_token needs transit_encryption_enabled"),
        (
            {"transit_encryption_enabled": False, "auth_token": None, "transit_encryption_mode": "required"},
            "transit_encryption_mode needs transit_encryption_enabled",
        ),
        ({"kms_key_id": "x", "at_rest_encryption_enabled": False}, "kms_key_id needs at_rest_encryption_enabled"),
        ({"preferred_cache_cluster_azs": ["a"]}, "names 1 zones for 3 nodes"),
    ],
)
def test_a_wish_that_makes_no_sense_is_refused(options, words):
    with pytest.raises(OperationError) as raised:
        validate.check({**GOOD, **options})
    assert words in str(raised.value)


def test_everything_that_is_wrong_is_said_at_once_and_no_token_is_repeated():
    token = "secret/with/slashes"
    with pytest.raises(OperationError) as raised:
        validate.check({**GOOD, "auth_token": token, "port": 0, "engine_version": "x"})
    text = str(raised.value)
    assert all(option in text for option in ("auth_token", "port 0", "engine_version 'x'"))
    assert token not in text
