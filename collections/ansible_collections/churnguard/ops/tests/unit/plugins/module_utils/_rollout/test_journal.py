# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.plugins.module_utils._rollout import journal as codec
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.api import RolloutApi
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.lock import LockLost
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.model import Journal
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.store import JournalStore
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.strategies import blue_green, take_back
from ansible_collections.churnguard.ops.tests.unit.support.clock import FakeClock
from ansible_collections.churnguard.ops.tests.unit.support.cluster import Client, FakeCluster
from ansible_collections.churnguard.ops.tests.unit.support.objects import (
    ALL_BLUE,
    ALL_GREEN,
    BLUE,
    GREEN,
    journal,
    manifest,
    release,
    rollout,
    target,
    wish,
)

V0, V1, V2 = release(GREEN, "v0"), release(BLUE, "v1"), release(GREEN, "v2")


def steps():
    return blue_green(V2, V1, target(), wish().pace)


def in_flight(**changes) -> Journal:
    return journal(stable=V1, previous=V0, rollout=rollout(steps(), **changes))


# -- round trip ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "book",
    [
        Journal(),
        journal(stable=V1),
        journal(stable=V1, previous=V0),
        in_flight(),
        in_flight(previous=None, phase="halted", reason="ä", traffic_moved=True, sides=[ALL_BLUE, ALL_GREEN]),
        Journal(history=[{"id": "1"}], rollout=rollout(take_back(rollout([]), target()), phase="rolled_back")),
    ],
    ids=["empty", "stable", "previous", "in flight", "first install", "over"],
)
def test_a_journal_survives_writing_and_reading(book):
    config_map = json.loads(json.dumps(codec.write(book, target())))
    assert codec.read(config_map, target()) == book


def test_no_config_map_is_an_empty_journal():
    assert codec.read(None, target()) == Journal()


