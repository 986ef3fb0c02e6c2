# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The document in its ConfigMap while others write to it too, and what rollouts do with flags."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.plugins.module_utils._flags.api import FlagsApi
from ansible_collections.churnguard.ops.plugins.module_utils._flags.gate import check_flags, gate_open, switch_off
from ansible_collections.churnguard.ops.plugins.module_utils._flags.model import Document, read_requests
from ansible_collections.churnguard.ops.plugins.module_utils._flags.plan import Plan, Wish, decide
from ansible_collections.churnguard.ops.plugins.module_utils._flags.store import ATTEMPTS, change
from ansible_collections.churnguard.ops.plugins.module_utils._kubernetes.errors import ApiError
from ansible_collections.churnguard.ops.tests.unit.support.clock import FakeClock
from ansible_collections.churnguard.ops.tests.unit.support.cluster import Client, FakeCluster, Killed
from ansible_collections.churnguard.ops.tests.unit.support.objects import NAMESPACE

NAME, KEY = "churnguard-flags", "flags.json"
ON_OFF = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off"}
OPEN = {**ON_OFF, "defaultVariant": "on"}


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster(FakeClock())


def api(cluster: FakeCluster, **trouble: Any) -> FlagsApi:
    return FlagsApi(Client(cluster, **trouble), NAMESPACE, NAME, KEY)


def store(cluster: FakeCluster, other: str = "", **flags: Any) -> None:
    metadata = {"name": NAME, "namespace": NAMESPACE, "labels": {"kept": "yes"}}
    data = {KEY: json.dumps({"flags": flags}), "other.json": other}
    cluster.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})


def stored(cluster: FakeCluster) -> Document:
    return json.loads(cluster.find("ConfigMap", NAME)["data"][KEY])


def want(place: str, *entries: dict[str, Any]) -> Any:
    def decided(document: Document) -> Plan:
        return decide(document, Wish(read_requests(list(entries), place)), place)

    return decided


# -- writing ---------------------------------------------------------------------------------------------------------


def test_a_config_map_is_made_once_and_then_changed(cluster):
    flags = api(cluster)
    for percentage in (10, 25, 25):
        change(flags, want(flags.place, {"name": "f", "percentage": percentage}))
    assert [write.verb for write in cluster.writes] == ["create", "update"]
    assert stored(cluster)["flags"]["f"]["targeting"] == {"fractional": [["on", 25], ["off", 75]]}


def test_everything_else_in_the_config_map_stays(cluster):
    store(cluster, other="mine", z=ON_OFF)
    change(api(cluster), want("x", {"name": "f"}))
    found = cluster.find("ConfigMap", NAME)
    assert (found["data"]["other.json"], found["metadata"]["labels"]) == ("mine", {"kept": "yes"})
    assert list(stored(cluster)["flags"]) == ["z", "f"]


def test_a_config_map_without_the_key_and_without_data_gets_it(cluster):
    cluster.put({"kind": "ConfigMap", "metadata": {"name": NAME, "namespace": NAMESPACE}})
    change(api(cluster), want("x", {"name": "f"}))
    assert list(stored(cluster)["flags"]) == ["f"]


def test_check_mode_writes_nothing(cluster):
    _stored, plan = change(api(cluster), want("x", {"name": "f"}), check_mode=True)
    assert [entry["action"] for entry in plan.changes] == ["created"]
    assert cluster.writes == []


def test_what_somebody_else_writes_meanwhile_is_kept(cluster):
    store(cluster, f=ON_OFF)
    flags = api(cluster, before={1: lambda: store(cluster, f=ON_OFF, theirs=ON_OFF)})
    _stored, plan = change(flags, want("x", {"name": "f", "percentage": 10}))
    assert sorted(stored(cluster)["flags"]) == ["f", "theirs"]
    assert [entry["name"] for entry in plan.changes] == ["f"]


def test_two_who_create_at_once_end_with_both_flags(cluster):
    other = api(cluster)
    flags = api(cluster, before={1: lambda: change(other, want("x", {"name": "theirs"}))})
    change(flags, want("x", {"name": "mine"}))
    assert sorted(stored(cluster)["flags"]) == ["mine", "theirs"]


@pytest.mark.parametrize("exists", [True, False])
def test_a_lost_answer_is_still_a_change(cluster, exists):
    if exists:
        store(cluster)
    _stored, plan = change(api(cluster, lose_at=1), want("x", {"name": "f"}))
    assert [entry["action"] for entry in plan.changes] == ["created"]
    assert list(stored(cluster)["flags"]) == ["f"]


