"""Readiness: whether everything this application needs answers."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping

from churnguard_api.cache import CacheUnavailable
from churnguard_api.database import DatabaseUnavailable

_LOG = logging.getLogger("churnguard_api")


class Readiness:
    """Asks each dependency, and reuses the answer for `keep_s` seconds so that probes cost the others little."""

    def __init__(
        self,
        checks: Mapping[str, Callable[[], object]],
        keep_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._checks, self._keep_s, self._clock = checks, keep_s, clock
        self._lock = threading.Lock()
        self._asked_at: float | None = None
        self._problems: list[str] = []

    def problems(self) -> list[str]:
        """The names of the dependencies that do not answer; empty when all do."""
        with self._lock:
            now = self._clock()
            if self._asked_at is None or now - self._asked_at >= self._keep_s:
                self._problems = [name for name, check in self._checks.items() if not _answers(name, check)]
                self._asked_at = self._clock()
            return list(self._problems)


def _answers(name: str, check: Callable[[], object]) -> bool:
    try:
        check()
    except (CacheUnavailable, DatabaseUnavailable) as error:
        _LOG.error("not ready: %s: %s", name, error)
        return False
    return True
