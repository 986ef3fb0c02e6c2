# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges services for a while, many at once, outside of a rollout. Internal: may change in any release."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from .._common.clock import Clock, isoformat
from .._common.envelope import FAILED, NOT_CHECKED, PASSED, Recorder
from .._prometheus.api import QueryError, Series, query_all
from .analysis import Analysis
from .judge import BAD, GOOD, Sample
from .metrics import KIND_LATENCY, KIND_RATIO, Metric
from .model import HTTP_ROUTE, Release, Target

# More samples of one service are not kept as evidence; the last ones are what decided.
_KEPT = 20
# What a look leaves in the timeline for each metric; queries and reasons are in the evidence.
_TOLD = (
    "name",
    "kind",
    "verdict",
    "decisive",
    "value",
    "stable_value",
    "limit",
    "n",
    "n_stable",
    "p_value",
    "window_s",
)


@dataclass(frozen=True)
class Subject:
    """A service to judge. Without C(slot) and C(version) all its series count; without those of a stable version only
    limits are tested."""

    name: str
    namespace: str
    slot: str = ""
    version: str = ""
    stable_slot: str = ""
    stable_version: str = ""

    @property
    def stable(self) -> Release | None:
        if not self.stable_slot and not self.stable_version:
            return None
        return Release(self.stable_slot, self.stable_version, "", 0)

    @property
    def candidate(self) -> Release:
        return Release(self.slot, self.version, "", 0)

    def __str__(self) -> str:
        details = " ".join(part for part in (self.version, self.slot) if part)
        return f"{self.namespace}/{self.name}" + (f" ({details})" if details else "")


@dataclass(frozen=True)
class Patience:
    """Times in seconds: a look every C(interval) for C(duration), and up to C(max_hold) longer while a service is not
    good or has fewer than C(least_good) good samples."""

    interval: float
    duration: float
    max_hold: float
    least_good: int

    @property
    def looks(self) -> int:
        """The most looks that one service can get."""
        return math.ceil(self.duration / self.interval) + math.ceil(self.max_hold / self.interval)


@dataclass
class Watch:
    """One service while it is judged. C(passed) is None until that is decided."""

    subject: Subject
    analysis: Analysis
    began: float
    good: int = 0
    looks: int = 0
    troubled: float | None = None
    passed: bool | None = None
    reason: str = ""
    samples: list[dict[str, Any]] = field(default_factory=list)
    last: Sample | None = None

    def take(self, sample: Sample, now: float, patience: Patience) -> None:
        """Take a sample in, and decide if it can be."""
        self.last, self.reason = sample, sample.reason
        self.looks += 1
        if sample.verdict == GOOD:
            self.good += 1
            self.troubled = None
        elif self.troubled is None:
            self.troubled = now
        if sample.verdict == BAD and sample.decisive:
            self.passed = False
            return
        over = now - self.began >= patience.duration
        if over and sample.verdict == GOOD and self.good >= patience.least_good:
            self.passed = True
        elif self.troubled is not None and now - self.troubled >= patience.max_hold:
            self._fail(f"{sample.verdict} for {now - self.troubled:.0f} s (max_hold): {sample.reason}")
        elif now - self.began >= patience.duration + patience.max_hold:
            self._fail(f"{self.good} good samples, {patience.least_good} are needed: {sample.reason}")

    def _fail(self, reason: str) -> None:
        self.passed, self.reason = False, reason

    def state(self, sample: Sample, now: float, patience: Patience) -> dict[str, Any]:
        """The look as data for those who watch: how it went, and how long it may go on (seconds)."""
        troubled = None if self.troubled is None else round(now - self.troubled, 1)
        return {
            "subject": str(self.subject),
            "step": f"look {self.looks}",
            "verdict": sample.verdict,
            "decisive": sample.decisive,
            "cause": sample.cause,
            "reason": sample.reason,
            "results": [{key: getattr(result, key) for key in _TOLD} for result in sample.results],
            "left_s": round(max(self.began + patience.duration - now, 0.0), 1),
            "troubled_s": troubled,
            "max_hold_s": patience.max_hold,
        }


def short_names(subjects: Sequence[Subject]) -> dict[Subject, str]:
    """The shortest name for each that tells it from the others."""
    forms: tuple[Callable[[Subject], str], ...] = (
        lambda one: one.name,
        lambda one: one.version,
        lambda one: one.slot,
        lambda one: one.namespace,
    )
    for form in forms:
        names = [form(one) for one in subjects]
        if all(names) and len(set(names)) == len(subjects):
            return dict(zip(subjects, names))  # noqa: B905 - strict is not known to Python 3.9
    return {one: str(one) for one in subjects}


