"""Splits, pools and the whole plan."""

from __future__ import annotations

import random
from typing import Any

import pytest
from churnguard_lab.gateway.model import Pod, Service, parse_gateway, parse_pod, parse_route, parse_service
from churnguard_lab.gateway.plan import SCALE, Snapshot, backend_name, build, thresholds
from churnguard_lab.gateway.pools import DRAIN, INITIAL_SLOTS, UP, Slot, assign, members, target_port


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ((), ()),
        ((0,), (0,)),
        ((0, 0), (0, 0)),
        ((1,), (SCALE,)),
        ((100, 0), (SCALE, SCALE)),
        ((0, 100), (0, SCALE)),
        ((99, 1), (990_000, SCALE)),
        ((1, 1, 1), (333_333, 666_667, SCALE)),
        ((0, 3, 0, 1), (0, 750_000, 750_000, SCALE)),
    ],
)
def test_thresholds(weights: tuple[int, ...], expected: tuple[int, ...]) -> None:
    assert thresholds(weights) == expected


def test_thresholds_give_every_weight_its_share() -> None:
    chance = random.Random(2)
    for _ in range(500):
        weights = [chance.choice((0, chance.randrange(1_000_001))) for _ in range(chance.randrange(1, 17))]
        found = thresholds(weights)
        total = sum(weights)
        shares = [high - low for low, high in zip((0, *found), found, strict=False)]
        assert found[-1] == (SCALE if total else 0)
        for weight, share in zip(weights, shares, strict=True):
            assert abs(share - (SCALE * weight / total if total else 0)) <= 1
            assert weight or share == 0


def service(selector: dict[str, str] | None = None, target: int | str = "http") -> Service:
    return Service("n", "s", {"app": "a"} if selector is None else selector, {80: target})


def pod(uid: str, **changes: Any) -> Pod:
    values = {"ip": f"127.0.0.{len(uid)}", "ready": True, "finished": False, "labels": {"app": "a"}}
    values |= {"uid": uid, "namespace": "n", "name": uid, "named_ports": {"http": 5000}}
    return Pod(**{**values, **changes})


@pytest.mark.parametrize(
    ("changes", "is_member"),
    [
        ({}, True),
        ({"ready": False}, False),
        ({"ip": ""}, False),
        ({"namespace": "other"}, False),
        ({"labels": {"app": "b"}}, False),
        ({"named_ports": {}}, False),
    ],
)
def test_members(changes: dict[str, Any], is_member: bool) -> None:
    assert bool(members(service(), 80, [pod("p", **changes)])) is is_member


def test_members_need_the_service_and_the_port() -> None:
    assert members(None, 80, [pod("p")]) == {}
    assert members(service(), 81, [pod("p")]) == {}
    assert members(service(selector={}), 80, [pod("p")]) == {}


def test_named_target_ports_are_each_pods_own() -> None:
    assert target_port(service(), 80, pod("p", named_ports={"http": 5001})) == 5001
    assert target_port(service(target=7), 80, pod("p", named_ports={})) == 7


def slot(uid: str, state: str = UP, ip: str = "127.0.0.1") -> Slot:
    return Slot(uid, ip, 5000, state)


def test_a_pod_keeps_its_slot_drains_and_frees_it() -> None:
    first = assign((), {"a": slot("a"), "b": slot("b", ip="127.0.0.2")}, ["a", "b"])
    assert len(first) == INITIAL_SLOTS
    assert first[:2] == (slot("a"), slot("b", ip="127.0.0.2"))
    draining = assign(first, {"b": slot("b", ip="127.0.0.2")}, ["a", "b"])
    assert draining[:2] == (slot("a", DRAIN), slot("b", ip="127.0.0.2"))
    ready_again = assign(draining, {"a": slot("a"), "b": slot("b", ip="127.0.0.2")}, ["a", "b"])
    assert ready_again == first
    gone = assign(draining, {"b": slot("b", ip="127.0.0.2")}, ["b"])
    assert gone[:2] == (None, slot("b", ip="127.0.0.2"))
    reused = assign(gone, {"b": slot("b", ip="127.0.0.2"), "c": slot("c")}, ["b", "c"])
    assert reused[0] == slot("c")


def test_a_pod_that_was_never_ready_gets_no_slot() -> None:
    assert set(assign((), {}, ["a"])) == {None}


