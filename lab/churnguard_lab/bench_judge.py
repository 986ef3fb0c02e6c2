"""How often the judge is wrong: whole releases, simulated with counters and real buckets, through the real judge.

    python -m churnguard_lab.bench_judge --runs 500

On the same traffic, side by side: the operations guide's loop, which takes back at the first bad sample, and a loop
that tolerates three bad samples of a metric (failureLimit 3 of Argo Rollouts). The release is the guide's: five steps
of 600 s with a look every 30 s, then a bake of 300 s. A release that stays frozen for max_hold (600 s) counts as taken
back.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
from churnguard_api.metrics import BUCKETS
from numpy.random import Generator
from scipy.special import ndtr

from churnguard_lab.bench import figure, table

sys.path.append(str(Path(__file__).resolve().parents[2] / "collections"))

from ansible_collections.churnguard.ops.plugins.module_utils._prometheus.api import Series  # noqa: E402
from ansible_collections.churnguard.ops.plugins.module_utils._rollout import statistics  # noqa: E402
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.evidence import Reading, Readings  # noqa: E402
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.hold import Hold  # noqa: E402
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.judge import Judge  # noqa: E402
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.metrics import default_metrics  # noqa: E402

WEIGHTS = (10, 25, 50, 75, 100)
INTERVAL_S, MAX_HOLD_S = 30.0, 600.0
#: Looks in each step and in the bake, as the guide's times have it.
STEP_LOOKS, BAKE_LOOKS = 20, 10
PLANNED_LOOKS = len(WEIGHTS) * STEP_LOOKS + BAKE_LOOKS + round(MAX_HOLD_S / INTERVAL_S)
#: Half of the good replies give a prediction; a healthy version fails in 0.5 % of requests.
PREDICTIONS, HEALTHY_ERRORS = 0.5, 0.005
#: Median durations are drawn between these, so that no result hangs on where a bucket begins.
FASTEST_S, SLOWEST_S = 0.05, 0.12
#: The loops judge the last minute by the guide's limits.
LOOP_LOOKS = 2
ERROR_LIMIT, P99_LIMIT_S, DROP_LIMIT = 0.01, 2.0, 0.05
SEED = 20261121

JUDGE, GUIDE, LIMIT_3 = "judge", "first_bad_sample", "failure_limit_3"
#: Bad samples of one metric that a loop tolerates.
TOLERATED = {GUIDE: 0, LIMIT_3: 3}


@dataclass(frozen=True)
class Scenario:
    """A release: what is wrong with the new version, and how much traffic there is.

    `errors` is its share of errors, `slower` its durations by the stable version's, `sigma` the spread of their
    logarithms. `per_step` are the requests of each version in each step; with `rate`, so many requests a second are
    split by the weights instead.
    """

    errors: float = HEALTHY_ERRORS
    slower: float = 1.0
    sigma: float = 0.5
    per_step: int = 300
    rate: float = 0.0

    def requests(self, stage: int) -> tuple[int, int]:
        """Of the new and of the stable version between two looks; in the bake all are the new one's."""
        weight = WEIGHTS[stage] if stage < len(WEIGHTS) else 100
        if self.rate:
            both = round(self.rate * INTERVAL_S)
            return both * weight // 100, both - both * weight // 100
        each = round(self.per_step / STEP_LOOKS)
        return each, each if stage < len(WEIGHTS) else 0


@dataclass(frozen=True)
class Outcome:
    """How a release ended: by what it was taken back ("" if it was not), after how many looks, of which `frozen` held
    the weight, and how many requests the new version had answered with an error by then."""

    why: str
    looks: int
    frozen: int
    bad_requests: int


class Version:
    """What one version counts from look to look: requests, failed ones, predictions, then requests by bucket."""

    def __init__(self, errors: float, median: float, sigma: float) -> None:
        below = ndtr((numpy.log(numpy.array(BUCKETS)) - math.log(median)) / sigma)
        self._shares = numpy.diff(numpy.concatenate([[0.0], below, [1.0]]))
        self._errors = errors

    def draw(self, rng: Generator, requests: int) -> Any:
        failed = rng.binomial(requests, self._errors)
        predicted = rng.binomial(requests - failed, PREDICTIONS)
        return numpy.concatenate([[requests, failed, predicted], rng.multinomial(requests, self._shares)])


