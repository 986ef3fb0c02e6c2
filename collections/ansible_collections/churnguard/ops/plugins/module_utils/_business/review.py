# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks Prometheus for what a business review needs, and judges it. Internal: may change in any release."""

from __future__ import annotations

from typing import Any

from .._common.envelope import NOT_CHECKED, Recorder
from .._prometheus.asking import Asker
from .._prometheus.limits import Wish, check_series, overall
from .._prometheus.ranges import Line
from . import figures as measuring
from .definitions import COUNTER, SEEN, SHARE, Figure
from .judging import Judged, change_of, outcome, verdict_of, verdicts

PURPOSE = "review the business"
# Of a counter one for each process and part; more are a label without bounds.
MOST_SERIES = 2000


class Reviewer:
    """One business review; what it does is told to C(recorder)."""

    def __init__(self, asker: Asker, figures: list[Figure], wish: Wish, recorder: Recorder) -> None:
        self.asker = asker
        self._figures = figures
        self._wish = wish
        self._recorder = recorder
        self.found: list[Judged] = []

    def run(self) -> str:
        """Review everything and return the verdict. Raises OperationError for a query that Prometheus refuses, and
        when it does not answer within the deadline."""
        grid = self.asker.grid(self._wish.period, self._wish.end, self._wish.step)
        periods = measuring.Periods.of(grid)
        lines = self._lines("whether the application was seen", self._filled(SEEN), periods)
        looked = measuring.seen(lines, periods.grid.count)
        for figure in self._figures:
            self._record(self._judged(figure, periods, looked))
        self.asker.measure_skew()
        return overall(self.verdicts())

    def verdicts(self) -> list[str]:
        """Those of everything that has a limit."""
        return verdicts(self.found)

    def result(self) -> dict[str, Any]:
        """The outcome in a sentence as C(msg), and what was found."""
        return {"msg": outcome(self.found), "figures": [one.plain() for one in self.found]}

    def _judged(self, figure: Figure, periods: measuring.Periods, looked: list[bool]) -> Judged:
        queries = {"query": self._filled(figure.query)}
        lines = self._lines(f"figure {figure.name}", queries["query"], periods)
        step, when, then = periods.grid.step, periods.now, periods.before
        if figure.kind == SHARE:
            queries["bad"] = self._filled(figure.bad)
            wrong = self._lines(f"figure {figure.name}, what went wrong", queries["bad"], periods)
            total = _together(measuring.grown_parts(lines, (), looked), periods)
            bad = _together(measuring.grown_parts(wrong, (), looked), periods)
            now, before = (measuring.shared(total, bad, looked, span) for span in (when, then))
            plot = measuring.shares(total, bad, when, step)
        elif figure.kind == COUNTER:
            parts = measuring.grown_parts(lines, figure.by, looked, figure.stored)
            now, before = (measuring.counted(parts, looked, span) for span in (when, then))
            plot = measuring.drawn(parts, when, step, sum)
        else:
            parts = measuring.gauge_parts(figure, lines)
            now, before = (measuring.stood(parts, span, figure.at_least) for span in (when, then))
            plot = measuring.drawn(parts, when, step, min if figure.at_least else max)
        verdict, reason = verdict_of(figure, now, self._wish.min_coverage)
        change = change_of(now, before, self._wish.min_coverage)
        start = periods.grid.start + when.start * step
        drawn = {"start": start, **plot} if now.details else None
        return Judged(figure, queries, now, change, before, verdict, reason, drawn)

    def _filled(self, template: str) -> str:
        return self._wish.scope.fill(template, self._wish.step)

    def _lines(self, of: str, query: str, periods: measuring.Periods) -> list[Line]:
        lines = self.asker.lines(of, query, periods.grid)
        check_series(f"review {of}", lines, MOST_SERIES)
        return lines

    def _record(self, one: Judged) -> None:
        self.found.append(one)
        figure, plain = one.figure, one.plain()
        name = figure.name
        if figure.kind not in (SHARE, COUNTER):
            name += "_lowest" if figure.at_least else "_highest"
            for statistic in ("now", "average"):
                self._measure(f"{figure.name}_{statistic}", plain["details"].get(statistic), figure.unit, one)
        self._recorder.measure(name, plain["judged"], figure.unit, figure.limit, one.verdict, one.reason)
        self._recorder.measure(
            f"{figure.name}_change", plain["change_percent"], "%", None, NOT_CHECKED, one.change.reason
        )
        self._recorder.evidence.append({"kind": "business_figure", **plain, "plot": one.plot})
        said = one.reason or "within its limit"
        self._recorder.event("reviewed", f"{figure.title}: {one.verdict.replace('_', ' ')}, {said}")

    def _measure(self, name: str, value: Any, unit: str, one: Judged) -> None:
        self._recorder.measure(name, value, unit, None, NOT_CHECKED, one.measured.missing if value is None else "")


def _together(parts: dict[str, list[float]], periods: measuring.Periods) -> list[float]:
    """The growth of everything; of nothing none."""
    return next(iter(parts.values()), [0.0] * periods.grid.count)
