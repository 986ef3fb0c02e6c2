# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an autoscaler gets while a version is rolled out, and what puts it back. No I/O. Internal: may change in any
release.

During a release traffic moves between two slots, so that each slot's load says nothing about the size it needs next.
minReplicas is therefore raised to the size that the old slot had, in both slots, and put back at the end.

A record is a list of plain dictionaries, one for each HorizontalPodAutoscaler that was touched:
C(name), C(slot); C(before) the fields as they were, null if absent; C(held) as they are meanwhile; C(owners) which
field managers had them; C(from) what a write that may be under way replaces. It is journaled before anything is
written, so that it can be put back from any point.
"""

from __future__ import annotations

import copy
from typing import Any

from .._kubernetes.connection import FIELD_MANAGER
from .model import Target

MIN = "minReplicas"
MAX = "maxReplicas"
_FIELDS = (MIN, MAX)


def scaled_slot(hpa: dict[str, Any], target: Target) -> str:
    """The slot whose Deployment C(hpa) scales; empty if it scales something else."""
    reference = hpa["spec"]["scaleTargetRef"]
    if reference.get("kind") != "Deployment" or not str(reference.get("apiVersion", "apps/v1")).startswith("apps/"):
        return ""
    return next((slot for slot in target.slots if target.workload(slot) == reference["name"]), "")


def master_of(hpa: dict[str, Any]) -> str:
    """What writes C(hpa) itself, for example "ScaledObject shop" (KEDA): a change to it would be undone at once."""
    for owner in hpa["metadata"].get("ownerReferences") or []:
        if owner.get("controller"):
            return f"{owner['kind']} {owner['name']}"
    return ""


def extended(
    record: list[dict[str, Any]], hpas: list[dict[str, Any]], sizes: dict[str, int], target: Target
) -> list[dict[str, Any]]:
    """C(record) with what has to be changed for C(sizes), replicas by slot. A hold only ever rises."""
    entries = {entry["name"]: copy.deepcopy(entry) for entry in record}
    for hpa in hpas:
        name, slot = hpa["metadata"]["name"], scaled_slot(hpa, target)
        size = sizes.get(slot, 0)
        if not size or master_of(hpa):
            continue
        entry = entries.setdefault(
            name, {"name": name, "slot": slot, "before": {}, "held": {}, "owners": {}, "from": {}}
        )
        floor = _raise(entry, hpa, MIN, size)
        _raise(entry, hpa, MAX, floor)
    return [entries[name] for name in sorted(entries) if entries[name]["held"]]


def _raise(entry: dict[str, Any], hpa: dict[str, Any], field: str, least: int) -> int:
    """Note in C(entry) that C(field) is to be at least C(least). Returns what it then is."""
    live = hpa["spec"].get(field)
    before, held, under_way = entry["before"], entry["held"], entry["from"]
    goal = max(least, held.get(field, 0))
    known = field in held and live in (held[field], before[field], under_way.get(field, held[field]))
    if not known:
        # Not touched yet, or somebody else has meanwhile said what they want: that is what has to come back.
        for part in (before, held, under_way, entry["owners"]):
            part.pop(field, None)
        # Kubernetes reads an absent minReplicas as 1.
        if (1 if live is None else live) >= goal:
            return 1 if live is None else int(live)
        before[field] = live
        entry["owners"][field] = _owners(hpa, field)
    held[field] = goal
    under_way.pop(field, None)
    if live != goal:
        under_way[field] = live
    return goal


def landed(entry: dict[str, Any]) -> dict[str, Any]:
    """C(entry) once the server has confirmed what it holds: no write is under way."""
    return {**entry, "from": {}}


def hold_patch(hpa: dict[str, Any], entry: dict[str, Any]) -> list[dict[str, Any]]:
    """JSON Patch operations that make C(hpa) as C(entry) holds it; none if it is."""
    return [_set(hpa, field, value) for field, value in entry["held"].items() if hpa["spec"].get(field) != value]


def restore_patch(hpa: dict[str, Any], entry: dict[str, Any]) -> list[dict[str, Any]]:
    """JSON Patch operations that put the recorded values back. A field that has another value than we gave it
    belongs to whoever wrote that, and stays."""
    return [
        _set(hpa, field, value)
        for field, value in entry["before"].items()
        if hpa["spec"].get(field) != value and not _taken_over(hpa, entry, field)
    ]


def taken_over(hpa: dict[str, Any], entry: dict[str, Any]) -> list[str]:
    """Fields of C(entry) that somebody else has written since."""
    return [field for field in entry["held"] if _taken_over(hpa, entry, field)]


def _taken_over(hpa: dict[str, Any], entry: dict[str, Any], field: str) -> bool:
    held, before = entry["held"][field], entry["before"][field]
    return hpa["spec"].get(field) not in (held, before, entry["from"].get(field, held))


def never_landed(hpa: dict[str, Any], entry: dict[str, Any]) -> bool:
    """Whether a hold is journaled as under way that the server has not seen. A controller that was cut off may still
    send it."""
    return any(hpa["spec"].get(field) == old == entry["before"][field] for field, old in entry["from"].items())


def _set(hpa: dict[str, Any], field: str, value: int | None) -> dict[str, Any]:
    path = f"/spec/{field}"
    if value is None:
        return {"op": "remove", "path": path}
    return {"op": "replace" if field in hpa["spec"] else "add", "path": path, "value": value}


# -- who owns a field ----------------------------------------------------------------------------------------------
#
# A plain write takes a field away from whoever applied it, so that their next server-side apply would conflict with
# us for ever. An update may carry metadata.managedFields; where no field changes, the API server keeps what it is
# given. So the values are put back first, and their owners in a second write.


def _owners(hpa: dict[str, Any], field: str) -> list[dict[str, Any]]:
    """The managers of C(field), each as {manager, operation, apiVersion, time}."""
    return [
        {key: entry[key] for key in ("manager", "operation", "apiVersion", "time") if key in entry}
        for entry in _entries(hpa)
        if f"f:{field}" in _leaves(entry)
    ]


def owners_patch(hpa: dict[str, Any], entry: dict[str, Any]) -> list[dict[str, Any]]:
    """JSON Patch operations that give the fields of C(entry) back to those who had them; none if they have them."""
    fields = [field for field in entry["before"] if not _taken_over(hpa, entry, field)]
    found = hpa["metadata"].get("managedFields")
    if not found:
        return []
    wanted = copy.deepcopy(found)
    for field in fields:
        _give_back(wanted, field, entry["owners"].get(field) or [])
    wanted = [item for item in wanted if item.get("subresource") or _leaves(item) or _others(item)]
    return [] if wanted == found else [{"op": "replace", "path": "/metadata/managedFields", "value": wanted}]


def _give_back(entries: list[dict[str, Any]], field: str, owners: list[dict[str, Any]]) -> None:
    named = [_identity(owner) for owner in owners]
    for item in entries:
        if item.get("subresource"):
            continue
        if _identity(item) in named:
            item["fieldsV1"].setdefault("f:spec", {})[f"f:{field}"] = {}
        elif item.get("manager") == FIELD_MANAGER:
            _leaves(item).pop(f"f:{field}", None)
            if not _leaves(item):
                item["fieldsV1"].pop("f:spec", None)
    present = [_identity(item) for item in entries if not item.get("subresource")]
    for owner in owners:
        # Who had nothing but these fields was dropped from the list altogether.
        if _identity(owner) not in present:
            entries.append({**owner, "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {f"f:{field}": {}}}})


def _entries(hpa: dict[str, Any]) -> list[dict[str, Any]]:
    return [item for item in hpa["metadata"].get("managedFields") or [] if not item.get("subresource")]


def _leaves(item: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = (item.get("fieldsV1") or {}).get("f:spec") or {}
    return found


def _others(item: dict[str, Any]) -> bool:
    return any(key != "f:spec" for key in item.get("fieldsV1") or {})


def _identity(item: dict[str, Any]) -> tuple[str, str, str]:
    return str(item.get("manager")), str(item.get("operation")), str(item.get("apiVersion"))
