# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._kubernetes.errors import ApiError
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.api import RolloutApi
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.lock import (
    Lock,
    LockHeld,
    LockLost,
    own_name,
    own_process,
    process_is_dead,
)
from ansible_collections.churnguard.ops.tests.unit.support.cluster import Killed
from ansible_collections.churnguard.ops.tests.unit.support.objects import deployment, target
from ansible_collections.churnguard.ops.tests.unit.support.world import World, dead_process

ELSEWHERE = "other-boot/pid:[1]/17/1"


@pytest.fixture
def world() -> World:
    return World()


def lock(world: World, process: str = ELSEWHERE, **faults) -> Lock:
    """The lock of a process of another machine, unless C(process) says otherwise."""
    return world.lock(world.client(**faults), process)


def lease(world: World) -> dict:
    return world.cluster.find("Lease", "churnguard-api-rollout")


# -- taking it -------------------------------------------------------------------------------------------------------


def test_a_free_lock_is_taken(world):
    first = lock(world)
    assert first.acquire() is False
    spec = lease(world)["spec"]
    assert (spec["holderIdentity"], spec["leaseDurationSeconds"], spec["leaseTransitions"]) == ("runner 1", 60, 1)
    assert spec["acquireTime"] == spec["renewTime"] == "2026-11-21T19:00:00.000000Z"
    assert lease(world)["metadata"]["annotations"] == {"churnguard.ops/holder-process": ELSEWHERE}


def test_a_lock_that_was_given_back_is_taken_and_its_token_grows(world):
    tokens = []
    for _time in range(3):
        one = lock(world)
        assert one.acquire() is False
        tokens.append(one.token)
        one.release()
        assert (world.lock_holder, one.token) == ("", 0)
    assert tokens == [1, 2, 3]


def test_a_held_lock_is_not_taken_and_its_holder_is_named(world):
    lock(world).acquire()
    before = lease(world)
    world.clock.sleep(20)
    with pytest.raises(LockHeld, match=r"runner 1 holds Lease .*/churnguard-api-rollout, renewed 20 s ago.*in 40 s"):
        lock(world).acquire()
    assert lease(world) == before


@pytest.mark.parametrize(("after", "taken"), [(59.0, False), (60.0, True), (3600.0, True)])
def test_a_lock_is_taken_over_when_it_has_expired(world, after, taken):
    lock(world).acquire()
    world.clock.sleep(after)
    second = lock(world)
    if taken:
        assert second.acquire() is True
        assert (world.lock_holder, second.token) == ("runner 2", 2)
    else:
        with pytest.raises(LockHeld):
            second.acquire()


def test_the_holders_own_duration_counts_and_not_ones_own(world):
    first = lock(world)
    first._duration = 600
    first.acquire()
    world.clock.sleep(100)
    with pytest.raises(LockHeld):
        lock(world).acquire()


def test_a_lock_of_a_dead_process_of_this_machine_is_taken_over_at_once(world):
    lock(world, dead_process()).acquire()
    assert lock(world).acquire() is True


@pytest.mark.parametrize(
    "process",
    [ELSEWHERE, own_process(), "", "nonsense", "a/b/c/d/e"],
    ids=["elsewhere", "itself", "none", "no parts", "too many parts"],
)
def test_a_lock_of_any_other_process_is_not(world, process):
    lock(world, process or " ").acquire()
    with pytest.raises(LockHeld):
        lock(world).acquire()


@pytest.mark.parametrize("exists", [False, True])
def test_of_two_who_both_find_it_free_one_gets_it_and_the_other_is_told_who(world, exists):
    if exists:
        early = lock(world)
        early.acquire()
        early.release()
    winner = lock(world)
    loser = lock(world, before={1: winner.acquire})
    with pytest.raises(LockHeld, match=winner.identity):
        loser.acquire()
    assert world.lock_holder == winner.identity


@pytest.mark.parametrize("exists", [False, True])
def test_a_lost_answer_does_not_lock_oneself_out(world, exists):
    if exists:
        early = lock(world)
        early.acquire()
        early.release()
    one = lock(world, lose_at=1)
    assert one.acquire() is False
    one.renew()
    assert world.lock_holder == one.identity


def test_a_server_that_refuses_is_no_held_lock(world):
    world.cluster.refused[("create", "Lease")] = 403
    with pytest.raises(ApiError, match="403"):
        lock(world).acquire()


# -- keeping it ------------------------------------------------------------------------------------------------------


