# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two versions with counters, read by the judge without a server between."""

from __future__ import annotations

from typing import Any

from ansible_collections.churnguard.ops.plugins.module_utils._prometheus.api import Series
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.evidence import Reading
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.judge import Judge, Sample
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.metrics import Metric, default_metrics

from .prometheus import Application

CANDIDATE, STABLE = ("green", "v2"), ("blue", "v1")
ERRORS, LATENCY, PREDICTIONS = default_metrics()


class Bench:
    """A judge at work: C(serve) lets a version answer requests, C(look) lets time pass and judges.

    C(broken) is the error of every reading while it is not empty; C(values) holds what metrics of kind value yield,
    by side ("candidate", "stable"); without C(stable) there is nothing to compare with.
    """

    def __init__(self, *metrics: Metric, looks: int = 100, **options: Any) -> None:
        self.metrics = list(metrics) or default_metrics()
        self.options = {"looks": looks, **options}
        self.judge = Judge(self.metrics, **self.options)
        self.application = Application()
        self.now = 5000.0
        self.broken = ""
        self.values: dict[str, list[float]] = {"candidate": [], "stable": []}
        self.stable = True
        self.begin_stage()

    def begin_stage(self, forget: bool = False) -> None:
        self.judge.begin_stage(self.now, forget)
        self.judge.base(self.readings())

    def serve(self, requests: float, errors: float = 0, seconds: float = 0.03, **more: Any) -> None:
        """By the new version."""
        self.application.served(*CANDIDATE, requests, errors, seconds, **more)

    def serve_stable(self, requests: float, errors: float = 0, seconds: float = 0.03, **more: Any) -> None:
        self.application.served(*STABLE, requests, errors, seconds, **more)

    def look(self, seconds: float = 10.0) -> Sample:
        self.now += seconds
        return self.judge.look(self.now, self.readings())

    def readings(self) -> dict[str, tuple[Reading, Reading | None]]:
        return {
            metric.name: (
                self._reading(metric, CANDIDATE, "candidate"),
                self._reading(metric, STABLE, "stable") if self.stable else None,
            )
            for metric in self.metrics
        }

    def _reading(self, metric: Metric, who: tuple[str, str], side: str) -> Reading:
        if self.broken:
            return Reading("q", error=self.broken)
        if metric.kind == "value":
            return Reading("q", {"query": [Series({}, value) for value in self.values[side]]})
        matchers = 'slot="{}",version="{}"'.format(*who)
        found = {
            part: self.application.answer(text.replace("$selector", matchers)) for part, text in metric.parts.items()
        }
        return Reading("q", {part: [Series(*series) for series in vector] for part, vector in found.items()})
