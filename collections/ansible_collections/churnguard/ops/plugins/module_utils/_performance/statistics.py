# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures of a series, and how far they are beyond a threshold. No I/O. Internal: may change in any release."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .._prometheus.ranges import stretches
from .definitions import AVERAGE, MAXIMUM, P95, P99

LOW, MEDIUM, HIGH, CRITICAL, NONE = "low", "medium", "high", "critical", "none"
# The guide's bands: value / threshold from which a violation is that severe, the worst first.
BANDS = ((1.5, CRITICAL), (1.25, HIGH), (1.1, MEDIUM))
SEVERITIES = (LOW, MEDIUM, HIGH, CRITICAL)


def severity(value: float, threshold: float) -> str:
    """How severe a value is; C(none) at or below the threshold."""
    if not value > threshold:
        return NONE
    ratio = value / threshold
    return next((name for least, name in BANDS if ratio >= least), LOW)


@dataclass(frozen=True)
class Figures:
    """Statistics of the samples that are numbers, in their unit; percentiles interpolate linearly."""

    samples: int
    average: float
    max: float
    min: float
    p95: float
    p99: float

    def value(self, statistic: str) -> float:
        """One of them by its name."""
        return float(asdict(self)[statistic])


def figures(values: Sequence[float]) -> Figures:
    """Of at least one finite value."""
    # quantiles() wants two; of one sample all percentiles are the sample.
    cuts = statistics.quantiles([*values, *values] if len(values) == 1 else values, n=100, method="inclusive")
    return Figures(len(values), statistics.fmean(values), max(values), min(values), cuts[94], cuts[98])


@dataclass(frozen=True)
class Violations:
    """Samples above a threshold: how many, in which bands, for how long (s) altogether and at a stretch at most.
    A sample stands for the step that ends with it."""

    count: int
    bands: dict[str, int]
    seconds: int
    longest_s: int

    def plain(self) -> dict[str, Any]:
        return asdict(self)


def violations(values: Sequence[float], threshold: float, step: int) -> Violations:
    """Of values in their order, C(step) seconds apart; a gap (NaN) ends a stretch."""
    bands = dict.fromkeys(SEVERITIES, 0)
    longest = stretch = 0
    for value in values:
        name = severity(value, threshold) if math.isfinite(value) else NONE
        stretch = stretch + 1 if name != NONE else 0
        longest = max(longest, stretch)
        if name != NONE:
            bands[name] += 1
    count = sum(bands.values())
    return Violations(count, bands, count * step, longest * step)


# The share of the samples that may be above the threshold while the statistic is not.
_ALLOWED = {MAXIMUM: 0.0, P99: 0.01, P95: 0.05}


def certainly_above(statistic: str, count: int, expected: int) -> bool:
    """Whether C(count) violations put the statistic above the threshold whatever the samples were that are missing of
    C(expected). An average can never be known so."""
    return statistic != AVERAGE and count > _ALLOWED[statistic] * expected + (statistic != MAXIMUM)


def thinned(values: Sequence[float], most: int) -> tuple[list[float | None], list[float | None], int]:
    """Means and maxima of at most C(most) stretches of equal length, and that length in samples; None for a stretch
    without a number. For drawing: a spike stays in the maxima."""
    known, width = stretches(values, most)
    means = [float(f"{statistics.fmean(some):.6g}") if some else None for some in known]
    peaks = [float(f"{max(some):.6g}") if some else None for some in known]
    return means, peaks, width
