# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sizes during a release: autoscalers held and put back, the new slot kept as large as the old one. Every write is a
compare-and-swap; C(save) writes the journal, which fails if the lock was lost. Internal: may change in any release."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._common.errors import OperationError
from .._kubernetes.errors import ApiError, Conflict
from . import autoscaler
from .api import RolloutApi
from .model import Rollout, Target

_ATTEMPTS = 10


class Unsettled(OperationError):
    """An object kept changing while it was being written."""

    def __init__(self, what: str, name: str) -> None:
        super().__init__(what, f"{name} kept changing.", "see who writes it (metadata.managedFields), then run again.")


def hold_autoscalers(api: RolloutApi, target: Target, rollout: Rollout, save: Callable[[], None]) -> list[str]:
    """Measure the old slot and keep both slots' autoscalers from going below that. A hold, and the sizes in the
    journal, only ever rise; a second call with nothing to do writes nothing.

    Returns what was done, in sentences. Raises ApiError when the server refuses; what it refused is not in the record.
    """
    done: list[str] = []
    if rollout.previous is None:
        return done
    for _attempt in range(_ATTEMPTS):
        sizes = _sizes(rollout)
        _measure(api, rollout)
        hpas = api.list_autoscalers()
        known = rollout.autoscalers
        record = autoscaler.extended(known, hpas, _sizes(rollout), target)
        if record != known or _sizes(rollout) != sizes:
            rollout.autoscalers = record
            save()
        try:
            done += _write_holds(api, rollout, {hpa["metadata"]["name"]: hpa for hpa in hpas}, known, save)
            _keep_size(api, rollout)
        except Conflict:
            save()
            continue
        return done + _not_held(hpas, target, rollout)
    raise Unsettled("hold the autoscalers", f"an autoscaler or a Deployment of {target}")


def restore_autoscalers(api: RolloutApi, target: Target, rollout: Rollout, save: Callable[[], None]) -> list[str]:
    """Put back everything that the record says, values and field managers, and empty the record.

    Needs nothing but the record. Returns what was done, in sentences; a field that somebody else has written since
    is theirs and is only named.
    """
    done: list[str] = []
    while rollout.autoscalers:
        entry = rollout.autoscalers[0]
        done += _restore(api, target, entry, save)
        rollout.autoscalers = rollout.autoscalers[1:]
        if not rollout.autoscalers:
            save()
    return done


def grow_to(api: RolloutApi, rollout: Rollout, live_old: int, save: Callable[[], None]) -> bool:
    """Scale the new slot to C(live_old) replicas, the old slot's size now; never down, and not beyond a size that
    the user chose below the old one's. Returns whether it was scaled."""
    if follows(rollout) and live_old > rollout.candidate.replicas:
        rollout.candidate.replicas = live_old
        save()
    for _attempt in range(_ATTEMPTS):
        try:
            return _at_least(api, rollout.candidate.slot, rollout.candidate.replicas)
        except Conflict:
            save()
    raise Unsettled("scale the new slot", f"the Deployment of slot {rollout.candidate.slot}")


def follows(rollout: Rollout) -> bool:
    """Whether the new slot is to be as large as the old one: unless the user gave it a smaller size."""
    return rollout.previous is not None and rollout.candidate.replicas >= rollout.previous.replicas


def live_size(api: RolloutApi, slot: str) -> int:
    """What the slot's Deployment asks for now; 0 if there is none."""
    deployment = api.get_deployment(slot)
    return int(deployment["spec"].get("replicas", 1)) if deployment else 0


def _sizes(rollout: Rollout) -> dict[str, int]:
    """The least size of each slot. A rolling update has one slot only, which keeps the size that it had."""
    previous = rollout.previous
    sizes = {rollout.candidate.slot: rollout.candidate.replicas}
    return {**sizes, previous.slot: previous.replicas} if previous else sizes


