# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Holding, growing and putting back against the API server in memory, cut off at every write."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._kubernetes.errors import ApiError
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.api import RolloutApi
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.model import Rollout
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.sizes import (
    Unsettled,
    grow_to,
    hold_autoscalers,
    restore_autoscalers,
)
from ansible_collections.churnguard.ops.tests.unit.support.clock import FakeClock
from ansible_collections.churnguard.ops.tests.unit.support.cluster import Client, FakeCluster, Killed
from ansible_collections.churnguard.ops.tests.unit.support.objects import (
    APP,
    BLUE,
    GREEN,
    autoscaler,
    deployment,
    release,
    rollout,
    target,
)

BLUE_HPA, GREEN_HPA = f"{APP}-{BLUE}", f"{APP}-{GREEN}"


class Site:
    """v1 runs in blue with 10 replicas, v2 is to go into green; the journal is what was saved last."""

    def __init__(self, least: int | None = 4, most: int = 20, live: int = 10) -> None:
        self.clock = FakeClock()
        self.cluster = FakeCluster(self.clock)
        self.cluster.put(deployment(BLUE, replicas=live))
        for slot in (BLUE, GREEN):
            self.cluster.put(autoscaler(slot, least, most))
        self.rollout = rollout([], candidate=release(GREEN, "v2", live), previous=release(BLUE, "v1", live))
        self.journal = copy.deepcopy(asdict(self.rollout))
        self.before = self.autoscalers()
        self.saves = 0

    def save(self) -> None:
        self.saves += 1
        self.journal = copy.deepcopy(asdict(self.rollout))

    def again(self) -> None:
        """Another process, which knows nothing but the journal."""
        self.rollout = Rollout.read(copy.deepcopy(self.journal)) or self.rollout

    def hold(self, **faults: Any) -> list[str]:
        return hold_autoscalers(self._api(**faults), target(), self.rollout, self.save)

    def restore(self, **faults: Any) -> list[str]:
        return restore_autoscalers(self._api(**faults), target(), self.rollout, self.save)

    def grow(self, size: int, **faults: Any) -> bool:
        return grow_to(self._api(**faults), self.rollout, size, self.save)

    def _api(self, **faults: Any) -> RolloutApi:
        return RolloutApi(Client(self.cluster, **faults), target())  # type: ignore[arg-type]

    def autoscalers(self) -> dict[str, Any]:
        """What has to be as before: everything but the version."""
        found = {}
        for name in (BLUE_HPA, GREEN_HPA):
            hpa = copy.deepcopy(self.cluster.find("HorizontalPodAutoscaler", name) or {})
            hpa["metadata"].pop("resourceVersion")
            hpa["metadata"].pop("generation")
            found[name] = hpa
        return found

    def limits(self, name: str = BLUE_HPA) -> tuple[int, int]:
        spec = (self.cluster.find("HorizontalPodAutoscaler", name) or {})["spec"]
        return spec["minReplicas"], spec["maxReplicas"]

    def size(self, slot: str = BLUE) -> int:
        return int((self.cluster.find("Deployment", f"{APP}-{slot}") or {})["spec"]["replicas"])

    def set(self, kind: str, name: str, **spec: Any) -> None:
        self.cluster.edit(kind, name, lambda obj: obj["spec"].update(spec))


def test_both_slots_are_held_at_the_old_ones_size():
    site = Site()
    done = site.hold()
    assert (site.limits(BLUE_HPA), site.limits(GREEN_HPA)) == ((10, 20), (10, 20))
    assert f"{BLUE_HPA}: minReplicas 4 -> 10, until the end of the release" in done
    assert [entry["slot"] for entry in site.journal["autoscalers"]] == [BLUE, GREEN]


def test_the_journal_knows_before_the_server_does():
    site = Site()
    with pytest.raises(Killed):
        site.hold(kill_at=1)
    assert site.autoscalers() == site.before
    assert [entry["held"] for entry in site.journal["autoscalers"]] == [{"minReplicas": 10}] * 2


def test_a_shrinking_autoscaler_is_stopped_by_the_hold():
    site = Site()
    site.hold()
    site.cluster.workloads.load[f"{APP}-{BLUE}"] = 3
    site.clock.sleep(30)
    site.cluster.workloads.settle()
    assert site.size() == 10
    site.restore()
    site.clock.sleep(30)
    site.cluster.workloads.settle()
    assert site.size() == 4


def test_a_step_down_that_was_being_taken_is_undone():
    site = Site()
    site.set("Deployment", f"{APP}-{BLUE}", replicas=9)
    site.hold()
    assert (site.size(), site.limits()) == (10, (10, 20))


