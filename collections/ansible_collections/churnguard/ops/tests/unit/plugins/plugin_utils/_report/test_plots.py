# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plots are SVG that fits into a page, with what they show in words."""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ET

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.plugins.plugin_utils._report import envelopes, model, traffic
from ansible_collections.churnguard.ops.plugins.plugin_utils._report.plots import plots
from ansible_collections.churnguard.ops.plugins.plugin_utils._report.svg import SVG

V2 = "v2<script>$x$&"


def text_of(svg):
    return " ".join("".join(element.itertext()) for element in ET.fromstring(svg).iter(f"{{{SVG}}}text"))


def make(given, ledgers=()):
    loaded = envelopes.load(given)
    return model.build(loaded, traffic.measure(ledgers, model.intervals(loaded)), "lab")


@pytest.fixture
def switch(envelope):
    """An envelope of a switch with steps, at second 10 to 30."""
    return envelope(
        start=10,
        end=30,
        subject={"version": V2, "previous_version": "v1", "strategy": "blue_green", "slot": "green"},
        events=[
            (11, "step_started", "ready", {"step": "ready"}),
            (15, "step_done", "ready", {"step": "ready"}),
            (20, "weights", "all", {"weights": {"blue": 0, "green": 100}}),
        ],
    )


@pytest.fixture
def drawn(switch, ledger, request_line):
    requests = [
        request_line(i / 10, version="v1" if i < 200 else V2, outcome="reset" if i in (200, 201) else "ok")
        for i in range(400)
    ]
    return plots(make([switch], [ledger(requests)]))


def test_every_plot_comes_wide_and_narrow(drawn):
    names = ("traffic", "latency", "failures", "rollout_1")
    assert sorted(drawn) == sorted(f"{name}_{size}" for name in names for size in ("wide", "narrow"))
    for name, svg in drawn.items():
        root = ET.fromstring(svg)
        assert root.tag == f"{{{SVG}}}svg"
        assert root.get("viewBox").startswith("0 0 1040 " if name.endswith("wide") else "0 0 360 ")
        assert "width" not in root.attrib


def test_labels_are_text(drawn):
    for size in ("wide", "narrow"):
        traffic_text = text_of(drawn[f"traffic_{size}"])
        for label in ("100 %", "v1", V2, f"{V2} 100 %", "12:00:10"):
            assert label in traffic_text
        assert "p99" in text_of(drawn[f"latency_{size}"])
        steps = text_of(drawn[f"rollout_1_{size}"])
        for label in ("ready", "4 s", f"{V2} gets 100 %", "10 s"):
            assert label in steps


def test_every_plot_says_in_words_what_it_shows(drawn):
    root = ET.fromstring(drawn["failures_wide"])
    identifiers = {element.get("id"): element.text for element in root.iter() if element.get("id")}
    title, description = (identifiers[name] for name in root.get("aria-labelledby").split())
    assert title == "Failed requests over time"
    assert description == "2 of 400 requests failed. reset 2"


def test_ids_are_distinct_across_plots_and_every_reference_has_its_target(drawn):
    seen = set()
    for svg in drawn.values():
        own = [element.get("id") for element in ET.fromstring(svg).iter() if element.get("id")]
        assert len(own) == len(set(own))
        assert not seen & set(own)
        seen |= set(own)
        referenced = {one or other for one, other in re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', svg)}
        assert referenced <= set(own)


def test_nothing_reaches_out_or_into_the_page(drawn):
    for svg in drawn.values():
        assert "<script" not in svg
        assert "<style" not in svg
        assert "<metadata" not in svg
        addresses = set(re.findall(r'https?://[^"\s<]+', svg))
        assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}


def test_colours_follow_the_page_and_have_a_fallback(drawn):
    for svg in drawn.values():
        left = re.sub(r"var\(--plot-[\w-]+, #[0-9a-f]{6}\)", "", svg)
        assert not re.findall(r"(?:fill|stroke): #[0-9a-f]{3,6}", left)
        assert "DejaVu" not in svg


def test_the_same_model_gives_the_same_bytes(switch, ledger, request_line):
    path = ledger([request_line(i / 10) for i in range(400)])
    assert plots(make([switch], [path])) == plots(make([switch], [path]))


def test_matplotlib_is_left_as_it_was(drawn):
    import matplotlib

    assert matplotlib.rcParams["svg.fonttype"] == matplotlib.rcParamsDefault["svg.fonttype"]


def test_without_a_ledger_traffic_shows_the_weights(switch):
    drawn = plots(make([switch]))
    assert sorted(drawn) == ["rollout_1_narrow", "rollout_1_wide", "traffic_narrow", "traffic_wide"]
    assert "given to each version" in drawn["traffic_wide"]


def test_without_a_ledger_and_weights_only_the_steps_are_drawn(envelope):
    stepped = envelope(events=[(1, "step_started", "ready"), (2, "step_done", "ready")])
    assert sorted(plots(make([envelope(), stepped]))) == ["rollout_2_narrow", "rollout_2_wide"]


