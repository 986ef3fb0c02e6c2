# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the metrics of a release from Prometheus and has them judged. Internal: may change in any release."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .._common.clock import Clock
from .._common.errors import OperationError
from .._prometheus.api import Answers, BadQuery, QueryError, Unreachable, query_all
from . import statistics
from .evidence import Reading, Readings
from .judge import Judge, Sample
from .metrics import Metric, Scope
from .model import Release, Target


class Analysis:
    """The judge of one release, with its eyes. C(looks), C(false_alarm), C(pass_score) and C(force_forward) are the
    judge's; C(timeout) is in seconds, for each query. Raises OperationError where scipy is missing."""

    def __init__(
        self,
        url: str,
        metrics: Sequence[Metric],
        target: Target,
        clock: Clock,
        looks: int,
        false_alarm: float = 0.01,
        pass_score: float = 100.0,
        force_forward: bool = False,
        timeout: float = 5.0,
    ) -> None:
        statistics.require_scipy()
        self._url = url
        self._metrics = list(metrics)
        self._target = target
        self._clock = clock
        self._timeout = timeout
        self._judge = Judge(self._metrics, looks, false_alarm, pass_score, force_forward)
        self._scopes: tuple[Scope, Scope | None] | None = None
        self._asked: list[tuple[Metric, str, str]] = []
        self._began = clock.monotonic()

    def check(self, candidate: Release, stable: Release | None) -> str:
        """Ask every query once, before anything starts. Raises OperationError with Prometheus' message for one that it
        refuses. Returns "" or, as that is no reason to refuse a release, why Prometheus cannot be reached."""
        # There is time now; once the version gets traffic, each second of it is one unjudged.
        statistics.preload()
        self._scopes = self._scoped(candidate, stable)
        answers = query_all(self._url, self.queries(), self._timeout)
        away = ""
        for (metric, part, expression), answer in zip(self._asked, answers):  # noqa: B905 - not known to Python 3.9
            if isinstance(answer, Unreachable):
                away = str(answer)
            elif isinstance(answer, QueryError):
                raise OperationError(
                    f"use metric {metric.name}",
                    f"Prometheus refuses its {part}, {expression}: {answer}.",
                    f"correct the option {part}." if isinstance(answer, BadQuery) else "ask it in Prometheus by hand.",
                )
        # Series known from here on are remembered, should the reading at the begin miss them.
        self._judge.base(self._read(answers))
        return away

    def begin_stage(self, candidate: Release, stable: Release | None, forget: bool = False) -> None:
        """A step at a constant weight begins; C(stable) is None where there is none beside it. With C(forget), what the
        step before has seen does not count."""
        self.enter_stage(candidate, stable, forget)
        self.base(query_all(self._url, self.queries(), self._timeout))

    def sample(self) -> Sample:
        """One look, now. A Prometheus that does not answer is an unknown sample, never an exception."""
        return self.take(query_all(self._url, self.queries(), self._timeout))

    # -- the same in two halves, for who asks for several releases at once ----------------------------------------

    def enter_stage(self, candidate: Release, stable: Release | None, forget: bool = False) -> None:
        """begin_stage() without its reading, which base() takes."""
        statistics.preload()
        self._scopes = self._scoped(candidate, stable)
        self._began = self._clock.monotonic()
        self._judge.begin_stage(self._began, forget)

    def base(self, answers: Answers) -> None:
        """The counters that the stage counts from: the answers to queries(), in that order."""
        self._judge.base(self._read(answers))

    def queries(self) -> list[str]:
        """What one look asks; goes with take()."""
        self._asked = self._wanted()
        return [expression for _metric, _part, expression in self._asked]

    def take(self, answers: Answers) -> Sample:
        """Judge the answers to queries(), in that order."""
        return self._judge.look(self._clock.monotonic(), self._read(answers))

    # -- across processes ------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """All that the next process needs to go on, as plain JSON data."""
        return self._judge.state()

    def restore(self, state: dict[str, Any]) -> None:
        """The inverse of state(); call it before begin_stage() or resume_stage()."""
        self._judge.restore(state)

    def resume_stage(self, candidate: Release, stable: Release | None) -> None:
        """After restore(), go on with the stage that was under way: what it has seen counts."""
        self._scopes = self._scoped(candidate, stable)
        self._began = self._clock.monotonic() - self._judge.stage_age

    def _scoped(self, candidate: Release, stable: Release | None) -> tuple[Scope, Scope | None]:
        return self._scope(candidate), self._scope(stable) if stable is not None else None

    def _scope(self, release: Release) -> Scope:
        return Scope(self._target.namespace, self._target.name, release.slot, release.version)

    def _wanted(self) -> list[tuple[Metric, str, str]]:
        """Metric, part and PromQL of each query: by metric, the new version's before the stable one's."""
        if self._scopes is None:
            raise ValueError("no stage has begun")
        age = self._clock.monotonic() - self._began
        return [
            (metric, part, scope.fill(template, min(metric.window, age)))
            for metric in self._metrics
            for scope in self._scopes
            if scope is not None
            for part, template in metric.parts.items()
        ]

    def _read(self, answers: Answers) -> Readings:
        given = iter(zip(self._asked, answers))  # noqa: B905
        readings: Readings = {}
        for metric in self._metrics:
            sides = [_reading([next(given) for _part in metric.parts]) for scope in self._scopes or () if scope]
            readings[metric.name] = (sides[0], sides[1] if len(sides) > 1 else None)
        return readings


def _reading(answered: list[tuple[tuple[Metric, str, str], Any]]) -> Reading:
    query = " / ".join(expression for (_metric, _part, expression), _answer in answered)
    error = next((str(answer) for _wanted, answer in answered if isinstance(answer, QueryError)), "")
    if error:
        return Reading(query, error=error)
    return Reading(query, {part: answer for (_metric, part, _expression), answer in answered})
