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
