# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._backup.policy import moment, read_policies
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError

NOON = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        NOON,
        NOON.timestamp(),
        int(NOON.timestamp()),
        "2026-11-22T12:00:00Z",
        "2026-11-22T12:00:00.000Z",
        "2026-11-22T12:00:00+00:00",
        "2026-11-22T01:00:00-11:00",
        "2026-11-22T17:45:00+05:45",
        "2026-11-23T01:00:00+13:00",
    ],
)
def test_one_moment_however_it_is_written(value):
    assert moment(value) == NOON


@pytest.mark.parametrize(
    "value",
    [None, "", "yesterday", "2026-11-22T12:00:00", "2026-13-01T00:00:00Z", datetime(2026, 11, 22), True, 1e300, [], {}],
)
def test_what_is_no_moment_is_none(value):
    assert moment(value) is None


def test_policies_are_read():
    (policy,) = read_policies([{"component": "database", "frequency": "hourly", "max_age": 5400, "min_count": None}])
    assert (policy.max_age, policy.min_count, policy.encrypted) == (5400, None, False)


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ([{"max_age": 1}], "does not say which component"),
        ([{"component": "a"}, {"component": "a"}], "a: it has more than one policy"),
        ([{"component": "a", "frequency": "often"}], "has the frequency often"),
        ([{"component": "a", "max_age_s": 1}], "unknown fields max_age_s"),
        ([{"component": "a", "max_age": 0}], "has 0 as max_age"),
        ([{"component": "a", "max_age": "90m"}], "has '90m' as max_age"),
        ([{"component": "a", "min_count": True}], "has True as min_count"),
    ],
)
def test_a_wrong_policy_is_named(entries, said):
    with pytest.raises(OperationError) as caught:
        read_policies(entries)
    assert said in str(caught.value)
