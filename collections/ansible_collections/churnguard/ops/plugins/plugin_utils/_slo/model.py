# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Service level objectives as typed data. No I/O. Internal: may change in any release."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from .selector import Selector, SloError, check_bounded, seconds

AVAILABILITY, LATENCY, FRESHNESS, DEADLINE = "availability", "latency", "freshness", "deadline"
#: What each kind is computed from, as alternatives of option names.
_SOURCES: dict[str, tuple[frozenset[str], ...]] = {
    AVAILABILITY: (frozenset({"total", "bad"}), frozenset({"total", "good"})),
    LATENCY: (frozenset({"histogram", "threshold"}), frozenset({"total", "good"})),
    FRESHNESS: (frozenset({"age", "threshold"}),),
    DEADLINE: (frozenset({"overdue"}), frozenset({"overdue", "threshold"})),
}
_SELECTORS = frozenset({"total", "bad", "good", "histogram", "age", "overdue"})
_COMMON = frozenset(
    {
        "name", "service", "kind", "objective", "period", "by", "labels", "summary", "runbook", "minimum_bad_events",
        "no_data_for",
    }
)  # fmt: skip
_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_RESERVED = frozenset({"slo", "service", "severity", "alertname", "le", "quantile"})
_PERIOD_DAYS = (28, 92)


@dataclasses.dataclass(frozen=True)
class Slo:
    """One objective. C(budget) is the share of bad events (or of bad time) that may be, as a fraction."""

    name: str
    service: str
    kind: str
    objective: float
    period_days: int
    sources: Mapping[str, Selector]
    threshold: float | None
    by: tuple[str, ...]
    labels: Mapping[str, str]
    summary: str
    runbook: str
    minimum_bad_events: int
    no_data_for: str

    @property
    def budget(self) -> float:
        # Subtracting in per cent first keeps 99.9 from becoming 0.0010000000000000009.
        return round((100.0 - self.objective) / 100.0, 12)

    @property
    def counts_events(self) -> bool:
        """Whether requests are counted; else it is time."""
        return self.kind in (AVAILABILITY, LATENCY)


def parse_all(
    data: Iterable[Mapping[str, Any]], known_metrics: Collection[str] | None, extra: Iterable[str]
) -> list[Slo]:
    """Every definition; C(known_metrics) are the names that exist (None: not checked), C(extra) further labels to group
    by. Raises SloError that names the definition and what is wrong with it."""
    slos: list[Slo] = []
    allowed = frozenset(extra)
    for number, entry in enumerate(data, 1):
        slo = parse(entry, number, allowed)
        if any(slo.name == other.name for other in slos):
            raise SloError(slo.name, "this name is there twice; the series of the two would be mixed.")
        for option, selector in slo.sources.items():
            for metric in _metrics(option, selector):
                if known_metrics is not None and metric not in known_metrics:
                    raise SloError(slo.name, f"{option}: there is no metric {metric}. Is it misspelt, or not scraped?")
        slos.append(slo)
    return slos


def parse(entry: Mapping[str, Any], number: int, extra_labels: frozenset[str]) -> Slo:
    """One definition, the C(number)-th. Raises SloError."""
    if not isinstance(entry, Mapping):
        raise SloError(f"number {number}", "it has to be a dictionary.")
    name = entry.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise SloError(f"number {number}", f"name {name!r}: lower-case letters, digits and dashes, 63 at most.")
    kind = entry.get("kind")
    if kind not in _SOURCES:
        raise SloError(name, f"kind {kind!r} is unknown; there are {', '.join(_SOURCES)}.")
    given = _sources_given(name, kind, entry)
    if not isinstance(entry.get("service"), str) or not entry["service"]:
        raise SloError(name, "service is missing.")
    if not isinstance(entry.get("summary"), str) or not entry["summary"]:
        raise SloError(name, "summary is missing: one sentence that says what users lose.")
    return Slo(
        name=name,
        service=entry["service"],
        kind=kind,
        objective=_objective(name, entry.get("objective")),
        period_days=_period(name, entry.get("period", "30d")),
        sources={option: Selector.parse(name, option, entry[option]) for option in given & _SELECTORS},
        threshold=_threshold(name, kind, entry.get("threshold")),
        by=_by(name, entry.get("by", ()), extra_labels),
        labels=_labels(name, entry.get("labels", {})),
        summary=entry["summary"],
        runbook=str(entry.get("runbook", "")),
        minimum_bad_events=_count(name, "minimum_bad_events", entry.get("minimum_bad_events", 10)),
        no_data_for=_duration(name, "no_data_for", entry.get("no_data_for", "15m")),
    )


