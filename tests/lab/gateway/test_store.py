"""Delay and views."""

from __future__ import annotations

from typing import Any

from churnguard_lab.gateway.model import CONTROLLER_NAME
from churnguard_lab.gateway.store import (
    GATEWAY_CLASSES,
    GATEWAYS,
    KINDS,
    PODS,
    SERVICES,
    Change,
    DelayLine,
    View,
    listing,
    snapshot,
)


def test_changes_count_after_the_delay_and_in_order() -> None:
    line = DelayLine(1.0)
    assert line.next_due() is None
    changes = [Change(PODS, ("n", name)) for name in "abc"]
    for now, change in zip((10.0, 10.5, 10.5), changes, strict=True):
        line.push(now, change)
    assert line.next_due() == 11.0
    assert line.pop(10.99) == []
    assert line.pop(11.0) == [(10.0, changes[0])]
    assert line.next_due() == 11.5
    assert line.pop(20.0) == [(10.5, changes[1]), (10.5, changes[2])]
    assert line.next_due() is None


def test_without_delay_changes_count_at_once() -> None:
    line = DelayLine(0.0)
    line.push(5.0, Change(PODS, ("n", "a")))
    assert len(line.pop(5.0)) == 1


def test_a_view_takes_changes_and_listings(make: Any) -> None:
    view = View()
    first, second = make.pod("blue-0", "127.0.0.2"), make.pod("blue-1", "127.0.0.3")
    view.apply(listing(PODS, [first]))
    view.apply(Change(PODS, ("shop", "blue-1"), second))
    assert view.of(PODS) == {("shop", "blue-0"): first, ("shop", "blue-1"): second}
    view.apply(Change(PODS, ("shop", "blue-0")))
    view.apply(Change(PODS, ("shop", "never-seen")))
    assert list(view.of(PODS)) == [("shop", "blue-1")]
    view.apply(listing(PODS, []))
    assert view.of(PODS) == {}


def test_a_listing_is_not_changed_by_later_changes(make: Any) -> None:
    whole = listing(PODS, [make.pod("blue-0", "127.0.0.2")])
    for _ in range(2):
        view = View()
        view.apply(whole)
        view.apply(Change(PODS, ("shop", "blue-0")))
        assert view.of(PODS) == {}
    assert whole.listing


def test_a_view_is_complete_when_every_kind_was_listed() -> None:
    view = View()
    for kind in KINDS:
        assert not view.is_complete
        view.apply(listing(kind, []))
    assert view.is_complete


def test_only_gateways_of_our_class_count(make: Any) -> None:
    def gateway_class(name: str, controller: str) -> Any:
        return {"metadata": {"name": name}, "spec": {"controllerName": controller}}

    view = View()
    view.apply(listing(SERVICES, [make.service("blue")]))
    view.apply(listing(GATEWAYS, [make.gateway(80)]))
    view.apply(listing(GATEWAY_CLASSES, [gateway_class("lab", "somebody/else")]))
    assert snapshot(view, "lab").gateways == ()
    view.apply(listing(GATEWAY_CLASSES, [gateway_class("lab", CONTROLLER_NAME)]))
    assert [item.name for item in snapshot(view, "lab").gateways] == ["front"]
    assert snapshot(view, "other").gateways == ()
    assert list(snapshot(view, "lab").services) == [("shop", "shop-blue")]
