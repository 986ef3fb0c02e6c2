# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rollouts that are judged: a Prometheus that answers over real HTTP, traffic that passes as the clock does."""

from __future__ import annotations

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.metrics import Metric, default_metrics
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.probe import Endpoint
from ansible_collections.churnguard.ops.tests.unit.support.cluster import Killed
from ansible_collections.churnguard.ops.tests.unit.support.objects import ALL_BLUE, ALL_GREEN, BLUE, GREEN
from ansible_collections.churnguard.ops.tests.unit.support.plane import DataPlane
from ansible_collections.churnguard.ops.tests.unit.support.prometheus import Behaviour, FakePrometheus, Traffic
from ansible_collections.churnguard.ops.tests.unit.support.world import World

PACE = {"weights": ((10, 60.0), (50, 60.0), (100, 30.0))}
CANARY = {"strategy": "canary", "pace": PACE}
ROLLING = {"strategy": "rolling"}
V1_LIVE = ("v1", ALL_BLUE, {BLUE: 2, GREEN: 0})
V2_LIVE = ("v2", ALL_GREEN, {BLUE: 0, GREEN: 2})
BROKEN = Behaviour(error_ratio=0.2)


class Site(World):
    """A world with traffic and a Prometheus that sees it."""

    prometheus: FakePrometheus
    traffic: Traffic

    def of(self, event: str) -> list[dict]:
        return [entry for entry in self.recorder.timeline if entry["event"] == event]

    def verdicts(self) -> list[str]:
        return [entry["data"]["verdict"] for entry in self.of("sample")]


@pytest.fixture
def site():
    one = Site()
    one.installed()
    one.traffic = Traffic(one.clock, lambda: one.split, lambda: one.versions)
    with FakePrometheus(one.traffic.answer) as prometheus:
        one.prometheus = prometheus
        one.settings.update(analysis_interval=10.0, max_hold=120.0, interval=2.0)
        one.analysis = {"url": prometheus.url, "metrics": default_metrics(), "looks": 30}
        yield one


def test_a_good_canary_passes_with_good_samples_at_every_weight(site):
    outcome = site.run("v2", **CANARY)
    assert (outcome.verdict, site.live, site.broken) == ("passed", V2_LIVE, [])
    assert set(site.verdicts()) == {"good"}
    assert {entry["data"]["weight"] for entry in site.of("sample")} == {10, 50, 100}


def test_a_canary_that_fails_requests_is_taken_back_by_the_first_sample(site):
    site.traffic.behaviours["v2"] = BROKEN
    outcome = site.run("v2", **CANARY)
    assert (outcome.verdict, outcome.failed, site.live, site.broken) == ("rolled_back", True, V1_LIVE, [])
    assert site.verdicts() == ["bad"]
    sample = site.of("sample")[0]["data"]
    result = next(one for one in sample["results"] if one["name"] == "error_ratio")
    assert (sample["decisive"], sample["weight"], result["limit"]) == (True, 10, 0.01)
    assert result["value"] == pytest.approx(0.2, abs=0.02)
    assert result["n"] > 150 and result["p_value"] < 1e-6
    assert 'slot="green",version="v2"' in result["query"]
    assert "error_ratio 20" in outcome.message and "limit 1 %" in outcome.message


def test_what_the_last_sample_said_stands_in_the_journal(site):
    site.traffic.behaviours["v2"] = BROKEN
    site.run("v2", **CANARY)
    last = site.journal.rollout.analysis
    assert (last["verdict"], last["weight"], last["looks"], last["max_hold_s"]) == ("bad", 10, 1, 120.0)


def test_a_fault_that_begins_in_the_bake_is_found(site):
    site.clock.after(240, lambda: site.traffic.behaviours.update(v2=BROKEN))
    outcome = site.run("v2", strategy="canary", pace=PACE, bake_seconds=300.0)
    assert (outcome.verdict, site.live, site.broken) == ("rolled_back", V1_LIVE, [])
    bad = [entry for entry in site.of("sample") if entry["data"]["verdict"] == "bad"]
    assert len(bad) <= 3
    assert (bad[-1]["data"]["step"], bad[-1]["data"]["decisive"]) == ("bake", True)


def test_without_traffic_nothing_is_known_so_the_weight_is_held_and_then_taken_back(site):
    site.traffic.rate = 0.1
    outcome = site.run("v2", **CANARY)
    assert (outcome.verdict, site.live) == ("rolled_back", V1_LIVE)
    assert set(site.verdicts()) == {"unknown"}
    assert "frozen for 120 s (max_hold)" in outcome.message
    assert site.of("frozen")[0]["data"]["cause"] == "no_data"
    assert len(site.of("frozen")) == 1


def test_a_metrics_server_that_is_away_for_a_while_only_holds_the_weight(site):
    site.clock.after(30, site.prometheus.stop)
    site.clock.after(70, site.prometheus.start)
    outcome = site.run("v2", **CANARY)
    assert (outcome.verdict, site.live, site.broken) == ("passed", V2_LIVE, [])
    assert site.of("frozen")[0]["data"]["cause"] == "metrics_unavailable"
    assert "unknown" in site.verdicts() and "bad" not in site.verdicts()


