# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verdicts of a performance review. No I/O. Internal: may change in any release."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .._common.envelope import FAILED, NOT_CHECKED, PASSED
from .._prometheus.limits import check_series, gaps
from .._prometheus.ranges import Grid, Line
from .definitions import STATISTICS, Advice, Metric
from .statistics import NONE, SEVERITIES, Figures, Violations, certainly_above, figures, severity, thinned, violations

MOST_SERIES = 200
MOST_LISTED = 20
MOST_DRAWN = 240
_RANK = {FAILED: 0, NOT_CHECKED: 1, PASSED: 2}


@dataclass(frozen=True)
class Found:
    """What was found of one series. Without a single number there are no C(figures); without a threshold no
    C(violations)."""

    line: Line
    figures: Figures | None
    violations: Violations | None
    coverage: float
    severity: str
    verdict: str
    reason: str

    def worth(self, judged: str) -> tuple[int, float]:
        """Sorts the worst first."""
        return _RANK[self.verdict], -self.figures.value(judged) if self.figures else 0.0

    def plain(self) -> dict[str, Any]:
        """As the module returns it."""
        known = asdict(self.figures) if self.figures else dict.fromkeys((*STATISTICS, "min"))
        return {
            "labels": self.line.labels,
            **{key: known[key] for key in (*STATISTICS, "min")},
            "samples": self.figures.samples if self.figures else 0,
            "coverage": round(self.coverage, 4),
            "violations": self.violations.plain() if self.violations else None,
            "severity": self.severity,
            "verdict": self.verdict,
            "reason": self.reason,
        }


@dataclass(frozen=True)
class Review:
    """What was found of a metric; C(series) the worst first."""

    metric: Metric
    query: str
    series: list[Found]
    verdict: str
    reason: str
    grid: Grid

    @property
    def worst(self) -> Found | None:
        """The series whose figures stand for the metric: the worst of those that have any."""
        return next((one for one in self.series if one.figures), None)

    @property
    def worst_severity(self) -> str:
        """Of the highest sample of any series."""
        threshold = self.metric.threshold
        if threshold is None:
            return NONE
        found = [severity(one.figures.max, threshold) for one in self.series if one.figures]
        return max(found, key=lambda name: SEVERITIES.index(name) if name != NONE else -1, default=NONE)

    def plain(self) -> dict[str, Any]:
        """As the module returns it: figures and labels of the worst series, verdict and reason of all of them."""
        metric = self.metric
        worst = self.worst or Found(Line({}), None, None, 0.0, NONE, NOT_CHECKED, "")
        return {
            "name": metric.name,
            "title": metric.label,
            "unit": metric.unit,
            "query": self.query,
            "threshold": metric.threshold,
            "judged": metric.judged,
            **worst.plain(),
            "worst_severity": self.worst_severity,
            "verdict": self.verdict,
            "reason": self.reason,
            "series_total": len(self.series),
            "series": [one.plain() for one in self.series[:MOST_LISTED]],
        }

    def drawn(self) -> dict[str, Any] | None:
        """Means and maxima of the worst series over time, for a plot; None where there is nothing to draw."""
        if self.worst is None:
            return None
        means, peaks, width = thinned(self.worst.line.values, MOST_DRAWN)
        return {"start": self.grid.start, "step_s": self.grid.step * width, "average": means, "max": peaks}


def judge(metric: Metric, query: str, lines: Sequence[Line], grid: Grid, min_coverage: float) -> Review:
    """Every series of a metric held against its threshold. What has too many gaps is never passed. Raises
    OperationError for more series than somebody could read."""
    check_series(f"review metric {metric.name}", lines, MOST_SERIES)
    wanted = min_coverage if metric.min_coverage is None else metric.min_coverage
    series = sorted((_series(metric, line, grid, wanted) for line in lines), key=lambda one: one.worth(metric.judged))
    if not series:
        return Review(metric, query, [], NOT_CHECKED, "Prometheus has no such series in the period", grid)
    first = series[0]
    reason = first.reason
    if len(series) > 1 and reason and metric.threshold is not None:
        reason = f"{said(first.line.labels)}: {reason}"
    return Review(metric, query, series, first.verdict, reason, grid)