class Traffic:
    """The traffic of one release. Each step has its own chance, so that everyone who looks sees the same requests,
    however long the steps before were held."""

    def __init__(self, scenario: Scenario, rng: Generator) -> None:
        median = math.exp(rng.uniform(math.log(FASTEST_S), math.log(SLOWEST_S)))
        self._scenario = scenario
        self._new = Version(scenario.errors, median * scenario.slower, scenario.sigma)
        self._stable = Version(HEALTHY_ERRORS, median, scenario.sigma)
        self._chances = rng.spawn(len(WEIGHTS) + 1)
        self._drawn: list[list[tuple[Any, Any]]] = [[] for _chance in self._chances]

    def between(self, stage: int, look: int) -> tuple[Any, Any]:
        """What both versions count before the given look of a stage."""
        drawn, chance = self._drawn[stage], self._chances[stage]
        while len(drawn) <= look:
            new, stable = self._scenario.requests(stage)
            drawn.append((self._new.draw(chance, new), self._stable.draw(chance, stable)))
        return drawn[look]


# -- the judge ---------------------------------------------------------------------------------------------------------


def judged(traffic: Traffic) -> Outcome:
    """One release, judged and held as the engine does."""
    judge = Judge(default_metrics(), PLANNED_LOOKS)
    new, stable = 0, 0
    now, looks, frozen = 0.0, 0, 0
    for stage in range(len(WEIGHTS) + 1):
        seconds = INTERVAL_S * (STEP_LOOKS if stage < len(WEIGHTS) else BAKE_LOOKS)
        hold = Hold(seconds=seconds, max_hold=MAX_HOLD_S, pause_timeout=math.inf, judged=True)
        judge.begin_stage(now)
        if looks:
            judge.base(_readings(new, stable))
        look = 0
        while True:
            more, more_stable = traffic.between(stage, look)
            if not looks:
                judge.base(_readings(0 * more, 0 * more))
            new, stable = new + more, stable + more_stable
            now, look, looks = now + INTERVAL_S, look + 1, looks + 1
            hold.passed(INTERVAL_S)
            sample = judge.look(now, _readings(new, stable))
            if sample.decisive:
                return Outcome(sample.reason, looks, frozen, int(new[1]))
            hold.judge(sample.verdict, sample.reason)
            frozen += hold.is_frozen
            finding = hold.finding()
            if finding.failed:
                return Outcome(finding.detail, looks, frozen, int(new[1]))
            if finding.done:
                break
    return Outcome("", looks, frozen, int(new[1]))


def _readings(new: Any, stable: Any) -> Readings:
    sides = [_side(counts) for counts in (new, stable)]
    return {name: (sides[0][name], sides[1][name]) for name in sides[0]}


def _side(counts: Any) -> dict[str, Reading]:
    requests, failed, predicted = ([Series({}, float(count))] for count in counts[:3])
    bounds = [*(str(bound) for bound in BUCKETS), "+Inf"]
    below = numpy.cumsum(counts[3:])
    buckets = [Series({"le": bound}, float(count)) for bound, count in zip(bounds, below, strict=True)]
    errors, latency, predictions = default_metrics()
    return {
        errors.name: Reading("", {"numerator": failed, "denominator": requests}),
        latency.name: Reading("", {"buckets": buckets}),
        predictions.name: Reading("", {"numerator": predicted, "denominator": requests}),
    }


# -- the loops ---------------------------------------------------------------------------------------------------------


def looped(traffic: Traffic, tolerated: int) -> Outcome:
    """One release, by a loop that counts bad samples of each metric; the weight rises whatever they are. As with the
    guide's loop, nobody looks after the last step."""
    bad: Counter[str] = Counter()
    recent: deque[tuple[Any, Any]] = deque(maxlen=LOOP_LOOKS)
    served, looks = 0, 0
    for stage in range(len(WEIGHTS)):
        for look in range(STEP_LOOKS):
            recent.append(traffic.between(stage, look))
            served += int(recent[-1][0][1])
            looks += 1
            bad.update(_over(*(sum(side) for side in zip(*recent, strict=True))))
            for metric, count in bad.items():
                if count > tolerated:
                    return Outcome(metric, looks, 0, served)
    return Outcome("", looks, 0, served)


def _over(new: Any, stable: Any) -> Iterable[str]:
    """The guide's three limits, on the last minute."""
    if new[1] / new[0] > ERROR_LIMIT:
        yield "errors"
    p99 = statistics.quantile([*BUCKETS, math.inf], new[3:].tolist(), 0.99)
    if p99 is not None and p99 > P99_LIMIT_S:
        yield "p99"
    if stable[0] and new[2] / new[0] < (1 - DROP_LIMIT) * stable[2] / stable[0]:
        yield "predictions"


# -- the figures -------------------------------------------------------------------------------------------------------


def releases(scenario: Scenario, runs: int, seed: int, *who: str) -> dict[str, list[Outcome]]:
    """So many releases, each shown to everyone of `who` (by default the judge alone)."""
    found: dict[str, list[Outcome]] = {name: [] for name in who or (JUDGE,)}
    for number in range(runs):
        traffic = Traffic(scenario, numpy.random.default_rng([SEED, seed, number]))
        for name, outcomes in found.items():
            outcomes.append(judged(traffic) if name == JUDGE else looped(traffic, TOLERATED[name]))
    return found


