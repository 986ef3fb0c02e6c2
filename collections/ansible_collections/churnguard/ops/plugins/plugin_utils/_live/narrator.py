# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Events and progress notes as lines for a terminal of 120 columns. No I/O. Internal: may change in any release."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import parse_time
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.figures import (
    by_urgency,
    comparison,
    duration,
)

WIDTH = 120
GOOD, BAD, CARE, PLAIN, FAINT = "good", "bad", "care", "plain", "faint"

_SUBJECT_WIDTH = 28
_EVENT_WIDTH = 16
# A sample needs the room for its figures.
_STAGE_WIDTH = 10
_CLOSE_NAME = 12
# A wait says the same thing every second; a person wants to hear it less often, and the less the longer it takes.
_REPEAT_SECONDS = 5.0
_LONG_REPEAT_SECONDS = 30.0
_LONG_WAIT_SECONDS = 60.0
# Times in a wait's own words: they change with every look and are no news.
_SECONDS = re.compile(r"\b\d+ (of \d+ )?s\b")
_BLANKS = re.compile(r" (?:%|ms|s)(?= |$)| (?:<=|>) ")
_TONES = {
    "completed": GOOD,
    "passed": GOOD,
    "failed": BAD,
    "rollback_started": BAD,
    "rolled_back": CARE,
    "frozen": CARE,
    "gate": CARE,
    "control": CARE,
    "step_started": FAINT,
    "step_done": FAINT,
}
_SAMPLE_TONES = {"good": GOOD, "bad": BAD, "unknown": CARE}


class Line(NamedTuple):
    """One line and how it looks. What it means is in the text alone."""

    text: str
    tone: str


class Narrator:
    """Turns the module's entries into lines: each event, each sample on one line, and a wait's state whenever it
    changes, else every few seconds."""

    def __init__(self, subject: str) -> None:
        self._subject = shorten(subject, _SUBJECT_WIDTH)
        self._last = ""
        self._said = 0.0

    def lines(self, entry: Mapping[str, Any], now: float) -> Iterator[Line]:
        """What to print for one entry of the recorder, read at C(now) (seconds)."""
        event, detail = str(entry["event"]), str(entry["detail"])
        if event == "progress":
            yield from self._progress(entry, detail, now)
            return
        self._last = ""
        if event == "sample" and isinstance(entry.get("data"), Mapping):
            yield self._sample(entry, entry["data"])
            return
        name = event.upper() if event == "frozen" else event.replace("_", " ")
        yield from self._event(self._prefix(entry, name), detail, _TONES.get(event, PLAIN))

    def note(self, text: str) -> Iterator[Line]:
        """Something that no event says, under the subject's name."""
        yield from self._event(f"          {self._subject}  {'note':<{_EVENT_WIDTH}} ", text, CARE)

    def _prefix(self, entry: Mapping[str, Any], name: str, width: int = _EVENT_WIDTH) -> str:
        return f"{str(entry['at'])[11:19]}  {self._subject}  {name:<{width}} "

    def _event(self, prefix: str, detail: str, tone: str) -> Iterator[Line]:
        """Whole, on as many lines as it takes: an error that is cut off helps nobody."""
        room = max(WIDTH - len(prefix), 40)
        parts = textwrap.wrap(detail, room, break_on_hyphens=False) or [""]
        yield Line((prefix + parts[0]).rstrip(), tone)
        for part in parts[1:]:
            yield Line(" " * len(prefix) + part, tone)

    def _progress(self, entry: Mapping[str, Any], detail: str, now: float) -> Iterator[Line]:
        waited = float(entry.get("waited_s") or 0.0)
        repeat = _LONG_REPEAT_SECONDS if waited > _LONG_WAIT_SECONDS else _REPEAT_SECONDS
        news = _SECONDS.sub("", detail)
        changed = news != self._last and now - self._said >= 1.0
        if not changed and now - self._said < repeat:
            return
        self._last, self._said = news, now
        told = any(match[1] for match in _SECONDS.finditer(detail))
        far = f" ({how_far(waited, float(entry['limit_s']))})" if "waited_s" in entry and not told else ""
        prefix = self._prefix(entry, "")
        yield Line(prefix + shorten(detail, WIDTH - len(prefix) - len(far)) + far, FAINT)

    def _sample(self, entry: Mapping[str, Any], data: Mapping[str, Any]) -> Line:
        verdict = str(data.get("verdict", "unknown"))
        prefix = f"{self._prefix(entry, _stage(data), _STAGE_WIDTH)}{_mark(data):<5}"
        left = time_left(data)
        cause = str(data.get("cause") or "").replace("_", " ") if verdict == "unknown" else ""
        prefix += f"{cause}: " if cause else ""
        room = WIDTH - len(prefix) - len(left)
        text = _metrics(data, room) or shorten(str(data.get("reason") or entry["detail"]), room)
        return Line((prefix + text + left).rstrip(), _SAMPLE_TONES.get(verdict, CARE))


