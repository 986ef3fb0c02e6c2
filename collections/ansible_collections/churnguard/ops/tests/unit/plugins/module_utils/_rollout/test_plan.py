# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decisions when no rollout is in flight. See test_plan_unfinished.py for the others."""

from __future__ import annotations

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.model import Journal
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.plan import decide
from ansible_collections.churnguard.ops.tests.unit.support.objects import (
    ALL_BLUE,
    ALL_GREEN,
    BLUE,
    GREEN,
    deployment,
    journal,
    manifest,
    observed,
    public_service,
    release,
    rollout,
    route,
    router,
    service,
    target,
    weighted,
    wish,
    written_by,
)

FIRST = ["start", "ready", "smoke", "route", "confirm"]
FULL = ["hold_size", *FIRST, "bake", "drain", "retire", "release_size"]
NONE = {BLUE: None, GREEN: None}


def names(decision) -> list[str]:
    return [step.name for step in decision.steps]


def refused(decision, *texts: str) -> bool:
    assert decision.kind == "refuse", decision
    assert decision.next_step
    return all(text in f"{decision.reason} {decision.next_step}" for text in texts)


# -- deploying -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["HTTPRoute", "Service"])
@pytest.mark.parametrize("serving", [BLUE, GREEN])
def test_a_first_install_goes_into_the_first_slot_and_has_nothing_to_retire(kind, serving):
    empty = observed(book=Journal(), deployments=NONE, router=router(kind, serving))
    decision = decide(empty, wish("v1"), target(kind))
    assert (decision.kind, decision.stable) == ("deploy", None)
    assert decision.candidate == release(BLUE, "v1", 2)
    assert decision.manifest == manifest("v1")
    assert names(decision) == FIRST


@pytest.mark.parametrize("kind", ["HTTPRoute", "Service"])
@pytest.mark.parametrize(("old", "new"), [(BLUE, GREEN), (GREEN, BLUE)])
def test_a_new_version_goes_into_the_other_slot(kind, old, new):
    stable = release(old, "v1")
    live = {old: deployment(old, "v1"), new: None}
    seen = observed(book=journal(stable=stable), deployments=live, router=router(kind, old))
    decision = decide(seen, wish("v2", bake_seconds=7), target(kind))
    assert (decision.kind, decision.candidate, decision.stable) == ("deploy", release(new, "v2"), stable)
    assert names(decision) == FULL
    assert [step.slot for step in decision.steps] == [old] + [new] * 6 + [old] * 3
    assert decision.steps[4].args == {"split": {new: 100, old: 0}, "weight": 100}
    assert decision.steps[6].args == {"seconds": 7, "weight": 100}
    assert decision.steps[8].args == {"serving": new, "serving_ready": True}


@pytest.mark.parametrize("kind", ["HTTPRoute", "Service"])
def test_what_is_already_live_is_left_alone(kind):
    decision = decide(observed(router=router(kind, BLUE)), wish("v1"), target(kind))
    assert (decision.kind, decision.reason) == ("nothing", "v1 is already live in slot blue")


def test_the_same_version_with_other_content_is_a_new_release():
    assert decide(observed(), wish("v1", image="other"), target()).kind == "deploy"


@pytest.mark.parametrize("gone", [None, deployment(replicas=0)], ids=["deleted", "scaled to 0"])
def test_a_version_that_was_live_and_has_no_pods_is_not_live(gone):
    decision = decide(observed(deployments={BLUE: gone, GREEN: None}), wish("v1"), target())
    assert (decision.kind, decision.candidate) == ("deploy", release(GREEN, "v1"))


@pytest.mark.parametrize("phase", ["passed", "rolled_back", "aborted"])
def test_a_rollout_that_has_ended_is_no_obstacle(phase):
    book = journal(stable=release(), rollout=rollout([], phase=phase))
    assert decide(observed(book=book), wish("v2"), target()).kind == "deploy"


# -- size ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "journaled", "live", "given", "size"),
    [
        (None, 2, 2, 1, 2),
        (None, 2, 7, 1, 7),
        (None, 5, 0, 1, 5),
        (3, 2, 7, 1, 3),
    ],
    ids=["as stable", "as an autoscaler made stable", "as stable was when it is down", "as asked"],
)
def test_the_new_slot_is_as_large_as_the_old_one_is_now_unless_asked_otherwise(asked, journaled, live, given, size):
    seen = observed(
        book=journal(stable=release(replicas=journaled)), deployments={BLUE: deployment(replicas=live), GREEN: None}
    )
    decision = decide(seen, wish("v2", replicas=asked, deployment=manifest("v2", given)), target())
    assert decision.candidate.replicas == size