def test_a_metrics_server_that_stays_away_ends_the_rollout_with_that_reason(site):
    site.clock.after(30, site.prometheus.stop)
    outcome = site.run("v2", **CANARY)
    assert (outcome.verdict, site.live, site.broken) == ("rolled_back", V1_LIVE, [])
    assert "frozen for 120 s (max_hold)" in outcome.message
    last = site.of("sample")[-1]["data"]
    assert (last["verdict"], last["cause"]) == ("unknown", "metrics_unavailable")


@pytest.mark.parametrize("mode", ["nan", "inf", "empty", "503", "execution"])
def test_answers_that_say_nothing_never_promote(site, mode):
    site.clock.after(5, lambda: setattr(site.prometheus, "mode", mode))
    outcome = site.run("v2", **CANARY)
    assert (outcome.verdict, site.live, site.broken) == ("rolled_back", V1_LIVE, [])
    assert "good" not in site.verdicts()


def test_a_query_that_prometheus_refuses_ends_the_run_before_anything_starts(site):
    site.prometheus.mode = "bad_data"
    with pytest.raises(OperationError, match="parse error"):
        site.run("v2", **CANARY)
    assert site.cluster.writes == []


def test_a_query_is_checked_too_where_an_unfinished_rollout_has_to_go_first(site):
    client = site.client()
    site.clock.after(20, lambda: setattr(client, "dead", True))
    with pytest.raises(Killed):
        site.run("v2", client=client, **CANARY)
    site.prometheus.mode = "bad_data"
    with pytest.raises(OperationError, match="parse error"):
        site.run("v3", on_unfinished="abort", **CANARY)
    assert (site.live, site.journal.rollout.candidate.version) == (V1_LIVE, "v2")


def test_a_query_is_checked_in_check_mode_too(site):
    site.prometheus.mode = "bad_data"
    with pytest.raises(OperationError, match="parse error"):
        site.run("v2", check_mode=True, **CANARY)


def test_a_fix_for_a_broken_version_is_held_back_unless_it_is_forced(site):
    site.traffic.behaviours.update(v1=BROKEN, v2=Behaviour(error_ratio=0.1))
    outcome = site.run("v2", **CANARY)
    assert (outcome.verdict, site.live) == ("rolled_back", V1_LIVE)
    assert site.of("sample")[0]["data"]["cause"] == "stable_unhealthy"
    site.analysis["force_forward"] = True
    site.traffic.behaviours["v2"] = Behaviour()
    assert site.run("v2", **CANARY).verdict == "passed"


def test_the_bake_of_a_blue_green_switch_is_judged_too(site):
    site.traffic.behaviours["v2"] = BROKEN
    outcome = site.run("v2", bake_seconds=60.0)
    assert (outcome.verdict, site.live, site.broken) == ("rolled_back", V1_LIVE, [])
    assert site.of("sample")[0]["data"]["step"] == "bake"


def test_going_back_to_a_version_needs_no_analysis(site):
    assert site.run("v2", **CANARY).verdict == "passed"
    site.prometheus.stop()
    assert site.run(state="rolled_back").verdict == "passed"
    assert site.of("sample") == []
    site.prometheus.start()


def test_a_rolling_update_is_judged_while_it_runs_and_undone(site):
    site.cluster.workloads = site.cluster.workloads.__class__(site.cluster, start=30.0)
    site.clock.sleep(60)
    site.traffic.behaviours["v2"] = BROKEN
    outcome = site.run("v2", bake_seconds=60.0, **ROLLING)
    assert (outcome.verdict, site.live, site.broken) == ("rolled_back", V1_LIVE, [])


def test_a_metric_that_lacks_traffic_may_ask_for_requests_of_our_own(site):
    errors = 'churnguard_requests_total{$selector,status_code=~"5.."}'
    requests = "churnguard_requests_total{$selector}"
    options = {"limit": 0.01, "compare": False, "on_no_data": "probe", "min_requests": 30}
    site.analysis["metrics"] = [Metric("errors", "ratio", numerator=errors, denominator=requests, **options)]
    site.traffic.rate = 0.0

    def count(version: str, path: str) -> None:
        if path == "/probe":
            site.traffic.served(GREEN, version, 1)

    with DataPlane(site, count).server as server:
        site.settings.update(endpoint=Endpoint(server.url, timeout=2), probe_path="/probe", probe_requests=20)
        outcome = site.run("v2", **CANARY)
        asked = [request.headers["x-churnguard-slot"] for request in server.requests if request.path == "/probe"]
    assert (outcome.verdict, site.live, site.broken) == ("passed", V2_LIVE, [])
    assert set(asked) == {GREEN}
    assert "unknown" in site.verdicts() and "good" in site.verdicts()


def test_what_a_controller_that_died_has_seen_counts_for_the_next(site):
    client = site.client()

    def die() -> None:
        client.dead = True

    site.clock.after(50, die)
    with pytest.raises(Killed):
        site.run("v2", client=client, **CANARY)
    seen = site.journal.rollout.analysis["looks"]
    assert seen >= 3
    assert site.run("v2", **CANARY).verdict == "passed"
    assert site.live == V2_LIVE
    assert site.journal.rollout.analysis["looks"] == seen + len(site.of("sample"))
