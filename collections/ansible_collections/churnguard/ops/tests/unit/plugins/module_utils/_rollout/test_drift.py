# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is drift, what is not, and whose it is."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._rollout import autoscaler as scaling
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.api import RolloutApi
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.drift import (
    Drift,
    Seen,
    find_drift,
    last_writer,
    look,
    remember_template,
)
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.model import Rollout, Step
from ansible_collections.churnguard.ops.tests.unit.support.clock import FakeClock
from ansible_collections.churnguard.ops.tests.unit.support.cluster import Client, FakeCluster
from ansible_collections.churnguard.ops.tests.unit.support.objects import (
    APP,
    BLUE,
    GREEN,
    autoscaler,
    deployment,
    public_service,
    release,
    rollout,
    route,
    service,
    target,
    weighted,
)

QUARTER = {BLUE: 75, GREEN: 25}
TIME = "2026-11-21T19:30:00Z"


def canary(**changes: Any) -> Rollout:
    """v2 is held at 25 per cent in green, both slots have 10 replicas."""
    steps = [
        Step("hold_size", BLUE, status="done"),
        Step("start", GREEN, status="done"),
        Step("route", GREEN, {"split": QUARTER}, status="done"),
        Step("hold", GREEN, status="started"),
        Step("retire", BLUE),
        Step("release_size", BLUE),
    ]
    fields = {"candidate": release(GREEN, "v2", 10), "previous": release(BLUE, "v1", 10), "sides": [QUARTER]}
    return rollout(steps, **{**fields, **changes})


def seen(held: bool = True, kind: str = "HTTPRoute") -> Seen:
    """Everything in order; both autoscalers held at 10, or not there."""
    hpas = [autoscaler(slot, 10) for slot in (BLUE, GREEN)] if held else []
    return Seen(
        router=route(QUARTER) if kind == "HTTPRoute" else public_service(),
        services={BLUE: service(BLUE), GREEN: service(GREEN)},
        deployments={BLUE: deployment(BLUE, "v1", 10), GREEN: deployment(GREEN, "v2", 10)},
        autoscalers=hpas,
    )


def held_record() -> list[dict[str, Any]]:
    hpas = [autoscaler(slot, 4) for slot in (BLUE, GREEN)]
    return [scaling.landed(e) for e in scaling.extended([], hpas, {BLUE: 10, GREEN: 10}, target())]


def by(obj: dict[str, Any], manager: str, *path: str, subresource: str = "", time: str = TIME) -> None:
    """Let C(manager) be the one who wrote the field at C(path)."""
    fields: dict[str, Any] = {}
    for step in reversed(path):
        fields = {f"f:{step}": fields}
    entry = {"manager": manager, "operation": "Update", "time": time, "fieldsV1": fields}
    if subresource:
        entry["subresource"] = subresource
    obj["metadata"].setdefault("managedFields", []).append(entry)


def only(found: list[Drift]) -> Drift:
    (drift,) = found
    return drift


def test_a_rollout_as_it_should_be_has_no_drift():
    assert find_drift(canary(autoscalers=held_record()), seen(), target()) == []
    assert find_drift(canary(), seen(held=False), target()) == []


# -- traffic ---------------------------------------------------------------------------------------------------------


def test_weights_that_somebody_else_wrote():
    scene = seen()
    scene.router = route({BLUE: 0, GREEN: 100})
    by(scene.router, "argocd-controller", "spec", "rules")
    drift = only(find_drift(canary(), scene, target()))
    assert (drift.object, drift.field) == (f"HTTPRoute {APP}", "spec.rules")
    assert (drift.found, drift.expected) == ("green 100 %, blue 0 %", "blue 75 %, green 25 %")
    assert (drift.manager, drift.time) == ("argocd-controller", TIME)
    assert str(drift) == (
        f"HTTPRoute {APP}: spec.rules is green 100 %, blue 0 % where the journal allows blue 75 %, green 25 % "
        f"(written by field manager argocd-controller at {TIME})"
    )


def test_both_sides_of_a_move_under_way_are_ours():
    going = canary(sides=[{BLUE: 90, GREEN: 10}, QUARTER])
    scene = seen()
    scene.router = route({BLUE: 90, GREEN: 10})
    assert find_drift(going, scene, target()) == []


def test_a_rule_with_a_third_backend():
    scene = seen()
    scene.router = route(QUARTER)
    scene.router["spec"]["rules"][-1]["backendRefs"] += weighted({"red": 5})
    drift = only(find_drift(canary(), scene, target()))
    assert "unknown slot" in str(drift.found)


@pytest.mark.parametrize("kind", ["HTTPRoute", "Service"])
def test_a_router_that_is_gone(kind):
    scene = seen()
    scene.router = None
    drift = only(find_drift(canary(), scene, target(kind)))
    assert (drift.found, drift.expected) == ("absent", "present")


def test_a_public_service_that_was_switched():
    going = canary(sides=[{BLUE: 100, GREEN: 0}])
    scene = seen(kind="Service")
    scene.router = public_service(GREEN)
    by(scene.router, "kubectl-edit", "spec", "selector", "slot")
    drift = only(find_drift(going, scene, target("Service")))
    assert (drift.field, drift.manager) == ("spec.selector", "kubectl-edit")


