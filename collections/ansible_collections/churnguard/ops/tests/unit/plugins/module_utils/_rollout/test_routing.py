# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.routing import (
    RouterProblem,
    describe,
    read_split,
    route_applied,
    split_patch,
    weighted_rule,
)
from ansible_collections.churnguard.ops.tests.unit.support.cluster import patched
from ansible_collections.churnguard.ops.tests.unit.support.objects import (
    ALL_BLUE,
    ALL_GREEN,
    APP,
    BLUE,
    GREEN,
    parent,
    public_service,
    route,
    target,
    written_by,
)

HTTP, SERVICE = target(), target("Service")


def routed(*backends: dict, **changes) -> dict:
    """A route whose weighted rule has C(backends)."""
    obj = route()
    obj["spec"]["rules"][-1] = {"backendRefs": list(backends), **changes}
    return obj


def backend(slot: str, **fields) -> dict:
    return {"name": f"{APP}-{slot}", "port": 80, **fields}


# -- reading ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weights", "split"),
    [
        ({BLUE: 100, GREEN: 0}, ALL_BLUE),
        ({BLUE: 0, GREEN: 100}, ALL_GREEN),
        ({BLUE: 90, GREEN: 10}, {BLUE: 90, GREEN: 10}),
        ({BLUE: 1, GREEN: 0}, ALL_BLUE),
        ({BLUE: 3, GREEN: 1}, {BLUE: 75, GREEN: 25}),
        ({BLUE: 2, GREEN: 1}, {BLUE: 67, GREEN: 33}),
        ({BLUE: 500, GREEN: 500}, {BLUE: 50, GREEN: 50}),
        ({BLUE: 0, GREEN: 0}, {BLUE: 0, GREEN: 0}),
    ],
)
def test_weights_are_read_as_per_cent_of_their_sum(weights, split):
    assert read_split(route(weights), HTTP) == split


@pytest.mark.parametrize("few", [1, 4])
def test_a_slot_with_any_traffic_never_reads_as_one_with_none(few):
    assert read_split(route({BLUE: 999, GREEN: few}), HTTP) == {BLUE: 99, GREEN: 1}


def test_an_absent_weight_is_1():
    assert read_split(routed(backend(BLUE), backend(GREEN)), HTTP) == {BLUE: 50, GREEN: 50}
    assert read_split(routed(backend(BLUE, weight=3), backend(GREEN)), HTTP) == {BLUE: 75, GREEN: 25}


@pytest.mark.parametrize("slot", [BLUE, GREEN])
def test_a_service_sends_everything_to_the_slot_it_selects(slot):
    assert read_split(public_service(slot), SERVICE) == {s: 100 if s == slot else 0 for s in (BLUE, GREEN)}


def test_the_weighted_rule_is_found_wherever_it_stands():
    obj = route()
    assert weighted_rule(obj, HTTP) == 2
    obj["spec"]["rules"].reverse()
    assert weighted_rule(obj, HTTP) == 0


@pytest.mark.parametrize(
    "rules", [None, [], [{}], [{"backendRefs": [backend(BLUE)]}], [{"backendRefs": [backend(BLUE), backend("red")]}]]
)
def test_a_route_without_a_weighted_rule_cannot_be_used(rules):
    obj = route()
    obj["spec"]["rules"] = rules
    with pytest.raises(RouterProblem, match="has no rule whose backendRefs are churnguard-api-blue and"):
        read_split(obj, HTTP)


def test_an_unknown_slot_in_the_weighted_rule_is_named_with_its_writer():
    obj = routed(backend(BLUE), backend(GREEN), backend("red"))
    written_by(obj, "kubectl-edit", {"f:spec": {"f:rules": {}}})
    with pytest.raises(RouterProblem, match=r"unknown slot 'churnguard-api-red' \(last written by .* kubectl-edit\)"):
        read_split(obj, HTTP)


@pytest.mark.parametrize("selector", [{"app": APP, "slot": "red"}, {"app": APP}, {}])
def test_a_service_that_selects_no_known_slot_is_named_with_its_writer(selector):
    obj = written_by(public_service(), "kubectl-edit", {"f:spec": {"f:selector": {}}})
    obj["spec"]["selector"] = selector
    with pytest.raises(
        RouterProblem, match=r"unknown slot '(red|None)' \(last written by field manager kubectl-edit\)"
    ):
        read_split(obj, SERVICE)