@pytest.mark.parametrize(("asked", "given", "size"), [(None, 4, 4), (None, None, 1), (3, 4, 3)])
def test_a_first_install_is_as_large_as_its_deployment_says(asked, given, size):
    wanted = manifest("v1", 4)
    if given is None:
        del wanted["spec"]["replicas"]
    seen = observed(book=Journal(), deployments=NONE)
    assert decide(seen, wish("v1", replicas=asked, deployment=wanted), target()).candidate.replicas == size


# -- without a journal -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slot", [BLUE, GREEN])
def test_a_slot_that_runs_and_serves_is_adopted(slot):
    live = {BLUE: None, GREEN: None, slot: deployment(slot, "v1", 4)}
    seen = observed(book=Journal(), deployments=live, router=router("HTTPRoute", slot))
    decision = decide(seen, wish("v2"), target())
    assert (decision.kind, decision.stable) == ("deploy", release(slot, "v1", 4))
    assert decision.candidate.slot != slot
    assert names(decision) == FULL


def test_an_adopted_slot_that_holds_the_wish_is_left_alone():
    assert decide(observed(book=Journal()), wish("v1"), target()).kind == "nothing"


def test_a_slot_made_by_other_means_is_adopted_as_what_its_label_says():
    foreign = deployment()
    foreign["metadata"]["annotations"] = {}
    foreign["spec"]["template"]["metadata"]["labels"].pop("version")
    decision = decide(observed(book=Journal(), deployments={BLUE: foreign, GREEN: None}), wish("v1"), target())
    assert (decision.kind, decision.stable.version, decision.stable.content_hash) == ("deploy", "unknown", "")


@pytest.mark.parametrize("both", [True, False])
def test_a_slot_that_runs_and_does_not_serve_is_ambiguous(both):
    live = {BLUE: deployment() if both else None, GREEN: deployment(GREEN)}
    split = {BLUE: 50, GREEN: 50} if both else ALL_BLUE
    decision = decide(observed(split, Journal(), deployments=live), wish("v2"), target())
    assert refused(decision, "there is no journal", "which slot is stable cannot be told", "send all traffic")


def test_the_slot_that_serves_is_stable_whatever_else_runs():
    both = {BLUE: deployment(), GREEN: deployment(GREEN)}
    assert decide(observed(book=Journal(), deployments=both), wish("v2"), target()).stable.slot == BLUE


# -- drift -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("split", [ALL_GREEN, {BLUE: 90, GREEN: 10}, {BLUE: 0, GREEN: 0}, {BLUE: 999, GREEN: 1}])
def test_traffic_that_somebody_moved_away_from_stable_stops_everything_and_names_them(split):
    seen = observed(router=written_by(route(split), "kubectl-edit", {"f:spec": {"f:rules": {}}}))
    decision = decide(seen, wish("v2"), target())
    assert refused(decision, "slot blue (v1) is stable", "(last written by field manager kubectl-edit)", "blue 100 %")


def test_a_public_service_that_somebody_switched_stops_everything_and_names_them():
    seen = observed(router=written_by(public_service(GREEN), "kubectl-patch", {"f:spec": {"f:selector": {}}}))
    assert refused(decide(seen, wish("v2"), target("Service")), "green 100 %", "field manager kubectl-patch")


def test_drift_is_found_even_when_there_is_nothing_to_do():
    assert decide(observed(ALL_GREEN), wish("v1"), target()).kind == "refuse"


@pytest.mark.parametrize("state", ["present", "rolled_back", "aborted"])
@pytest.mark.parametrize("kind", ["HTTPRoute", "Service"])
def test_nothing_works_without_a_router(kind, state):
    decision = decide(observed(router=None), wish(state=state), target(kind))
    assert refused(decision, f"{kind} churnguard-test/", "does not exist", "site.yml")