def _series(metric: Metric, line: Line, grid: Grid, wanted: float) -> Found:
    known = line.finite
    coverage = len(known) / grid.count
    if not known:
        return Found(
            line, None, None, 0.0, NONE, NOT_CHECKED, gaps(len(known), line.given - len(known), grid.count, wanted)
        )
    found = figures(known)
    threshold = metric.threshold
    if threshold is None:
        return Found(line, found, None, coverage, NONE, NOT_CHECKED, "no threshold is set")
    beyond = violations(line.values, threshold, grid.step)
    value = found.value(metric.judged)
    how = severity(value, threshold)
    if coverage < wanted and not certainly_above(metric.judged, beyond.count, grid.count):
        return Found(
            line,
            found,
            beyond,
            coverage,
            how,
            NOT_CHECKED,
            gaps(len(known), line.given - len(known), grid.count, wanted),
        )
    if value > threshold:
        reason = f"{metric.judged} {_figure(value, metric)} is above {_figure(threshold, metric)}, severity {how}"
        return Found(line, found, beyond, coverage, how, FAILED, reason)
    return Found(line, found, beyond, coverage, how, PASSED, "")


def _figure(value: float, metric: Metric) -> str:
    return f"{value:.4g} {metric.unit}".strip()


def said(labels: dict[str, str]) -> str:
    """Labels as people read them: the values, or everything for none."""
    return " ".join(labels.values()) or "everything"


def recommendations(reviews: Sequence[Review]) -> list[dict[str, Any]]:
    """What to do, with the figure that says so, of the series where it is highest. A metric that failed and has no
    advice of its own gets a general one."""
    found = []
    for review in reviews:
        given = [one for one in (_advised(review, advice) for advice in review.metric.advice) if one]
        if not given and review.verdict == FAILED:
            given = [one for one in [_advised(review, _general(review.metric))] if one]
        found += given
    return found


def _general(metric: Metric) -> Advice:
    """What can be said of any metric that is above its threshold."""
    threshold = metric.threshold or 0.0
    text = f"Find out what causes it, and whether {_figure(threshold, metric)} is still the right threshold."
    return Advice(metric.judged, threshold, text)


def _advised(review: Review, advice: Advice) -> dict[str, Any] | None:
    known = [one for one in review.series if one.figures]
    worst = max(known, key=lambda one: one.figures.value(advice.statistic) if one.figures else 0.0, default=None)
    if worst is None or worst.figures is None or worst.figures.value(advice.statistic) <= advice.above:
        return None
    return {
        "metric": review.metric.name,
        "labels": worst.line.labels,
        **asdict(advice),
        "value": worst.figures.value(advice.statistic),
        "unit": review.metric.unit,
        "coverage": round(worst.coverage, 4),
    }


def verdicts(reviews: Sequence[Review]) -> list[str]:
    """Those of the metrics that have a threshold."""
    return [review.verdict for review in reviews if review.metric.threshold is not None]


def outcome(reviews: Sequence[Review]) -> str:
    """The review in a sentence."""
    limited = [review for review in reviews if review.metric.threshold is not None]
    if not limited:
        return "Nothing was held against a threshold."
    parts = []
    for wanted, words in ((FAILED, "above the threshold"), (NOT_CHECKED, "not checked")):
        found = [f"{one.metric.label} ({one.reason})" for one in limited if one.verdict == wanted]
        if found:
            parts.append(f"{len(found)} of {len(limited)} {words}: {', '.join(found)}")
    whole = f"All {len(limited)} metrics with a threshold are" if len(limited) > 1 else f"{limited[0].metric.label} is"
    return "; ".join(parts) + "." if parts else f"{whole} within {'it' if len(limited) > 1 else 'its threshold'}."