class Gate:
    """Judges C(subjects) side by side: one round of queries for all of them, every interval."""

    def __init__(
        self,
        url: str,
        subjects: Sequence[Subject],
        metrics: Sequence[Metric],
        patience: Patience,
        clock: Clock,
        recorder: Recorder,
        timeout: float = 5.0,
        **judging: Any,
    ) -> None:
        """C(judging) are the judge's options: false_alarm, pass_score, force_forward."""
        self._url = url
        self._metrics = {metric.name: metric for metric in metrics}
        self._patience = patience
        self._clock = clock
        self._recorder = recorder
        self._timeout = timeout
        self.late = 0
        self._names = short_names(subjects)
        begin = clock.monotonic()
        self.watches = []
        for subject in subjects:
            target = Target(subject.name, subject.namespace, (subject.slot, subject.stable_slot), HTTP_ROUTE, "")
            analysis = Analysis(url, metrics, target, clock, patience.looks, timeout=timeout, **judging)
            self.watches.append(Watch(subject, analysis, begin))

    def check(self) -> str:
        """Ask every query once. Raises OperationError for one that Prometheus refuses; returns why it cannot be
        reached, or ""."""
        for watch in self.watches:
            away = watch.analysis.check(watch.subject.candidate, watch.subject.stable)
            if away:
                return away
        return ""

    def run(self) -> bool:
        """Judge until all is decided; whether all services are good."""
        begin = self._clock.monotonic()
        patience = self._patience
        self._recorder.event(
            "judging",
            f"{len(self.watches)} service{'s' * (len(self.watches) > 1)} by {', '.join(self._metrics)}: a look every "
            f"{patience.interval:g} s for {patience.duration:g} s, and up to {patience.max_hold:g} s longer",
        )
        for watch in self.watches:
            watch.began = begin
            watch.analysis.enter_stage(watch.subject.candidate, watch.subject.stable)
        for watch, answers in self._ask(self.watches):
            watch.analysis.base(answers)
        due = begin
        while pending := [watch for watch in self.watches if watch.passed is None]:
            due += self._patience.interval
            wait = due - self._clock.monotonic()
            if wait > 0:
                self._clock.sleep(wait)
            self._round(pending, due)
        self._report()
        return all(watch.passed for watch in self.watches)

    def _round(self, pending: list[Watch], due: float) -> None:
        for watch, answers in self._ask(pending):
            sample = watch.analysis.take(answers)
            watch.take(sample, self._clock.monotonic(), self._patience)
            self._note(watch, sample)
        # Late is a round that ends when the next one should begin.
        if self._clock.monotonic() - due >= self._patience.interval:
            self.late += 1

    def _ask(self, watches: list[Watch]) -> list[tuple[Watch, list[list[Series] | QueryError]]]:
        wanted = [watch.analysis.queries() for watch in watches]
        answers = query_all(self._url, [query for queries in wanted for query in queries], self._timeout)
        given, result = iter(answers), []
        for watch, queries in zip(watches, wanted):  # noqa: B905 - strict is not known to Python 3.9
            result.append((watch, [next(given) for _query in queries]))
        return result

    def _note(self, watch: Watch, sample: Sample) -> None:
        at = isoformat(self._clock.now())
        watch.samples = [*watch.samples[1 - _KEPT :], {"at": at, **sample.plain()}]
        data = watch.state(sample, self._clock.monotonic(), self._patience)
        if len(self.watches) > 1:
            data["service"] = self._names[watch.subject]
        self._recorder.event("sample", f"{watch.subject} {sample.verdict}: {sample.reason}", data)
        if watch.passed is not None:
            word = "passed" if watch.passed else "failed"
            self._recorder.event(word, f"{watch.subject}: {watch.reason}")

    def _report(self) -> None:
        for watch in self.watches:
            self._measure(watch)
            verdict = PASSED if watch.passed else FAILED
            self._recorder.evidence.append(
                {"subject": asdict(watch.subject), "verdict": verdict, "reason": watch.reason, "samples": watch.samples}
            )
        self._recorder.measure("late_looks", self.late, "looks")

    def _measure(self, watch: Watch) -> None:
        enough = watch.good >= self._patience.least_good
        self._recorder.measure(
            "good_samples",
            watch.good,
            "samples",
            verdict=PASSED if enough else FAILED,
            reason=f"{watch.subject}: {watch.good} of {watch.looks}, at least {self._patience.least_good}",
        )
        words = {GOOD: PASSED, BAD: FAILED}
        for result in watch.last.results if watch.last else []:
            unit = {KIND_RATIO: "ratio", KIND_LATENCY: "s"}.get(self._metrics[result.name].kind, "")
            verdict = words.get(result.verdict, NOT_CHECKED)
            self._recorder.measure(
                result.name, result.value, unit, result.limit, verdict, f"{watch.subject}: {result.reason}"
            )
