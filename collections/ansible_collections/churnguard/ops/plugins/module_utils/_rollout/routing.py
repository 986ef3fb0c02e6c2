# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading and writing the split of traffic, for both kinds of router. No I/O. Internal: may change in any release.

A split is a dictionary from slot to weight; weights are whole per cents here.
"""

from __future__ import annotations

from typing import Any

from .._common.waiting import DONE, FAILED, PENDING, Finding
from .._kubernetes.objects import field_managers
from .model import SERVICE, Target


class RouterProblem(Exception):
    """The router is not one that can be used; the text says why."""


def read_split(router: dict[str, Any], target: Target) -> dict[str, int]:
    """The weights that C(router) gives to the slots. Raises RouterProblem."""
    if target.router_kind == SERVICE:
        selected = router["spec"].get("selector", {}).get("slot")
        if selected not in target.slots:
            raise RouterProblem(
                f"Service {target.namespace}/{target.router_name} selects unknown slot '{selected}'"
                f"{changed_by(router, 'spec', 'selector')}; known are {' and '.join(target.slots)}"
            )
        return {slot: 100 if slot == selected else 0 for slot in target.slots}
    references = router["spec"]["rules"][weighted_rule(router, target)]["backendRefs"]
    by_name = {ref["name"]: int(ref.get("weight", 1)) for ref in references}
    total = sum(by_name.values())
    weights = {slot: by_name.get(target.workload(slot), 0) for slot in target.slots}
    return {slot: _percent(weight, total) for slot, weight in weights.items()}


def _percent(weight: int, total: int) -> int:
    """Rounded, but 0 and 100 only when they are exact: a slot with one request in a thousand has traffic."""
    if weight in (0, total):
        return 100 if weight else 0
    return min(max(round(100 * weight / total), 1), 99)


def weighted_rule(router: dict[str, Any], target: Target) -> int:
    """Index of the one rule whose backends are the slots' Services. Other rules are never read nor written."""
    ours = {target.workload(slot) for slot in target.slots}
    where = f"HTTPRoute {target.namespace}/{target.router_name}"
    for index, rule in enumerate(router["spec"].get("rules") or []):
        names = {ref["name"] for ref in rule.get("backendRefs") or []}
        if ours <= names:
            unknown = sorted(names - ours)
            if unknown:
                raise RouterProblem(
                    f"{where} sends traffic to unknown slot '{unknown[0]}'{changed_by(router, 'spec', 'rules')}; "
                    f"known are {' and '.join(sorted(ours))}"
                )
            return index
    raise RouterProblem(f"{where} has no rule whose backendRefs are {' and '.join(sorted(ours))}")


def split_patch(router: dict[str, Any], target: Target, split: dict[str, int]) -> list[dict[str, Any]]:
    """JSON Patch operations that write C(split) and nothing else."""
    if target.router_kind == SERVICE:
        chosen = next(slot for slot, weight in split.items() if weight == 100)
        return [{"op": "replace", "path": "/spec/selector/slot", "value": chosen}]
    index = weighted_rule(router, target)
    operations = []
    for position, reference in enumerate(router["spec"]["rules"][index]["backendRefs"]):
        slot = next(slot for slot in target.slots if target.workload(slot) == reference["name"])
        path = f"/spec/rules/{index}/backendRefs/{position}/weight"
        operations.append({"op": "add", "path": path, "value": split[slot]})
    return operations


def route_applied(router: dict[str, Any], target: Target) -> Finding:
    """Whether the gateway says that it serves the route's present generation (Gateway API's own protocol).

    A Service has no such status; the data-plane probe is its only proof.
    """
    if target.router_kind == SERVICE:
        return Finding(DONE, "a Service reports no status; the probe decides")
    generation = router["metadata"]["generation"]
    parents = (router.get("status") or {}).get("parents") or []
    if not parents:
        return Finding(PENDING, "no gateway has answered for the route yet")
    for parent in parents:
        conditions = {condition["type"]: condition for condition in parent.get("conditions") or []}
        for kind in ("Accepted", "ResolvedRefs", "Programmed"):
            condition = conditions.get(kind)
            if condition is None:
                # Only Accepted is mandatory; a gateway that does not report the others is not held to them.
                if kind == "Accepted":
                    return Finding(PENDING, f"{parent.get('controllerName')} has not accepted the route yet")
                continue
            if condition.get("observedGeneration", 0) < generation:
                return Finding(PENDING, f"{parent.get('controllerName')} has not seen generation {generation} yet")
            if condition["status"] != "True":
                text = f"{kind} is {condition['status']}: {condition.get('reason')}: {condition.get('message')}"
                return Finding(FAILED, f"{parent.get('controllerName')} says {text}")
    return Finding(DONE, f"accepted at generation {generation}")


def changed_by(obj: dict[str, Any], *path: str) -> str:
    """ ", last written by X" or nothing, for messages about a field that somebody changed."""
    managers = field_managers(obj, *path)
    return f" (last written by field manager {', '.join(managers)})" if managers else ""


def describe(split: dict[str, int]) -> str:
    """For people: "green 100 %, blue 0 %", largest first."""
    ordered = sorted(split.items(), key=lambda item: -item[1])
    return ", ".join(f"{slot} {weight} %" for slot, weight in ordered)
