"""What the gateway reads from the Kubernetes API, reduced to what it needs. Pure."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from typing import Any

GATEWAY_GROUP = "gateway.networking.k8s.io"
CONTROLLER_NAME = "churnguard.ops/lab-gateway"

Object = Mapping[str, Any]
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_.-]+")
#: Namespace (empty for cluster-wide objects) and name.
Key = tuple[str, str]


@dataclasses.dataclass(frozen=True)
class Pod:
    """A pod: where it answers, and whether it takes new requests."""

    uid: str
    namespace: str
    name: str
    labels: Mapping[str, str]
    ip: str
    ready: bool
    finished: bool
    named_ports: Mapping[str, int]


@dataclasses.dataclass(frozen=True)
class Service:
    """A Service: its selector and, by port number, the target port (a number or a container port's name)."""

    namespace: str
    name: str
    selector: Mapping[str, str]
    target_ports: Mapping[int, int | str]


@dataclasses.dataclass(frozen=True)
class Condition:
    """One thing a request must satisfy. `kind` is path, method, header or query."""

    kind: str
    match: str  # Exact, PathPrefix or RegularExpression
    value: str
    name: str = ""


@dataclasses.dataclass(frozen=True)
class Reference:
    """A weighted reference to a Service port; `problem` (reason, message) when the reference itself is wrong."""

    namespace: str
    name: str
    port: int
    weight: int
    problem: tuple[str, str] | None = None


@dataclasses.dataclass(frozen=True)
class Rule:
    """One rule: any of `matches` (each a tuple of conditions that must all hold) sends to `references`."""

    matches: tuple[tuple[Condition, ...], ...]
    references: tuple[Reference, ...]


@dataclasses.dataclass(frozen=True)
class Parent:
    """A route's parentRef; `raw` is what the status repeats."""

    namespace: str
    name: str
    section: str
    port: int | None
    raw: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Route:
    """An HTTPRoute. `unsupported` names what it asks for and this gateway cannot do."""

    namespace: str
    name: str
    generation: int
    created: str
    hostnames: tuple[str, ...]
    parents: tuple[Parent, ...]
    rules: tuple[Rule, ...]
    unsupported: tuple[str, ...] = ()

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return self.namespace, self.name


@dataclasses.dataclass(frozen=True)
class Listener:
    """A Gateway's listener."""

    name: str
    protocol: str
    port: int
    hostname: str
    allowed_from: str  # Same, All or Selector


@dataclasses.dataclass(frozen=True)
class Gateway:
    """A Gateway and the name of its class."""

    namespace: str
    name: str
    generation: int
    gateway_class: str
    listeners: tuple[Listener, ...]


def key_of(item: Object) -> Key:
    """Namespace and name of an API object."""
    metadata = item["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


def selects(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether a Service selector picks these labels. An empty selector picks nothing (Kubernetes' rule)."""
    return bool(selector) and all(labels.get(name) == value for name, value in selector.items())


def parse_pod(item: Object) -> Pod:
    """A Pod from its API object."""
    metadata, spec, status = item["metadata"], item.get("spec", {}), item.get("status", {})
    is_ready = any(
        condition.get("type") == "Ready" and condition.get("status") == "True"
        for condition in status.get("conditions") or ()
    )
    phase = status.get("phase", "Pending")
    return Pod(
        uid=metadata["uid"],
        namespace=metadata["namespace"],
        name=metadata["name"],
        labels=metadata.get("labels") or {},
        ip=status.get("podIP", ""),
        ready=is_ready and phase == "Running" and not metadata.get("deletionTimestamp"),
        finished=phase in ("Succeeded", "Failed"),
        named_ports={
            port["name"]: port["containerPort"]
            for container in spec.get("containers") or ()
            for port in container.get("ports") or ()
            if port.get("name")
        },
    )


def parse_service(item: Object) -> Service:
    """A Service from its API object."""
    spec = item.get("spec", {})
    return Service(
        *key_of(item),
        selector=spec.get("selector") or {},
        target_ports={port["port"]: port.get("targetPort", port["port"]) for port in spec.get("ports") or ()},
    )


def parse_gateway(item: Object) -> Gateway:
    """A Gateway from its API object."""
    spec = item.get("spec", {})
    return Gateway(
        *key_of(item),
        generation=item["metadata"].get("generation", 0),
        gateway_class=spec.get("gatewayClassName", ""),
        listeners=tuple(_parse_listener(listener) for listener in spec.get("listeners") or ()),
    )


def _parse_listener(listener: Object) -> Listener:
    allowed = (listener.get("allowedRoutes") or {}).get("namespaces") or {}
    return Listener(
        name=listener["name"],
        protocol=listener.get("protocol", "HTTP"),
        port=listener.get("port", 0),
        hostname=(listener.get("hostname") or "").lower(),
        allowed_from=allowed.get("from", "Same"),
    )


def parse_route(item: Object) -> Route:
    """A Route from an HTTPRoute's API object."""
    namespace, name = key_of(item)
    metadata, spec = item["metadata"], item.get("spec", {})
    rules = spec.get("rules") or [{}]
    return Route(
        namespace=namespace,
        name=name,
        generation=metadata.get("generation", 0),
        created=metadata.get("creationTimestamp") or "",
        hostnames=tuple(hostname.lower() for hostname in spec.get("hostnames") or ()),
        parents=tuple(_parse_parents(spec.get("parentRefs") or (), namespace)),
        rules=tuple(_parse_rule(rule, namespace) for rule in rules),
        unsupported=tuple(_unsupported(rules)),
    )


def _parse_parents(references: Iterable[Object], namespace: str) -> Iterable[Parent]:
    for reference in references:
        is_gateway = (
            reference.get("group", GATEWAY_GROUP) == GATEWAY_GROUP and reference.get("kind", "Gateway") == "Gateway"
        )
        if is_gateway:
            yield Parent(
                namespace=reference.get("namespace") or namespace,
                name=reference["name"],
                section=reference.get("sectionName") or "",
                port=reference.get("port"),
                raw=dict(reference),
            )


def _parse_rule(rule: Object, namespace: str) -> Rule:
    return Rule(
        matches=tuple(_parse_match(match) for match in rule.get("matches") or [{}]),
        references=tuple(_parse_reference(reference, namespace) for reference in rule.get("backendRefs") or ()),
    )


def _parse_match(match: Object) -> tuple[Condition, ...]:
    path = match.get("path") or {}
    conditions = [Condition("path", path.get("type", "PathPrefix"), path.get("value", "/"))]
    if match.get("method"):
        conditions.append(Condition("method", "Exact", match["method"]))
    for kind, field in (("header", "headers"), ("query", "queryParams")):
        conditions += [
            Condition(kind, entry.get("type", "Exact"), entry["value"], name=entry["name"])
            for entry in match.get(field) or ()
        ]
    return tuple(conditions)


def _parse_reference(reference: Object, route_namespace: str) -> Reference:
    namespace = reference.get("namespace") or route_namespace
    problem = None
    if reference.get("group", "") != "" or reference.get("kind", "Service") != "Service":
        problem = ("InvalidKind", f"backendRef {reference['name']!r} is not a Service")
    elif namespace != route_namespace:
        problem = (
            "RefNotPermitted",
            f"backendRef {reference['name']!r} is in namespace {namespace!r}; this gateway reads no ReferenceGrant",
        )
    return Reference(
        namespace=namespace,
        name=reference["name"],
        port=reference.get("port", 0),
        weight=reference.get("weight", 1),
        problem=problem,
    )


def _unsupported(rules: Iterable[Object]) -> Iterable[str]:
    """What the rules ask for beyond matching and splitting."""
    for index, rule in enumerate(rules):
        for field in ("filters", "timeouts", "retry", "sessionPersistence"):
            if rule.get(field):
                yield f"rules[{index}].{field}"
        for number, reference in enumerate(rule.get("backendRefs") or ()):
            if reference.get("filters"):
                yield f"rules[{index}].backendRefs[{number}].filters"
        for number, match in enumerate(rule.get("matches") or ()):
            for condition in _parse_match(match):
                # They become words of HAProxy's configuration.
                if not (condition.value.isprintable() and condition.value.isascii()):
                    yield f"rules[{index}].matches[{number}]: value {condition.value!r} (printable ASCII only)"
                if condition.name and not _PLAIN_NAME.fullmatch(condition.name):
                    yield f"rules[{index}].matches[{number}]: name {condition.name!r} (letters, digits, _ . -)"
