# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the evidence about one metric to its verdict. No I/O. Internal: may change in any release."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from . import comparison, statistics
from .evidence import Evidence, Reading, Tally, bins, size
from .metrics import FAIL, KIND_LATENCY, KIND_RATIO, PASS, Metric

GOOD, BAD, UNKNOWN = "good", "bad", "unknown"
NO_DATA, UNAVAILABLE, STABLE_UNHEALTHY = "no_data", "metrics_unavailable", "stable_unhealthy"

# A single bad request never freezes: below 1/limit requests it would always be "over the limit".
_LEAST_EVENTS = 2
# A stage over its limit is let off only above this p-value. It may be this high, as a healthy version is well below
# its limit, while one no worse than the stable version is not below that.
_RATHER_OVER = 0.125
# Above this p-value the new version counts as no worse than a stable one that is itself unhealthy.
_NO_WORSE = 0.05
# A value is decisively bad when so many of its newest samples are.
_BAD_VALUES, _OF_VALUES = 2, 5


@dataclass
class MetricResult:
    """What one look says about one metric. C(kind) is the metric's and gives its figures their unit. C(n) are the new
    version's requests since the step began, C(p_value) is the smallest of the look's tests, None where none was needed
    because the new version does not look worse."""

    name: str
    verdict: str = GOOD
    decisive: bool = False
    query: str = ""
    window_s: float = 0.0
    n: int | None = None
    n_stable: int | None = None
    value: float | None = None
    stable_value: float | None = None
    limit: float | None = None
    p_value: float | None = None
    reason: str = ""
    cause: str = ""
    kind: str = ""

    def plain(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


@dataclass(frozen=True)
class Look:
    """The circumstances of a look: C(now) and C(age) of the stage in seconds, and the levels of its tests. A p-value
    below C(suspicion) freezes: the false-alarm probability divided by the tests of one look. One below C(share) takes
    back: that divided by all looks of the release."""

    now: float
    age: float
    share: float
    suspicion: float
    force_forward: bool


@dataclass(frozen=True)
class _Measured:
    """A tally in figures: C(over) requests of C(n) break the limit."""

    n: int
    over: int
    value: float | None


def unavailable(metric: Metric, reading: Reading | None) -> MetricResult:
    """The result where Prometheus did not answer."""
    reason = f"{metric.name}: Prometheus gave no answer: {reading.error if reading else 'it was not asked'}"
    query = reading.query if reading else ""
    result = MetricResult(metric.name, UNKNOWN, query=query, limit=metric.limit, kind=metric.kind)
    result.reason, result.cause = reason, UNAVAILABLE
    return result


def judge_counts(metric: Metric, evidence: Evidence, query: str, look: Look) -> MetricResult:
    """A ratio or a latency, from its counters."""
    recent, _recent0, seconds = evidence.window(look.now, metric.min_requests)
    stage, stage0 = _measure(metric, evidence.candidate.stage), _measure(metric, evidence.stable.stage)
    result = MetricResult(metric.name, query=query, limit=metric.limit, kind=metric.kind)
    result.window_s = round(min(seconds, look.age), 1)
    result.n, result.n_stable = stage.n, stage0.n
    result.value, result.stable_value = stage.value, stage0.value
    missing, alone = _missing(metric, evidence, look, stage.n, stage0.n)
    missing = missing or _untestable(metric, evidence.candidate.stage)
    notes = [_describe(metric, stage, stage0)]
    if metric.limit is not None:
        newest = _measure(metric, recent)
        _test_limit(metric, result, newest, stage, look, notes)
        _weigh_stable(metric, evidence, result, stage, stage0, alone, look, notes)
    if metric.compare and alone:
        notes.append("the stable version gets no traffic, so it is not compared")
    elif metric.compare and min(stage.n, stage0.n) >= metric.min_requests:
        _test_comparison(metric, evidence, result, look, notes)
    if missing and not result.decisive and not (result.verdict == BAD and stage.n >= metric.min_requests):
        _no_data(metric, result, missing, look)
        notes = [result.reason]
    result.reason = f"{metric.name} {', '.join(notes)}"
    return result


def judge_value(
    metric: Metric, evidence: Evidence, readings: tuple[Reading, Reading | None], look: Look
) -> MetricResult:
    """A value, from its readings alone."""
    result = MetricResult(metric.name, query=readings[0].query, limit=metric.limit, kind=metric.kind)
    result.window_s = round(min(metric.window, look.age), 1)
    result.value, missing = _single(readings[0])
    if readings[1] is not None:
        result.stable_value = _single(readings[1])[0]
    if result.value is None:
        _no_data(metric, result, missing, look)
        result.reason = f"{metric.name} {result.reason}"
        return result
    value, stable = result.value, result.stable_value
    notes = [f"{value:.4g}" + (f" (stable {stable:.4g})" if stable is not None else "")]
    if _beyond(metric, value, metric.limit):
        result.verdict = BAD
        notes.append(f"beyond the limit {metric.limit:g}")
        if stable is not None and _beyond(metric, stable, metric.limit) and not _beyond(metric, value, stable):
            _spare(result, look, notes)
    if metric.max_change is not None and stable is not None:
        change = _change(metric, value, stable)
        if change > metric.max_change:
            result.verdict, result.cause = BAD, ""
            notes.append(f"{change:.1%} worse than the stable version, limit {metric.max_change:.1%}")
    evidence.bad = [*evidence.bad[1 - _OF_VALUES :], result.verdict == BAD]
    result.decisive = result.verdict == BAD and sum(evidence.bad) >= _BAD_VALUES
    if _beyond(metric, value, metric.hard_limit):
        result.verdict, result.decisive, result.cause = BAD, True, ""
        notes.append(f"beyond the hard limit {metric.hard_limit:g}")
    if metric.max_change is not None and stable is None:
        notes.append("the stable version has no value to compare with")
    result.reason = f"{metric.name} {', '.join(notes)}"
    return result


# -- limits ------------------------------------------------------------------------------------------------------------


def _measure(metric: Metric, tally: Tally) -> _Measured:
    n = size(tally, metric)
    if metric.kind == KIND_RATIO:
        events = tally.get("numerator", 0)
        return _Measured(n, events if metric.rises else max(n - events, 0), events / n if n else None)
    bounds, counts, _same = bins(tally)
    return _Measured(n, n - _within(bounds, counts, metric.limit), statistics.quantile(bounds, counts, metric.quantile))


def _within(bounds: list[float], counts: list[int], limit: float | None) -> int:
    """Requests that are known to have kept the limit, or may have: those up to the first bound that is not below it."""
    within = 0
    for bound, count in zip(bounds, counts):  # noqa: B905 - strict is not known to Python 3.9
        within += count
        if limit is None or bound >= limit:
            break
    return within if limit is not None else sum(counts)


def _test_limit(
    metric: Metric, result: MetricResult, newest: _Measured, stage: _Measured, look: Look, notes: list[str]
) -> None:
    """Bad when the newest window breaks the limit, or the whole stage does and chance hardly explains it."""
    allowed = metric.allowed_share
    over = newest.over >= _LEAST_EVENTS and newest.over > allowed * newest.n
    p_newest = _p_over(newest, allowed)
    p_stage = p_newest if newest == stage else _p_over(stage, allowed)
    result.p_value = _smallest(result.p_value, p_newest, p_stage)
    surely = min(p_newest, p_stage) <= look.share
    if not over and not surely and p_stage > _RATHER_OVER:
        return
    result.verdict, result.decisive = BAD, surely
    # The window is what broke the limit where the stage as a whole keeps it.
    worst = newest if p_newest < p_stage or stage.over <= allowed * stage.n else stage
    when = "" if worst is stage else f" in the last {result.window_s:.0f} s"
    result.value = worst.value
    certainty = "beyond doubt" if surely else "possibly by chance"
    p_value = min(p_newest, p_stage)
    notes.append(f"{worst.over} of {worst.n} requests beyond the limit{when}, {certainty} (p={p_value:.1g})")


def _p_over(measured: _Measured, allowed: float) -> float:
    if measured.over <= allowed * measured.n:
        return 1.0
    return statistics.p_share_above(measured.over, measured.n, allowed)


def _weigh_stable(
    metric: Metric,
    evidence: Evidence,
    result: MetricResult,
    stage: _Measured,
    stage0: _Measured,
    alone: bool,
    look: Look,
    notes: list[str],
) -> None:
    """A limit that the stable version breaks as well says nothing about the new one."""
    if not alone and stage0.n >= metric.min_requests:
        evidence.stable_over = stage0.over >= _LEAST_EVENTS and stage0.over > metric.allowed_share * stage0.n
    if result.verdict != BAD or not evidence.stable_over:
        return
    if alone:
        # What it was like can be remembered, but only who said to go forward may rely on that.
        if look.force_forward:
            _spare(result, look, notes)
        return
    if statistics.p_ratio_worse(stage.over, stage.n, stage0.over, stage0.n, rises=True) > _NO_WORSE:
        _spare(result, look, notes)


def _spare(result: MetricResult, look: Look, notes: list[str]) -> None:
    notes.append("the stable version breaks the limit too and the new one is no worse")
    result.decisive = False
    if look.force_forward:
        result.verdict = GOOD
        notes.append("ignored, because force_forward is set")
    else:
        result.verdict, result.cause = UNKNOWN, STABLE_UNHEALTHY


# -- comparison --------------------------------------------------------------------------------------------------------


def _test_comparison(metric: Metric, evidence: Evidence, result: MetricResult, look: Look, notes: list[str]) -> None:
    """Bad when the stage is worse than stable at the level that freezes; decisive when it, or all stages together, are
    at the one that takes back."""
    stage, release = comparison.compare(metric, evidence)
    result.p_value = _smallest(result.p_value, stage.p_value, release.p_value)
    surely = [found for found in (stage, release) if found.matters and found.p_value <= look.share]
    if not surely and not (stage.matters and stage.p_value <= look.suspicion):
        return
    found = surely[0] if surely else stage
    result.verdict, result.cause = BAD, ""
    result.decisive = result.decisive or bool(surely)
    where = "over all steps" if found is release and release is not stage else "in this step"
    certainty = "beyond doubt" if surely else "possibly by chance"
    notes.append(f"worse than the stable version {where}: {found.detail}, {certainty} (p={found.p_value:.1g})")


# -- no data -----------------------------------------------------------------------------------------------------------


def _missing(metric: Metric, evidence: Evidence, look: Look, n: int, n0: int) -> tuple[str, bool]:
    """What there is too little of, and whether there is nothing to compare with: so many requests of the new version
    without one of the stable version mean that this gets no traffic, as in the bake."""
    enough, enough0 = n >= metric.min_requests, n0 >= metric.min_requests
    alone = not enough0 and evidence.since_stable() >= metric.min_requests
    if not enough:
        return f"{n} requests since the step began, {metric.min_requests} are needed", alone
    if not evidence.fresh(look.now):
        return f"no request in the last {metric.window:.0f} s", alone
    if metric.compare and not enough0 and not alone:
        return f"{n0} requests of the stable version, {metric.min_requests} are needed", alone
    return "", alone


def _untestable(metric: Metric, stage: Tally) -> str:
    """Why requests beyond the limit cannot be counted."""
    if metric.kind != KIND_LATENCY or metric.limit is None:
        return ""
    known = max((float(bound) for bound in stage if bound != "+Inf"), default=metric.limit)
    return f"there is no bucket at or above the limit {metric.limit:g} s" if known < metric.limit else ""


def _no_data(metric: Metric, result: MetricResult, missing: str, look: Look) -> None:
    result.reason = f"has too little data: {missing}"
    if metric.on_no_data == PASS:
        result.verdict, result.decisive = GOOD, False
        result.reason += ", which passes by on_no_data"
        return
    result.cause = NO_DATA
    if metric.on_no_data == FAIL:
        # At once, no series could have been there yet.
        result.verdict, result.decisive = BAD, look.age >= metric.window
        result.reason += ", which fails by on_no_data"
        return
    result.verdict = UNKNOWN


# -- values and words --------------------------------------------------------------------------------------------------


def _single(reading: Reading) -> tuple[float | None, str]:
    series = [one for part in reading.parts.values() for one in part]
    if len(series) != 1:
        return None, f"the query yields {len(series) or 'no'} series, one is needed"
    if not series[0].finite:
        return None, f"the query yields {series[0].value}"
    return series[0].value, ""


def _beyond(metric: Metric, value: float, limit: float | None) -> bool:
    if limit is None:
        return False
    return value > limit if metric.rises else value < limit


def _change(metric: Metric, value: float, stable: float) -> float:
    """How much worse than stable, relative to it; negative for better."""
    worse = value - stable if metric.rises else stable - value
    if stable:
        return worse / abs(stable)
    return float("inf") if worse > 0 else 0.0


def _describe(metric: Metric, stage: _Measured, stage0: _Measured) -> str:
    beside = [f"limit {_figure(metric, metric.limit)}"] if metric.limit is not None else []
    if stage0.n:
        beside.append(f"stable {_figure(metric, stage0.value)} of {stage0.n}")
    return f"{_figure(metric, stage.value)} of {stage.n} requests" + (f" ({', '.join(beside)})" if beside else "")


def _figure(metric: Metric, value: float | None) -> str:
    if value is None:
        return "nothing"
    return f"{value:.3g} s" if metric.kind == KIND_LATENCY else f"{100 * value:.3g} %"


def _smallest(*p_values: float | None) -> float | None:
    """The smallest p-value that a test gave; 1 stands for a test that was not needed."""
    given = [p for p in p_values if p is not None and p < 1.0]
    return min(given) if given else None
