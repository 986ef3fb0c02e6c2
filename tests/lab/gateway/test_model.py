"""Reading API objects."""

from __future__ import annotations

from typing import Any

import pytest
from churnguard_lab.gateway.model import (
    Condition,
    Parent,
    parse_gateway,
    parse_pod,
    parse_route,
    parse_service,
    selects,
)


def test_a_pod_takes_requests_only_when_ready_running_and_not_terminating(make: Any) -> None:
    assert parse_pod(make.pod("blue-0", "127.0.0.9")).ready
    assert not parse_pod(make.pod("blue-0", "127.0.0.9", ready=False)).ready
    assert not parse_pod(make.pod("blue-0", "127.0.0.9", deleted=True)).ready
    failed = make.pod("blue-0", "127.0.0.9")
    failed["status"]["phase"] = "Failed"
    parsed = parse_pod(failed)
    assert (parsed.ready, parsed.finished) == (False, True)
    new = make.pod("blue-0", "127.0.0.9")
    del new["status"]
    parsed = parse_pod(new)
    assert (parsed.ready, parsed.finished, parsed.ip) == (False, False, "")


def test_named_ports_of_all_containers() -> None:
    containers = [{"ports": [{"name": "http", "containerPort": 5000}, {"containerPort": 1}]}, {}]
    item = {"metadata": {"uid": "u", "namespace": "n", "name": "p"}, "spec": {"containers": containers}}
    assert parse_pod(item).named_ports == {"http": 5000}


@pytest.mark.parametrize(
    ("selector", "labels", "expected"),
    [
        ({"a": "1"}, {"a": "1", "b": "2"}, True),
        ({"a": "1", "b": "2"}, {"a": "1"}, False),
        ({"a": "1"}, {"a": "2"}, False),
        ({}, {"a": "1"}, False),
    ],
)
def test_selector(selector: dict[str, str], labels: dict[str, str], expected: bool) -> None:
    assert selects(selector, labels) is expected


def test_service_target_ports_default_to_the_port() -> None:
    ports = [{"port": 80, "targetPort": "http"}, {"port": 81, "targetPort": 5001}, {"port": 82}]
    item = {"metadata": {"namespace": "n", "name": "s"}, "spec": {"ports": ports}}
    assert parse_service(item).target_ports == {80: "http", 81: 5001, 82: 82}
    assert parse_service(item).selector == {}


def test_gateway_listeners_have_kubernetes_defaults() -> None:
    item = {
        "metadata": {"namespace": "n", "name": "g"},
        "spec": {"gatewayClassName": "c", "listeners": [{"name": "l", "port": 80, "protocol": "HTTP"}]},
    }
    listener = parse_gateway(item).listeners[0]
    assert (listener.allowed_from, listener.hostname) == ("Same", "")


def test_route_defaults() -> None:
    item = {
        "metadata": {"namespace": "n", "name": "r", "generation": 3},
        "spec": {
            "parentRefs": [{"name": "g"}, {"name": "x", "kind": "Service", "group": ""}],
            "rules": [{"backendRefs": [{"name": "s", "port": 80}]}],
        },
    }
    route = parse_route(item)
    assert route.parents == (Parent("n", "g", "", None, {"name": "g"}),)
    assert route.hostnames == ()
    assert route.rules[0].matches == ((Condition("path", "PathPrefix", "/"),),)
    assert (route.rules[0].references[0].weight, route.rules[0].references[0].problem) == (1, None)


def test_matches_with_method_headers_and_query() -> None:
    match = {
        "path": {"type": "Exact", "value": "/a"},
        "method": "GET",
        "headers": [{"name": "H", "value": "v"}],
        "queryParams": [{"type": "RegularExpression", "name": "q", "value": "x+"}],
    }
    item = {"metadata": {"namespace": "n", "name": "r"}, "spec": {"rules": [{"matches": [match]}]}}
    assert parse_route(item).rules[0].matches[0] == (
        Condition("path", "Exact", "/a"),
        Condition("method", "Exact", "GET"),
        Condition("header", "Exact", "v", "H"),
        Condition("query", "RegularExpression", "x+", "q"),
    )


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ({"name": "s", "port": 80, "namespace": "other"}, "RefNotPermitted"),
        ({"name": "s", "port": 80, "kind": "Bucket", "group": "store"}, "InvalidKind"),
    ],
)
def test_references_that_lead_nowhere(reference: dict[str, Any], reason: str) -> None:
    item = {"metadata": {"namespace": "n", "name": "r"}, "spec": {"rules": [{"backendRefs": [reference]}]}}
    problem = parse_route(item).rules[0].references[0].problem
    assert problem is not None
    assert problem[0] == reason


@pytest.mark.parametrize(
    ("rule", "named"),
    [
        ({"filters": [{"type": "RequestHeaderModifier"}]}, "rules[0].filters"),
        ({"timeouts": {"request": "1s"}}, "rules[0].timeouts"),
        ({"backendRefs": [{"name": "s", "filters": [{}]}]}, "rules[0].backendRefs[0].filters"),
        ({"matches": [{"path": {"value": "/a\nglobal"}}]}, "rules[0].matches[0]: value"),
        ({"matches": [{"headers": [{"name": "a#b", "value": "v"}]}]}, "rules[0].matches[0]: name"),
        ({"matches": [{"headers": [{"name": "a", "value": "ü"}]}]}, "rules[0].matches[0]: value"),
    ],
)
def test_what_cannot_be_done_is_named(rule: dict[str, Any], named: str) -> None:
    item = {"metadata": {"namespace": "n", "name": "r"}, "spec": {"rules": [rule]}}
    unsupported = parse_route(item).unsupported
    assert len(unsupported) == 1
    assert unsupported[0].startswith(named)
