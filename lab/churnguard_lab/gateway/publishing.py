"""Writes statuses in a thread of its own, so that a slow API server never holds the data plane back."""

from __future__ import annotations

import dataclasses
import datetime
import logging
import threading
from collections.abc import Callable, Iterator

from churnguard_lab.gateway.api import Api, ApiError
from churnguard_lab.gateway.health import Metrics
from churnguard_lab.gateway.model import Key, Object
from churnguard_lab.gateway.plan import Desired
from churnguard_lab.gateway.status import (
    Status,
    attachments_by_route,
    class_status,
    gateway_status,
    is_ours,
    route_status,
)
from churnguard_lab.gateway.store import GATEWAY_CLASSES, GATEWAYS, ROUTES, Kind, View, our_classes

_log = logging.getLogger(__name__)
_RETRY_S = 1.0
Compute = Callable[[Object], Status]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a sync achieved: the state HAProxy was given, and why it did not take it (empty: it did)."""

    desired: Desired
    problem: str


class Publisher:
    """Publishes the newest outcome; outcomes that come while it writes replace each other."""

    def __init__(
        self, api: Api, view: View, lock: threading.Lock, class_name: str, port: int, metrics: Metrics
    ) -> None:
        self._api = api
        self._view = view  # what the API server said last, not delayed
        self._lock = lock
        self._class_name = class_name
        self._port = port
        self._metrics = metrics
        self._newest: Outcome | None = None
        self._wake = threading.Condition()

    def start(self) -> None:
        """Start the thread."""
        threading.Thread(target=self._run, name="status", daemon=True).start()

    def publish(self, outcome: Outcome) -> None:
        """Have the statuses written for this outcome."""
        with self._wake:
            self._newest = outcome
            self._wake.notify()

    def _run(self) -> None:
        pending: Outcome | None = None
        while True:
            with self._wake:
                if self._newest is None:
                    self._wake.wait(_RETRY_S if pending else None)
                if self._newest is not None:
                    pending, self._newest = self._newest, None
            if pending is not None and self._write_all(pending):
                pending = None

    def _write_all(self, outcome: Outcome) -> bool:
        """Write what differs; false when something could not be written and must be tried again."""
        with self._lock:
            work = list(self._work(outcome))
        is_done = True
        for kind, key, seen, compute in work:
            try:
                if _differs(seen, compute(seen)):
                    self._write(kind, key, compute)
            except ApiError as error:
                is_done = False
                self._metrics.api_errors.labels(kind.plural).inc()
                _log.warning("status of %s %s: %s; trying again", kind.plural, "/".join(key), error)
        return is_done

    def _write(self, kind: Kind, key: Key, compute: Compute) -> None:
        item = self._api.get(kind, *key)
        status = compute(item)
        if _differs(item, status):
            self._api.patch_status(kind, *key, item["metadata"]["resourceVersion"], status)

    def _work(self, outcome: Outcome) -> Iterator[tuple[Kind, Key, Object, Compute]]:
        classes = our_classes(self._view, self._class_name)
        for name in classes:
            key = ("", name)
            yield GATEWAY_CLASSES, key, self._view.of(GATEWAY_CLASSES)[key], lambda item: class_status(item, _now())
        foreign = set()
        for key, item in self._view.of(GATEWAYS).items():
            if item["spec"].get("gatewayClassName") not in classes:
                foreign.add(key)
            else:
                yield (
                    GATEWAYS,
                    key,
                    item,
                    lambda item: gateway_status(item, outcome.desired, self._port, outcome.problem, _now()),
                )
        by_route = attachments_by_route(outcome.desired)
        for key, item in self._view.of(ROUTES).items():
            attachments = by_route.get(key, [])
            if attachments or any(is_ours(parent, item, foreign) for parent in _parents(item)):
                yield (
                    ROUTES,
                    key,
                    item,
                    lambda item, attachments=attachments: route_status(
                        item, attachments, foreign, outcome.desired, outcome.problem, _now()
                    ),
                )


def _parents(item: Object) -> list[Object]:
    return (item.get("status") or {}).get("parents") or []


def _differs(item: Object, status: Status) -> bool:
    before = item.get("status") or {}
    return any(before.get(field) != _plain(value, before.get(field)) for field, value in status.items())


def _plain(value: object, before: object) -> object:
    """`value`, but `before` when they differ in transition times alone."""
    return before if _without_times(value) == _without_times(before) else value


def _without_times(value: object) -> object:
    if isinstance(value, dict):
        return {name: _without_times(entry) for name, entry in value.items() if name != "lastTransitionTime"}
    if isinstance(value, list):
        return [_without_times(entry) for entry in value]
    return value


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
