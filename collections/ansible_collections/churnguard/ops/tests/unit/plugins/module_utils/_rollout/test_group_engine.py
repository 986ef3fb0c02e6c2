# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases of several services: order, all or nothing, and the mark after which nothing is taken back."""

from __future__ import annotations

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.api import RolloutApi
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.lock import LockHeld, own_process
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.model import Pace
from ansible_collections.churnguard.ops.tests.unit.support.cluster import Client, Killed
from ansible_collections.churnguard.ops.tests.unit.support.group_world import GroupWorld

V1 = ("v1", 100, 1, 0)
V2 = ("v2", 0, 0, 1)
V2_PARKED = ("v1", 0, 1, 1)
ALL_V1, ALL_V2 = dict.fromkeys("abc", V1), dict.fromkeys("abc", V2)
BAD = {"image": "crash"}


@pytest.fixture
def world() -> GroupWorld:
    return GroupWorld().installed()


def states(world: GroupWorld) -> list[str]:
    return [entry.state for entry in world.book.release.services]


def again(world: GroupWorld, **wish) -> bool:
    """Whether another run finds something to do, or writes anything."""
    world.cluster.writes.clear()
    return world.run(**wish).changed or bool(world.cluster.writes)


# -- forward ---------------------------------------------------------------------------------------------------------


def test_services_are_rolled_out_in_order_and_their_old_versions_retired_at_the_end(world):
    outcome = world.run()
    assert (outcome.verdict, outcome.changed, outcome.failed) == ("passed", True, False)
    assert (world.live, world.broken, world.holders) == (ALL_V2, [], {})
    assert world.served() == ["a", "b", "c"]
    ran = [(step["service"], step["name"]) for step in outcome.steps if step["status"] == "done"]
    assert ran.index(("a", "retire")) > ran.index(("c", "bake"))
    assert [service for service, name in ran if name == "retire"] == ["a", "b", "c"]
    assert outcome.message == "a v2, b v2, c v2: live together."
    assert (world.book.release.phase, states(world)) == ("passed", ["done"] * 3)
    assert not again(world)


def test_one_lock_is_held_for_all_and_renewed_while_any_is_rolled_out(world):
    seen: list[dict[str, str]] = []
    world.cluster.watchers.append(lambda write: seen.append(world.holders) if write.ref.kind == "HTTPRoute" else None)
    world.run(c={"image": "ok", "pace": Pace(bake_seconds=300.0)})
    assert seen == [{"shop-group": "runner 4", **{f"{n}-rollout": "group shop by runner 4" for n in "abc"}}] * 3
    # Longer than the lease, and nobody could have taken it.
    assert not [e for e in world.recorder.timeline if "taken over" in e["detail"]]
    assert (world.live, world.holders) == (ALL_V2, {})


def test_a_service_that_is_live_already_is_left_alone(world):
    world.run_one("b", "v2")
    before = world.cluster.find("Deployment", "b-green")["metadata"]["resourceVersion"]
    outcome = world.run()
    assert (outcome.verdict, world.served(), states(world)) == (
        "passed",
        ["b", "a", "c"],
        ["done", "unchanged", "done"],
    )
    assert world.cluster.find("Deployment", "b-green")["metadata"]["resourceVersion"] == before


def test_a_first_install_of_all(world):
    world = GroupWorld()
    assert world.run("v1").verdict == "passed"
    assert world.live == ALL_V1
    assert not again(world, version="v1")


def test_check_mode_plans_every_step_and_writes_nothing(world):
    outcome = world.run(check_mode=True)
    assert (outcome.changed, world.cluster.writes) == (True, [])
    assert [step["service"] for step in outcome.steps if step["name"] == "route"] == ["a", "b", "c"]
    assert outcome.after["c"]["weights"] == {"blue": 0, "green": 100}
    assert outcome.before["c"]["weights"] == {"blue": 100, "green": 0}


# -- all or nothing --------------------------------------------------------------------------------------------------


