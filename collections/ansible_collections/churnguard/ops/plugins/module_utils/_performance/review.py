# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks Prometheus for what a performance review needs, and judges it. Internal: may change in any release."""

from __future__ import annotations

from typing import Any

from .._common.envelope import Recorder
from .._prometheus.asking import Asker
from .._prometheus.limits import Wish, overall
from .definitions import Metric
from .judging import Review, judge, outcome, recommendations, verdicts

PURPOSE = "review performance"


class Reviewer:
    """One performance review; what it does is told to C(recorder)."""

    def __init__(self, asker: Asker, metrics: list[Metric], wish: Wish, recorder: Recorder) -> None:
        self.asker = asker
        self._metrics = metrics
        self._wish = wish
        self.recorder = recorder
        self.reviews: list[Review] = []
        self.advice: list[dict[str, Any]] = []

    def run(self) -> str:
        """Review everything and return the verdict. Raises OperationError for a query that Prometheus refuses, and
        when it does not answer within the deadline."""
        grid = self.asker.grid(self._wish.period, self._wish.end, self._wish.step)
        for metric in self._metrics:
            query = self._wish.scope.fill(metric.query, grid.step)
            lines = self.asker.lines(f"metric {metric.name}", query, grid)
            self._record(judge(metric, query, lines, grid, self._wish.min_coverage))
        self.advice = recommendations(self.reviews)
        self.recorder.evidence += [{"kind": "recommendation", **one} for one in self.advice]
        self.asker.measure_skew()
        return overall(self.verdicts())

    def verdicts(self) -> list[str]:
        """Those of everything that has a limit."""
        return verdicts(self.reviews)

    def result(self) -> dict[str, Any]:
        """The outcome in a sentence as C(msg), and what was found."""
        return {
            "msg": outcome(self.reviews),
            "metrics": [review.plain() for review in self.reviews],
            "recommendations": self.advice,
        }

    def _record(self, review: Review) -> None:
        self.reviews.append(review)
        plain = review.plain()
        self.recorder.measure(
            f"{review.metric.name}_{review.metric.judged}",
            plain[review.metric.judged],
            review.metric.unit,
            review.metric.threshold,
            review.verdict,
            review.reason,
        )
        self.recorder.evidence.append({"kind": "performance_metric", **plain, "plot": review.drawn()})
        said = review.reason or "within its threshold"
        self.recorder.event("reviewed", f"{review.metric.label}: {review.verdict.replace('_', ' ')}, {said}")
