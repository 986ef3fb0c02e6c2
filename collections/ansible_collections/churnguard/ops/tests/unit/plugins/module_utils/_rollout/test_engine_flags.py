# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Feature flags of a release: one that opens a gate, and those that go off when it is taken back."""

from __future__ import annotations

import json

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.model import Gate
from ansible_collections.churnguard.ops.tests.unit.support.cluster import Killed
from ansible_collections.churnguard.ops.tests.unit.support.objects import ALL_BLUE, ALL_GREEN, BLUE, GREEN, NAMESPACE
from ansible_collections.churnguard.ops.tests.unit.support.world import World

V1_LIVE = ("v1", ALL_BLUE, {BLUE: 2, GREEN: 0})
V2_LIVE = ("v2", ALL_GREEN, {BLUE: 0, GREEN: 2})
PLACE = {"config_map": "features", "key": "flags.json", "switch_off": ["new_dashboard_ui"]}


def flag(on: bool) -> dict:
    return {
        "state": "ENABLED",
        "variants": {"on": True, "off": False},
        "defaultVariant": "on" if on else "off",
    }


def put(world: World, **flags: bool) -> None:
    document = {"flags": {name: flag(on) for name, on in flags.items()}}
    metadata = {"name": "features", "namespace": NAMESPACE}
    data = {"flags.json": json.dumps(document)}
    world.cluster.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})


def states(world: World) -> dict[str, str]:
    document = json.loads(world.cluster.find("ConfigMap", "features")["data"]["flags.json"])
    return {name: one["state"] for name, one in document["flags"].items()}


@pytest.fixture
def world() -> World:
    one = World().installed()
    put(one, new_dashboard_ui=True, advanced_analytics=True)
    return one


def test_a_release_that_passes_leaves_its_flags_alone(world):
    assert world.run("v2", flags=PLACE).verdict == "passed"
    assert set(states(world).values()) == {"ENABLED"}


def test_a_release_that_is_taken_back_switches_its_flags_off_and_no_others(world):
    outcome = world.run("v2", image="rot", flags=PLACE)
    assert (outcome.verdict, world.live, world.broken) == ("rolled_back", V1_LIVE, [])
    assert states(world) == {"new_dashboard_ui": "DISABLED", "advanced_analytics": "ENABLED"}
    steps = [step["name"] for step in outcome.steps]
    assert steps.index("confirm") < steps.index("flags_off") < steps.index("drain")


def test_whoever_takes_it_back_finds_the_flags_in_the_journal(world):
    with pytest.raises(Killed):
        world.run("v2", client=world.client(kill_at=12), flags=PLACE)
    assert world.run(state="aborted").verdict == "aborted"
    assert states(world)["new_dashboard_ui"] == "DISABLED"


def test_flags_that_cannot_be_switched_leave_all_traffic_on_the_old_version(world):
    def spoil(write) -> None:
        if write.ref.kind == "HTTPRoute":
            world.cluster.edit("ConfigMap", "features", lambda c: c["data"].update({"flags.json": "{"}))

    world.cluster.watchers.append(spoil)
    outcome = world.run("v2", image="rot", flags=PLACE)
    assert (outcome.verdict, world.split) == ("failed", ALL_BLUE)
    assert "feature flags were not switched off" in outcome.message
    put(world, new_dashboard_ui=True)
    world.cluster.watchers.remove(spoil)
    assert world.run(state="aborted").verdict == "aborted"
    assert (world.live, states(world)) == (V1_LIVE, {"new_dashboard_ui": "DISABLED"})


def test_a_flag_that_does_not_exist_is_refused_before_anything_starts(world):
    with pytest.raises(OperationError, match="no flag old_dashboard"):
        world.run("v2", flags={**PLACE, "switch_off": ["old_dashboard"]})
    assert world.cluster.writes == []


def test_a_gate_opens_once_its_flag_is_on_for_everybody(world):
    put(world, new_dashboard_ui=False)
    world.clock.after(60, lambda: put(world, new_dashboard_ui=True))
    gates = (Gate("bake", 300.0, "rollback", "new_dashboard_ui"),)
    outcome = world.run("v2", flags={**PLACE, "switch_off": []}, pace={"gates": gates})
    assert (outcome.verdict, world.live) == ("passed", V2_LIVE)
    waiting, opened, passed = [entry for entry in world.recorder.timeline if entry["event"] == "gate"]
    assert (waiting["data"]["state"], passed["data"]["state"]) == ("waiting", "approved")
    assert opened["detail"].startswith("opened by flag new_dashboard_ui")
    assert opened["at"] >= "2026-11-21T19:01:00"


def test_a_gate_whose_flags_cannot_be_read_stays_closed(world):
    gates = (Gate("bake", 30.0, "rollback", "new_dashboard_ui"),)
    put(world, new_dashboard_ui=False)
    world.clock.after(8, lambda: world.cluster.remove("ConfigMap", "features"))
    outcome = world.run("v2", flags={**PLACE, "switch_off": []}, pace={"gates": gates})
    assert (outcome.verdict, world.live) == ("rolled_back", V1_LIVE)