def test_the_config_map_is_named_and_labelled_for_its_application():
    config_map = codec.write(Journal(), target())
    assert config_map["metadata"]["name"] == "churnguard-api-rollout"
    assert config_map["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "churnguard.ops"
    assert set(config_map["data"]) == {"state.json"}


def damaged(change) -> dict:
    config_map = codec.write(in_flight(), target())
    state = json.loads(config_map["data"]["state.json"])
    change(state)
    config_map["data"]["state.json"] = json.dumps(state)
    return config_map


@pytest.mark.parametrize(
    "config_map",
    [
        {},
        {"data": None},
        {"data": {"state.json": "{"}},
        {"data": {"state.json": "[]"}},
        {"data": {"state.json": "null"}},
        {"data": {**codec.write(in_flight(), target())["data"], "manifest-stable.json": "{"}},
        damaged(lambda s: s.pop("schema")),
        damaged(lambda s: s.update(stable="v1")),
        damaged(lambda s: s["stable"].pop("slot")),
        damaged(lambda s: s["stable"].update(colour="red")),
        damaged(lambda s: s["rollout"].pop("steps")),
        damaged(lambda s: s["rollout"].update(steps=["start"])),
        damaged(lambda s: s["rollout"].update(candidate=None)),
        damaged(lambda s: s.update(rollout="x")),
        damaged(lambda s: s.update(rollout=["x"])),
    ],
)
def test_a_damaged_journal_is_never_taken_for_an_empty_one(config_map):
    with pytest.raises(OperationError, match="does not hold a valid one") as caught:
        codec.read(config_map, target())
    assert "restore it, or delete it" in caught.value.next_step


def test_a_journal_of_a_newer_release_is_left_alone():
    with pytest.raises(OperationError, match="schema 2 is newer than this collection knows"):
        codec.read(damaged(lambda s: s.update(schema=2)), target())


# -- changes ---------------------------------------------------------------------------------------------------------


def test_only_a_route_step_widens_the_sides_and_only_forward_marks_traffic_as_moved():
    one = rollout(steps())
    for step in one.steps[:4]:
        codec.enter(one, step, "t1")
        codec.leave(one, step, "t2")
    assert (one.sides, one.traffic_moved, one.cursor) == ([ALL_BLUE], False, 4)
    codec.enter(one, one.steps[4], "t3")
    assert (one.sides, one.traffic_moved) == ([ALL_BLUE, ALL_GREEN], True)
    codec.leave(one, one.steps[4], "t4")
    assert one.sides == [ALL_GREEN]
    assert (one.steps[4].status, one.steps[4].started, one.steps[4].finished) == ("done", "t3", "t4")


def test_taking_back_does_not_mark_traffic_as_moved():
    one = rollout(steps(), traffic_moved=False)
    codec.give_up(one, "why", [step for step in steps() if step.name == "route"])
    codec.enter(one, one.steps[0], "t")
    assert not one.traffic_moved


def test_a_step_that_is_entered_again_keeps_the_sides_apart():
    one = rollout(steps())
    for _time in range(3):
        codec.enter(one, one.steps[4], "t")
    assert one.sides == [ALL_BLUE, ALL_GREEN]


@pytest.mark.parametrize(
    ("phase", "after"), [("running", "halted"), ("halted", "halted"), ("rolling_back", "rolling_back")]
)
def test_a_halt_never_forgets_the_direction(phase, after):
    one = rollout(steps(), phase=phase)
    codec.halt(one, "why")
    assert (one.phase, one.reason, one.unfinished) == (after, "why", True)


# -- the end ---------------------------------------------------------------------------------------------------------


def test_success_moves_the_pointers_and_the_manifests():
    book = in_flight()
    codec.finish(book, "passed", "t")
    assert (book.stable, book.previous) == (V2, V1)
    assert book.manifests["stable"] == manifest("v2")
    assert book.manifests["previous"] == manifest("v1")
    assert not book.rollout.unfinished


@pytest.mark.parametrize("verdict", ["rolled_back", "aborted"])
def test_anything_else_moves_nothing(verdict):
    book = in_flight()
    codec.finish(book, verdict, "t")
    assert (book.stable, book.previous) == (V1, V0)
    assert book.manifests["stable"] == manifest("v1")
    assert book.manifests["previous"] == manifest("v0")
    assert not book.rollout.unfinished


def test_a_first_install_has_no_previous():
    book = Journal()
    codec.begin(book, rollout([], candidate=V1, previous=None), manifest("v1"))
    codec.finish(book, "passed", "t")
    assert (book.stable, book.previous) == (V1, None)
    assert set(book.manifests) == {"candidate", "stable"}


def test_an_adopted_release_is_previous_without_a_manifest():
    book = Journal()
    codec.begin(book, rollout([]), manifest("v2"))
    codec.finish(book, "passed", "t")
    assert book.previous == V1
    assert "previous" not in book.manifests


def test_finishing_without_a_rollout_is_nothing():
    book = journal(stable=V1)
    codec.finish(book, "passed", "t")
    assert book == journal(stable=V1)


def test_the_history_keeps_the_last_ten_newest_first():
    book = Journal()
    for number in range(12):
        codec.begin(book, rollout([], id=str(number)), manifest("v2"))
        codec.finish(book, "rolled_back", f"t{number}")
    assert [entry["id"] for entry in book.history] == [str(number) for number in range(11, 1, -1)]
    assert book.history[0] == {
        "id": "11",
        "operation": "deploy",
        "strategy": "blue_green",
        "version": "v2",
        "slot": GREEN,
        "verdict": "rolled_back",
        "reason": "",
        "started": "2026-11-21T19:00:00.000Z",
        "finished": "t11",
        "holder": "somebody@somewhere (process 1)",
    }


# -- in the cluster --------------------------------------------------------------------------------------------------


def store(cluster: FakeCluster, **faults) -> JournalStore:
    return JournalStore(RolloutApi(Client(cluster, **faults), target()), target())


@pytest.mark.parametrize("lose_at", [1, 2, 3])
def test_a_lost_answer_is_not_a_lost_lock(lose_at):
    cluster = FakeCluster(FakeClock())
    books = store(cluster, lose_at=lose_at)
    assert books.load() == Journal()
    for number in range(3):
        books.save(journal(stable=release(version=f"v{number}")))
    assert store(cluster).load().stable.version == "v2"


def test_somebody_elses_write_in_between_is_a_lost_lock():
    cluster = FakeCluster(FakeClock())
    first, second = store(cluster), store(cluster)
    first.load()
    first.save(journal(stable=V1))
    second.load()
    second.save(journal(stable=V0))
    with pytest.raises(LockLost):
        first.save(journal(stable=V2))
    assert store(cluster).load().stable == V0


def test_two_who_both_found_no_journal_cannot_both_create_it():
    cluster = FakeCluster(FakeClock())
    first, second = store(cluster), store(cluster)
    first.load()
    second.load()
    first.save(journal(stable=V1))
    with pytest.raises(LockLost):
        second.save(journal(stable=V0))
    assert store(cluster).load().stable == V1
