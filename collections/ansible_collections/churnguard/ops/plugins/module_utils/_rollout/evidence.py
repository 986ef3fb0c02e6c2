# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the judge has seen: counters followed from reading to reading, kept for the window, the stage and the release.
No I/O. Internal: may change in any release."""

from __future__ import annotations

import hashlib
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from .._prometheus.api import Series
from .metrics import KIND_LATENCY, Metric

# Tallies are plain dictionaries: whole requests by part ("numerator", "denominator") or by the bucket's bound ("le").
Tally = dict[str, int]


@dataclass(frozen=True)
class Reading:
    """What one look read of one metric on one side: the series of each of its expressions, and the expression that
    stands for it in records. C(error) says why there is nothing."""

    query: str
    parts: dict[str, list[Series]] = field(default_factory=dict)
    error: str = ""

    @property
    def empty(self) -> bool:
        """Whether no expression has yielded a number."""
        return not any(series.finite for part in self.parts.values() for series in part)


# By metric: the new version's reading, and the stable one's where there is one.
Readings = dict[str, tuple[Reading, "Reading | None"]]


class Meter:
    """Follows the counters of one metric on one side and tells what they grew by.

    A series seen for the first time is counted from 0: it was born since the last look, perhaps with its first error.
    One that went back was restarted and is counted from 0 as well. One that is missing is remembered.
    """

    def __init__(self, by_bound: bool) -> None:
        self._by_bound = by_bound
        self._last: dict[str, float] = {}

    def read(self, reading: Reading) -> Tally:
        """What was added since the last reading."""
        grown: dict[str, float] = {}
        for part, vector in reading.parts.items():
            for series in vector:
                key = _bound(series.labels.get("le", "")) if self._by_bound else part
                if not series.finite or key is None:
                    continue
                name = _digest(part, series.labels)
                before = self._last.get(name, 0.0)
                self._last[name] = series.value
                added = series.value - before if series.value >= before else series.value
                grown[key] = grown.get(key, 0.0) + added
        return {key: round(value) for key, value in grown.items()}

    def state(self) -> dict[str, float]:
        return dict(self._last)

    def restore(self, state: dict[str, float]) -> None:
        self._last = dict(state)


class Side:
    """The evidence on one side: C(recent) for the window, C(stage) since the present step began."""

    def __init__(self, metric: Metric) -> None:
        self.meter = Meter(metric.kind == KIND_LATENCY)
        self.recent: deque[tuple[float, Tally]] = deque()
        self.stage: Tally = {}
        self.based = False

    def base(self, reading: Reading) -> None:
        """Take the counters as they stand; nothing before this counts. No series yet is 0: they are born with the first
        request."""
        if reading.error:
            return
        self.meter.read(reading)
        self.based = True

    def add(self, now: float, reading: Reading) -> None:
        """Count what has been added since."""
        if reading.error:
            return
        if not self.based:
            self.base(reading)
            return
        grown = self.meter.read(reading)
        self.recent.append((now, grown))
        self.stage = added(self.stage, grown)

    def end_stage(self) -> Tally:
        """Begin anew, and hand out what was counted."""
        ended, self.stage = self.stage, {}
        self.recent.clear()
        self.based = False
        return ended


class Evidence:
    """All that is known of one metric. C(stages) are the ended stages, candidate and stable side by side; C(bad) are
    the newest verdicts of a value, True for bad; C(stable_over) says that the stable version broke the limit too when
    last seen."""

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self.candidate = Side(metric)
        self.stable = Side(metric)
        self.stages: list[tuple[Tally, Tally]] = []
        self.bad: list[bool] = []
        self.stable_over = False
        # The ended stages as the comparison knows them, by their index; made again after a restore.
        self.cache: dict[int, Any] = {}

    @property
    def sides(self) -> tuple[Side, Side]:
        return self.candidate, self.stable

    def begin_stage(self) -> None:
        """A step begins: its evidence is empty, that of the release stays."""
        ended = (self.candidate.end_stage(), self.stable.end_stage())
        if all(any(tally.values()) for tally in ended):
            self.stages.append(ended)
        self.bad = []

    def forget_stage(self) -> None:
        """Throw away what the present stage has seen."""
        for side in self.sides:
            side.end_stage()
        self.bad = []

    def base(self, readings: tuple[Reading, Reading | None]) -> None:
        """The readings that the stage's counting starts from."""
        for side, reading in zip(self.sides, readings):  # noqa: B905 - strict is not known to Python 3.9
            if reading is not None:
                side.base(reading)

    def add(self, now: float, readings: tuple[Reading, Reading | None]) -> None:
        """The readings of one look at C(now) (seconds)."""
        for side, reading in zip(self.sides, readings):  # noqa: B905
            if reading is not None:
                side.add(now, reading)

    def window(self, now: float, least: int) -> tuple[Tally, Tally, float]:
        """What was counted in the newest window on both sides, and its seconds.

        Where the metric's window holds fewer than C(least) requests of the new version, it reaches further back, but
        never before the stage began. Older looks are forgotten.
        """
        begin = now - self.metric.window
        seen = 0
        for moment, tally in reversed(self.candidate.recent):
            if moment <= begin and seen >= least:
                break
            seen += size(tally, self.metric)
            begin = min(begin, moment - 1e-9)
        self._forget_before(begin)
        sums = [total(tally for moment, tally in side.recent if moment > begin) for side in self.sides]
        return sums[0], sums[1], now - begin

    def fresh(self, now: float) -> int:
        """The new version's requests in the metric's own window."""
        begin = now - self.metric.window
        return sum(size(tally, self.metric) for moment, tally in self.candidate.recent if moment > begin)

    def since_stable(self) -> int:
        """The new version's requests in the looks after the newest one that saw a request of the stable version."""
        served = [moment for moment, tally in self.stable.recent if size(tally, self.metric)]
        last = max(served, default=-1.0)
        return sum(size(tally, self.metric) for moment, tally in self.candidate.recent if moment > last)

    def _forget_before(self, begin: float) -> None:
        for side in self.sides:
            while side.recent and side.recent[0][0] <= begin:
                side.recent.popleft()

    def state(self, now: float) -> dict[str, Any]:
        """As plain JSON data; times become ages."""
        return {
            "sides": [
                {
                    "last": side.meter.state(),
                    "recent": [[round(now - moment, 3), tally] for moment, tally in side.recent],
                    "stage": side.stage,
                    "based": side.based,
                }
                for side in self.sides
            ],
            "stages": [list(stage) for stage in self.stages],
            "bad": list(self.bad),
            "stable_over": self.stable_over,
        }

    def restore(self, state: dict[str, Any], now: float) -> None:
        """The inverse of state()."""
        for side, data in zip(self.sides, state["sides"]):  # noqa: B905
            side.meter.restore(data["last"])
            side.recent = deque((now - age, dict(tally)) for age, tally in data["recent"])
            side.stage, side.based = dict(data["stage"]), data["based"]
        self.stages = [(dict(first), dict(second)) for first, second in state["stages"]]
        self.bad, self.stable_over = list(state["bad"]), state["stable_over"]


