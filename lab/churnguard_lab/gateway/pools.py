"""Pods in server slots: which pods a Service port has, and which HAProxy slot each of them keeps. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

from churnguard_lab.gateway.model import Pod, Service, selects

UP = "up"
DRAIN = "drain"
#: Slots a pool starts with; a pool that must grow doubles (one reload), and never shrinks.
INITIAL_SLOTS = 16


@dataclasses.dataclass(frozen=True)
class Slot:
    """A pod in a server slot. UP takes requests; DRAIN only finishes those it has."""

    uid: str
    ip: str
    port: int
    state: str


Pool = tuple[Slot | None, ...]


def target_port(service: Service, port: int, pod: Pod) -> int | None:
    """The number of the pod's port behind a Service port, None when the pod has no port of that name."""
    target = service.target_ports[port]
    return target if isinstance(target, int) else pod.named_ports.get(target)


def members(service: Service | None, port: int, pods: Iterable[Pod]) -> dict[str, Slot]:
    """By uid, the pods that should take new requests for a Service port: selected, ready, not terminating."""
    if service is None or port not in service.target_ports:
        return {}
    found: dict[str, Slot] = {}
    for pod in pods:
        if pod.namespace != service.namespace or not pod.ready or not pod.ip:
            continue
        number = target_port(service, port, pod)
        if number is not None and selects(service.selector, pod.labels):
            found[pod.uid] = Slot(pod.uid, pod.ip, number, UP)
    return found


def assign(previous: Pool, wanted: Mapping[str, Slot], alive: Iterable[str]) -> Pool:
    """The next pool. A pod keeps its slot; one that is no longer wanted drains in it as long as it lives (`alive`:
    uids of pods that still run), then the slot is free; a new one takes the first free slot, and when there is none
    the pool doubles."""
    living = set(alive)
    slots: list[Slot | None] = [_carry(slot, wanted, living) for slot in previous]
    placed = {slot.uid for slot in slots if slot}
    for uid in sorted(wanted.keys() - placed, key=lambda uid: (wanted[uid].ip, uid)):
        if None not in slots:
            slots += [None] * max(len(slots), INITIAL_SLOTS)
        slots[slots.index(None)] = wanted[uid]
    slots += [None] * (INITIAL_SLOTS - len(slots))
    return tuple(slots)


def _carry(slot: Slot | None, wanted: Mapping[str, Slot], living: set[str]) -> Slot | None:
    if slot is None:
        return None
    if slot.uid in wanted:
        return wanted[slot.uid]
    return dataclasses.replace(slot, state=DRAIN) if slot.uid in living else None
