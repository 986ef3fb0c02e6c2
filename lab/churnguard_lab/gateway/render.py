"""The HAProxy configuration of a desired state. Pure.

Its structure (hosts, rules, backends, number of slots) can only be changed by a reload; the map (weights) and the
servers' addresses and states can be changed at run time too, and are written so that a restart finds them.
"""

from __future__ import annotations

import dataclasses
import hashlib

from churnguard_lab.gateway.model import Condition
from churnguard_lab.gateway.plan import SCALE, Desired, PlannedRoute, PlannedRule
from churnguard_lab.gateway.pools import DRAIN, Pool
from churnguard_lab.gateway.routes import ANY_HOST, host_order

#: The map of splits and filled pools, beside the configuration; HAProxy runs in that folder.
MAP_FILE = "gateway.map"
DESCRIPTION_PREFIX = "churnguard-gateway "
#: Map entry that is set to 1 in a worker which a reload has replaced: it hands the requests of clients that were idle
#: on to its successor, so that nobody is served by an old state. (HAProxy lets nobody change a leaving worker's
#: servers, but its map.)
HANDOVER = "handover"
NO_ROUTE, NO_WEIGHT, MISSING = "no-route", "no-weight", "backend-not-found"
FREE_ADDRESS = "0.0.0.0:1"


@dataclasses.dataclass(frozen=True)
class Rendered:
    """The two files, and the identity of the configuration's structure."""

    config: str
    entries: str
    structure: str


def render(desired: Desired, front_port: int, admin_port: int) -> Rendered:
    """The files for `desired`, with the gateway and its runtime API on these loopback ports."""
    skeleton = _config(desired, front_port, admin_port, "", with_servers=False)
    structure = hashlib.sha256(skeleton.encode()).hexdigest()[:16]
    return Rendered(
        config=_config(desired, front_port, admin_port, structure, with_servers=True),
        entries=f"{HANDOVER} 0\n" + "".join(f"{key} {value}\n" for key, value in sorted(desired.entries.items())),
        structure=structure,
    )


def _config(desired: Desired, front_port: int, admin_port: int, structure: str, with_servers: bool) -> str:
    lines = _globals(admin_port, structure) + _frontend(desired, front_port)
    for name, pool in sorted(desired.pools.items()):
        lines += _backend(name, pool, with_servers)
    lines += ["", f"backend {HANDOVER}", "  http-reuse never", f"  server successor 127.0.0.1:{front_port}"]
    lines += _reply(NO_ROUTE, 404, "no HTTPRoute matches this host, path and headers")
    lines += _reply(NO_WEIGHT, 503, "the matching rule sends nothing anywhere: all its weights are 0")
    lines += _reply(MISSING, 500, "the matching rule's backendRef does not exist (see the HTTPRoute's status)")
    return "\n".join(lines) + "\n"


def _globals(admin_port: int, structure: str) -> list[str]:
    return [
        "# Written by the lab's gateway controller at every change; edits are lost.",
        "global",
        f"  description {quote(DESCRIPTION_PREFIX + structure)}",
        f"  stats socket ipv4@127.0.0.1:{admin_port} level admin",
        "  log stdout format raw daemon",
        # A second HAProxy on the same port must fail, not take half of the connections.
        "  noreuseport",
        "  maxconn 8000",
        # One thread serves thousands of requests a second, and applies each runtime change between two requests.
        "  nbthread 1",
        # A worker replaced by a reload finishes what it has; longer than any request may last.
        "  hard-stop-after 180s",
        "",
        "defaults",
        "  mode http",
        "  log global",
        "  option httplog",
        "  option dontlog-normal",
        "  option forwardfor",
        # During a reload an idle client connection gets one more reply (with Connection: close), not a reset.
        "  option idle-close-on-response",
        "  timeout connect 5s",
        "  timeout client 70s",
        "  timeout http-request 30s",
        "  timeout http-keep-alive 60s",
        "  timeout server 60s",
        # Failures must show: nothing is tried a second time or sent elsewhere.
        "  retries 0",
        "  no option redispatch",
        "  balance roundrobin",
        # Idle server connections are dropped long before an application closes them (75 s).
        "  http-reuse safe",
        "  default-server pool-purge-delay 1s",
        *_errors(),
    ]


def _errors() -> list[str]:
    replies = (
        (502, "bad-gateway", "the pod closed the connection or sent no valid reply"),
        (503, "connect-failed", "the pod did not accept the connection"),
        (504, "gateway-timeout", "the pod did not reply in time"),
    )
    return [
        f"  http-error status {status} content-type text/plain string {quote(f'{text} ({reason})')} "
        f"hdr X-Gateway-Reason {reason}"
        for status, reason, text in replies
    ]