def test_a_failure_takes_back_that_service_and_those_before_it_in_reverse_order(world):
    outcome = world.run(c={"image": "rot", "pace": Pace(bake_seconds=60.0)})
    assert (outcome.verdict, outcome.failed) == ("rolled_back", True)
    assert (world.live, world.broken, world.holders) == (ALL_V1, [], {})
    assert world.served() == ["a", "b", "c", "c", "b", "a"]
    assert "taken back in this order: c, b, a" in outcome.message
    assert "CrashLoopBackOff" in outcome.message
    assert (world.book.release.phase, states(world)) == ("rolled_back", ["back"] * 3)
    # The old pods stayed warm all the time: none of them was scaled away or replaced.
    sizes = [w.after["spec"]["replicas"] for w in world.cluster.writes if w.ref.name in ("a-blue", "b-blue")]
    assert set(sizes) <= {1}


def test_what_the_release_had_not_touched_stays(world):
    world.run_one("a", "v2")
    outcome = world.run(c=BAD)
    assert outcome.verdict == "rolled_back"
    assert world.live == {"a": V2, "b": V1, "c": V1}


def test_a_first_install_is_taken_away_again():
    world = GroupWorld()
    for name in "bc":
        world.run_one(name, "v1")
    outcome = world.run(c=BAD)
    assert outcome.verdict == "rolled_back"
    assert world.live == {"a": (None, 100, 0, 0), "b": V1, "c": V1}


def test_a_rolling_update_in_place_goes_back_by_its_recorded_template(world):
    before = world.cluster.find("Deployment", "a-blue")["spec"]["template"]
    outcome = world.run(a={"strategy": "rolling"}, c=BAD)
    assert (outcome.verdict, world.live, world.broken) == ("rolled_back", ALL_V1, [])
    assert world.cluster.find("Deployment", "a-blue")["spec"]["template"] == before


def test_a_rolling_update_in_a_group_that_passes(world):
    assert world.run(b={"strategy": "rolling"}).verdict == "passed"
    assert world.live == {"a": V2, "b": ("v2", 100, 1, 0), "c": V2}
    assert not again(world, b={"strategy": "rolling"})


def test_a_version_that_falls_ill_while_it_waits_for_the_others_takes_all_back(world):
    world.clock.after(20, lambda: world.cluster.workloads.spoil("a-green"))
    outcome = world.run(c={"image": "ok", "pace": Pace(bake_seconds=60.0)})
    assert (outcome.verdict, world.live, world.broken) == ("rolled_back", ALL_V1, [])
    assert "a: slot green did not stay well" in outcome.message


def test_traffic_moved_by_hand_while_it_waits_stops_the_release_with_the_old_versions_warm(world):
    world.clock.after(
        20,
        lambda: world.cluster.edit(
            "HTTPRoute", "a", lambda r: r["spec"]["rules"][-1]["backendRefs"][0].update(weight=30)
        ),
    )
    outcome = world.run(c={"image": "ok", "pace": Pace(bake_seconds=60.0)})
    assert (outcome.verdict, world.book.release.phase) == ("failed", "halted")
    assert "where the journal allows" in outcome.message
    assert world.live["b"] == V2_PARKED


def test_a_service_that_would_be_refused_keeps_the_release_from_beginning(world):
    world.cluster.remove("HTTPRoute", "c")
    with pytest.raises(OperationError, match="HTTPRoute churnguard-test/c does not exist"):
        world.run()
    assert world.cluster.writes == []


def test_on_failure_halt_stops_half_way_and_can_be_gone_on_with_or_taken_back(world):
    outcome = world.run(b={"image": "crash", "on_failure": "halt"})
    assert (outcome.verdict, world.book.release.phase) == ("failed", "halted")
    assert "a is on the new version and can still be taken back" in outcome.message
    assert world.live["a"] == V2_PARKED
    world.cluster.workloads.cured.add("crash")
    assert world.run(b={"image": "crash", "on_failure": "halt"}).verdict == "passed"
    assert world.live == ALL_V2


# -- the mark --------------------------------------------------------------------------------------------------------


def test_after_the_mark_a_failure_freezes(world):
    outcome = world.run(mark="b", c=BAD)
    assert (outcome.verdict, outcome.failed) == ("failed", True)
    assert (world.live["a"], world.live["b"], world.live["c"]) == (V2_PARKED, V2_PARKED, ("v1", 100, 1, 1))
    assert (world.book.release.phase, states(world)) == ("frozen", ["proved", "proved", "failed"])
    assert "is frozen: c failed after b, and from there on nothing is taken back" in outcome.message
    assert "a v2 and b v2 are live and stay" in outcome.message
    assert "on_unfinished=abort" in outcome.message
    assert (world.served(), world.holders) == (["a", "b"], {})


