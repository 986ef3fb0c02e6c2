# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services judged for a while, by a fake clock and a real HTTP server."""

from __future__ import annotations

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._common.envelope import Recorder
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.gate import Gate, Patience, Subject, short_names
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.metrics import default_metrics
from ansible_collections.churnguard.ops.tests.unit.support.clock import FakeClock
from ansible_collections.churnguard.ops.tests.unit.support.prometheus import Behaviour, FakePrometheus, Traffic

BESIDE = Subject("shop", "prod", "green", "v2", "blue", "v1")
ALONE = Subject("shop", "prod", version="v2")


class Site:
    def __init__(self) -> None:
        self.clock = FakeClock()
        split = {"blue": 50, "green": 50}
        self.traffic = Traffic(self.clock, lambda: split, lambda: {"blue": "v1", "green": "v2"})
        self.prometheus = FakePrometheus(self.traffic.answer)
        self.recorder = Recorder(self.clock, "metric_gate")

    def gate(self, *subjects: Subject, least_good: int = 3) -> Gate:
        patience = Patience(interval=30, duration=300, max_hold=120, least_good=least_good)
        return Gate(self.prometheus.url, subjects, default_metrics(), patience, self.clock, self.recorder)


@pytest.fixture
def site():
    made = Site()
    with made.prometheus:
        yield made


@pytest.mark.parametrize("subject", [BESIDE, ALONE])
def test_a_good_service_passes_after_the_whole_time(site, subject):
    gate = site.gate(subject)
    assert gate.run() is True
    assert site.clock.elapsed == 300
    assert (gate.watches[0].good, gate.late) == (10, 0)
    evidence = site.recorder.evidence[0]
    assert (evidence["verdict"], len(evidence["samples"])) == ("passed", 10)
    assert evidence["samples"][-1]["results"][0]["query"].startswith("sum by (pod) (churnguard_requests_total{names")
    figures = {one["name"]: one for one in site.recorder.measurements}
    assert (figures["error_ratio"]["value"], figures["error_ratio"]["limit"]) == (0.0, 0.01)
    assert {one["verdict"] for one in site.recorder.measurements} == {"passed", "not_checked"}
    assert figures["late_looks"]["verdict"] == "not_checked"


def test_a_bad_service_fails_at_once(site):
    site.traffic.behaviours["v2"] = Behaviour(error_ratio=0.2)
    gate = site.gate(BESIDE)
    assert gate.run() is False
    assert site.clock.elapsed == 30
    assert "error_ratio 20 % of 3000 requests (limit 1 %" in gate.watches[0].reason


def test_each_service_gets_its_own_verdict(site):
    site.traffic.behaviours["v2"] = Behaviour(error_ratio=0.2)
    gate = site.gate(Subject("shop", "prod", "blue"), Subject("shop", "prod", "green"))
    assert gate.run() is False
    assert [watch.passed for watch in gate.watches] == [True, False]
    assert [one["verdict"] for one in site.recorder.evidence] == ["passed", "failed"]


def test_unknown_is_never_good(site):
    site.prometheus.stop()
    gate = site.gate(BESIDE)
    assert "refused" in gate.check()
    assert gate.run() is False
    # The first look at 30 s, and max_hold after it.
    assert site.clock.elapsed == 150
    assert gate.watches[0].reason.startswith("unknown for 120 s (max_hold): error_ratio: Prometheus gave no answer")
    figures = [one for one in site.recorder.measurements if one["name"] == "error_ratio"]
    assert [(one["value"], one["verdict"]) for one in figures] == [(None, "not_checked")]


def test_a_short_outage_is_survived(site):
    site.clock.after(100, lambda: setattr(site.prometheus, "mode", "503"))
    site.clock.after(170, lambda: setattr(site.prometheus, "mode", "up"))
    assert site.gate(BESIDE).run() is True


def test_an_outage_at_the_end_is_waited_out(site):
    site.clock.after(290, lambda: setattr(site.prometheus, "mode", "503"))
    site.clock.after(350, lambda: setattr(site.prometheus, "mode", "up"))
    assert site.gate(BESIDE).run() is True
    assert site.clock.elapsed == 360


def test_too_few_good_samples_are_said(site):
    gate = site.gate(BESIDE, least_good=50)
    assert gate.run() is False
    assert gate.watches[0].reason.startswith("14 good samples, 50 are needed")
    assert site.clock.elapsed == 420


def test_a_late_round_is_counted(site):
    slow = site.traffic.answer
    site.prometheus = FakePrometheus(lambda query: (site.clock.sleep(9), slow(query))[1])
    with site.prometheus:
        gate = site.gate(BESIDE, ALONE)
        gate.run()
    assert gate.late > 0


def test_subjects_name_themselves():
    assert (str(BESIDE), str(ALONE)) == ("prod/shop (v2 green)", "prod/shop (v2)")
    assert str(Subject("shop", "prod")) == "prod/shop"
    assert Subject("shop", "prod").stable is None


def test_every_look_is_told_with_its_figures_and_the_time_left(site):
    site.traffic.behaviours["v2"] = Behaviour(error_ratio=0.2)
    site.gate(Subject("shop", "prod", "blue"), Subject("shop", "prod", "green")).run()
    events = site.recorder.timeline
    assert events[0]["detail"].startswith("2 services by error_ratio, latency_p99, predictions_per_request: a look ev")
    good, bad = [one["data"] for one in events if one["event"] == "sample"][:2]
    assert (good["service"], good["step"], good["left_s"], good["troubled_s"]) == ("blue", "look 1", 270.0, None)
    assert (bad["service"], bad["decisive"], bad["troubled_s"], bad["max_hold_s"]) == ("green", True, 0.0, 120)
    assert [(one["name"], one["kind"]) for one in bad["results"]] == [
        ("error_ratio", "ratio"),
        ("latency_p99", "latency"),
        ("predictions_per_request", "ratio"),
    ]
    assert "query" not in bad["results"][0]


def test_services_are_told_apart_by_the_shortest_name_that_does():
    two = [Subject("shop", "prod"), Subject("cart", "prod")]
    assert list(short_names(two).values()) == ["shop", "cart"]
    assert list(short_names([BESIDE, Subject("shop", "prod", version="v1")]).values()) == ["v2", "v1"]
    assert list(short_names([Subject("shop", "prod"), Subject("shop", "test")]).values()) == ["prod", "test"]
    assert list(short_names([BESIDE, Subject("cart", "test"), ALONE]).values()) == [
        "prod/shop (v2 green)",
        "test/cart",
        "prod/shop (v2)",
    ]