def _frontend(desired: Desired, front_port: int) -> list[str]:
    lines = [
        "",
        "frontend gateway",
        f"  bind 127.0.0.1:{front_port}",
        "  http-request set-var(txn.host) req.fhdr(host),field(1,:),lower",
    ]
    owners = {hostname: route for route in desired.routes for hostname in route.hostnames}
    for hostname in host_order(owners):
        name = quote("/".join(owners[hostname].key))
        condition = "" if hostname == ANY_HOST else " " + _host_test(hostname)
        lines.append(f"  http-request set-var(txn.route) str({name}) if !{{ var(txn.route) -m found }}{condition}")
    for route in desired.routes:
        lines += _route_lines(route)
    lines += [
        f"  http-request set-var(txn.split) var(txn.rule),map_str({MAP_FILE})",
        f"  http-request set-var(txn.draw) rand({SCALE})",
    ]
    widest = max((len(rule.backends) for route in desired.routes for rule in route.rules), default=0)
    lines += [f"  http-request set-var(txn.t{n}) var(txn.split),field({n},:)" for n in range(1, widest + 1)]
    lines.append(f"  use_backend {HANDOVER} if {{ str({HANDOVER}),map_str({MAP_FILE}) -m str 1 }}")
    for route in desired.routes:
        for rule in route.rules:
            lines += _split_lines(rule)
    lines.append(f"  default_backend {NO_ROUTE}")
    return lines


def _host_test(hostname: str) -> str:
    if hostname.startswith("*."):
        return f"{{ var(txn.host) -m end -- {quote(hostname[1:])} }}"
    return f"{{ var(txn.host) -m str -- {quote(hostname)} }}"


def _route_lines(route: PlannedRoute) -> list[str]:
    lines = []
    for line in route.lines:
        key = quote(route.rules[line.rule].key)
        tests = "".join(" " + acl(condition) for condition in line.conditions)
        lines.append(
            f"  http-request set-var(txn.rule) str({key}) if !{{ var(txn.rule) -m found }} "
            f"{{ var(txn.route) -m str -- {quote('/'.join(route.key))} }}{tests}"
        )
    return lines


def acl(condition: Condition) -> str:
    """The HAProxy condition for one Gateway API condition."""
    if condition.kind == "path" and condition.match == "PathPrefix":
        # /a covers /a and /a/b, not /ab.
        prefix = condition.value.rstrip("/")
        return f"{{ path,concat(/) -m beg -- {quote(prefix + '/')} }}"
    sample = {
        "path": "path",
        "method": "method",
        "header": f"req.fhdr({condition.name})",
        "query": f"url_param({condition.name})",
    }[condition.kind]
    if condition.match == "RegularExpression":
        # The whole value must match, not a part of it.
        return f"{{ {sample} -m reg -- {quote(f'^(?:{condition.value})$')} }}"
    return f"{{ {sample} -m str -- {quote(condition.value)} }}"


def _split_lines(rule: PlannedRule) -> list[str]:
    matched = f"{{ var(txn.rule) -m str -- {quote(rule.key)} }}"
    if not rule.backends:
        return [f"  use_backend {MISSING} if {matched}"]
    lines = [
        f"  use_backend {name or MISSING} if {matched} {{ var(txn.draw),sub(txn.t{number}) lt 0 }}"
        for number, name in enumerate(rule.backends, start=1)
    ]
    return [*lines, f"  use_backend {NO_WEIGHT} if {matched}"]


def _backend(name: str, pool: Pool, with_servers: bool) -> list[str]:
    namespace, service, port = name.split("_")
    text = f"Service {namespace}/{service} port {port} has no ready pod"
    lines = [
        "",
        f"backend {name}",
        # Not nbsrv, which is 0 in a worker that is leaving although its servers still work.
        f"  http-request return status 503 content-type text/plain string {quote(text)} "
        f"hdr X-Gateway-Reason no-ready-pods if !{{ str({name}),map_str({MAP_FILE}) -m str 1 }}",
    ]
    if not with_servers:
        return [*lines, f"  # {len(pool)} slots"]
    for number, slot in enumerate(pool, start=1):
        if slot is None:
            lines.append(f"  server s{number} {FREE_ADDRESS} weight 1 disabled")
        else:
            lines.append(f"  server s{number} {slot.ip}:{slot.port} weight {0 if slot.state == DRAIN else 1}")
    return lines


def _reply(reason: str, status: int, text: str) -> list[str]:
    return [
        "",
        f"backend {reason}",
        f"  http-request return status {status} content-type text/plain string {quote(f'{text} ({reason})')} "
        f"hdr X-Gateway-Reason {reason}",
    ]


def quote(text: str) -> str:
    """`text` as one HAProxy word, taken literally. The text must be printable (see model.parse_route)."""
    escaped = "".join("\\" + character if character in '\\"$' else character for character in text)
    return f'"{escaped}"'