def test_the_marked_service_itself_can_still_fail_and_go_back(world):
    assert world.run(mark="b", b=BAD).verdict == "rolled_back"
    assert world.live == ALL_V1


def test_a_frozen_release_cannot_be_taken_back(world):
    world.run(mark="b", c=BAD)
    world.cluster.writes.clear()
    for state in ("aborted", "rolled_back"):
        with pytest.raises(OperationError, match="is past b, after which nothing is taken back"):
            world.run(state=state)
    assert world.cluster.writes == []


def test_a_frozen_release_goes_on_once_the_reason_is_gone(world):
    world.run(mark="b", c=BAD)
    world.cluster.workloads.cured.add("crash")
    assert world.run(mark="b", c=BAD).verdict == "passed"
    assert (world.live, world.broken) == (ALL_V2, [])


def test_a_frozen_release_is_ended_by_another_version_of_the_service_that_failed(world):
    world.run(mark="b", c=BAD)
    with pytest.raises(OperationError, match="did not end"):
        world.run(mark="b", c={"version": "v3"})
    outcome = world.run(mark="b", c={"version": "v3"}, on_unfinished="abort")
    assert (outcome.verdict, world.broken) == ("passed", [])
    assert world.live == {"a": V2, "b": V2, "c": ("v3", 0, 0, 1)}
    assert [entry["verdict"] for entry in world.book.history] == ["passed", "superseded"]
    # The second release has changed c alone; that can be taken back.
    assert world.run(state="rolled_back").verdict == "passed"
    assert world.live == {"a": V2, "b": V2, "c": V1}


def test_a_passed_release_with_a_mark_is_not_rolled_back(world):
    world.run(mark="b")
    with pytest.raises(OperationError, match="is past b"):
        world.run(state="rolled_back")


# -- on request ------------------------------------------------------------------------------------------------------


def test_aborting_when_nothing_is_in_flight_changes_nothing(world):
    assert not again(world, state="aborted")
    world.run()
    assert not again(world, state="aborted")
    assert world.live == ALL_V2


def test_a_passed_release_is_taken_back_in_reverse_order_on_request(world):
    world.run()
    world.cluster.writes.clear()
    outcome = world.run(state="rolled_back")
    assert (outcome.verdict, outcome.failed, world.served()) == ("passed", False, ["c", "b", "a"])
    assert (world.live, world.broken) == (ALL_V1, [])
    assert not again(world, state="rolled_back")
    assert world.run().verdict == "passed"
    assert world.live == ALL_V2


def test_a_release_is_not_rolled_back_over_a_later_one_of_a_single_service(world):
    world.run()
    world.run_one("b", "v3")
    with pytest.raises(OperationError, match="b had a rollout of its own since"):
        world.run(state="rolled_back")


def test_another_release_is_refused_until_the_first_has_ended(world):
    world.run(b={"image": "crash", "on_failure": "halt"})
    with pytest.raises(OperationError, match="did not end"):
        world.run("v3")
    assert world.run("v3", on_unfinished="abort").verdict == "passed"
    assert world.live == dict.fromkeys("abc", ("v3", 0, 0, 1))
    assert [entry["verdict"] for entry in world.book.history] == ["passed", "aborted"]


# -- locks and other runs --------------------------------------------------------------------------------------------


def dying(world: GroupWorld, at_write: int, process: str = "", **changes) -> None:
    """A run whose controller dies at a write."""
    wish = world.wish(**changes)
    with pytest.raises(Killed):
        world.engine(wish, Client(world.cluster, kill_at=at_write, landed=True), process).run(wish)


def test_the_loser_names_the_holder_and_keeps_no_lock(world):
    dying(world, 20, process=own_process())
    before = world.holders
    with pytest.raises(LockHeld, match=r"runner 4 holds Lease churnguard-test/shop-group"):
        world.run()
    assert world.holders == before


def test_a_group_that_shares_a_service_takes_all_locks_or_none(world):
    api_lock = world.lock(RolloutApi(Client(world.cluster), world.targets["c"]), world.targets["c"], own_process())
    api_lock.identity = "kim"
    api_lock.acquire()
    with pytest.raises(LockHeld, match="kim holds Lease churnguard-test/c-rollout"):
        world.run()
    assert world.holders == {"c-rollout": "kim"}


