"""A newer version arrives while another is on its way, and the live version is asked for again."""

from __future__ import annotations

import time

import pytest
from world import SLOTS, World, finished, until

pytestmark = pytest.mark.lab


def in_bake(world: World) -> bool:
    current = world.info()["current"]
    return bool(current) and current["version"] == "v2" and current["step"] == "bake"


def test_by_policy_a_newer_version_is_refused_or_the_one_under_way_goes_back_first(world: World) -> None:
    world.deploy("v1")
    begin = time.monotonic()
    under_way = world.start(world.arguments("v2", grace_period=90))
    until(lambda: in_bake(world), 60, "v2 has all traffic and is watched")

    refused = world.run(world.arguments("v3"))
    assert refused.failed
    assert "holds Lease" in refused.message
    assert in_bake(world)

    newer = world.run(world.arguments("v3", on_unfinished="supersede"))
    older = finished(under_way, begin)
    assert older.failed
    assert (older.verdict, newer.verdict) == ("aborted", "passed")
    assert "superseded by v3" in older.message
    assert world.ask()[1] == "v3"
    assert sorted(world.replicas()[slot] for slot in SLOTS) == [0, 1]

    again = world.run(world.arguments("v3", on_unfinished="supersede"))
    assert not again.output["changed"]
