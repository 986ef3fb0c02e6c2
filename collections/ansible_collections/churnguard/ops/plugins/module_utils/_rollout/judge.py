# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Good, bad or unknown: judges a version from what was measured, look by look. No I/O. Internal: may change in any
release."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from .evidence import Evidence, Readings
from .metrics import KIND_VALUE, PROBE, Metric
from .verdicts import (
    BAD,
    GOOD,
    NO_DATA,
    STABLE_UNHEALTHY,
    UNAVAILABLE,
    UNKNOWN,
    Look,
    MetricResult,
    judge_counts,
    judge_value,
    unavailable,
)

__all__ = ["BAD", "GOOD", "NO_DATA", "STABLE_UNHEALTHY", "UNAVAILABLE", "UNKNOWN", "Judge", "MetricResult", "Sample"]


@dataclass
class Sample:
    """What one look says. C(cause) is "" for good, else "bad", "no_data", "metrics_unavailable" or "stable_unhealthy";
    C(wants_probe) asks for requests of one's own, because there is too little traffic."""

    verdict: str
    decisive: bool = False
    cause: str = ""
    reason: str = ""
    results: list[MetricResult] = field(default_factory=list)
    wants_probe: bool = False

    def plain(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


class Judge:
    """Judges one release over all its looks.

    C(looks) is how often it will be looked at, frozen time included; C(false_alarm) is the probability that a version
    no different from the stable one is called decisively bad at any of them. C(pass_score) is the per cent of weight
    that must be good among the metrics that are good or bad. With C(force_forward), a limit that the stable version
    breaks as well is ignored.
    """

    def __init__(
        self,
        metrics: Sequence[Metric],
        looks: int,
        false_alarm: float = 0.01,
        pass_score: float = 100.0,
        force_forward: bool = False,
    ) -> None:
        self._metrics = list(metrics)
        self._planned = max(looks, 1)
        self._false_alarm = false_alarm
        self._pass_score = pass_score
        self._force_forward = force_forward
        self._tests = max(sum(metric.tests for metric in self._metrics), 1)
        self._evidence = {metric.name: Evidence(metric) for metric in self._metrics}
        self._looks = 0
        # Time of the judge's own: the seconds between looks added up, so that no clock can take it back.
        self._time = 0.0
        self._began = 0.0
        self._seen: float | None = None

    def begin_stage(self, now: float, forget: bool = False) -> None:
        """A step at a constant weight begins at C(now) (seconds): evidence of the stage starts empty, that of the
        release stays. With C(forget), what the stage that ends has seen is thrown away."""
        self._advance(now)
        self._began = self._time
        for evidence in self._evidence.values():
            if forget:
                evidence.forget_stage()
            evidence.begin_stage()

    def base(self, readings: Readings) -> None:
        """Counters as they stand when a stage begins. Without this the first look is what the others count from."""
        for name, pair in readings.items():
            if name in self._evidence and not _failed(pair):
                self._evidence[name].base(pair)

    def look(self, now: float, readings: Readings) -> Sample:
        """Take in what was read at C(now) (seconds), and judge."""
        self._advance(now)
        self._looks += 1
        look = Look(self._time, self.stage_age, self._share(), self._false_alarm / self._tests, self._force_forward)
        results = [self._examine(metric, readings, look) for metric in self._metrics]
        return self._conclude(results)

    @property
    def stage_age(self) -> float:
        """Seconds since the stage began, up to the newest look."""
        return self._time - self._began

    def state(self) -> dict[str, Any]:
        """All that the next process needs to go on, as plain JSON data."""
        return {
            "looks": self._looks,
            "age": round(self.stage_age, 3),
            "metrics": {name: evidence.state(self._time) for name, evidence in self._evidence.items()},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """The inverse of state(). The time between the two is not known and does not count; a metric that is not in it
        begins anew."""
        if not state:
            return
        self._looks, self._time, self._began, self._seen = int(state["looks"]), float(state["age"]), 0.0, None
        for name, evidence in self._evidence.items():
            if name in state["metrics"]:
                evidence.restore(state["metrics"][name], self._time)

    def _advance(self, now: float) -> None:
        if self._seen is not None:
            self._time += max(now - self._seen, 0.0)
        self._seen = now

    def _share(self) -> float:
        """What one test may use up of the false-alarm probability: Bonferroni's share over all planned looks. Looks
        beyond the plan get shares that add up to no more than one further look's."""
        if self._looks <= self._planned:
            return self._false_alarm / (self._planned * self._tests)
        return self._false_alarm / (self._looks * (self._looks + 1) * self._tests)

    def _examine(self, metric: Metric, readings: Readings, look: Look) -> MetricResult:
        pair = readings.get(metric.name)
        if pair is None or _failed(pair):
            broken = next((reading for reading in pair or () if reading is not None and reading.error), None)
            return unavailable(metric, broken)
        evidence = self._evidence[metric.name]
        if metric.kind == KIND_VALUE:
            return judge_value(metric, evidence, pair, look)
        evidence.add(look.now, pair)
        return judge_counts(metric, evidence, pair[0].query, look)

    def _conclude(self, results: list[MetricResult]) -> Sample:
        pairs = list(zip(self._metrics, results))  # noqa: B905 - strict is not known to Python 3.9
        probe = any(result.cause == NO_DATA and metric.on_no_data == PROBE for metric, result in pairs)
        decisive = self._fails(pairs, lambda result: result.decisive)
        if self._fails(pairs, lambda result: True):
            worst = sorted((result for result in results if result.verdict == BAD), key=lambda one: not one.decisive)
            cause = NO_DATA if all(result.cause == NO_DATA for result in worst) else BAD
            return Sample(BAD, decisive, cause, worst[0].reason, results, probe)
        for cause in (STABLE_UNHEALTHY, UNAVAILABLE, NO_DATA):
            for metric, result in pairs:
                if result.cause == cause and result.verdict == UNKNOWN and metric.critical:
                    return Sample(UNKNOWN, False, cause, result.reason, results, probe)
        good = [result for result in results if result.verdict == GOOD]
        if not good:
            return Sample(UNKNOWN, False, results[0].cause, results[0].reason, results, probe)
        return Sample(GOOD, reason="; ".join(result.reason for result in good), results=results, wants_probe=probe)

    def _fails(self, pairs: list[tuple[Metric, MetricResult]], counts: Any) -> bool:
        """Whether the bad results that count are enough to fail: a critical one, or too much weight."""
        bad = [metric for metric, result in pairs if result.verdict == BAD and counts(result)]
        if any(metric.critical for metric in bad):
            return True
        judged = sum(metric.weight for metric, result in pairs if result.verdict != UNKNOWN)
        return bool(bad) and 100.0 * (1 - sum(metric.weight for metric in bad) / judged) < self._pass_score


def _failed(pair: tuple[Any, Any]) -> bool:
    return any(reading is not None and reading.error for reading in pair)