@pytest.mark.parametrize("slot", [BLUE, GREEN])
def test_a_slots_selector(slot):
    scene = seen()
    changed = scene.services[slot] or {}
    changed["spec"]["selector"]["tier"] = "gold"
    by(changed, "somebody", "spec", "selector")
    drift = only(find_drift(canary(), scene, target()))
    assert (drift.object, drift.manager) == (f"Service {APP}-{slot}", "somebody")
    assert drift.expected == {"app": APP, "slot": slot}


def test_a_slots_service_that_is_gone():
    scene = seen()
    scene.services[GREEN] = None
    assert only(find_drift(canary(), scene, target())).object == f"Service {APP}-green"


# -- size ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("slot", "size"), [(BLUE, 9), (BLUE, 21), (GREEN, 0), (GREEN, 21)])
def test_a_size_that_the_autoscaler_does_not_allow(slot, size):
    scene = seen()
    changed = deployment(slot, "v1" if slot == BLUE else "v2", size)
    by(changed, "kubectl", "spec", "replicas", subresource="scale")
    scene.deployments[slot] = changed
    drift = only(find_drift(canary(autoscalers=held_record()), scene, target()))
    assert (drift.found, drift.expected, drift.manager) == (size, "10 to 20", "kubectl")


@pytest.mark.parametrize("size", [10, 14, 20])
def test_what_an_autoscaler_may_do_is_no_drift(size):
    scene = seen()
    scene.deployments[BLUE] = deployment(BLUE, "v1", size)
    assert find_drift(canary(autoscalers=held_record()), scene, target()) == []


@pytest.mark.parametrize("size", [9, 11])
def test_without_an_autoscaler_the_size_is_the_journals(size):
    scene = seen(held=False)
    scene.deployments[BLUE] = deployment(BLUE, "v1", size)
    drift = only(find_drift(canary(), scene, target()))
    assert (drift.found, drift.expected) == (size, "10")


def test_an_autoscaler_that_has_not_seen_the_hold_yet_is_no_drift():
    scene = seen()
    late = deployment(BLUE, "v1", 9)
    by(late, "kube-controller-manager", "spec", "replicas", subresource="scale")
    scene.deployments[BLUE] = late
    assert find_drift(canary(autoscalers=held_record()), scene, target()) == []


def test_one_that_keda_writes_may_go_to_nothing():
    scene = seen()
    for hpa in scene.autoscalers:
        hpa["metadata"]["ownerReferences"] = [{"kind": "ScaledObject", "name": "shop", "controller": True}]
    scene.deployments[GREEN] = deployment(GREEN, "v2", 0)
    assert find_drift(canary(), scene, target()) == []


def test_a_slot_being_retired_has_no_size_to_keep():
    going = canary()
    going.steps[4].status = "started"
    scene = seen(held=False)
    scene.deployments[BLUE] = deployment(BLUE, "v1", 0)
    assert find_drift(going, scene, target()) == []


def test_a_new_slot_that_is_not_written_yet_is_not_looked_at():
    going = canary()
    going.steps[1].status = "started"
    scene = seen(held=False)
    scene.deployments[GREEN] = None
    assert find_drift(going, scene, target()) == []


# -- what runs -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slot", [BLUE, GREEN])
def test_a_template_that_somebody_else_changed(slot):
    scene, going = seen(), canary()
    for one in scene.deployments.values():
        remember_template(going, one)
    assert find_drift(going, scene, target()) == []
    changed = scene.deployments[slot] or {}
    changed["spec"]["template"]["spec"]["containers"][0]["image"] = "churnguard/ok:v666"
    by(changed, "churnguard-rollout", "spec", "template", "spec", time="2026-11-21T19:31:00Z")
    by(changed, "kubectl-set", "spec", "template", "spec", "containers")
    drift = only(find_drift(going, scene, target()))
    assert (drift.object, drift.field, drift.manager) == (f"Deployment {APP}-{slot}", "spec.template", "kubectl-set")


def test_a_restart_is_a_change_of_the_template():
    scene, going = seen(), canary()
    blue = scene.deployments[BLUE] or {}
    remember_template(going, blue)
    blue["spec"]["template"]["metadata"]["annotations"] = {"kubectl.kubernetes.io/restartedAt": TIME}
    assert only(find_drift(going, scene, target())).field == "spec.template"


def test_a_slot_that_holds_another_release():
    scene = seen()
    scene.deployments[BLUE] = deployment(BLUE, "v3", 10)
    drift = only(find_drift(canary(), scene, target()))
    assert (drift.field, drift.expected) == ("content hash", release(BLUE, "v1").content_hash)


def test_a_paused_deployment():
    scene = seen()
    blue = scene.deployments[BLUE] or {}
    blue["spec"]["paused"] = True
    by(blue, "kubectl-rollout", "spec", "paused")
    drift = only(find_drift(canary(), scene, target()))
    assert (drift.field, drift.manager) == ("spec.paused", "kubectl-rollout")


