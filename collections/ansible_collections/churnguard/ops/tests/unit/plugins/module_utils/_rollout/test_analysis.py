# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The judge's eyes, against a real HTTP server that answers as Prometheus does; time passes by a fake clock."""

from __future__ import annotations

import json

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.analysis import Analysis
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.metrics import Metric, default_metrics
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.model import Release
from ansible_collections.churnguard.ops.tests.unit.support.clock import FakeClock
from ansible_collections.churnguard.ops.tests.unit.support.objects import APP, NAMESPACE, target
from ansible_collections.churnguard.ops.tests.unit.support.prometheus import Behaviour, FakePrometheus, Traffic
from ansible_collections.churnguard.ops.tests.unit.support.servers import Answer, Server, free_port

CANDIDATE, STABLE = Release("green", "v2", "", 2), Release("blue", "v1", "", 2)
LOOKS = 100


class Site:
    """Traffic at 90:10 between two versions, and a Prometheus that sees it."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.split = {"blue": 90, "green": 10}
        self.traffic = Traffic(self.clock, lambda: self.split, lambda: {"blue": "v1", "green": "v2"})
        self.prometheus = FakePrometheus(self.traffic.answer)

    def analysis(self, *metrics: Metric, **options: object) -> Analysis:
        return Analysis(self.prometheus.url, list(metrics) or default_metrics(), target(), self.clock, LOOKS, **options)

    def move(self, green: int) -> None:
        self.traffic.flow()
        self.split = {"blue": 100 - green, "green": green}


@pytest.fixture
def site():
    made = Site()
    with made.prometheus:
        yield made


def looks(site: Site, analysis: Analysis, count: int, interval: float = 10.0) -> list[str]:
    seen = []
    for _look in range(count):
        site.clock.sleep(interval)
        sample = analysis.sample()
        seen.append(f"{sample.verdict}{' decisive' if sample.decisive else ''} {sample.cause}".strip())
    return seen


def test_a_good_version_is_good_at_every_weight_and_in_the_bake(site):
    analysis = site.analysis()
    assert analysis.check(CANDIDATE, STABLE) == ""
    for weight in (10, 25, 50, 75, 100):
        site.move(weight)
        analysis.begin_stage(CANDIDATE, STABLE)
        assert set(looks(site, analysis, 6)) == {"good"}


def test_a_fifth_of_errors_decides_at_the_first_sample(site):
    site.traffic.behaviours["v2"] = Behaviour(error_ratio=0.2)
    analysis = site.analysis()
    analysis.check(CANDIDATE, STABLE)
    analysis.begin_stage(CANDIDATE, STABLE)
    assert looks(site, analysis, 1) == ["bad decisive bad"]


def test_the_queries_are_pinned_to_slot_and_version(site):
    analysis = site.analysis()
    analysis.check(CANDIDATE, STABLE)
    asked = site.prometheus.queries
    assert len(asked) == len(set(asked)) == 8
    for slot, version in (("green", "v2"), ("blue", "v1")):
        pinned = f'{{namespace="{NAMESPACE}",app="{APP}",slot="{slot}",version="{version}"'
        assert sum(pinned in query for query in asked) == 4


def test_the_window_of_a_value_never_begins_before_the_step(site):
    value = Metric("p50", "value", query='v{slot="$slot"}[$window]', limit=1.0, window=60.0)
    analysis = site.analysis(value)
    analysis.begin_stage(CANDIDATE, None)
    site.prometheus.queries.clear()
    for _look in range(7):
        site.clock.sleep(12)
        analysis.sample()
    windows = [query.split("[")[1] for query in site.prometheus.queries]
    assert windows == ["12s]", "24s]", "36s]", "48s]", "60s]", "60s]", "60s]"]


def test_what_happened_before_the_step_does_not_count(site):
    site.traffic.behaviours["v2"] = Behaviour(error_ratio=0.5)
    analysis = site.analysis()
    site.clock.sleep(600)
    site.traffic.flow()
    site.traffic.behaviours["v2"] = Behaviour()
    analysis.begin_stage(CANDIDATE, STABLE)
    assert looks(site, analysis, 2) == ["good", "good"]


@pytest.mark.parametrize("mode", ["bad_data", "execution"])
def test_a_query_that_prometheus_refuses_is_found_before_anything_starts(site, mode):
    site.prometheus.mode = mode
    with pytest.raises(OperationError) as refused:
        site.analysis().check(CANDIDATE, STABLE)
    assert str(refused.value).startswith("Could not use metric error_ratio: Prometheus refuses its numerator, sum by")
    assert ("parse error" if mode == "bad_data" else "duplicate series") in str(refused.value)


def test_a_prometheus_out_of_reach_refuses_no_release(site):
    site.prometheus.stop()
    assert "refused" in site.analysis().check(CANDIDATE, STABLE)


@pytest.mark.parametrize("outage", ["stop", "503", "bad_data", "execution"])
def test_an_outage_is_unknown_and_is_survived(site, outage):
    analysis = site.analysis()
    analysis.begin_stage(CANDIDATE, STABLE)
    assert looks(site, analysis, 1) == ["good"]
    if outage == "stop":
        site.prometheus.stop()
    else:
        site.prometheus.mode = outage
    assert looks(site, analysis, 4) == ["unknown metrics_unavailable"] * 4
    if outage == "stop":
        site.prometheus.start()
    site.prometheus.mode = "up"
    site.clock.sleep(10)
    sample = analysis.sample()
    # What was served meanwhile is in the counters.
    assert (sample.verdict, sample.results[0].n) == ("good", 1200)


def test_an_outage_when_the_step_begins_costs_one_look(site):
    analysis = site.analysis()
    site.prometheus.stop()
    analysis.begin_stage(CANDIDATE, STABLE)
    site.prometheus.start()
    assert looks(site, analysis, 2) == ["unknown no_data", "good"]


@pytest.mark.parametrize("mode", ["empty", "nan", "inf"])
def test_no_numbers_are_unknown(site, mode):
    site.prometheus.mode = mode
    analysis = site.analysis()
    analysis.begin_stage(CANDIDATE, STABLE)
    assert looks(site, analysis, 2) == ["unknown no_data"] * 2


def test_a_server_that_hangs_costs_one_time_out_and_not_one_for_each_query(site):
    with Server(lambda _request: Answer(200, "{", stall=30)) as stalling:
        analysis = Analysis(stalling.url, default_metrics(), target(), site.clock, LOOKS, timeout=0.3)
        analysis.begin_stage(CANDIDATE, STABLE)
        assert analysis.sample().cause == "metrics_unavailable"


def test_the_next_process_resumes_the_step(site):
    analysis = site.analysis()
    analysis.begin_stage(CANDIDATE, STABLE)
    looks(site, analysis, 3)
    state = json.loads(json.dumps(analysis.state()))
    other = site.analysis()
    other.restore(state)
    other.resume_stage(CANDIDATE, STABLE)
    site.clock.sleep(10)
    sample = other.sample()
    assert (sample.verdict, sample.results[0].n, sample.results[0].window_s) == ("good", 800, 30.0)


def test_the_next_process_may_begin_the_step_anew_and_keeps_what_was_seen_for_the_release(site):
    analysis = site.analysis()
    analysis.begin_stage(CANDIDATE, STABLE)
    looks(site, analysis, 2)
    other = site.analysis()
    other.restore(json.loads(json.dumps(analysis.state())))
    other.begin_stage(CANDIDATE, STABLE)
    site.clock.sleep(10)
    assert other.sample().results[0].n == 200
    kept = other.state()["metrics"]["error_ratio"]["stages"]
    assert [side["denominator"] for side in kept[0]] == [400, 3600]


def test_nobody_listens_and_nothing_is_raised(site):
    analysis = Analysis(f"http://127.0.0.1:{free_port()}", default_metrics(), target(), site.clock, LOOKS)
    analysis.begin_stage(CANDIDATE, STABLE)
    assert analysis.sample().cause == "metrics_unavailable"


def test_a_sample_needs_a_step(site):
    with pytest.raises(ValueError, match="no stage has begun"):
        site.analysis().sample()