def _measure(api: RolloutApi, rollout: Rollout) -> None:
    previous, candidate = rollout.previous, rollout.candidate
    if previous is None:
        return
    live = live_size(api, previous.slot)
    if follows(rollout):
        candidate.replicas = max(candidate.replicas, live)
    previous.replicas = max(previous.replicas, live)


def _write_holds(
    api: RolloutApi,
    rollout: Rollout,
    hpas: dict[str, dict[str, Any]],
    known: list[dict[str, Any]],
    save: Callable[[], None],
) -> list[str]:
    done = []
    for index, entry in enumerate(rollout.autoscalers):
        hpa = hpas.get(entry["name"])
        if hpa is None:
            continue
        operations = autoscaler.hold_patch(hpa, entry)
        if operations:
            try:
                api.patch_autoscaler(hpa, operations)
            except Conflict:
                raise
            except ApiError:
                # It said no, so nothing of this one and those after it was written: they need not be put back.
                earlier = {item["name"]: item for item in known}
                untouched = [earlier[e["name"]] for e in rollout.autoscalers[index:] if e["name"] in earlier]
                rollout.autoscalers = rollout.autoscalers[:index] + untouched
                save()
                raise
            done.append(f"{entry['name']}: {_changes(hpa, operations)}, until the end of the release")
        rollout.autoscalers[index] = autoscaler.landed(entry)
    return done


def _keep_size(api: RolloutApi, rollout: Rollout) -> None:
    """Undo a step down that an autoscaler was just taking when it was held."""
    if rollout.previous is not None and any(entry["slot"] == rollout.previous.slot for entry in rollout.autoscalers):
        _at_least(api, rollout.previous.slot, rollout.previous.replicas)


def _at_least(api: RolloutApi, slot: str, replicas: int) -> bool:
    deployment = api.get_deployment(slot)
    # At 0 it is not ours to start: it does not run, or is on its way out.
    if deployment is None or not 0 < deployment["spec"].get("replicas", 1) < replicas:
        return False
    api.scale_deployment(deployment, replicas)
    return True


def _not_held(hpas: list[dict[str, Any]], target: Target, rollout: Rollout) -> list[str]:
    sizes = _sizes(rollout)
    return [
        f"{hpa['metadata']['name']} is not held: {autoscaler.master_of(hpa)} writes it and would undo that"
        for hpa in hpas
        if autoscaler.scaled_slot(hpa, target) in sizes and autoscaler.master_of(hpa)
    ]


def _restore(api: RolloutApi, target: Target, entry: dict[str, Any], save: Callable[[], None]) -> list[str]:
    name = entry["name"]
    for _attempt in range(_ATTEMPTS):
        hpa = api.get_autoscaler(name)
        if hpa is None:
            return [f"{name} is gone, so nothing is put back"]
        try:
            if autoscaler.never_landed(hpa, entry):
                # The write that a controller had prepared when it was cut off is refused once the version moves.
                hpa = api.patch_autoscaler(hpa, autoscaler.hold_patch(hpa, entry))
            done = [f"{name}: {field} was changed meanwhile and stays" for field in autoscaler.taken_over(hpa, entry)]
            operations = autoscaler.restore_patch(hpa, entry)
            if operations:
                done.append(f"{name}: {_changes(hpa, operations)}, as before the release")
                hpa = api.patch_autoscaler(hpa, operations)
            operations = autoscaler.owners_patch(hpa, entry)
            if operations:
                api.patch_autoscaler(hpa, operations)
            return done
        except Conflict:
            save()
    raise Unsettled("put the autoscalers back", f"HorizontalPodAutoscaler {target.namespace}/{name}")


def _changes(hpa: dict[str, Any], operations: list[dict[str, Any]]) -> str:
    """For people: "minReplicas 4 -> 10"."""
    fields = [(op["path"].rpartition("/")[2], op.get("value", "absent")) for op in operations]
    return ", ".join(f"{field} {hpa['spec'].get(field, 'absent')} -> {value}" for field, value in fields)