def test_an_envelope_that_ended_before_it_knew_its_version_can_be_drawn(envelope, ledger, request_line):
    drawn = plots(make([envelope(subject={}, verdict="failed")], [ledger([request_line(i / 10) for i in range(99)])]))
    assert "rollout failed" in text_of(drawn["traffic_wide"])


def test_of_nothing_there_is_no_plot():
    assert plots(make([])) == {}


def test_a_load_that_nobody_answered_can_be_drawn(switch, ledger, request_line):
    drawn = plots(make([switch], [ledger([request_line(i / 10, outcome="refused") for i in range(400)])]))
    assert "400 of 400 requests failed" in drawn["failures_wide"]


def test_the_failure_axis_says_zero_when_nothing_failed(switch, ledger, request_line):
    drawn = plots(make([switch], [ledger([request_line(i / 10) for i in range(400)])]))
    assert "0 of 400 requests failed" in text_of(drawn["failures_narrow"])


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch, switch):
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(OperationError, match="pip install matplotlib"):
        plots(make([switch]))


# -- how a version was judged ------------------------------------------------------------------------------------------


def sample(at, verdict, value, decisive=False):
    result = {"name": "error_ratio", "kind": "ratio", "verdict": verdict, "value": value, "limit": 0.01}
    other = {"name": "latency_p99", "kind": "latency", "verdict": "good", "value": 0.03, "limit": 2.0}
    data = {"step": "hold", "weight": 10, "verdict": verdict, "decisive": decisive, "results": [result, other]}
    return (at, "sample", verdict, {**data, "reason": f"error_ratio is {verdict}"})


@pytest.fixture
def canary(envelope):
    """An envelope of a canary at 10 %, frozen at second 16 and taken back at second 20; it passes a gate before."""
    return envelope(
        start=10,
        end=30,
        verdict="rolled_back",
        subject={"version": V2, "previous_version": "v1", "strategy": "canary", "slot": "green"},
        events=[
            (11, "gate", "waiting", {"before": "10"}),
            (12, "control", "approve", {"command": "approve", "by": "ada"}),
            (12.5, "step_done", "gate green"),
            (13, "weights", "10 %", {"weights": {"blue": 90, "green": 10}}),
            sample(14, "good", 0.002),
            sample(16, "bad", 0.1),
            (16, "frozen", "error_ratio is bad", {"cause": "bad"}),
            sample(18, "unknown", None),
            sample(20, "bad", 0.2, decisive=True),
            (20, "rollback_started", "error_ratio is bad"),
            (21, "weights", "0 %", {"weights": {"blue": 100, "green": 0}}),
        ],
    )


@pytest.fixture
def canary_requests(ledger, request_line):
    return ledger([request_line(i / 10, version=V2 if 130 < i < 210 and i % 10 == 0 else "v1") for i in range(400)])


def test_a_canary_shows_weight_verdicts_and_each_metric_against_its_limit(canary, canary_requests):
    drawn = plots(make([canary], [canary_requests]))
    for size in ("wide", "narrow"):
        told = text_of(drawn[f"judged_1_{size}"])
        for label in ("Samples", "1 good, 2 bad, 1 unknown", "error_ratio", "limit 1 %", "limit 2 s, far above"):
            assert label in told
        for label in ("10 %", "taken back"):
            assert label in told
    # A phone has no room for all marks; the hatching and the timeline tell the rest.
    assert "gate 10 %, ada" in text_of(drawn["judged_1_wide"])
    assert "frozen" in text_of(drawn["judged_1_wide"])


def test_the_plot_of_a_canary_says_in_words_what_decided(canary):
    root = ET.fromstring(plots(make([canary]))["judged_1_wide"])
    described = next(element.text for element in root.iter(f"{{{SVG}}}desc"))
    assert described.startswith("4 samples: 1 good, 2 bad, 1 unknown. The deciding one, at 10 %: error_ratio is bad")


def test_verdicts_differ_by_shape_and_a_freeze_is_hatched(canary):
    svg = plots(make([canary]))["judged_1_wide"]
    patterns = [element.get("id") for element in ET.fromstring(svg).iter(f"{{{SVG}}}pattern")]
    assert patterns
    assert all(f"url(#{pattern})" in svg for pattern in patterns)
    shapes = {
        element.get("d")
        for element in ET.fromstring(svg).iter(f"{{{SVG}}}path")
        if (element.get("id") or "").startswith("judged_1_wide-m")
    }
    assert len(shapes) >= 4


def test_a_rollout_without_samples_or_weights_is_drawn_as_far_as_it_goes(canary, canary_requests):
    for event in canary["timeline"]:
        event.get("data", {}).pop("weights", None)
    assert "Samples" in text_of(plots(make([canary], [canary_requests]))["judged_1_wide"])
    canary["timeline"] = [event for event in canary["timeline"] if event["event"] != "sample"]
    assert "judged_1_wide" not in plots(make([canary]))


def test_a_metric_that_was_never_measured_has_a_place(envelope):
    nothing = {"name": "errors", "verdict": "unknown", "value": None, "limit": None}
    event = (2, "sample", "no data", {"verdict": "unknown", "results": [nothing]})
    assert "errors" in text_of(plots(make([envelope(events=[event])]))["judged_1_narrow"])