def test_pools_double_and_never_shrink() -> None:
    wanted = {f"u{n}": slot(f"u{n}", ip=f"127.0.0.{n}") for n in range(INITIAL_SLOTS + 1)}
    grown = assign(assign((), {}, []), wanted, wanted)
    assert len(grown) == 2 * INITIAL_SLOTS
    assert len(assign(grown, {}, [])) == 2 * INITIAL_SLOTS


def test_pools_through_random_histories() -> None:
    chance = random.Random(3)
    pool: tuple[Slot | None, ...] = ()
    alive: set[str] = set()
    for step in range(1000):
        alive |= {f"u{step}"} if chance.random() < 0.5 else set()
        alive -= {uid for uid in alive if chance.random() < 0.1}
        wanted = {uid: slot(uid, ip=f"ip-{uid}") for uid in alive if chance.random() < 0.8}
        before = {entry.uid: index for index, entry in enumerate(pool) if entry}
        pool = assign(pool, wanted, alive)
        after = {entry.uid: index for index, entry in enumerate(pool) if entry}
        assert len(after) == sum(entry is not None for entry in pool), "no pod in two slots"
        assert wanted.keys() <= after.keys() <= alive
        assert all(after[uid] == index for uid, index in before.items() if uid in after), "nobody moves"
        for entry in filter(None, pool):
            assert entry.state == (UP if entry.uid in wanted else DRAIN)


def snapshot(make: Any, weights: dict[str, int], services: list[str], pods: list[Any], **route: Any) -> Snapshot:
    parsed = [parse_service(make.service(name)) for name in services]
    return Snapshot(
        gateways=(parse_gateway(make.gateway(80)),),
        routes=(parse_route(make.route(weights, **route)),),
        services={(item.namespace, item.name): item for item in parsed},
        pods=tuple(parse_pod(item) for item in pods),
    )


def test_plan_of_the_application(make: Any) -> None:
    pods = [make.pod("blue-0", "127.0.0.2"), make.pod("green-0", "127.0.0.3", ready=False)]
    desired = build(snapshot(make, {"blue": 75, "green": 25}, ["blue", "green"], pods), {}, 80)
    blue, green = backend_name("shop", "shop-blue", 80), backend_name("shop", "shop-green", 80)
    assert desired.entries == {
        "shop/shop/0": "1000000",
        "shop/shop/1": "1000000",
        "shop/shop/2": "750000:1000000",
        blue: "1",
        green: "0",
    }
    assert desired.routes[0].rules[2].backends == (blue, green)
    assert desired.pools[blue][0] == Slot("uid-blue-0", "127.0.0.2", 5000, UP)
    assert desired.unresolved == {}


def test_a_draining_pool_counts_as_empty(make: Any) -> None:
    ready = build(snapshot(make, {"blue": 1}, ["blue"], [make.pod("blue-0", "127.0.0.2")]), {}, 80)
    leaving = [make.pod("blue-0", "127.0.0.2", deleted=True)]
    drained = build(snapshot(make, {"blue": 1}, ["blue"], leaving), ready.pools, 80)
    assert drained.entries["shop_shop-blue_80"] == "0"
    assert drained.pools["shop_shop-blue_80"][0] == Slot("uid-blue-0", "127.0.0.2", 5000, DRAIN)


def test_a_missing_service_is_unresolved_and_keeps_its_share(make: Any) -> None:
    desired = build(snapshot(make, {"blue": 75, "green": 25}, ["blue"], []), {}, 80)
    assert desired.unresolved == {
        ("shop", "shop"): ("BackendNotFound", "Service shop/shop-green does not exist"),
    }
    assert desired.routes[0].rules[2].backends == ("shop_shop-blue_80", None)
    assert desired.entries["shop/shop/2"] == "750000:1000000"


def test_a_missing_port_is_unresolved(make: Any) -> None:
    rules = [{"backendRefs": [{"name": "shop-blue", "port": 81}]}]
    desired = build(snapshot(make, {"blue": 1}, ["blue"], [], rules=rules), {}, 80)
    assert desired.unresolved["shop", "shop"] == ("BackendNotFound", "Service shop/shop-blue has no port 81")


def test_a_route_that_is_not_accepted_changes_nothing(make: Any) -> None:
    desired = build(snapshot(make, {"blue": 1}, ["blue"], [], rules=[{"filters": [{}]}]), {}, 80)
    assert (desired.routes, desired.pools, desired.entries) == ((), {}, {})
    assert not desired.attachments[0].accepted
