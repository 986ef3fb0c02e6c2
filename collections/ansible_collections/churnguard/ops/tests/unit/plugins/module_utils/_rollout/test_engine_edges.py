"""Rare situations: locks made by hand, journals lost half-way, the same wish twice."""

from __future__ import annotations

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._kubernetes.errors import Unreachable
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.lock import LockHeld
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.probe import Endpoint
from ansible_collections.churnguard.ops.tests.unit.support.cluster import Client
from ansible_collections.churnguard.ops.tests.unit.support.objects import APP
from ansible_collections.churnguard.ops.tests.unit.support.plane import DataPlane
from ansible_collections.churnguard.ops.tests.unit.support.world import World


def test_a_lease_made_by_hand_keeps_everybody_out():
    world = World().installed()
    world.cluster.edit("Lease", f"{APP}-rollout", lambda lease: lease.update(spec={"holderIdentity": "change freeze"}))
    with pytest.raises(LockHeld, match="change freeze, who made it without an end"):
        world.run("v2")


def test_rolling_back_twice_does_not_bring_the_bad_version_back():
    world = World().installed()
    world.run("v2")
    world.run(state="rolled_back")
    again = world.run(state="rolled_back")
    assert (again.changed, world.live[0]) == (False, "v1")


def test_rolling_back_a_version_that_is_half_way_out_brings_back_the_one_before_it_and_no_earlier_one():
    world = World().installed()
    world.run("v2")
    world.settings["drain_timeout"] = 0
    assert world.run("v3").verdict == "failed"
    world.settings["drain_timeout"] = 30
    back = world.run(state="rolled_back")
    assert (back.verdict, back.failed, world.live[0]) == ("aborted", False, "v2")


def test_a_finished_rollout_does_not_fail_because_nobody_could_look_at_it():
    world = World().installed()

    class GoneAfterwards(Client):
        def get(self, ref):
            if world.journal.stable.version == "v2" and world.lock_holder == "":
                raise Unreachable("get", ref, "https://server", "gone", 60)
            return super().get(ref)

    assert world.run("v2", client=GoneAfterwards(world.cluster)).verdict == "passed"


def test_check_mode_shows_where_an_abort_would_end():
    world = World().installed()
    world.settings["drain_timeout"] = 0
    world.run("v2")
    planned = world.run(state="aborted", check_mode=True)
    assert planned.before["weights"] == {"blue": 0, "green": 100}
    assert planned.after["weights"] == {"blue": 100, "green": 0}
    assert planned.after["replicas"]["green"] == 0


def test_a_journal_lost_after_the_switch_leaves_no_slot_behind():
    world = World().installed()
    world.settings["drain_timeout"] = 0
    world.run("v2")
    world.cluster.remove("ConfigMap", f"{APP}-rollout")
    world.settings["drain_timeout"] = 30
    world.run("v2")
    assert world.replicas("blue") == 0
    assert world.live[0] == "v2"


def test_a_service_router_reaches_its_slots_by_an_address_of_their_own():
    """Nothing honours the slot header there: the address does."""
    world = World("Service").installed()
    plane = DataPlane(world)
    pinned = DataPlane(world)
    respond, respond_pinned = plane.server._respond, pinned.server._respond

    def unpinned(request):
        request.headers.pop("x-churnguard-slot", None)
        return respond(request)

    def by_address(request):
        request.headers["x-churnguard-slot"] = request.path.split("/")[1]
        return respond_pinned(request)

    plane.server._respond, pinned.server._respond = unpinned, by_address
    with plane.server, pinned.server:
        endpoint = Endpoint(plane.server.url, slot_url=f"{pinned.server.url}/{{slot}}")
        test = {"name": "health", "path": "/health", "method": "GET", "status": [200]}
        world.settings.update(endpoint=endpoint, confirm_timeout=2, smoke_tests=[test])
        outcome = world.run("v2")
    assert outcome.verdict == "passed", outcome.message