def _metrics(option: str, selector: Selector) -> tuple[str, ...]:
    """The names under which Prometheus has what C(option) selects."""
    if option == "histogram":
        return (f"{selector.metric}_bucket", f"{selector.metric}_count")
    return (selector.metric,)


def _sources_given(name: str, kind: str, entry: Mapping[str, Any]) -> frozenset[str]:
    """The options this definition is computed from; refuses unknown ones and incomplete sets."""
    every = frozenset().union(*(alternative for found in _SOURCES.values() for alternative in found))
    unknown = sorted(set(entry) - _COMMON - every)
    if unknown:
        raise SloError(name, f"unknown: {', '.join(unknown)}.")
    given = frozenset(entry) & every
    if given not in _SOURCES[kind]:
        wanted = " or ".join("+".join(sorted(alternative)) for alternative in _SOURCES[kind])
        raise SloError(name, f"kind {kind} needs {wanted}; given: {', '.join(sorted(given)) or 'none'}.")
    return given


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _objective(name: str, value: Any) -> float:
    if not _is_number(value):
        raise SloError(name, f"objective {value!r}: a number of per cent is wanted, such as 99.9.")
    if value >= 100:
        raise SloError(name, f"objective {value:g} %: at 100 % there is no error budget, and every error would page.")
    if value <= 0:
        raise SloError(name, f"objective {value:g} %: it has to be above 0.")
    return float(value)


def _period(name: str, value: Any) -> int:
    match = re.fullmatch(r"(\d{1,3})d", str(value))
    if not match or not _PERIOD_DAYS[0] <= int(match[1]) <= _PERIOD_DAYS[1]:
        raise SloError(name, f"period {value!r}: from {_PERIOD_DAYS[0]}d to {_PERIOD_DAYS[1]}d, such as 30d.")
    return int(match[1])


def _threshold(name: str, kind: str, value: Any) -> float | None:
    if value is None:
        return 0.0 if kind == DEADLINE else None
    if not _is_number(value) or value < 0:
        raise SloError(name, f"threshold {value!r}: a number from 0 is wanted (seconds; for a deadline, a count).")
    return float(value)


def _by(name: str, value: Any, extra: frozenset[str]) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)) or not all(
        isinstance(label, str) and _LABEL.fullmatch(label) for label in value
    ):
        raise SloError(name, f"by {value!r}: a list of label names is wanted.")
    for label in value:
        if label in _RESERVED:
            raise SloError(name, f"by: {label} is set by the rules themselves.")
        check_bounded(name, label, extra)
    return tuple(dict.fromkeys(value))


def _labels(name: str, value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise SloError(name, f"labels {value!r}: a dictionary is wanted.")
    for label in value:
        if not isinstance(label, str) or not _LABEL.fullmatch(label):
            raise SloError(name, f"labels: {label!r} is no label name.")
        if label in _RESERVED - {"severity"}:
            raise SloError(name, f"labels: {label} is set by the rules themselves.")
    return {label: str(text) for label, text in value.items()}


def _count(name: str, option: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise SloError(name, f"{option} {value!r}: a whole number from 0 is wanted.")
    return value


def _duration(name: str, option: str, value: Any) -> str:
    if not isinstance(value, str) or seconds(value) is None:
        raise SloError(name, f"{option} {value!r}: a duration such as 15m is wanted.")
    return value
