# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Range queries to a Prometheus server, in pieces that it accepts. Internal: may change in any release."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from .api import ask, no_answer

# Prometheus answers at most this many points for each series ("exceeded maximum resolution of 11,000 points per
# timeseries", web/api/v1/api.go).
MOST_POINTS = 11000


@dataclass(frozen=True)
class Grid:
    """The moments at which an expression is evaluated: C(count) of them, C(step) seconds apart, from C(start) (Unix s,
    by the server's clock)."""

    start: float
    step: int
    count: int

    @classmethod
    def until(cls, end: float, seconds: int, step: int) -> Grid:
        """The last C(seconds) before C(end), which is its last moment; the first one lies a step after the begin."""
        count = seconds // step
        return cls(end - (count - 1) * step, step, count)

    @property
    def end(self) -> float:
        return self.start + (self.count - 1) * self.step

    def index(self, moment: float) -> int:
        """The place of a moment; it may lie outside of the grid."""
        return round((moment - self.start) / self.step)

    def pieces(self, most: int = MOST_POINTS) -> list[Grid]:
        """The same moments, each once, in grids of at most C(most)."""
        return [
            Grid(self.start + first * self.step, self.step, min(most, self.count - first))
            for first in range(0, self.count, most)
        ]


@dataclass
class Line:
    """One series over a grid: a value for each moment, NaN where there is none. C(given) counts the values that
    Prometheus had, with those that are NaN themselves."""

    labels: dict[str, str]
    values: list[float] = field(default_factory=list)
    given: int = 0

    @property
    def finite(self) -> list[float]:
        """The values that are numbers, in their order."""
        return [value for value in self.values if math.isfinite(value)]


def query_range(url: str, expression: str, grid: Grid, timeout: float = 30.0) -> list[Line]:
    """What an expression yields at each moment of C(grid), which may have at most MOST_POINTS.

    Raises BadQuery for an expression that is none, Unreachable when the server does not answer in C(timeout) seconds,
    and QueryError for every other refusal, such as too many samples.
    """
    times = {"start": f"{grid.start:.3f}", "end": f"{grid.end:.3f}", "step": str(grid.step)}
    data = ask(url, "query_range", {"query": expression, **times}, timeout)
    try:
        return [_line(entry["metric"], entry["values"], grid) for entry in data["result"]]
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise no_answer(data) from error


def joined(parts: list[list[Line]], pieces: list[Grid]) -> list[Line]:
    """The lines of consecutive pieces as lines over all of them, in the order of their labels."""
    whole: dict[tuple[tuple[str, str], ...], Line] = {}
    before = 0
    for lines, piece in zip(parts, pieces):  # noqa: B905 - strict is not known to Python 3.9
        for line in lines:
            found = whole.setdefault(tuple(sorted(line.labels.items())), Line(line.labels))
            found.values += [math.nan] * (before - len(found.values)) + line.values
            found.given += line.given
        before += piece.count
    for found in whole.values():
        found.values += [math.nan] * (before - len(found.values))
    return [whole[key] for key in sorted(whole)]


def stretches(values: Sequence[float], most: int) -> tuple[list[list[float]], int]:
    """The values that are numbers in each of at most C(most) stretches of equal length, and that length in samples; for
    drawing."""
    least = max(1, math.ceil(len(values) / most))
    # A shorter last stretch would look like a fall of what is added up.
    width = next((one for one in range(least, 2 * least) if len(values) % one == 0), least)
    places = range(0, len(values), width)
    return [[one for one in values[first : first + width] if math.isfinite(one)] for first in places], width


def _line(labels: dict[str, str], pairs: list[list[object]], grid: Grid) -> Line:
    values = [math.nan] * grid.count
    for moment, value in pairs:
        place = grid.index(float(moment))  # type: ignore[arg-type]
        if not 0 <= place < grid.count:
            raise ValueError(f"{moment} was not asked for")
        values[place] = float(value)  # type: ignore[arg-type]
    return Line(dict(labels), values, len(pairs))