@pytest.mark.parametrize("slot", [BLUE, GREEN])
def test_nothing_works_without_a_slots_service(slot):
    services = {BLUE: service(BLUE), GREEN: service(GREEN), slot: None}
    decision = decide(observed(services=services), wish("v2"), target())
    assert refused(decision, f"Service churnguard-test/churnguard-api-{slot} of slot {slot} does not exist", "site.yml")


@pytest.mark.parametrize("slot", [BLUE, GREEN])
@pytest.mark.parametrize("selector", [{"app": "churnguard-api"}, {"app": "churnguard-api", "slot": "red"}, None, {}])
def test_a_slots_service_whose_selector_was_changed_by_hand_is_named_with_its_writer(slot, selector):
    services = {BLUE: service(BLUE), GREEN: service(GREEN)}
    services[slot]["spec"]["selector"] = selector
    written_by(services[slot], "kubectl-edit", {"f:spec": {"f:selector": {}}})
    decision = decide(observed(services=services), wish("v2"), target())
    assert refused(
        decision,
        f"Service churnguard-test/churnguard-api-{slot} selects {selector}",
        "(last written by field manager kubectl-edit)",
        "No traffic has been moved",
    )


def test_a_selector_swapped_between_the_slots_is_found():
    services = {BLUE: service(GREEN), GREEN: service(BLUE)}
    assert refused(decide(observed(services=services), wish("v2"), target()), "selects")


@pytest.mark.parametrize("slot", [BLUE, GREEN])
def test_a_deployment_of_other_means_with_another_selector_is_named_with_its_writer(slot):
    live = {BLUE: deployment(BLUE), GREEN: deployment(GREEN)}
    live[slot]["spec"]["selector"]["matchLabels"] = {"app": "churnguard-api"}
    written_by(live[slot], "helm", {"f:spec": {"f:selector": {}}})
    decision = decide(observed(deployments=live), wish("v2"), target())
    assert refused(decision, f"Deployment churnguard-test/churnguard-api-{slot} selects", "field manager helm")


def test_an_unknown_slot_in_the_route_is_named():
    obj = route()
    obj["spec"]["rules"][2]["backendRefs"] += weighted({"red": 5})
    assert refused(
        decide(observed(router=obj), wish("v2"), target()), "unknown slot 'churnguard-api-red'", "router back"
    )


def test_an_unknown_slot_in_the_public_service_is_named():
    decision = decide(observed(router=public_service("red")), wish("v2"), target("Service"))
    assert refused(decision, "unknown slot 'red'", "known are blue and green")


# -- going back ------------------------------------------------------------------------------------------------------


def test_rolled_back_brings_the_release_before_into_the_other_slot_from_the_journal_alone():
    v1, v2 = release(BLUE, "v1"), release(GREEN, "v2", 6)
    live = {BLUE: deployment(BLUE, "v1", 0), GREEN: deployment(GREEN, "v2", 6)}
    seen = observed(ALL_GREEN, journal(stable=v2, previous=v1), deployments=live)
    decision = decide(seen, wish(state="rolled_back"), target())
    assert (decision.kind, decision.stable, decision.manifest) == ("deploy", v2, manifest("v1"))
    assert decision.candidate == release(BLUE, "v1", 6)
    assert names(decision) == FULL


def test_the_release_before_may_have_run_in_the_slot_that_is_live_now():
    v1, v2 = release(BLUE, "v1"), release(BLUE, "v2")
    seen = observed(book=journal(stable=v2, previous=v1), deployments={BLUE: deployment(version="v2"), GREEN: None})
    assert decide(seen, wish(state="rolled_back"), target()).candidate.slot == GREEN


@pytest.mark.parametrize(
    "book",
    [journal(stable=release()), Journal(), Journal(stable=release(), previous=release(GREEN, "v0"))],
    ids=["no previous", "no journal", "no manifest"],
)
def test_rolled_back_without_anything_before_is_refused(book):
    decision = decide(observed(book=book), wish(state="rolled_back"), target())
    assert refused(decision, "knows no release before", "deploy.yml")


@pytest.mark.parametrize(
    "book",
    [Journal(), journal(stable=release()), journal(stable=release(), rollout=rollout([], phase="passed"))],
    ids=["no journal", "no rollout", "one that has ended"],
)
def test_aborted_with_nothing_in_flight_is_nothing_to_do(book):
    decision = decide(observed(book=book), wish(state="aborted"), target())
    assert (decision.kind, decision.steps) == ("nothing", [])
