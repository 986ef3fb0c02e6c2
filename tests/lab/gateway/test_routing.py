"""Which rule a real HAProxy picks. No pod is needed: the reply names the Service that has none."""

from __future__ import annotations

import http.client
import re
from typing import Any

import pytest
from churnguard_lab.gateway.plan import Desired
from churnguard_lab.gateway.render import quote, render

ODD = "a \"b\" $HOME \\n # %[src] {x} 'y'"


def rule(name: str, *matches: Any) -> Any:
    return {"matches": list(matches), "backendRefs": [{"name": f"shop-{name}", "port": 80}]}


def path(value: str, kind: str = "PathPrefix") -> Any:
    return {"path": {"type": kind, "value": value}}


def header(value: str, kind: str = "Exact") -> Any:
    return {"headers": [{"type": kind, "name": "X-Slot", "value": value}]}


RULES = [
    rule("rest", path("/")),
    rule("green", header("green")),
    rule("odd", header(ODD)),
    rule("regular", header("v[0-9]+", "RegularExpression")),
    rule("prefix", path("/api")),
    rule("deeper", path("/api/v1/")),
    rule("exact", path("/api/v1/exact", "Exact")),
    rule("pattern", path("/p/[a-z]+", "RegularExpression")),
    rule("post", {**path("/api"), "method": "POST"}),
    rule("query", {**path("/api"), "queryParams": [{"name": "q", "value": "1"}]}),
    rule("either", path("/one"), path("/two")),
]


@pytest.fixture
def ask(plane: Any, make: Any) -> Any:
    def send(target: str, headers: dict[str, str] | None = None, method: str = "GET", host: str = "shop.lab") -> str:
        connection = http.client.HTTPConnection("127.0.0.1", plane.front_port, timeout=10)
        connection.request(method, target, headers={"Host": host, **(headers or {})})
        reply = connection.getresponse()
        text = reply.read().decode()
        connection.close()
        found = re.match(r"Service shop/shop-(\w+) port 80 has no ready pod", text)
        return found[1] if found else reply.headers["X-Gateway-Reason"]

    services = [make.service(item["backendRefs"][0]["name"].removeprefix("shop-")) for item in RULES]
    hosts = {"shop.lab": RULES, "*.wild.lab": [rule("rest")], "exact.wild.lab": [rule("exact", path("/only"))]}
    routes = []
    for number, (hostname, rules) in enumerate(hosts.items()):
        routes.append(make.route({}, hostnames=[hostname], rules=rules))
        routes[-1]["metadata"]["name"] = f"route-{number}"
    plane.set(routes, services, [])
    return send


def test_paths(ask: Any) -> None:
    expected = {
        "/": "rest",
        "/apiary": "rest",
        "/api": "prefix",
        "/api/": "prefix",
        "/api/v2": "prefix",
        "/api/v1": "deeper",
        "/api/v1/x": "deeper",
        "/api/v1/exact": "exact",
        "/api/v1/exact/": "deeper",
        "/api/v1/exact?q=1": "exact",
        "/p/abc": "pattern",
        "/p/abc/d": "rest",
        "/p/ABC": "rest",
        "/one": "either",
        "/two/x": "either",
    }
    assert {target: ask(target) for target in expected} == expected


def test_headers_methods_and_queries(ask: Any) -> None:
    assert ask("/", {"X-Slot": "green"}) == "green"
    assert ask("/", {"x-slot": "green"}) == "green"
    assert ask("/", {"X-Slot": "greenish"}) == "rest"
    assert ask("/", {"X-Slot": ODD}) == "odd"
    assert ask("/", {"X-Slot": "v12"}) == "regular"
    assert ask("/", {"X-Slot": "v12b"}) == "rest"
    assert ask("/api", {"X-Slot": "green"}) == "prefix", "a longer path beats a header"
    assert ask("/api", method="POST") == "post"
    assert ask("/api?q=1") == "query"
    assert ask("/api?q=2") == "prefix"


def test_hosts(ask: Any) -> None:
    assert ask("/", host="SHOP.lab:8080") == "rest"
    assert ask("/", host="a.wild.lab") == "rest"
    assert ask("/", host="a.b.wild.lab") == "rest"
    assert ask("/", host="wild.lab") == "no-route"
    assert ask("/only", host="exact.wild.lab") == "exact"
    assert ask("/", host="exact.wild.lab") == "no-route", "the most specific hostname alone decides"
    assert ask("/", host="nobody.lab") == "no-route"


def test_quoting() -> None:
    assert quote('a"b\\c$d') == '"a\\"b\\\\c\\$d"'


def test_structure_ignores_what_the_runtime_api_can_change(plane: Any, make: Any) -> None:
    services = [make.service("blue"), make.service("green")]
    first = plane.set([make.route({"blue": 1, "green": 0})], services, [])
    second = plane.set([make.route({"blue": 0, "green": 1})], services, [make.pod("blue-0", "127.0.0.2")])
    before, after = (render(item, plane.front_port, plane.admin_port) for item in (first, second))
    assert before.structure == after.structure
    assert before.entries != after.entries
    assert "server s1 127.0.0.2:5000 weight 1\n" in after.config
    assert render(Desired(), plane.front_port, plane.admin_port).structure != before.structure
