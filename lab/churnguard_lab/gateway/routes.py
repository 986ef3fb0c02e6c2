"""Which HTTPRoutes this gateway serves, on which hostnames, and in which order their matches are tried. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from churnguard_lab.gateway.model import Condition, Gateway, Key, Listener, Parent, Route, Rule

#: A route without hostnames answers every host.
ANY_HOST = "*"
#: A Gateway's port 80 is the gateway's front door: the lab has no privileged ports.
FRONT_DOOR_ALIAS = 80


@dataclasses.dataclass(frozen=True)
class Attachment:
    """What became of one parentRef of one route (a Gateway API Accepted condition)."""

    route: Route
    parent: Parent
    accepted: bool
    reason: str
    message: str


@dataclasses.dataclass(frozen=True)
class ServedRoute:
    """A route that is served, with the hostnames it is served on."""

    route: Route
    hostnames: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Line:
    """One match of a rule, at its place in the order of precedence."""

    conditions: tuple[Condition, ...]
    rule: int


def attach(
    routes: Iterable[Route], gateways: Iterable[Gateway], front_port: int
) -> tuple[list[Attachment], list[ServedRoute]]:
    """Judge every parentRef that names one of `gateways`; returns the judgements and the routes to serve.

    Older routes (creation time, then namespace and name) come first; a route that asks for a hostname an older one
    has is not accepted at all, so that its traffic never depends on how two routes interleave.
    """
    by_key = {(gateway.namespace, gateway.name): gateway for gateway in gateways}
    owners: dict[str, Key] = {}
    attachments: list[Attachment] = []
    served: list[ServedRoute] = []
    for route in sorted(routes, key=lambda route: (route.created, route.key)):
        parents = [parent for parent in route.parents if (parent.namespace, parent.name) in by_key]
        hostnames: dict[Key, tuple[str, ...]] = {}
        for parent in parents:
            gateway = by_key[parent.namespace, parent.name]
            names, refusal = _admit(route, parent, gateway, front_port)
            conflict = None if refusal else _conflict(names, route, owners)
            reason, message = refusal or conflict or ("Accepted", f"served on {', '.join(names)}")
            is_accepted = reason == "Accepted"
            attachments.append(Attachment(route, parent, is_accepted, reason, message))
            if is_accepted:
                hostnames[parent.namespace, parent.name] = names
        union = tuple(dict.fromkeys(name for names in hostnames.values() for name in names))
        owners.update(dict.fromkeys(union, route.key))
        if union:
            served.append(ServedRoute(route, union))
    return attachments, served


def _admit(
    route: Route, parent: Parent, gateway: Gateway, front_port: int
) -> tuple[tuple[str, ...], tuple[str, str] | None]:
    """The hostnames that `gateway` gives this route, or the refusal (reason, message)."""
    named = [
        listener
        for listener in gateway.listeners
        if parent.section in ("", listener.name) and parent.port in (None, listener.port)
    ]
    if not named:
        return (), ("NoMatchingParent", f"Gateway {gateway.name!r} has no listener that the parentRef names")
    usable = [listener for listener in named if listener_problem(listener, front_port) is None]
    allowed = [
        listener
        for listener in usable
        if listener.allowed_from == "All" or (listener.allowed_from == "Same" and route.namespace == gateway.namespace)
    ]
    if not allowed:
        names = ", ".join(listener.name for listener in named)
        return (), ("NotAllowedByListeners", f"no listener ({names}) takes routes of namespace {route.namespace!r}")
    hostnames = tuple(dict.fromkeys(name for listener in allowed for name in _hostnames(route, listener)))
    if not hostnames:
        return (), ("NoMatchingListenerHostname", "no hostname of the route belongs to a listener")
    if route.unsupported:
        return (), ("UnsupportedValue", "not supported by this gateway: " + ", ".join(route.unsupported))
    return hostnames, None


def listener_problem(listener: Listener, front_port: int) -> tuple[str, str] | None:
    """Why a listener cannot be served (reason, message), or None."""
    if listener.protocol != "HTTP":
        return "UnsupportedProtocol", f"protocol {listener.protocol} is not served; use HTTP"
    if listener.port not in (front_port, FRONT_DOOR_ALIAS):
        return (
            "PortUnavailable",
            f"port {listener.port} is not served; use {front_port} (or {FRONT_DOOR_ALIAS}, served at {front_port})",
        )
    return None


def _hostnames(route: Route, listener: Listener) -> list[str]:
    if not route.hostnames:
        return [listener.hostname or ANY_HOST]
    return [name for name in route.hostnames if not listener.hostname or _covers(listener.hostname, name)]


def _covers(pattern: str, hostname: str) -> bool:
    """Whether a listener's hostname (perhaps *.example.org) covers a route's."""
    return pattern == hostname or (pattern.startswith("*.") and hostname.endswith(pattern[1:]))


def _conflict(hostnames: Iterable[str], route: Route, owners: dict[str, Key]) -> tuple[str, str] | None:
    for hostname in hostnames:
        owner = owners.get(hostname, route.key)
        if owner != route.key:
            return "HostnameConflict", f"hostname {hostname!r} belongs to the older HTTPRoute {'/'.join(owner)}"
    return None


def precedence(rules: Sequence[Rule]) -> list[Line]:
    """All matches of a route in Gateway API precedence: exact path, then regular expression, then longest prefix,
    then method, more headers, more query parameters, and at last the order in which they are written."""
    lines = [Line(conditions, index) for index, rule in enumerate(rules) for conditions in rule.matches]
    return sorted(lines, key=lambda line: _rank(line.conditions))


def _rank(conditions: Sequence[Condition]) -> tuple[int, int, int, int, int]:
    path = next(condition for condition in conditions if condition.kind == "path")
    count = {kind: sum(condition.kind == kind for condition in conditions) for kind in ("method", "header", "query")}
    order = {"Exact": 0, "RegularExpression": 1, "PathPrefix": 2}
    return order[path.match], -len(path.value), -count["method"], -count["header"], -count["query"]


def host_order(hostnames: Iterable[str]) -> list[str]:
    """Hostnames from the most specific: exact ones, then the longest wildcard, then any host."""
    return sorted(hostnames, key=lambda name: (name == ANY_HOST, name.startswith("*."), -len(name), name))


def rule_keys(route: Route) -> list[str]:
    """A key for each rule of a route."""
    return [f"{route.namespace}/{route.name}/{index}" for index in range(len(route.rules))]
