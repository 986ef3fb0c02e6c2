"""Which routes are served, and the order of their matches."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest
from churnguard_lab.gateway.model import Condition, Rule, parse_gateway, parse_route
from churnguard_lab.gateway.routes import attach, host_order, precedence

PORT = 18080


def named(make: Any, name: str, created: str = "2026-01-01T00:00:00Z", **spec: Any) -> Any:
    item = make.route({"blue": 1}, **spec)
    item["metadata"] |= {"name": name, "creationTimestamp": created}
    return parse_route(item)


def reasons(routes: list[Any], gateways: list[Any]) -> dict[str, str]:
    attachments, _ = attach(routes, [parse_gateway(item) for item in gateways], PORT)
    return {attachment.route.name: attachment.reason for attachment in attachments}


def test_the_older_route_keeps_a_hostname(make: Any) -> None:
    old = named(make, "old", "2026-01-01T00:00:00Z")
    new = named(make, "new", "2026-01-02T00:00:00Z", hostnames=["more.lab", "shop.lab"])
    attachments, served = attach([new, old], [parse_gateway(make.gateway(PORT))], PORT)
    assert [(item.route.name, item.accepted, item.reason) for item in attachments] == [
        ("old", True, "Accepted"),
        ("new", False, "HostnameConflict"),
    ]
    assert "shop/old" in attachments[1].message
    assert [(item.route.name, item.hostnames) for item in served] == [("old", ("shop.lab",))]


def test_same_age_goes_by_name(make: Any) -> None:
    assert reasons([named(make, "b"), named(make, "a")], [make.gateway(PORT)]) == {
        "a": "Accepted",
        "b": "HostnameConflict",
    }


def test_a_refused_route_owns_no_hostname(make: Any) -> None:
    refused = named(make, "old", rules=[{"filters": [{}]}])
    newer = named(make, "new", "2026-02-01T00:00:00Z")
    assert reasons([refused, newer], [make.gateway(PORT)]) == {"old": "UnsupportedValue", "new": "Accepted"}


def test_other_gateways_are_nobodys_business(make: Any) -> None:
    elsewhere = named(make, "r", parentRefs=[{"name": "front", "namespace": "elsewhere"}])
    assert attach([elsewhere], [parse_gateway(make.gateway(PORT))], PORT) == ([], [])


@pytest.mark.parametrize(
    ("listener", "spec", "reason"),
    [
        ({}, {}, "Accepted"),
        ({"port": 80}, {}, "Accepted"),
        ({"port": 81}, {}, "NotAllowedByListeners"),
        ({"protocol": "HTTPS"}, {}, "NotAllowedByListeners"),
        ({"allowedRoutes": {"namespaces": {"from": "Same"}}}, {}, "NotAllowedByListeners"),
        ({"allowedRoutes": {"namespaces": {"from": "Selector"}}}, {}, "NotAllowedByListeners"),
        ({"hostname": "shop.lab"}, {}, "Accepted"),
        ({"hostname": "*.lab"}, {}, "Accepted"),
        ({"hostname": "*.other"}, {}, "NoMatchingListenerHostname"),
        ({}, {"parentRefs": [{"name": "front", "namespace": "gateways", "sectionName": "http"}]}, "Accepted"),
        ({}, {"parentRefs": [{"name": "front", "namespace": "gateways", "sectionName": "x"}]}, "NoMatchingParent"),
        ({}, {"parentRefs": [{"name": "front", "namespace": "gateways", "port": 1}]}, "NoMatchingParent"),
    ],
)
def test_listeners(make: Any, listener: dict[str, Any], spec: dict[str, Any], reason: str) -> None:
    item = make.gateway(PORT)
    item["spec"]["listeners"][0] |= listener
    assert reasons([named(make, "r", **spec)], [item]) == {"r": reason}


def test_same_namespace_is_allowed_by_default(make: Any) -> None:
    item = make.gateway(PORT, allowed="Same")
    item["metadata"]["namespace"] = "shop"
    route = named(make, "r", parentRefs=[{"name": "front"}])
    assert reasons([route], [item]) == {"r": "Accepted"}


def test_a_route_without_hostnames_takes_the_listeners_or_all(make: Any) -> None:
    for hostname, expected in (("", "*"), ("shop.lab", "shop.lab")):
        item = make.gateway(PORT)
        item["spec"]["listeners"][0]["hostname"] = hostname
        _, served = attach([named(make, "r", hostnames=[])], [parse_gateway(item)], PORT)
        assert served[0].hostnames == (expected,)


PATHS = {
    "exact": Condition("path", "Exact", "/a"),
    "regular": Condition("path", "RegularExpression", "/a.*"),
    "long": Condition("path", "PathPrefix", "/a/b"),
    "short": Condition("path", "PathPrefix", "/"),
}
METHOD = Condition("method", "Exact", "GET")
HEADER = Condition("header", "Exact", "v", "h")
QUERY = Condition("query", "Exact", "v", "q")


def test_precedence_whatever_the_order_in_which_rules_are_written() -> None:
    expected = [
        (PATHS["exact"],),
        (PATHS["regular"],),
        (PATHS["long"],),
        (PATHS["short"], METHOD),
        (PATHS["short"], HEADER, HEADER),
        (PATHS["short"], HEADER, QUERY),
        (PATHS["short"], HEADER),
        (PATHS["short"], QUERY),
        (PATHS["short"],),
    ]
    chance = random.Random(1)
    for _ in range(200):
        shuffled = chance.sample(expected, len(expected))
        lines = precedence([Rule((match,), ()) for match in shuffled])
        assert [line.conditions for line in lines] == expected
        assert [shuffled[line.rule] for line in lines] == expected


def test_ties_keep_the_order_of_the_rules() -> None:
    for first, second in itertools.permutations(("a", "b")):
        rules = [Rule(((PATHS["short"], Condition("header", "Exact", value, "h")),), ()) for value in (first, second)]
        assert [line.rule for line in precedence(rules)] == [0, 1]


def test_hosts_from_the_most_specific() -> None:
    assert host_order(["*", "*.b.lab", "b.lab", "*.a.b.lab", "a.b.lab"]) == [
        "a.b.lab",
        "b.lab",
        "*.a.b.lab",
        "*.b.lab",
        "*",
    ]