def test_another_deploy_of_one_service_meanwhile_is_refused_naming_the_group(world):
    dying(world, 40, process=own_process())
    for version in ("v2", "v3"):
        with pytest.raises(LockHeld, match="group shop by runner 4 holds Lease churnguard-test/a-rollout"):
            world.run_one("a", version)


def test_so_is_one_after_the_groups_controller_has_died(world):
    dying(world, 40)
    release = world.book.release.tag("shop")
    assert world.journal("a").rollout.group == release
    for given in ({"version": "v2"}, {"version": "v3"}, {"version": "v3", "on_unfinished": "abort"}):
        with pytest.raises(OperationError, match=f"belongs to release {release} of several services"):
            world.run_one("a", **given)


def take_back_alone(world: GroupWorld, name: str) -> None:
    assert world.run_one(name, "", state="aborted", deployment={}, content_hash="").verdict == "aborted"


def died_while(phase: str, stands: list[str]) -> GroupWorld:
    """The first world whose controller died in C(phase), with the services where C(stands) says."""
    for number in range(10, 60):
        world = GroupWorld().installed()
        dying(world, number)
        if (world.book.release.phase, world.stands()) == (phase, stands):
            return world
    raise AssertionError(f"no write leaves the release {phase} with {stands}")


def test_one_service_taken_back_alone_takes_the_rest_with_it_at_the_next_run():
    world = died_while("running", ["parked", "parked", "under_way"])
    take_back_alone(world, "a")
    outcome = world.run()
    assert (outcome.verdict, world.live, world.broken) == ("rolled_back", ALL_V1, [])


def test_one_service_taken_back_alone_while_the_old_versions_end_stops_the_release():
    world = died_while("finishing", ["done", "parked", "parked"])
    take_back_alone(world, "b")
    outcome = world.run()
    assert (outcome.verdict, outcome.failed) == ("failed", True)
    assert "b could not be finished: it is back, by another hand" in outcome.message
    outcome = world.run(state="aborted")
    assert (outcome.verdict, outcome.failed, world.broken) == ("aborted", False, [])
    assert {name: state[0] for name, state in world.live.items()} == dict.fromkeys("abc", "v1")


def test_a_single_rollout_that_did_not_end_keeps_the_group_out_unless_it_may_take_it_back(world):
    with pytest.raises(Killed):
        world.run_one("b", "v2", Client(world.cluster, kill_at=6))
    with pytest.raises(OperationError, match="did not end, and does not belong to the group"):
        world.run()
    assert world.run(on_unfinished="abort").verdict == "passed"
    assert (world.live, world.broken) == (ALL_V2, [])


def test_a_holder_that_wakes_up_after_the_others_run_writes_nothing_more(world):
    wish = world.wish()
    client = Client(world.cluster)
    sleeper = world.engine(wish, client)

    def sleep_through() -> None:
        client.before.clear()
        world.clock.sleep(200)
        assert world.run(state="aborted").verdict == "aborted"
        world.cluster.writes.clear()

    client.before[30] = sleep_through
    with pytest.raises(OperationError):
        sleeper.run(wish)
    assert [w for w in world.cluster.writes if w.ref.kind != "Lease"] == []
    assert (world.live, world.broken) == (ALL_V1, [])


# -- the record ------------------------------------------------------------------------------------------------------


def test_one_record_tells_whose_each_event_is_and_begins_and_ends_once(world):
    world.run(c=BAD)
    timeline = world.recorder.timeline
    kinds = [entry["event"] for entry in timeline]
    for once in ("planned", "locked", "rollback_started", "rolled_back"):
        assert kinds.count(once) == 1, once
    assert [e["data"]["service"] for e in timeline if e["event"] == "service_rolled_back"] == ["c", "b", "a"]
    assert kinds[-1] == "rolled_back"
    assert {m["name"].partition(".")[0] for m in world.recorder.measurements} >= {"a", "b", "c"}
    envelope = world.recorder.envelope("rolled_back", True)
    assert (envelope["operation"], envelope["subject"]["app"], envelope["subject"]["version"]) == (
        "rollout_group",
        "shop",
        "v2",
    )