def size(tally: Tally, metric: Metric) -> int:
    """How many requests a tally holds."""
    return tally.get("+Inf" if metric.kind == KIND_LATENCY else "denominator", 0)


def added(first: Tally, second: Tally) -> Tally:
    """The sum of two tallies."""
    return {key: first.get(key, 0) + second.get(key, 0) for key in {**first, **second}}


def total(tallies: Any) -> Tally:
    """The sum of any number of tallies."""
    result: Tally = {}
    for tally in tallies:
        result = added(result, tally)
    return result


def bins(first: Tally, second: Tally | None = None) -> tuple[list[float], list[int], list[int]]:
    """Histograms from the cumulative counts of two tallies: upper bounds, and the requests in each interval. Only
    bounds that both have are used, so that a version with other buckets can still be compared."""
    second = first if second is None else second
    names = sorted(set(first) & set(second), key=float)
    return [float(name) for name in names], _steps(first, names), _steps(second, names)


def _steps(tally: Tally, names: list[str]) -> list[int]:
    counts, below = [], 0
    for name in names:
        counts.append(max(tally[name] - below, 0))
        below = max(tally[name], below)
    return counts


def _bound(text: str) -> str | None:
    """One spelling for each bound ("1" and "1.0" are the same); None for what is no bound."""
    try:
        value = float(text)
    except ValueError:
        return None
    return "+Inf" if value == float("inf") else repr(value)


def _digest(part: str, labels: dict[str, str]) -> str:
    """A short name for a series: a state with hundreds of them must fit into a ConfigMap."""
    text = repr((part, sorted(labels.items())))
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()