def test_a_first_release_holds_nothing():
    site = Site()
    site.rollout.previous = None
    assert site.hold() == []
    assert site.cluster.writes == []


def test_a_rolling_update_holds_its_one_slot():
    site = Site()
    site.rollout.candidate.slot = BLUE
    site.hold()
    assert (site.limits(BLUE_HPA), site.limits(GREEN_HPA)) == ((10, 20), (4, 20))
    site.restore()
    assert site.autoscalers() == site.before


@pytest.mark.parametrize(("least", "most"), [(4, 20), (4, 8), (None, 20), (12, 20)])
def test_everything_is_as_before_afterwards(least, most):
    site = Site(least, most)
    site.hold()
    site.restore()
    assert site.autoscalers() == site.before
    assert (site.rollout.autoscalers, site.journal["autoscalers"]) == ([], [])


def test_a_second_hold_and_a_second_restore_write_nothing():
    site = Site()
    site.hold()
    site.cluster.writes.clear()
    saves = site.saves
    assert site.hold() == []
    assert (site.cluster.writes, site.saves) == ([], saves)
    site.restore()
    site.cluster.writes.clear()
    saves = site.saves
    assert site.restore() == []
    assert (site.cluster.writes, site.saves) == ([], saves)


def test_a_hold_follows_an_old_slot_that_has_grown():
    site = Site()
    site.hold()
    site.set("Deployment", f"{APP}-{BLUE}", replicas=14)
    site.hold()
    assert (site.limits(BLUE_HPA), site.limits(GREEN_HPA)) == ((14, 20), (14, 20))
    assert (site.rollout.previous.replicas, site.rollout.candidate.replicas) == (14, 14)
    site.restore()
    assert site.autoscalers() == site.before


def test_an_old_slot_at_its_ceiling_gives_the_new_one_room():
    site = Site(least=4, most=8)
    site.hold()
    assert site.limits(GREEN_HPA) == (10, 10)


def count(act: Callable[..., Any], site: Site) -> int:
    client = Client(site.cluster)
    site._api = lambda **_faults: RolloutApi(client, target())  # type: ignore[method-assign,arg-type]
    act(site)
    return client.sent


HOLDS = count(lambda site: site.hold(), Site(most=8))
RESTORES = 4


@pytest.mark.parametrize("landed", [False, True])
@pytest.mark.parametrize("number", range(1, HOLDS + 1))
def test_killed_while_holding_and_taken_back(number, landed):
    site = Site(most=8)
    with pytest.raises(Killed):
        site.hold(kill_at=number, landed=landed)
    site.again()
    site.restore()
    assert site.autoscalers() == site.before


@pytest.mark.parametrize("landed", [False, True])
@pytest.mark.parametrize("number", range(1, HOLDS + 1))
def test_killed_while_holding_and_gone_on_with(number, landed):
    site = Site(most=8)
    with pytest.raises(Killed):
        site.hold(kill_at=number, landed=landed)
    site.again()
    site.hold()
    assert (site.limits(BLUE_HPA), site.limits(GREEN_HPA)) == ((10, 10), (10, 10))
    site.restore()
    assert site.autoscalers() == site.before


@pytest.mark.parametrize("landed", [False, True])
@pytest.mark.parametrize("number", range(1, 3))
def test_killed_while_a_hold_rises(number, landed):
    site = Site()
    site.hold()
    site.save()
    site.set("Deployment", f"{APP}-{BLUE}", replicas=14)
    with pytest.raises(Killed):
        site.hold(kill_at=number, landed=landed)
    site.again()
    site.restore()
    assert site.autoscalers() == site.before


@pytest.mark.parametrize("landed", [False, True])
@pytest.mark.parametrize("number", range(1, RESTORES + 1))
def test_killed_while_putting_back(number, landed):
    site = Site(most=8)
    site.hold()
    site.save()
    with pytest.raises(Killed):
        site.restore(kill_at=number, landed=landed)
    site.again()
    site.restore()
    assert site.autoscalers() == site.before


def test_putting_back_takes_so_many_writes():
    site = Site(most=8)
    site.hold()
    assert count(lambda s: s.restore(), site) == RESTORES


@pytest.mark.parametrize("number", range(1, HOLDS + 1))
def test_an_answer_that_was_lost_changes_nothing(number):
    site = Site(most=8)
    site.hold(lose_at=number)
    site.restore(lose_at=number)
    assert site.autoscalers() == site.before


def test_a_write_prepared_by_a_controller_that_was_cut_off_is_refused():
    site = Site()
    api = site._api()
    stale = api.get_autoscaler(BLUE_HPA)
    with pytest.raises(Killed):
        site.hold(kill_at=1)
    site.again()
    site.restore()
    with pytest.raises(ApiError, match="409"):
        api.patch_autoscaler(stale, [{"op": "replace", "path": "/spec/minReplicas", "value": 10}])
    assert site.autoscalers() == site.before


