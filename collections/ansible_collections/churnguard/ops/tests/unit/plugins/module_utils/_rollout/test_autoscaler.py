# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a hold is, and what undoes it: plain data in, plain data out."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.autoscaler import (
    extended,
    hold_patch,
    landed,
    master_of,
    never_landed,
    owners_patch,
    restore_patch,
    scaled_slot,
    taken_over,
)
from ansible_collections.churnguard.ops.tests.unit.support.cluster import patched
from ansible_collections.churnguard.ops.tests.unit.support.objects import APP, BLUE, GREEN, autoscaler, target

OPS = {
    "manager": "churnguard-ops",
    "operation": "Apply",
    "apiVersion": "autoscaling/v2",
    "time": "2026-11-20T08:00:00Z",
}


def record(hpa: dict[str, Any], size: int = 10, known: list[dict[str, Any]] | None = None) -> list[dict[str, Any]]:
    return extended(known or [], [hpa], {BLUE: size}, target())


def held(hpa: dict[str, Any], size: int = 10) -> tuple[dict[str, Any], dict[str, Any]]:
    """The autoscaler as it is held, and its entry once that has been confirmed."""
    (entry,) = record(hpa, size)
    live = patched(hpa, hold_patch(hpa, entry))
    owner = live["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"]
    ours = {**OPS, "manager": "churnguard-rollout", "operation": "Update", "fieldsV1": {"f:spec": {}}}
    for field in entry["held"]:
        owner.pop(f"f:{field}", None)
        ours["fieldsV1"]["f:spec"][f"f:{field}"] = {}
    live["metadata"]["managedFields"].append(ours)
    return live, landed(entry)


def test_the_floor_is_raised_to_the_live_size():
    (entry,) = record(autoscaler(least=4))
    assert (entry["name"], entry["slot"]) == (f"{APP}-blue", BLUE)
    assert (entry["before"], entry["held"]) == ({"minReplicas": 4}, {"minReplicas": 10})
    assert entry["owners"] == {"minReplicas": [OPS]}


def test_the_ceiling_is_raised_only_if_it_is_below():
    (entry,) = record(autoscaler(least=4, most=8))
    assert entry["before"] == {"minReplicas": 4, "maxReplicas": 8}
    assert entry["held"] == {"minReplicas": 10, "maxReplicas": 10}


@pytest.mark.parametrize("least", [10, 12])
def test_a_floor_that_is_high_enough_is_left_alone(least):
    assert record(autoscaler(least=least)) == []


def test_an_absent_floor_becomes_absent_again():
    hpa = autoscaler(least=None)
    live, entry = held(hpa)
    assert live["spec"]["minReplicas"] == 10
    assert patched(live, restore_patch(live, entry))["spec"] == hpa["spec"]


def test_an_absent_floor_is_one_to_kubernetes():
    assert record(autoscaler(least=None), size=1) == []