def share_taken_back(outcomes: Sequence[Outcome]) -> float:
    return sum(bool(outcome.why) for outcome in outcomes) / len(outcomes)


def mean(values: Iterable[float]) -> float:
    known = list(values)
    return sum(known) / len(known)


def false_alarms(runs: int) -> list[dict[str, Any]]:
    """Healthy releases that are taken back: half of them with a spread of 0.5, half of 1.0."""
    everyone = (JUDGE, GUIDE, LIMIT_3)
    parts = [
        releases(Scenario(sigma=sigma), max(runs // 2, 1), seed, *everyone) for seed, sigma in ((1, 0.5), (2, 1.0))
    ]
    found = {name: [outcome for part in parts for outcome in part[name]] for name in everyone}
    busy = releases(Scenario(rate=200.0), max(runs // 10, 1), 3, *everyone)
    looks = [outcome.frozen / outcome.looks for outcome in found[JUDGE]]
    return [
        figure("aa_runs", len(found[JUDGE]), "releases"),
        figure("aa_false_rollback_share", share_taken_back(found[JUDGE]), "share", 0.02),
        figure("aa_false_rollback_share_first_bad_sample", share_taken_back(found[GUIDE]), "share"),
        figure("aa_false_rollback_share_failure_limit_3", share_taken_back(found[LIMIT_3]), "share"),
        figure("aa_frozen_looks_share", mean(looks), "share"),
        figure("aa_busy_runs", len(busy[JUDGE]), "releases"),
        figure("aa_busy_false_rollback_share", share_taken_back(busy[JUDGE]), "share", 0.02),
        figure("aa_busy_false_rollback_share_first_bad_sample", share_taken_back(busy[GUIDE]), "share"),
        figure("aa_busy_false_rollback_share_failure_limit_3", share_taken_back(busy[LIMIT_3]), "share"),
    ]


def detection(runs: int) -> list[dict[str, Any]]:
    """Bad releases that are taken back: 5 % errors, and a quarter slower at both spreads, 300 requests a step."""
    everyone = (JUDGE, GUIDE, LIMIT_3)
    each = max(runs // 3, 1)
    errors = releases(Scenario(errors=0.05), each, 4, *everyone)
    narrow = releases(Scenario(slower=1.25, sigma=0.5), each, 5, *everyone)
    wide = releases(Scenario(slower=1.25, sigma=1.0), each, 6, *everyone)
    slow = {name: narrow[name] + wide[name] for name in everyone}
    return [
        figure("ab_detected_share", share_taken_back(errors[JUDGE]), "share", 0.95, at_least=True),
        figure("ab_detected_share_failure_limit_3", share_taken_back(errors[LIMIT_3]), "share"),
        figure("ab_looks_until_taken_back", mean(one.looks for one in errors[JUDGE]), "looks"),
        figure("latency_detected_share", share_taken_back(slow[JUDGE]), "share", 0.90, at_least=True),
        figure("latency_detected_share_sigma_0.5", share_taken_back(narrow[JUDGE]), "share", 0.90, at_least=True),
        figure("latency_detected_share_sigma_1.0", share_taken_back(wide[JUDGE]), "share", 0.90, at_least=True),
        figure("latency_looks_until_taken_back", mean(one.looks for one in slow[JUDGE]), "looks"),
    ]


def bad_requests(runs: int) -> list[dict[str, Any]]:
    """A fifth of errors at 10 % of 200 requests a second: what users get of it until it is taken back."""
    everyone = (JUDGE, GUIDE, LIMIT_3)
    found = releases(Scenario(errors=0.2, rate=200.0), max(runs // 10, 1), 7, *everyone)
    served = {name: mean(one.bad_requests for one in found[name]) for name in everyone}
    return [
        figure("simulated_bad_requests_served", served[JUDGE], "requests"),
        figure("simulated_bad_requests_served_first_bad_sample", served[GUIDE], "requests"),
        figure("simulated_bad_requests_served_failure_limit_3", served[LIMIT_3], "requests"),
        figure("simulated_bad_requests_served_ratio_vs_failure_limit_3", served[JUDGE] / served[LIMIT_3], "ratio", 0.4),
        figure("simulated_decision_looks", max(one.looks for one in found[JUDGE]), "looks", 3),
    ]


def measure(runs: int) -> list[dict[str, Any]]:
    """All of it, as measurements of the envelope."""
    return [*false_alarms(runs), *detection(runs), *bad_requests(runs)]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=500, help="healthy releases (default 500); of others a part of it")
    measurements = measure(parser.parse_args().runs)
    print(table(measurements))
    return 1 if any(one["verdict"] == "failed" for one in measurements) else 0


if __name__ == "__main__":
    sys.exit(main())