def test_somebody_who_writes_in_between_is_read_again_and_the_lock_proved():
    site = Site()
    saves = []
    site.save = lambda: saves.append(1)  # type: ignore[method-assign]
    site.hold(before={1: lambda: site.set("HorizontalPodAutoscaler", BLUE_HPA, minReplicas=5)})
    assert site.limits() == (10, 20)
    assert len(saves) == 3  # The record, the lock after the conflict, the record with the other hand's value.
    site.restore()
    assert site.limits() == (5, 20)


def test_an_autoscaler_that_never_holds_still_ends_the_attempt():
    site = Site()
    numbers = iter(range(5, 100))
    meddle = {
        n: lambda: site.set("HorizontalPodAutoscaler", BLUE_HPA, maxReplicas=20 + next(numbers)) for n in range(99)
    }
    with pytest.raises(Unsettled, match="kept changing"):
        site.hold(before=meddle)


def test_what_is_not_allowed_is_not_recorded():
    site = Site()
    site.cluster.refused[("patch", "HorizontalPodAutoscaler")] = 403
    with pytest.raises(ApiError, match="403"):
        site.hold()
    assert (site.journal["autoscalers"], site.autoscalers()) == ([], site.before)
    assert site.restore() == []


def test_what_may_not_be_listed_stops_before_anything_is_done():
    site = Site()
    site.cluster.refused[("list", "HorizontalPodAutoscaler")] = 403
    with pytest.raises(ApiError, match="let this user 'list' horizontalpodautoscalers"):
        site.hold()
    assert site.cluster.writes == []


def test_a_cluster_without_autoscalers_has_none_to_hold():
    site = Site()
    site.cluster.refused[("list", "HorizontalPodAutoscaler")] = 404
    assert site.hold() == []


def test_one_that_keda_writes_is_named_and_left():
    site = Site()
    owner = [{"kind": "ScaledObject", "name": "shop", "controller": True}]
    site.cluster.edit("HorizontalPodAutoscaler", BLUE_HPA, lambda o: o["metadata"].update(ownerReferences=owner))
    done = site.hold()
    assert f"{BLUE_HPA} is not held: ScaledObject shop writes it and would undo that" in done
    assert (site.limits(BLUE_HPA), site.limits(GREEN_HPA)) == ((4, 20), (10, 20))


def test_one_that_was_deleted_meanwhile_stays_deleted():
    site = Site()
    site.hold()
    site.cluster.remove("HorizontalPodAutoscaler", BLUE_HPA)
    assert f"{BLUE_HPA} is gone, so nothing is put back" in site.restore()
    assert site.cluster.find("HorizontalPodAutoscaler", BLUE_HPA) is None
    assert site.limits(GREEN_HPA) == (4, 20)


def test_what_somebody_set_during_the_release_stays():
    site = Site()
    site.hold()
    site.set("HorizontalPodAutoscaler", BLUE_HPA, minReplicas=6)
    assert f"{BLUE_HPA}: minReplicas was changed meanwhile and stays" in site.restore()
    assert site.limits() == (6, 20)


# -- the new slot grows with the old one -----------------------------------------------------------------------------


def grown(site: Site, size: int = 10) -> Site:
    site.cluster.put(deployment(GREEN, "v2", replicas=size))
    return site


def test_the_new_slot_grows_to_the_old_ones_size():
    site = grown(Site())
    assert site.grow(14) is True
    assert (site.size(GREEN), site.journal["candidate"]["replicas"]) == (14, 14)
    assert site.grow(14) is False


def test_the_new_slot_never_shrinks():
    site = grown(Site(), 16)
    assert site.grow(4) is False
    assert site.size(GREEN) == 16


def test_a_smaller_size_that_the_user_chose_is_kept():
    site = grown(Site(), 5)
    site.rollout.candidate.replicas = 5
    site.set("Deployment", f"{APP}-{BLUE}", replicas=14)
    site.hold()
    assert site.grow(14) is False
    assert (site.size(GREEN), site.limits(GREEN_HPA), site.limits(BLUE_HPA)) == (5, (5, 20), (14, 20))


def test_a_slot_that_is_scaled_away_is_not_started():
    site = grown(Site(), 0)
    assert site.grow(14) is False
    assert site.size(GREEN) == 0


def test_growing_survives_somebody_elses_write():
    site = grown(Site())
    client = {1: lambda: site.set("Deployment", f"{APP}-{GREEN}", minReadySeconds=3)}
    assert site.grow(14, before=client) is True
    assert site.size(GREEN) == 14
