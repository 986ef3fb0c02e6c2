# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The result envelope that every operation returns, and the recorder that fills it. Internal: may change in any
release."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from .clock import Clock, isoformat

PASSED = "passed"
FAILED = "failed"
ROLLED_BACK = "rolled_back"
ABORTED = "aborted"
SKIPPED = "skipped"
NOT_CHECKED = "not_checked"

# Gets each event and each progress note as the dictionary that the sink gets as a line. It must not keep the caller
# waiting, and must not change the dictionary.
Listener = Callable[[dict[str, Any]], None]


def lines_to(path: str | None) -> Callable[[str], None] | None:
    """A recorder's sink that appends to the file C(path); none without one."""
    if not path:
        return None

    def append(line: str) -> None:
        with open(path, "a", encoding="utf-8") as stream:
            stream.write(line + "\n")

    return append


class Recorder:
    """Collects what happens during one operation and, line by line, tells whoever watches.

    C(sink) receives each event and each progress note as one JSON line, each of C(listeners) as a dictionary; events
    stay in the envelope, progress notes do not.
    """

    def __init__(
        self,
        clock: Clock,
        operation: str,
        sink: Callable[[str], None] | None = None,
        listeners: Iterable[Listener] = (),
    ) -> None:
        self._clock = clock
        self._sink = sink
        self._listeners = list(listeners)
        self._started = clock.now()
        self.operation = operation
        self.subject: dict[str, Any] = {}
        self.timeline: list[dict[str, Any]] = []
        self.measurements: list[dict[str, Any]] = []
        self.evidence: list[dict[str, Any]] = []

    def listen(self, listener: Listener) -> None:
        """From now on C(listener) is told, too."""
        self._listeners.append(listener)

    def event(self, event: str, detail: str, data: dict[str, Any] | None = None) -> None:
        """Record that something happened now."""
        entry: dict[str, Any] = {"at": isoformat(self._clock.now()), "event": event, "detail": detail}
        if data is not None:
            entry["data"] = data
        self.timeline.append(entry)
        self._tell(entry)

    def progress(self, detail: str, waited: float | None = None, limit: float | None = None) -> None:
        """Tell how a wait stands, C(waited) of at most C(limit) seconds long; not kept."""
        entry: dict[str, Any] = {"at": isoformat(self._clock.now()), "event": "progress", "detail": detail}
        if waited is not None and limit is not None:
            entry["waited_s"], entry["limit_s"] = round(waited, 1), limit
        self._tell(entry)

    def measure(
        self, name: str, value: float | None, unit: str, limit: float | None = None, verdict: str = "", reason: str = ""
    ) -> None:
        """Record a figure. Without a C(verdict) it follows from C(limit): at most the limit is passed, and no
        limit reads not_checked."""
        if not verdict and (limit is None or value is None):
            verdict = NOT_CHECKED
        elif not verdict:
            verdict = PASSED if value <= limit else FAILED
        rounded = round(value, 3) if isinstance(value, float) else value
        entry = {"name": name, "value": rounded, "unit": unit, "limit": limit, "verdict": verdict}
        if reason:
            entry["reason"] = reason
        self.measurements.append(entry)

    def envelope(self, verdict: str, changed: bool) -> dict[str, Any]:
        """The finished envelope, as plain data."""
        return {
            "operation": self.operation,
            "subject": self.subject,
            "started": isoformat(self._started),
            "finished": isoformat(self._clock.now()),
            "verdict": verdict,
            "changed": changed,
            "timeline": self.timeline,
            "measurements": self.measurements,
            "evidence": self.evidence,
        }

    def _tell(self, entry: dict[str, Any]) -> None:
        if self._sink is not None:
            self._sink(json.dumps(entry))
        for listener in list(self._listeners):
            try:
                listener(entry)
            except Exception as error:
                # Whoever listens must not end what is recorded here; its text may hold a secret, so only the type.
                self._listeners.remove(listener)
                self.evidence.append({"kind": "listener_failed", "listener": _name(listener), "error": _type(error)})


def _name(listener: Listener) -> str:
    return getattr(listener, "__qualname__", type(listener).__qualname__)


def _type(error: Exception) -> str:
    return type(error).__name__