def test_it_is_renewed_after_a_third_of_its_time_and_not_before(world):
    one = lock(world)
    one.acquire()
    written = len(world.cluster.writes)
    world.clock.sleep(19)
    one.keep()
    assert len(world.cluster.writes) == written
    world.clock.sleep(1)
    one.keep()
    assert len(world.cluster.writes) == written + 1
    assert lease(world)["spec"]["renewTime"] == "2026-11-21T19:00:20.000000Z"
    assert lease(world)["spec"]["acquireTime"] == "2026-11-21T19:00:00.000000Z"
    assert one.token == 1


def test_a_renewal_whose_answer_was_lost_is_one(world):
    one = lock(world, lose_at=2)
    one.acquire()
    world.clock.sleep(30)
    one.renew()
    world.clock.sleep(30)
    one.renew()
    assert one.token == 1


def test_a_holder_that_slept_too_long_finds_the_lock_lost(world):
    sleeper, other = lock(world), lock(world)
    sleeper.acquire()
    world.clock.sleep(120)
    other.acquire()
    with pytest.raises(LockLost, match="taken over by runner 2"):
        sleeper.keep()
    assert world.lock_holder == "runner 2"


def test_a_holder_that_slept_while_another_came_and_went_finds_the_lock_lost(world):
    sleeper, other = lock(world), lock(world)
    sleeper.acquire()
    world.clock.sleep(120)
    other.acquire()
    other.release()
    with pytest.raises(LockLost):
        sleeper.keep()
    assert world.lock_holder == ""


def test_an_expired_lock_that_nobody_took_is_still_ours(world):
    one = lock(world)
    one.acquire()
    world.clock.sleep(500)
    one.keep()
    assert (world.lock_holder, one.token) == (one.identity, 1)


# -- giving it back --------------------------------------------------------------------------------------------------


def test_it_is_given_back_without_a_trace_of_the_process(world):
    one = lock(world)
    one.acquire()
    one.release()
    assert lease(world)["spec"]["holderIdentity"] == ""
    assert lease(world)["metadata"]["annotations"] == {"churnguard.ops/holder-process": ""}


def test_a_lost_lock_is_left_to_its_new_holder(world):
    sleeper, other = lock(world), lock(world)
    sleeper.acquire()
    world.clock.sleep(120)
    other.acquire()
    sleeper.release()
    assert world.lock_holder == "runner 2"


def test_what_was_never_taken_is_not_given_back(world):
    lock(world).release()
    assert lease(world) is None


def test_a_killed_holder_gives_nothing_back(world):
    one = lock(world, kill_at=2)
    one.acquire()
    with pytest.raises(Killed):
        one.renew()
    with pytest.raises(Killed):
        one.release()
    assert world.lock_holder == one.identity


# -- fencing ---------------------------------------------------------------------------------------------------------


def test_a_fence_makes_a_write_prepared_before_it_fail(world):
    world.cluster.put(deployment())
    sleeper = RolloutApi(world.client(), target())
    prepared = sleeper.get_deployment("blue")
    RolloutApi(world.client(), target()).fence("Deployment", "churnguard-api-blue", 2)
    with pytest.raises(ApiError, match="409"):
        sleeper.scale_deployment(prepared, 0)
    fenced = world.cluster.find("Deployment", "churnguard-api-blue")
    assert fenced["metadata"]["annotations"]["churnguard.ops/fence"] == "2"
    assert fenced["spec"]["replicas"] == 2


def test_a_fence_around_nothing_is_nothing(world):
    RolloutApi(world.client(), target()).fence("Deployment", "churnguard-api-blue", 2)
    assert world.cluster.writes == []


# -- who holds it ----------------------------------------------------------------------------------------------------


def test_this_process_is_alive_and_says_where_it_runs():
    assert len(own_process().split("/")) == 4
    assert not process_is_dead(own_process())
    assert re.fullmatch(rf".+@.+ \(process {os.getpid()}\)", own_name())


def test_a_process_that_has_ended_is_dead():
    read = "from pathlib import Path; print(Path('/proc/self/stat').read_text().rsplit(')', 1)[1].split()[19])"
    child = subprocess.Popen([sys.executable, "-c", read], stdout=subprocess.PIPE, text=True)
    started, _errors = child.communicate()
    boot, namespace, _pid, _start = own_process().split("/")
    process = f"{boot}/{namespace}/{child.pid}/{started.strip()}"
    assert process_is_dead(process)
    assert not process_is_dead(process.replace(boot, "other-boot"))
    assert not process_is_dead(process.replace(namespace, "pid:[1]"))


def test_a_process_id_that_was_given_out_again_is_another_process():
    assert process_is_dead(dead_process())
    assert Path(f"/proc/{os.getpid()}").exists()
