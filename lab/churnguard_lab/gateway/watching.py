"""Watchers: one thread a kind lists, watches, and lists anew after any trouble, for ever."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from churnguard_lab.gateway.api import Api, ApiError
from churnguard_lab.gateway.health import Metrics
from churnguard_lab.gateway.model import key_of
from churnguard_lab.gateway.store import Change, Kind, listing

_log = logging.getLogger(__name__)
_BACKOFF_S = (0.2, 0.5, 1.0, 2.0)


class Watcher:
    """Keeps `sink` informed about one kind."""

    def __init__(self, api: Api, kind: Kind, sink: Callable[[Change], None], metrics: Metrics) -> None:
        self._api = api
        self._kind = kind
        self._sink = sink
        self._metrics = metrics
        self.problem = "not listed yet"

    def start(self) -> None:
        """Start the thread."""
        threading.Thread(target=self._run, name=f"watch {self._kind.plural}", daemon=True).start()

    def _run(self) -> None:
        failures = 0
        while True:
            try:
                items, version = self._api.list(self._kind)
                self._metrics.relists.labels(self._kind.plural).inc()
                self._sink(listing(self._kind, items))
                if self.problem:
                    _log.info("%s: listed %d", self._kind.plural, len(items))
                self.problem = ""
                failures = 0
                while True:
                    version = self._follow(version)
            except ApiError as error:
                self._metrics.api_errors.labels(self._kind.plural).inc()
                if not self.problem or failures == 0:
                    _log.warning("%s: %s; listing again", self._kind.plural, error)
                self.problem = str(error)
                time.sleep(_BACKOFF_S[min(failures, len(_BACKOFF_S) - 1)])
                failures += 1

    def _follow(self, version: str) -> str:
        """Watch once; returns the resource version to go on from."""
        for event, item in self._api.watch(self._kind, version):
            version = item["metadata"]["resourceVersion"]
            if event == "DELETED":
                self._sink(Change(self._kind, key_of(item)))
            elif event in ("ADDED", "MODIFIED"):
                self._sink(Change(self._kind, key_of(item), item))
        return version