def how_far(waited: float, limit: float) -> str:
    """How much of a wait is over, in seconds or, where it may last minutes, as people say it."""
    if limit < 120:
        return f"{waited:.0f} of {limit:.0f} s"
    return f"{duration(waited)} of {duration(limit)}"


def time_left(data: Mapping[str, Any]) -> str:
    """What a sample says about the hold: how much longer it lasts, or that the weight is frozen and how long that may
    last. Outside of a rollout (C(troubled_s)) nothing is held: how long the service has not been good."""
    left, most = data.get("left_s"), data.get("max_hold_s")
    if "troubled_s" in data and data.get("verdict") != "good":
        return ", fails" if data.get("decisive") else f", {how_far(float(data['troubled_s'] or 0), float(most))}"
    if data.get("verdict") != "good" and data.get("decisive"):
        return ", taken back"
    if data.get("verdict") != "good":
        return ", FROZEN" + (f" {how_far(float(data.get('frozen_s') or 0), float(most))}" if most else "")
    return f", {duration(left)} left" if isinstance(left, (int, float)) else ""


def shorten(text: str, room: int) -> str:
    """C(text) on one line of at most C(room) characters, with two dots where something is left out."""
    flat = " ".join(text.split())
    return flat if len(flat) <= room else flat[: max(room - 2, 0)] + ".."


def _stage(data: Mapping[str, Any]) -> str:
    """Step and weight, in the width of an event's name: hold 10 %."""
    weight = data.get("weight")
    share = f"{weight:g} %" if isinstance(weight, (int, float)) else ""
    step = str(data.get("step") or data.get("subject") or "sample")
    if data.get("service"):
        step = f"{data['service']} {step}"
    name = step if share and step.endswith(share) else f"{step} {share}".strip()
    return name if len(name) <= _EVENT_WIDTH else shorten(f"{step.partition(' ')[0]} {share}".strip(), _EVENT_WIDTH)


def _mark(data: Mapping[str, Any]) -> str:
    """The verdict as a word that stands out without colour."""
    verdict = str(data.get("verdict", "unknown"))
    return {"good": "good", "bad": "BAD"}.get(verdict, "unknown ")


def _metrics(data: Mapping[str, Any], room: int) -> str:
    """All metrics if they fit, closer together if need be; else as many as fit, the most urgent first."""
    results = by_urgency(item for item in data.get("results") or [] if isinstance(item, Mapping))
    spaced, close = (_as_many_as_fit([part(result) for result in results], room) for part in (_metric, _close))
    return spaced[0] if spaced[1] >= close[1] else close[0]


def _as_many_as_fit(parts: list[str], room: int) -> tuple[str, int]:
    """The text, and how many parts are in it; the first is cut if it alone is too long."""
    for count in range(len(parts), 0, -1):
        hidden = len(parts) - count
        text = ", ".join(parts[:count]) + (f", +{hidden}" if hidden else "")
        if len(text) <= room:
            return text, count
    return (shorten(parts[0], room), 0) if parts else ("", 0)


def _metric(result: Mapping[str, Any]) -> str:
    return f"{_flag(result)}{result.get('name', 'metric')} {comparison(result)}"


def _close(result: Mapping[str, Any]) -> str:
    name = shorten(str(result.get("name", "metric")), _CLOSE_NAME)
    text = comparison(result).replace(", stable ", " vs ")
    return f"{_flag(result)}{name} {_BLANKS.sub(_without_blanks, text)}"


def _without_blanks(match: re.Match[str]) -> str:
    return match[0].replace(" ", "")


def _flag(result: Mapping[str, Any]) -> str:
    return {"bad": "! ", "unknown": "? "}.get(str(result.get("verdict")), "")


def read(raw: str) -> dict[str, Any] | None:
    """The entry in one line of a progress file; None for what is not one, so that a torn line stops nothing."""
    try:
        entry = json.loads(raw)
        parse_time(entry["at"])
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    return entry if {"event", "detail"} <= set(entry) else None
