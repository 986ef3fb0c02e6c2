# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests written while others write, too."""

from __future__ import annotations

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import isoformat
from ansible_collections.churnguard.ops.plugins.module_utils._common.envelope import Recorder
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.plugins.module_utils._rollout import control
from ansible_collections.churnguard.ops.plugins.module_utils._rollout import journal as codec
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.api import RolloutApi
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.messenger import Messenger, Reply
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.strategies import blue_green
from ansible_collections.churnguard.ops.tests.unit.support.clock import FakeClock
from ansible_collections.churnguard.ops.tests.unit.support.cluster import Client, FakeCluster
from ansible_collections.churnguard.ops.tests.unit.support.objects import (
    APP,
    GREEN,
    NAMESPACE,
    journal,
    release,
    rollout,
    target,
    wish,
)


@pytest.fixture
def cluster() -> FakeCluster:
    """A rollout is in flight, and its runner alive."""
    made = FakeCluster(FakeClock())
    one = rollout(blue_green(release(GREEN, "v2"), release(), target(), wish().pace))
    made.put(codec.write(journal(release(), rollout=one), target()))
    spec = {"holderIdentity": "runner", "leaseDurationSeconds": 60, "renewTime": isoformat(made.clock.now())}
    made.put({"kind": "Lease", "metadata": {"name": f"{APP}-rollout", "namespace": NAMESPACE}, "spec": spec})
    return made


def ask(client: Client, command: str, by: str) -> Reply:
    clock = client.cluster.clock
    return Messenger(RolloutApi(client, target()), target(), clock, Recorder(clock, "rollout_control")).ask(
        command, False, by, ""
    )


def kept(cluster: FakeCluster) -> list[str]:
    return [str(request) for request in control.read(cluster.find("ConfigMap", control.name_of(target())))]


def other(cluster: FakeCluster, command: str):
    return lambda: ask(Client(cluster), command, "other")


def test_two_who_make_the_config_map_at_once(cluster):
    reply = ask(Client(cluster, before={1: other(cluster, "pause")}), "abort", "me")
    assert (reply.changed, kept(cluster)) == (True, ["pause by other", "abort by me"])


def test_a_write_that_another_crossed_is_made_again_on_top_of_it(cluster):
    ask(Client(cluster), "pause", "first")
    reply = ask(Client(cluster, before={1: other(cluster, "resume")}), "abort", "me")
    assert (reply.changed, kept(cluster)) == (True, ["pause by first", "resume by other", "abort by me"])


def test_who_was_quicker_with_the_same_is_found_then(cluster):
    reply = ask(Client(cluster, before={1: other(cluster, "abort")}), "abort", "me")
    assert (reply.changed, kept(cluster)) == (False, ["abort by other"])


def test_after_five_crossed_writes_it_gives_up_and_says_so(cluster):
    turns = ["pause", "resume", "pause", "resume", "pause"]
    client = Client(cluster, before={n: other(cluster, command) for n, command in enumerate(turns, 1)})
    with pytest.raises(OperationError, match="changed by others between reading and writing 5 times"):
        ask(client, "abort", "me")
    assert len(kept(cluster)) == 5
    assert client.sent == 5


@pytest.mark.parametrize("first", [True, False], ids=["created", "replaced"])
def test_a_lost_answer_does_not_ask_twice(cluster, first):
    if not first:
        ask(Client(cluster), "pause", "me")
    reply = ask(Client(cluster, lose_at=1), "abort", "me")
    assert (reply.changed, kept(cluster)[-1], len(kept(cluster))) == (True, "abort by me", 1 if first else 2)
