"""What the gateway writes to statuses."""

from __future__ import annotations

from typing import Any

import pytest
from churnguard_lab.gateway.model import CONTROLLER_NAME, parse_gateway, parse_route, parse_service
from churnguard_lab.gateway.plan import Desired, Snapshot, build
from churnguard_lab.gateway.status import attachments_by_route, class_status, gateway_status, route_status

NOW, LATER = "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"


def plan(make: Any, *routes: Any, gateway: Any = None) -> Desired:
    service = parse_service(make.service("blue"))
    return build(
        Snapshot(
            gateways=(parse_gateway(gateway or make.gateway(80)),),
            routes=tuple(parse_route(route) for route in routes),
            services={("shop", "shop-blue"): service},
        ),
        {},
        80,
    )


def conditions(entry: Any) -> dict[str, tuple[str, str]]:
    return {item["type"]: (item["status"], item["reason"]) for item in entry["conditions"]}


def status(make: Any, route: Any, problem: str = "", now: str = NOW, foreign: Any = ()) -> Any:
    desired = plan(make, route)
    attachments = attachments_by_route(desired).get(("shop", "shop"), [])
    return route_status(route, attachments, foreign, desired, problem, now)


def test_a_served_route(make: Any) -> None:
    route = make.route({"blue": 1})
    route["metadata"]["generation"] = 7
    (parent,) = status(make, route)["parents"]
    assert parent["parentRef"] == {"name": "front", "namespace": "gateways"}
    assert parent["controllerName"] == CONTROLLER_NAME
    assert conditions(parent) == {
        "Accepted": ("True", "Accepted"),
        "ResolvedRefs": ("True", "ResolvedRefs"),
        "Programmed": ("True", "Programmed"),
    }
    assert {item["observedGeneration"] for item in parent["conditions"]} == {7}


def test_observed_generation_is_the_applied_one(make: Any) -> None:
    applied = make.route({"blue": 1})
    newest = make.route({"blue": 2})
    newest["metadata"]["generation"] = 2
    desired = plan(make, applied)
    found = route_status(newest, attachments_by_route(desired)["shop", "shop"], (), desired, "", NOW)
    assert {item["observedGeneration"] for item in found["parents"][0]["conditions"]} == {1}


def test_not_programmed_while_haproxy_did_not_take_it(make: Any) -> None:
    (parent,) = status(make, make.route({"blue": 1}), problem="HAProxy does not run")["parents"]
    assert conditions(parent)["Programmed"] == ("False", "Pending")
    assert parent["conditions"][2]["message"] == "HAProxy does not run"


def test_a_missing_service(make: Any) -> None:
    (parent,) = status(make, make.route({"blue": 1, "green": 1}))["parents"]
    assert conditions(parent)["ResolvedRefs"] == ("False", "BackendNotFound")
    assert conditions(parent)["Programmed"] == ("True", "Programmed")


def test_a_refused_route(make: Any) -> None:
    (parent,) = status(make, make.route({"blue": 1}, rules=[{"timeouts": {"request": "1s"}}]))["parents"]
    assert conditions(parent)["Accepted"] == ("False", "UnsupportedValue")
    assert conditions(parent)["Programmed"] == ("False", "Invalid")


def test_transition_times_change_with_the_status_only(make: Any) -> None:
    route = make.route({"blue": 1})
    route["status"] = status(make, route)
    again = status(make, route, problem="broken", now=LATER)["parents"][0]["conditions"]
    assert {item["type"]: item["lastTransitionTime"] for item in again} == {
        "Accepted": NOW,
        "ResolvedRefs": NOW,
        "Programmed": LATER,
    }


def entry(controller: str, gateway: str) -> Any:
    return {"parentRef": {"name": gateway}, "controllerName": controller, "conditions": []}


@pytest.mark.parametrize(
    ("controller", "gateway", "stays"),
    [
        ("somebody/else", "front", True),
        (CONTROLLER_NAME, "foreign", True),
        (CONTROLLER_NAME, "stale", False),
    ],
)
def test_entries_of_others_stay_and_stale_ones_go(make: Any, controller: str, gateway: str, stays: bool) -> None:
    route = make.route({"blue": 1})
    route["status"] = {"parents": [entry(controller, gateway)]}
    found = status(make, route, foreign={("shop", "foreign")})["parents"]
    assert (entry(controller, gateway) in found) is stays
    assert len(found) == 1 + stays


def test_gateway_status_counts_attached_routes(make: Any) -> None:
    gateway = make.gateway(80)
    found = gateway_status(gateway, plan(make, make.route({"blue": 1})), 80, "", NOW)
    assert conditions(found) == {"Accepted": ("True", "Accepted"), "Programmed": ("True", "Programmed")}
    assert [(item["name"], item["attachedRoutes"]) for item in found["listeners"]] == [("http", 1)]
    assert found["addresses"] == [{"type": "IPAddress", "value": "127.0.0.1"}]


def test_gateway_with_a_listener_that_cannot_be_served(make: Any) -> None:
    gateway = make.gateway(80)
    gateway["spec"]["listeners"].append({"name": "odd", "protocol": "HTTP", "port": 9})
    found = gateway_status(gateway, plan(make, gateway=gateway), 80, "", NOW)
    assert conditions(found)["Accepted"] == ("True", "ListenersNotValid")
    assert conditions(found["listeners"][1])["Accepted"] == ("False", "PortUnavailable")
    only_odd = make.gateway(9)
    found = gateway_status(only_odd, plan(make, gateway=only_odd), 80, "", NOW)
    assert conditions(found) == {"Accepted": ("False", "ListenersNotValid"), "Programmed": ("False", "Invalid")}


def test_class_status() -> None:
    item = {"metadata": {"name": "lab", "generation": 1}, "spec": {}}
    assert conditions(class_status(item, NOW)) == {"Accepted": ("True", "Accepted")}
