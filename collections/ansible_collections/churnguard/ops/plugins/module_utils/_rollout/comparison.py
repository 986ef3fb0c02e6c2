# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Is the new version worse than the stable one beside it: in the present step, and over all steps together. No I/O.
Internal: may change in any release."""

from __future__ import annotations

from dataclasses import dataclass

from . import statistics
from .evidence import Evidence, Tally, bins, size
from .metrics import KIND_LATENCY, Metric


@dataclass(frozen=True)
class Comparison:
    """C(matters) says whether the difference is beyond the margin; the p-value is 1 where it is not, and no test was
    made."""

    p_value: float
    matters: bool
    detail: str


class Part:
    """One stage. C(effect) and C(effect0) are both sides' ratios, or the superiority and its neutral 0.5; C(weight) is
    for Stouffer's sum; C(slowdown) is the medians' difference in seconds."""

    def __init__(self, metric: Metric, first: Tally, second: Tally) -> None:
        self._metric, self._first, self._second = metric, first, second
        self._p_value: float | None = None
        self.slowdown = 0.0
        n, n0 = size(first, metric), size(second, metric)
        self.weight = statistics.information(n, n0)
        if metric.kind == KIND_LATENCY:
            bounds, counts, counts0 = bins(first, second)
            self.effect, self.effect0 = statistics.superiority(counts, counts0), 0.5
            self.slowdown = _median(bounds, counts) - _median(bounds, counts0)
        else:
            self.effect, self.effect0 = first.get("numerator", 0) / n, second.get("numerator", 0) / n0

    @property
    def p_value(self) -> float:
        """Computed once, and only when asked for."""
        if self._p_value is None:
            self._p_value = self._test()
        return self._p_value

    def _test(self) -> float:
        metric, first, second = self._metric, self._first, self._second
        if metric.kind == KIND_LATENCY:
            _bounds, counts, counts0 = bins(first, second)
            return statistics.p_slower(counts, counts0)
        events, events0 = first.get("numerator", 0), second.get("numerator", 0)
        return statistics.p_ratio_worse(events, size(first, metric), events0, size(second, metric), metric.rises)


def compare(metric: Metric, evidence: Evidence) -> tuple[Comparison, Comparison]:
    """The present stage, and the whole release; the same object while there is only one stage.

    Stages are tested apart and combined: adding their counts up would let changing weights make a difference where
    none is (Simpson's paradox).
    """
    present = Part(metric, evidence.candidate.stage, evidence.stable.stage)
    stage = _conclude(metric, [present])
    ended = [_ended(metric, evidence, index) for index in range(len(evidence.stages))]
    parts = [part for part in ended if part is not None]
    return stage, (_conclude(metric, [*parts, present]) if parts else stage)


def _ended(metric: Metric, evidence: Evidence, index: int) -> Part | None:
    """A stage that has ended; None where it has too few requests for a test. Kept, so that it is tested once."""
    if index not in evidence.cache:
        first, second = evidence.stages[index]
        enough = min(size(first, metric), size(second, metric)) >= metric.min_requests
        evidence.cache[index] = Part(metric, first, second) if enough else None
    return evidence.cache[index]


def _conclude(metric: Metric, parts: list[Part]) -> Comparison:
    # By information (the weight's square), as each stage's effect is known the better the more there was of it.
    sizes = [part.weight**2 for part in parts]
    effect = _mean([part.effect for part in parts], sizes)
    effect0 = _mean([part.effect0 for part in parts], sizes)
    if metric.kind == KIND_LATENCY:
        slowdown = _mean([part.slowdown for part in parts], sizes)
        matters = effect > metric.min_effect and slowdown >= metric.min_slowdown
        detail = f"slower in {effect:.0%} of pairs, the median by {1000 * slowdown:.0f} ms"
    else:
        margin = metric.max_change or 0.0
        matters = effect > effect0 * (1 + margin) if metric.rises else effect < effect0 * (1 - margin)
        detail = f"{100 * effect:.3g} % against {100 * effect0:.3g} %"
    if not matters:
        return Comparison(1.0, False, detail)
    if len(parts) == 1:
        return Comparison(parts[0].p_value, True, detail)
    p_value = statistics.combined([part.p_value for part in parts], [part.weight for part in parts])
    return Comparison(p_value, True, detail)


def _median(bounds: list[float], counts: list[int]) -> float:
    return statistics.quantile(bounds, counts, 0.5) or 0.0


def _mean(values: list[float], weights: list[float]) -> float:
    return sum(value * weight for value, weight in zip(values, weights)) / sum(weights)  # noqa: B905