def test_a_deployment_that_is_gone():
    scene = seen()
    scene.deployments[BLUE] = None
    assert only(find_drift(canary(), scene, target())).found == "absent"


def test_while_it_is_taken_back_only_the_old_slot_counts():
    going = canary(phase="rolling_back")
    going.steps = [Step("start", BLUE, status="done"), Step("retire", GREEN, status="started")]
    scene = seen(held=False)
    scene.deployments[GREEN] = deployment(GREEN, "v3", 3)
    assert find_drift(going, scene, target()) == []
    scene.deployments[BLUE] = deployment(BLUE, "v1", 3)
    assert only(find_drift(going, scene, target())).object == f"Deployment {APP}-blue"


def test_an_old_slot_that_is_to_get_its_size_back_has_none_yet():
    going = canary(phase="rolling_back")
    going.steps = [Step("start", BLUE, status="started"), Step("retire", GREEN)]
    scene = seen(held=False)
    scene.deployments[BLUE] = deployment(BLUE, "v1", 0)
    assert find_drift(going, scene, target()) == []


def test_a_rolling_update_watches_its_one_slot():
    going = canary()
    going.candidate = release(BLUE, "v2", 10)
    going.steps = [Step("hold_size", BLUE, status="done"), Step("update", BLUE, status="done"), Step("bake", BLUE)]
    scene = seen()
    scene.deployments = {BLUE: deployment(BLUE, "v2", 10), GREEN: None}
    assert find_drift(going, scene, target()) == []
    scene.deployments[BLUE] = deployment(BLUE, "v1", 10)
    assert only(find_drift(going, scene, target())).field == "content hash"


# -- held autoscalers ------------------------------------------------------------------------------------------------


def test_a_hold_that_somebody_else_undid():
    scene = seen()
    scene.autoscalers[0]["spec"]["minReplicas"] = 4
    by(scene.autoscalers[0], "churnguard-ops", "spec", "minReplicas")
    drift = only(find_drift(canary(autoscalers=held_record()), scene, target()))
    assert (drift.object, drift.field) == (f"HorizontalPodAutoscaler {APP}-blue", "spec.minReplicas")
    assert (drift.found, drift.expected, drift.manager) == (4, 10, "churnguard-ops")


def test_a_held_autoscaler_that_is_gone():
    scene = seen()
    del scene.autoscalers[1]
    drift = only(find_drift(canary(autoscalers=held_record()), scene, target()))
    assert (drift.object, drift.found) == (f"HorizontalPodAutoscaler {APP}-green", "absent")


def test_a_raise_under_way_is_no_drift():
    record = scaling.extended(held_record(), seen().autoscalers, {BLUE: 14, GREEN: 14}, target())
    assert find_drift(canary(autoscalers=record), seen(), target()) == []


def test_nothing_is_said_while_they_are_being_put_back():
    going = canary(autoscalers=held_record())
    going.steps[5].status = "started"
    scene = seen()
    for hpa in scene.autoscalers:
        hpa["spec"]["minReplicas"] = 4
    assert find_drift(going, scene, target()) == []


# -- who, and at what cost ---------------------------------------------------------------------------------------------


def test_the_last_other_writer_is_named():
    obj: dict[str, Any] = {"metadata": {}}
    assert last_writer(obj, "spec", "replicas") == ("", "")
    by(obj, "first", "spec", "replicas", time="2026-11-21T19:00:00Z")
    by(obj, "second", "spec", "replicas", time="2026-11-21T19:10:00Z")
    by(obj, "churnguard-rollout", "spec", "replicas", time="2026-11-21T19:20:00Z")
    by(obj, "elsewhere", "spec", "paused", time="2026-11-21T19:30:00Z")
    assert last_writer(obj, "spec", "replicas") == ("second", "2026-11-21T19:10:00Z")


class Counting(Client):
    """Counts what is read."""

    reads = 0

    def get(self, ref: Any) -> Any:
        self.reads += 1
        return super().get(ref)

    def list(self, ref: Any, label_selector: str = "", field_selector: str = "") -> Any:
        self.reads += 1
        return super().list(ref, label_selector, field_selector)


@pytest.mark.parametrize(("kind", "held", "reads"), [("HTTPRoute", True, 6), ("HTTPRoute", False, 5)])
def test_a_look_costs_so_many_requests_and_no_write(kind, held, reads):
    cluster = FakeCluster(FakeClock())
    everything = seen()
    for obj in (everything.router, *everything.services.values(), *everything.deployments.values()):
        cluster.put(copy.deepcopy(obj) if obj else {})
    for hpa in everything.autoscalers:
        cluster.put(hpa)
    going = canary(autoscalers=held_record() if held else [])
    if not held:
        del going.steps[0]
        going.candidate.replicas = 10
    client = Counting(cluster)
    found = look(RolloutApi(client, target(kind)), target(kind), going)  # type: ignore[arg-type]
    assert (found, client.reads, cluster.writes) == ([], reads, [])
    cluster.edit("Service", f"{APP}-green", lambda obj: obj["spec"]["selector"].update(slot="red"))
    assert only(look(RolloutApi(client, target(kind)), target(kind), going)).field == "spec.selector"  # type: ignore[arg-type]
