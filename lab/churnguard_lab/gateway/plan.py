"""From the cluster's objects to what HAProxy should do. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from churnguard_lab.gateway.model import Gateway, Key, Pod, Reference, Route, Service
from churnguard_lab.gateway.pools import UP, Pool, assign, members
from churnguard_lab.gateway.routes import Attachment, Line, ServedRoute, attach, precedence, rule_keys

#: A request draws a number below SCALE; thresholds are counted on the same scale.
SCALE = 1_000_000


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """The cluster as far as it counts now."""

    gateways: tuple[Gateway, ...] = ()
    routes: tuple[Route, ...] = ()
    services: Mapping[Key, Service] = dataclasses.field(default_factory=dict)
    pods: tuple[Pod, ...] = ()


@dataclasses.dataclass(frozen=True)
class PlannedRule:
    """A rule's key in the map, its backends in order (None: the reference leads nowhere) and thresholds."""

    key: str
    backends: tuple[str | None, ...]
    thresholds: tuple[int, ...]

    @property
    def split(self) -> str:
        """The rule's value in the map."""
        return ":".join(map(str, self.thresholds))


@dataclasses.dataclass(frozen=True)
class PlannedRoute:
    """A served route: hostnames, its matches in order of precedence, its rules."""

    key: Key
    hostnames: tuple[str, ...]
    lines: tuple[Line, ...]
    rules: tuple[PlannedRule, ...]


@dataclasses.dataclass(frozen=True)
class Desired:
    """All that HAProxy should know, and what became of every route's parentRefs and references."""

    routes: tuple[PlannedRoute, ...] = ()
    pools: Mapping[str, Pool] = dataclasses.field(default_factory=dict)
    attachments: tuple[Attachment, ...] = ()
    unresolved: Mapping[Key, tuple[str, str]] = dataclasses.field(default_factory=dict)

    @property
    def entries(self) -> dict[str, str]:
        """The map that HAProxy looks up for each request: a rule's key to its split, and a backend's name to whether
        it has pods (1 or 0)."""
        splits = {rule.key: rule.split for route in self.routes for rule in route.rules}
        has_pods = {
            name: str(int(any(slot is not None and slot.state == UP for slot in pool)))
            for name, pool in self.pools.items()
        }
        return splits | has_pods


def thresholds(weights: Sequence[int]) -> tuple[int, ...]:
    """Cumulative shares on SCALE: a draw below the n-th (and not below an earlier one) goes to the n-th backend.

    The sum of the weights is free. A weight of 0 adds nothing; all zero gives all zero (no draw is below 0).
    """
    total = sum(weights)
    if total == 0:
        return (0,) * len(weights)
    return tuple((SCALE * sum(weights[: index + 1]) + total // 2) // total for index in range(len(weights)))


def backend_name(namespace: str, service: str, port: int) -> str:
    """HAProxy's name for a Service port. Kubernetes names hold no underscore, so it is unambiguous."""
    return f"{namespace}_{service}_{port}"


def reference_problem(reference: Reference, services: Mapping[Key, Service]) -> tuple[str, str] | None:
    """Why a backendRef leads nowhere (reason, message), or None."""
    if reference.problem:
        return reference.problem
    service = services.get((reference.namespace, reference.name))
    if service is None:
        return "BackendNotFound", f"Service {reference.namespace}/{reference.name} does not exist"
    if reference.port not in service.target_ports:
        return "BackendNotFound", f"Service {reference.namespace}/{reference.name} has no port {reference.port}"
    return None


def build(snapshot: Snapshot, previous: Mapping[str, Pool], front_port: int) -> Desired:
    """What HAProxy should do for `snapshot`, given the pools it has (`previous`, by backend name)."""
    attachments, served = attach(snapshot.routes, snapshot.gateways, front_port)
    alive = [pod.uid for pod in snapshot.pods if not pod.finished]
    pools: dict[str, Pool] = {}
    unresolved: dict[Key, tuple[str, str]] = {}
    for route in snapshot.routes:
        for rule in route.rules:
            for reference in rule.references:
                problem = reference_problem(reference, snapshot.services)
                if problem:
                    unresolved.setdefault(route.key, problem)
    for name, reference in _backends(served, snapshot.services).items():
        service = snapshot.services[reference.namespace, reference.name]
        wanted = members(service, reference.port, snapshot.pods)
        pools[name] = assign(previous.get(name, ()), wanted, alive)
    return Desired(
        routes=tuple(_plan_route(item, snapshot.services) for item in served),
        pools=pools,
        attachments=tuple(attachments),
        unresolved=unresolved,
    )


def _backends(served: Iterable[ServedRoute], services: Mapping[Key, Service]) -> dict[str, Reference]:
    return {
        backend_name(reference.namespace, reference.name, reference.port): reference
        for item in served
        for rule in item.route.rules
        for reference in rule.references
        if reference_problem(reference, services) is None
    }


def _plan_route(item: ServedRoute, services: Mapping[Key, Service]) -> PlannedRoute:
    rules = []
    for key, rule in zip(rule_keys(item.route), item.route.rules, strict=True):
        names = [
            None
            if reference_problem(reference, services)
            else backend_name(reference.namespace, reference.name, reference.port)
            for reference in rule.references
        ]
        weights = [reference.weight for reference in rule.references]
        rules.append(PlannedRule(key, tuple(names), thresholds(weights)))
    return PlannedRoute(item.route.key, item.hostnames, tuple(precedence(item.route.rules)), tuple(rules))
