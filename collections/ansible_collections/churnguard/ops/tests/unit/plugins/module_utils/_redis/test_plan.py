# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a group of Redis nodes and Sentinels is fit for a failover."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._redis import plan
from ansible_collections.churnguard.ops.plugins.module_utils._redis.model import (
    Address,
    Follower,
    Node,
    Watch,
    parse_address,
)

FIRST, SECOND = Address("127.0.0.1", 6379), Address("127.0.0.1", 6380)
FOLLOWER = Follower(SECOND, online=True, lag=0, offset=900)
PRIMARY = Node(FIRST, "master", "run", 7, 1000, (FOLLOWER,))
WATCHES = [Watch(Address("127.0.0.1", port), FIRST, frozenset({"master"}), (SECOND,)) for port in (1, 2, 3)]


def wrong(watches: list[Watch], primary: Node | None = PRIMARY) -> dict[str, str]:
    return {name: problem for name, problem in plan.steady_checks(watches, 3, primary) if problem}


def test_a_whole_group_is_steady() -> None:
    assert wrong(WATCHES) == {}


@pytest.mark.parametrize(
    ("change", "check"),
    [
        ({"quorum": "NOQUORUM 1 usable Sentinels"}, "quorum"),
        ({"flags": frozenset({"master", "o_down"})}, "no_failover_under_way"),
        ({"flags": frozenset({"master", "failover_in_progress"})}, "no_failover_under_way"),
        ({"primary": SECOND}, "sentinels_agree"),
        ({"replicas": ()}, "sentinels_know_replicas"),
    ],
)
def test_one_sentinel_that_sees_something_else_is_told(change: dict[str, object], check: str) -> None:
    assert list(wrong([replace(WATCHES[0], **change), *WATCHES[1:]])) == [check]


def test_a_silent_sentinel_is_told() -> None:
    assert wrong(WATCHES[1:]) == {"sentinels_answer": "1 of 3 Sentinels do not answer"}


@pytest.mark.parametrize(
    "follower", [replace(FOLLOWER, online=False), replace(FOLLOWER, lag=2)], ids=["offline", "behind"]
)
def test_a_replica_that_does_not_keep_up_is_told(follower: Follower) -> None:
    assert list(wrong(WATCHES, replace(PRIMARY, followers=(follower,)))) == ["replicas"]


def test_without_a_replica_or_a_primary_nothing_can_take_over() -> None:
    assert "nothing can take over" in wrong(WATCHES, replace(PRIMARY, followers=()))["replicas"]
    assert wrong(WATCHES, None)["replicas"] == "the primary does not answer"


def test_the_primary_is_what_most_of_all_sentinels_name() -> None:
    assert plan.agreed(WATCHES, 3) == FIRST
    assert plan.agreed(WATCHES[:2], 3) == FIRST
    assert plan.agreed(WATCHES[:1], 3) is None
    assert plan.agreed([], 3) is None


def test_the_bytes_behind_are_those_of_the_best_replica() -> None:
    assert plan.unacknowledged_bytes(PRIMARY) == 100


@pytest.mark.parametrize("text", ["6379", "host:", "host:0", "host:65536", "host:x"])
def test_an_address_needs_a_host_and_a_port(text: str) -> None:
    with pytest.raises(ValueError, match="is not host:port"):
        parse_address(text)