@pytest.mark.parametrize(
    "reference",
    [
        {"apiVersion": "apps/v1", "kind": "Deployment", "name": "another"},
        {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": f"{APP}-blue"},
        {"apiVersion": "argoproj.io/v1alpha1", "kind": "Deployment", "name": f"{APP}-blue"},
    ],
)
def test_other_autoscalers_are_not_touched(reference):
    hpa = autoscaler()
    hpa["spec"]["scaleTargetRef"] = reference
    assert scaled_slot(hpa, target()) == ""
    assert record(hpa) == []


def test_it_is_found_by_what_it_scales_not_by_its_name():
    hpa = autoscaler(GREEN, name="cpu")
    (entry,) = extended([], [hpa], {BLUE: 10, GREEN: 10}, target())
    assert (entry["name"], entry["slot"]) == ("cpu", GREEN)


def test_one_that_something_else_writes_is_not_touched():
    hpa = autoscaler()
    hpa["metadata"]["ownerReferences"] = [{"kind": "ScaledObject", "name": "shop", "controller": True}]
    assert master_of(hpa) == "ScaledObject shop"
    assert record(hpa) == []


def test_a_hold_rises_with_the_size_and_keeps_what_was_before():
    live, entry = held(autoscaler(least=4))
    (entry,) = record(live, 14, [entry])
    assert (entry["before"], entry["held"], entry["from"]) == (
        {"minReplicas": 4},
        {"minReplicas": 14},
        {"minReplicas": 10},
    )


def test_a_hold_never_falls():
    live, entry = held(autoscaler(least=4))
    assert record(live, 6, [entry]) == [entry]


def test_a_second_call_changes_nothing():
    live, entry = held(autoscaler(least=4))
    assert record(live, 10, [entry]) == [entry]
    assert hold_patch(live, entry) == []


def test_a_hold_that_was_under_way_is_taken_up_whether_it_arrived_or_not():
    hpa = autoscaler(least=4)
    known = record(hpa)
    assert never_landed(hpa, known[0])
    assert record(hpa, 10, known) == known
    live = patched(hpa, hold_patch(hpa, known[0]))
    assert not never_landed(live, known[0])
    assert record(live, 10, known) == [landed(known[0])]


def test_a_raise_that_was_under_way_is_not_taken_for_somebody_elses():
    live, entry = held(autoscaler(least=4))
    known = record(live, 14, [entry])
    assert record(live, 14, known) == known
    assert taken_over(live, known[0]) == []
    assert patched(live, restore_patch(live, known[0]))["spec"]["minReplicas"] == 4


def test_what_somebody_else_wrote_meanwhile_is_what_comes_back():
    live, entry = held(autoscaler(least=4))
    live["spec"]["minReplicas"] = 6
    assert taken_over(live, entry) == ["minReplicas"]
    assert restore_patch(live, entry) == []
    (entry,) = record(live, 10, [entry])
    assert (entry["before"], entry["held"]) == ({"minReplicas": 6}, {"minReplicas": 10})


def test_what_somebody_else_raised_beyond_the_hold_is_theirs():
    live, entry = held(autoscaler(least=4))
    live["spec"]["minReplicas"] = 15
    assert record(live, 10, [entry]) == []


def test_values_and_owners_are_as_before():
    hpa = autoscaler(least=4, most=8)
    live, entry = held(hpa)
    back = patched(live, restore_patch(live, entry))
    assert back["spec"] == hpa["spec"]
    back = patched(back, owners_patch(back, entry))
    assert back == hpa
    assert (restore_patch(back, entry), owners_patch(back, entry)) == ([], [])


def test_an_owner_who_had_nothing_else_is_listed_again():
    hpa = autoscaler(least=4)
    fields = hpa["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"]
    del fields["f:minReplicas"]
    person = {"manager": "kubectl-edit", "operation": "Update", "apiVersion": "autoscaling/v2", "time": "t"}
    person.update(fieldsType="FieldsV1", fieldsV1={"f:spec": {"f:minReplicas": {}}})
    hpa["metadata"]["managedFields"].append(person)
    live, entry = held(hpa)
    del live["metadata"]["managedFields"][1:2]  # As the API server does with an entry that has no field left.
    back = patched(live, restore_patch(live, entry))
    assert patched(back, owners_patch(back, entry)) == hpa


def test_an_owner_who_has_applied_meanwhile_keeps_what_is_new():
    live, entry = held(autoscaler(least=4))
    ops = live["metadata"]["managedFields"][0]
    ops["time"] = "2026-11-21T20:00:00Z"
    ops["fieldsV1"]["f:metadata"] = {"f:labels": {"f:team": {}}}
    back = patched(live, restore_patch(live, entry))
    back = patched(back, owners_patch(back, entry))
    (found,) = back["metadata"]["managedFields"]
    assert found["time"] == "2026-11-21T20:00:00Z"
    assert set(found["fieldsV1"]) == {"f:metadata", "f:spec"}
    assert "f:minReplicas" in found["fieldsV1"]["f:spec"]


def test_status_and_other_managers_keep_their_fields():
    hpa = autoscaler(least=4)
    status = {"manager": "kube-controller-manager", "operation": "Update", "subresource": "status", "fieldsV1": {}}
    hpa["metadata"]["managedFields"].append(status)
    live, entry = held(hpa)
    back = patched(live, restore_patch(live, entry))
    back = patched(back, owners_patch(back, entry))
    assert back["metadata"]["managedFields"] == hpa["metadata"]["managedFields"]


def test_a_field_that_nobody_owned_is_nobodys_again():
    hpa = autoscaler(least=None)
    hpa["spec"]["minReplicas"] = 1  # The API server's default.
    live, entry = held(hpa)
    back = patched(live, restore_patch(live, entry))
    assert patched(back, owners_patch(back, entry)) == hpa


def test_without_managed_fields_only_values_are_put_back():
    hpa = autoscaler(least=4)
    live, entry = held(copy.deepcopy(hpa))
    del live["metadata"]["managedFields"]
    assert owners_patch(live, entry) == []
