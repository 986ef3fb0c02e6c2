"""What the API server said, and from when on it counts. Pure: time is an argument."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Mapping

from churnguard_lab.gateway.model import (
    CONTROLLER_NAME,
    GATEWAY_GROUP,
    Key,
    Object,
    key_of,
    parse_gateway,
    parse_pod,
    parse_route,
    parse_service,
)
from churnguard_lab.gateway.plan import Snapshot


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind that is watched."""

    group: str
    version: str
    plural: str


GATEWAY_CLASSES = Kind(GATEWAY_GROUP, "v1", "gatewayclasses")
GATEWAYS = Kind(GATEWAY_GROUP, "v1", "gateways")
ROUTES = Kind(GATEWAY_GROUP, "v1", "httproutes")
SERVICES = Kind("", "v1", "services")
PODS = Kind("", "v1", "pods")
KINDS = (GATEWAY_CLASSES, GATEWAYS, ROUTES, SERVICES, PODS)


@dataclasses.dataclass(frozen=True)
class Change:
    """An object as it is now, or (`item` None) gone, or (`listing` set) the whole content of a kind."""

    kind: Kind
    key: Key = ("", "")
    item: Object | None = None
    listing: Mapping[Key, Object] | None = None


class View:
    """The objects of every kind."""

    def __init__(self) -> None:
        self.objects: dict[Kind, dict[Key, Object]] = {}

    def apply(self, change: Change) -> None:
        """Take one change over."""
        if change.listing is not None:
            self.objects[change.kind] = dict(change.listing)
        elif change.item is not None:
            self.objects.setdefault(change.kind, {})[change.key] = change.item
        else:
            self.objects.setdefault(change.kind, {}).pop(change.key, None)

    @property
    def is_complete(self) -> bool:
        """Whether every kind has been listed once: before that, absence means nothing."""
        return all(kind in self.objects for kind in KINDS)

    def of(self, kind: Kind) -> dict[Key, Object]:
        """The objects of one kind."""
        return self.objects.get(kind, {})


class DelayLine:
    """Holds changes back for `delay_s`, in order: what is seen at t counts from t + delay_s."""

    def __init__(self, delay_s: float) -> None:
        self._delay_s = delay_s
        self._waiting: collections.deque[tuple[float, Change]] = collections.deque()

    def push(self, now: float, change: Change) -> None:
        """Take a change that is seen now."""
        self._waiting.append((now, change))

    def pop(self, now: float) -> list[tuple[float, Change]]:
        """The changes that count now, oldest first, each with the time when it was seen."""
        due = []
        while self._waiting and self._waiting[0][0] + self._delay_s <= now:
            due.append(self._waiting.popleft())
        return due

    def next_due(self) -> float | None:
        """When the next change will count; None when none waits."""
        return self._waiting[0][0] + self._delay_s if self._waiting else None


def listing(kind: Kind, items: Iterable[Object]) -> Change:
    """The change that replaces a whole kind."""
    return Change(kind, listing={key_of(item): item for item in items})


def our_classes(view: View, class_name: str) -> set[str]:
    """Names of the GatewayClasses that are ours: the lab's name and our controller name."""
    return {
        name
        for (_, name), item in view.of(GATEWAY_CLASSES).items()
        if name == class_name and item["spec"].get("controllerName") == CONTROLLER_NAME
    }


def snapshot(view: View, class_name: str) -> Snapshot:
    """The parsed cluster: our Gateways, all routes, Services and pods."""
    classes = our_classes(view, class_name)
    gateways = [parse_gateway(item) for item in view.of(GATEWAYS).values()]
    return Snapshot(
        gateways=tuple(gateway for gateway in gateways if gateway.gateway_class in classes),
        routes=tuple(parse_route(item) for item in view.of(ROUTES).values()),
        services={key: parse_service(item) for key, item in view.of(SERVICES).items()},
        pods=tuple(parse_pod(item) for item in view.of(PODS).values()),
    )