# -- writing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", [ALL_BLUE, ALL_GREEN, {BLUE: 3, GREEN: 1}])
@pytest.mark.parametrize("goal", [ALL_BLUE, ALL_GREEN, {BLUE: 75, GREEN: 25}])
def test_a_patch_brings_the_split_about(before, goal):
    obj = route(before)
    assert read_split(patched(obj, split_patch(obj, HTTP, goal)), HTTP) == goal


def test_a_patch_writes_an_absent_weight():
    obj = routed(backend(BLUE), backend(GREEN))
    assert read_split(patched(obj, split_patch(obj, HTTP, ALL_GREEN)), HTTP) == ALL_GREEN


def test_a_patch_touches_nothing_but_our_weights():
    filters = [{"type": "RequestHeaderModifier"}]
    obj = routed(
        backend(GREEN, weight=0, filters=filters),
        backend(BLUE, weight=100),
        filters=filters,
        timeouts={"request": "9s"},
    )
    foreign = {"matches": [{"path": {"value": "/admin"}}], "backendRefs": [{"name": "admin", "port": 80, "weight": 7}]}
    obj["spec"]["rules"].insert(0, foreign)
    obj["spec"]["rules"].append(foreign)
    after = patched(obj, split_patch(obj, HTTP, ALL_GREEN))
    wanted = copy.deepcopy(obj)
    wanted["spec"]["rules"][3]["backendRefs"][0]["weight"] = 100
    wanted["spec"]["rules"][3]["backendRefs"][1]["weight"] = 0
    assert after == wanted


@pytest.mark.parametrize(("goal", "slot"), [(ALL_BLUE, BLUE), (ALL_GREEN, GREEN)])
def test_a_service_is_switched_by_its_slot_label_alone(goal, slot):
    after = patched(public_service(BLUE), split_patch(public_service(BLUE), SERVICE, goal))
    assert after == public_service(slot)


# -- has the gateway taken it over -----------------------------------------------------------------------------------


def status(*parents: dict) -> dict:
    return {**route(), "status": {"parents": list(parents)}}


@pytest.mark.parametrize(
    ("obj", "state", "text"),
    [
        (route(), "done", "accepted at generation 4"),
        (status(parent(5)), "done", "accepted"),
        (status(parent(4, Accepted="True")), "done", "accepted"),
        (status(parent(4, Accepted="True", ResolvedRefs="True", Programmed="True")), "done", "accepted"),
        (status(), "pending", "no gateway has answered"),
        ({**route(), "status": None}, "pending", "no gateway has answered"),
        (status(parent(3)), "pending", "has not seen generation 4"),
        (status(parent(4, ResolvedRefs="True")), "pending", "has not accepted the route yet"),
        (status({"controllerName": "c"}), "pending", "c has not accepted the route yet"),
        (status(parent(4, Accepted="False")), "failed", "lab-gateway says Accepted is False: Why: text"),
        (status(parent(4, Accepted="True", ResolvedRefs="False")), "failed", "ResolvedRefs is False"),
        (status(parent(4, Accepted="True", Programmed="False")), "failed", "Programmed is False"),
        (status(parent(3, Accepted="False")), "pending", "has not seen generation 4"),
        (status(parent(4), parent(3)), "pending", "has not seen generation 4"),
        (status(parent(4), parent(4, Accepted="False")), "failed", "Accepted is False"),
    ],
)
def test_a_route_is_applied_when_every_gateway_accepts_its_generation(obj, state, text):
    finding = route_applied(obj, HTTP)
    assert finding.state == state
    assert text in finding.detail


def test_a_condition_without_a_generation_is_of_none():
    answered = parent(4)
    del answered["conditions"][0]["observedGeneration"]
    assert route_applied(status(answered), HTTP).state == "pending"


def test_a_service_has_no_status_to_wait_for():
    assert route_applied(public_service(), SERVICE).done


# -- words -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("split", "text"), [(ALL_BLUE, "blue 100 %, green 0 %"), ({BLUE: 10, GREEN: 90}, "green 90 %, blue 10 %")]
)
def test_the_larger_share_comes_first(split, text):
    assert describe(split) == text
