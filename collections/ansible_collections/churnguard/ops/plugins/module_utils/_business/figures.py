# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What counters and gauges say about a period and about the one before. No I/O. Internal: may change in any release."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from .._prometheus.ranges import Grid, Line, stretches
from .definitions import Figure

MOST_DRAWN = 60
_UNNAMED = "all"


@dataclass(frozen=True)
class Periods:
    """A period and the one before, both of C(count) moments, in one grid; the moment before both is its first, so that
    growth is known from the beginning."""

    grid: Grid
    count: int

    @classmethod
    def of(cls, grid: Grid) -> Periods:
        """C(grid) is the period itself."""
        first = grid.start - (grid.count + 1) * grid.step
        return cls(Grid(first, grid.step, 2 * grid.count + 1), grid.count)

    @property
    def before(self) -> slice:
        return slice(1, self.count + 1)

    @property
    def now(self) -> slice:
        return slice(self.count + 1, 2 * self.count + 1)


@dataclass(frozen=True)
class Measured:
    """A figure over one period: C(value) is what stands for it, C(judged) what its limit is held against, C(compared)
    what another period is compared by; None where nobody knows, and C(missing) says why. C(details) are further values
    by name, C(parts) those of its parts."""

    value: float | None = None
    judged: float | None = None
    compared: float | None = None
    details: dict[str, float | None] = field(default_factory=dict)
    parts: dict[str, float | None] = field(default_factory=dict)
    coverage: float = 0.0
    missing: str = ""


def seen(lines: Sequence[Line], count: int) -> list[bool]:
    """At which of C(count) moments any of the lines has a value."""
    return [any(math.isfinite(line.values[place]) for line in lines) for place in range(count)]


def growth(values: Sequence[float], known_from: int, stored: bool = False) -> list[float]:
    """By how much a counter has grown at each moment since it was last seen; NaN is a gap. What falls has started again
    from 0. A series that comes later than C(known_from) is new and has started from 0, too; of one that was there
    before anybody looked nobody knows when it grew. What is C(stored) neither starts again nor begins at 0: when it
    falls, something was deleted, which is no growth."""
    last: float | None = None
    grown = []
    for place, value in enumerate(values):
        if not math.isfinite(value):
            grown.append(0.0)
            continue
        if last is None:
            grown.append(value if place > known_from and not stored else 0.0)
        else:
            grown.append(value - last if value >= last else 0.0 if stored else value)
        last = value
    return grown


def part_of(line: Line, by: Sequence[str]) -> str:
    """What the part is called that a line is about."""
    return " ".join(filter(None, (line.labels.get(label, "") for label in by))) or _UNNAMED


def grown_parts(
    lines: Sequence[Line], by: Sequence[str], looked: Sequence[bool], stored: bool = False
) -> dict[str, list[float]]:
    """Growth of each part at each moment, over all processes."""
    known_from = looked.index(True) if True in looked else len(looked)
    parts: dict[str, list[float]] = {}
    for line in lines:
        grown = growth(line.values, known_from, stored)
        before = parts.get(part_of(line, by), [0.0] * len(grown))
        parts[part_of(line, by)] = [one + more for one, more in zip(before, grown)]  # noqa: B905 - Python 3.9
    return parts


def counted(parts: dict[str, list[float]], looked: Sequence[bool], when: slice) -> Measured:
    """Growth of counters over a period."""
    sums = {name: sum(grown[when]) for name, grown in parts.items()}
    coverage = statistics.fmean(looked[when])
    if not parts or not coverage:
        return Measured(coverage=coverage, missing=_nothing(bool(parts)))
    total = sum(sums.values())
    return Measured(total, total, total, {"total": total}, dict(sums), coverage)


def shared(total: Sequence[float], bad: Sequence[float], looked: Sequence[bool], when: slice) -> Measured:
    """How much of C(total) was not C(bad) over a period, in percent. Of nothing there is no share."""
    coverage = statistics.fmean(looked[when])
    whole, failed = sum(total[when]), sum(bad[when])
    details = {"total": whole, "failed": failed} if coverage else {}
    if not coverage or not whole:
        missing = "nobody asked for anything" if coverage else _nothing(False)
        return Measured(details=details, coverage=coverage, missing=missing)
    well = 100.0 * (1.0 - min(failed / whole, 1.0))
    return Measured(well, well, well, details, {}, coverage)


def stood(parts: dict[str, list[float]], when: slice, at_least: bool) -> Measured:
    """What a gauge said over a period: C(value) at its end, C(judged) the worst; a part that is missing at a moment
    counts nothing there."""
    whole = added(parts)[when] if parts else []
    known = [value for value in whole if math.isfinite(value)]
    if not known:
        return Measured(missing=_nothing(bool(parts)))
    last = whole[-1] if math.isfinite(whole[-1]) else None
    lowest, highest, average = min(known), max(known), statistics.fmean(known)
    details = {"now": last, "average": average, "lowest": lowest, "highest": highest}
    ends = {name: values[when][-1] for name, values in parts.items()}
    now = {name: value for name, value in ends.items() if math.isfinite(value)} if len(parts) > 1 else {}
    missing = "" if last is not None else "it was not there at the end of the period"
    return Measured(
        last, lowest if at_least else highest, average, details, dict(now), len(known) / len(whole), missing
    )


def added(parts: dict[str, list[float]]) -> list[float]:
    """The parts together at each moment; NaN where none is there."""
    columns = zip(*parts.values())  # noqa: B905 - Python 3.9
    known = [[value for value in column if math.isfinite(value)] for column in columns]
    return [sum(some) if some else math.nan for some in known]


def drawn(parts: dict[str, list[float]], when: slice, step: int, how: Callable[[list[float]], float]) -> dict:
    """Each part over a period in at most MOST_DRAWN stretches, of each what C(how) makes of its values, None without a
    value, for a plot: {"step_s", "lines"}."""
    lines = {}
    width = 1
    for name, values in parts.items():
        known, width = stretches(values[when], MOST_DRAWN)
        lines[name] = [float(f"{how(some):.6g}") if some else None for some in known]
    return {"step_s": step * width, "lines": lines}


def shares(total: Sequence[float], bad: Sequence[float], when: slice, step: int) -> dict:
    """The same of a share in percent; a stretch without anything has none."""
    wholes, width = stretches(total[when], MOST_DRAWN)
    faults, _width = stretches(bad[when], MOST_DRAWN)
    sums = [(sum(whole), sum(failed)) for whole, failed in zip(wholes, faults)]  # noqa: B905 - Python 3.9
    line = [float(f"{100 * (1 - min(failed / whole, 1)):.6g}") if whole else None for whole, failed in sums]
    return {"step_s": step * width, "lines": {_UNNAMED: line}}


def gauge_parts(figure: Figure, lines: Sequence[Line]) -> dict[str, list[float]]:
    """The values of each part; of two lines of one part the worse one counts."""
    worse = min if figure.at_least else max
    parts: dict[str, list[float]] = {}
    for line in lines:
        name = part_of(line, figure.by)
        before = parts.get(name, [math.nan] * len(line.values))
        parts[name] = [_worse(worse, one, other) for one, other in zip(before, line.values)]  # noqa: B905
    return parts


def _worse(worse: Callable[[float, float], float], one: float, other: float) -> float:
    known = [value for value in (one, other) if math.isfinite(value)]
    return worse(*known) if len(known) > 1 else known[0] if known else math.nan


def _nothing(known: bool) -> str:
    return "Prometheus has nothing of it in the period" if known else "Prometheus has no such series"
