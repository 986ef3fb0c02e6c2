"""Waiting for what the lab does, and for what Alertmanager tells."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from churnguard_lab import alert_sink

T = TypeVar("T")
POLL_S = 0.1


class TooLate(RuntimeError):
    """What was awaited did not happen in its time; the message says what, and what was seen last."""


class Stopped(RuntimeError):
    """Nobody waits any more."""


def until(what: str, look: Callable[[], T], within_s: float, stop: threading.Event | None = None) -> T:
    """The first true answer of `look`. Raises TooLate after `within_s` seconds, and Stopped when `stop` is set."""
    give_up = time.monotonic() + within_s
    while True:
        answer = look()
        if answer:
            return answer
        if time.monotonic() > give_up:
            raise TooLate(f"not within {within_s:g} s: {what}; seen last: {answer!r}")
        if stop is None:
            time.sleep(POLL_S)
        elif stop.wait(POLL_S):
            raise Stopped(what)


def told(
    file: Path, alert: str, status: str, since_s: float, labels: Mapping[str, str] | None = None
) -> dict[str, Any] | None:
    """The first notification in the sink's file that arrived after `since_s` (Unix seconds) and holds this alert, with
    these labels, as `status` (firing or resolved). Its own status counts, not that of the notification, which is firing
    as long as one of its alerts is."""
    wanted = {"alertname": alert, **(labels or {})}
    for record in alert_sink.read_records(file):
        if record["arrived_s"] < since_s:
            continue
        for one in record["alerts"]:
            if one["status"] == status and wanted.items() <= one["labels"].items():
                return record
    return None
