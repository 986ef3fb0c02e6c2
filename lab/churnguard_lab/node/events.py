"""Kubernetes events of the node: written by one thread, repeated ones counted, dropped when nobody can take them."""

from __future__ import annotations

import dataclasses
import logging
import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from churnguard_lab.node.api import ApiError, NodeApi
from churnguard_lab.node.status import timestamp

COMPONENT = "churnguard-lab-node"
#: The same event is written at most this often (seconds); what comes in between is counted.
REPEAT_S = 10.0
_QUEUED, _REMEMBERED = 1000, 500
_LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Event:
    """One thing that happened to a pod. `container` is the part of the pod's spec it concerns, if one."""

    namespace: str
    pod: str
    uid: str
    kind: str
    reason: str
    message: str
    container: str | None = None


@dataclasses.dataclass
class _Written:
    name: str
    count: int
    at: float


class EventWriter:
    """Takes events from any thread and writes them in its own."""

    def __init__(self, api: NodeApi, node: str) -> None:
        self._api, self._node = api, node
        self._queue: queue.Queue[tuple[float, Event]] = queue.Queue(_QUEUED)
        self._written: OrderedDict[Event, _Written] = OrderedDict()

    def start(self) -> None:
        """Start writing, until the process ends."""
        threading.Thread(target=self._run, name="events", daemon=True).start()

    def put(self, event: Event) -> None:
        """Hand over an event; when too many wait (the API server is away), it is only logged."""
        _LOG.info("%s/%s %s: %s", event.namespace, event.pod, event.reason, event.message)
        try:
            self._queue.put_nowait((time.time(), event))
        except queue.Full:
            _LOG.warning("event dropped: %s %s/%s", event.reason, event.namespace, event.pod)

    def _run(self) -> None:
        while True:
            at, event = self._queue.get()
            try:
                self._write(at, event)
            except ApiError as error:
                # An event is no reason to stop. Refused ones are ordinary: their namespace is going away.
                level = logging.INFO if error.status in (403, 404) else logging.WARNING
                _LOG.log(level, "event not written: %s", error)

    def _write(self, at: float, event: Event) -> None:
        known = self._written.get(event)
        if known is None:
            name = self._api.create_event(event.namespace, event_body(event, self._node, at))
            self._written[event] = _Written(name, 1, at)
            if len(self._written) > _REMEMBERED:
                self._written.popitem(last=False)
            return
        known.count += 1
        if at - known.at < REPEAT_S:
            return
        known.at = at
        body = {"count": known.count, "lastTimestamp": timestamp(at)}
        try:
            self._api.patch_event(event.namespace, known.name, body)
        except ApiError as error:
            if error.status == 404:  # the API server keeps events for an hour only
                del self._written[event]
            raise


def event_body(event: Event, node: str, at: float) -> Mapping[str, Any]:
    """The API object of an event that happened at `at` (unix seconds)."""
    involved = {
        "apiVersion": "v1",
        "kind": "Pod",
        "namespace": event.namespace,
        "name": event.pod,
        "uid": event.uid,
    }
    if event.container:
        involved["fieldPath"] = f"spec.containers{{{event.container}}}"
    moment = timestamp(at)
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": f"{event.pod}.", "namespace": event.namespace},
        "involvedObject": involved,
        "type": event.kind,
        "reason": event.reason,
        "message": event.message[:1024],
        "source": {"component": COMPONENT, "host": node},
        "reportingComponent": COMPONENT,
        "reportingInstance": node,
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "count": 1,
    }