def test_somebody_who_always_writes_first_ends_it(cluster):
    store(cluster)
    writes = iter(range(1000))
    before = {n: lambda: store(cluster, other=str(next(writes))) for n in range(1, 100)}
    flags = api(cluster, before=before)
    with pytest.raises(OperationError, match=f"between each of {ATTEMPTS} reads and writes"):
        change(flags, want("x", {"name": "f"}))
    assert stored(cluster)["flags"] == {}


def test_a_key_with_something_else_is_never_written_over(cluster):
    metadata = {"name": NAME, "namespace": NAMESPACE}
    cluster.put({"kind": "ConfigMap", "metadata": metadata, "data": {KEY: "not json"}})
    with pytest.raises(OperationError, match=f"ConfigMap {NAMESPACE}/{NAME} key {KEY}: it holds no JSON"):
        change(api(cluster), want("x", {"name": "f"}))
    assert cluster.find("ConfigMap", NAME)["data"][KEY] == "not json"


def test_a_refusal_of_the_server_is_told(cluster):
    cluster.refused["create", "ConfigMap"] = 403
    with pytest.raises(ApiError, match="cannot create"):
        change(api(cluster), want("x", {"name": "f"}))


# -- the gate --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flag", "opens", "reason"),
    [
        (OPEN, True, "Flag f is on for everybody."),
        ({**OPEN, "variants": {"yes": True}, "defaultVariant": "yes", "targeting": {}}, True, "on for everybody"),
        (ON_OFF, False, "Flag f is off for everybody."),
        ({**OPEN, "state": "DISABLED"}, False, "Flag f is disabled."),
        (
            {**ON_OFF, "targeting": {"fractional": [["on", 10], ["off", 90]]}},
            False,
            "Flag f is not for everybody: on for 10 %.",
        ),
        ({**OPEN, "targeting": {"if": [{"var": "x"}, "on"]}}, False, "not for everybody: by its own targeting."),
        ({**ON_OFF, "variants": {"on": "true"}, "defaultVariant": "on"}, False, "no boolean flag"),
        ({"state": "ENABLED", "variants": {"on": True}}, False, "no boolean flag"),
        (None, False, "Flag f does not exist."),
    ],
)
def test_a_gate_is_open_for_everybody_or_closed(flag, opens, reason):
    is_open, why = gate_open({"flags": {} if flag is None else {"f": flag}}, "f")
    assert is_open is opens
    assert reason in why


@pytest.mark.parametrize("document", [None, {}, {"flags": {}}, {"flags": {"f": "x"}}])
def test_without_a_flag_the_gate_is_closed(document):
    assert gate_open(document, "f") == (False, "Flag f does not exist.")


def test_a_stage_of_100_per_cent_opens_the_gate(cluster):
    flags = api(cluster)
    for percentage, opens in ((0, False), (99, False), (100, True), (50, False)):
        change(flags, want("x", {"name": "f", "percentage": percentage}))
        assert gate_open(flags.read().document, "f")[0] is opens


# -- switching off with a rollback -----------------------------------------------------------------------------------


def test_switching_off_tells_what_was_changed_once(cluster):
    store(cluster, f=OPEN, g={**OPEN, "state": "DISABLED"}, kept=OPEN)
    done = switch_off(api(cluster), ["f", "g", "gone"])
    assert done == [{"name": "f", "action": "disabled", "detail": "on for everybody -> disabled"}]
    assert stored(cluster)["flags"] == {
        "f": {**OPEN, "state": "DISABLED"},
        "g": {**OPEN, "state": "DISABLED"},
        "kept": OPEN,
    }
    cluster.writes.clear()
    assert switch_off(api(cluster), ["f", "g", "gone"]) == []
    assert cluster.writes == []


def test_switching_off_without_any_flags_is_no_error_and_makes_nothing(cluster):
    assert switch_off(api(cluster), ["f"]) == []
    assert cluster.find("ConfigMap", NAME) is None


@pytest.mark.parametrize("landed", [True, False])
def test_switching_off_may_be_repeated_after_a_crash(cluster, landed):
    store(cluster, f=OPEN)
    with pytest.raises(Killed):
        switch_off(api(cluster, kill_at=1, landed=landed), ["f"])
    assert len(switch_off(api(cluster), ["f"])) == (0 if landed else 1)
    assert gate_open(stored(cluster), "f") == (False, "Flag f is disabled.")


def test_wrong_names_are_found_before_a_rollout(cluster):
    store(cluster, f=OPEN)
    check_flags(api(cluster), ["f"])
    with pytest.raises(OperationError, match="it holds no flag g, h"):
        check_flags(api(cluster), ["h", "f", "g"])
