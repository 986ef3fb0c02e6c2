# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The section of a performance review, from good and from odd envelopes."""

from __future__ import annotations

import pytest
from ansible_collections.churnguard.ops.plugins.plugin_utils._report import layout, performance

START = 1768000000.0


def metric(name: str = "cpu", **more) -> dict:
    figures = {"average": 50.0, "max": 96.0, "p95": 96.0, "p99": 96.0, "samples": 1000, "coverage": 1.0}
    base = {"kind": "performance_metric", "name": name, "title": name.upper(), "unit": "%", "threshold": 80.0}
    return {**base, **figures, "verdict": "passed", "reason": "", "labels": {"instance": "db1"}, **more}


def reviewed(*evidence: dict, verdict: str = "failed", skew: str = "passed") -> dict:
    envelope = {
        "operation": "performance_review",
        "subject": {"start": "2026-01-09T00:00:00Z", "end": "2026-01-10T00:00:00Z", "step_s": 60},
        "verdict": verdict,
        "started": "2026-01-10T00:00:10.000Z",
        "finished": "2026-01-10T00:00:12.000Z",
        "timeline": [],
        "measurements": [
            {"name": "clock_skew_s", "value": 12.5, "unit": "s", "limit": 5, "verdict": skew, "reason": ""}
        ],
        "evidence": list(evidence),
    }
    return performance.review(0, envelope)


def test_the_headline_names_what_failed_and_what_is_unknown():
    names = ("a", "b", "c", "d")
    unknown = [metric(name, verdict="not_checked", reason="gaps") for name in names]
    bad = metric(verdict="failed", reason="too much")
    assert reviewed(bad, metric("mem"))["headline"] == "Performance: CPU above the threshold"
    assert reviewed(bad, unknown[0])["headline"] == "Performance: CPU above the threshold; A not checked"
    assert reviewed(*unknown)["headline"] == "Performance: 4 metrics not checked"
    good = reviewed(metric(), metric("disk", threshold=None, verdict="not_checked"), verdict="passed")
    assert (good["headline"], good["tone"]) == ("Performance: CPU within its threshold", "good")
    assert reviewed()["headline"] == "Performance: nothing was held against a threshold"


def test_skew_and_unchecked_metrics_weaken_the_proof():
    found = reviewed(metric(verdict="not_checked", reason="gaps"), skew="failed")
    assert performance.notes(found) == [
        "CPU was not checked: gaps.",
        "The clock of Prometheus is 12.5 s from the clock of the controller.",
    ]
    assert performance.notes(reviewed(metric("disk", threshold=None, verdict="not_checked"))) == []


def test_odd_evidence_is_shown_as_unknown_and_never_as_passed():
    odd = {"kind": "performance_metric", "name": "x", "verdict": "great", "average": "many", "max": float("nan")}
    found = reviewed({**odd, "plot": {"start": START, "step_s": 0, "max": [1]}, "violations": [1], "labels": None})
    (one,) = found["metrics"]
    assert (one["verdict"], one["average"], one["max"], one["plot"], one["on"]) == ("not_checked", None, None, None, "")
    assert performance.share(one) == performance.amount(one["average"], "%") == "–"  # noqa: RUF001
    assert found["drawn"] == []


def test_advice_says_where_and_how_much():
    advice = {"kind": "recommendation", "metric": "cpu", "labels": {"instance": "db1"}, "statistic": "max"}
    found = reviewed(metric(), {**advice, "value": 96.04, "above": 90.0, "unit": "%", "text": "Cache."})["advice"]
    assert found == [{"title": "CPU", "said": "max 96.04 %, more than 90 %, on db1", "text": "Cache."}]


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(1250.4, "ms", "1,250 ms"), (12_400_000.0, "B/s", "12.4 MB/s"), (95.2345, "%", "95.23 %"), (7, "", "7")],
)
def test_amounts(value, unit, text):
    assert performance.amount(value, unit) == text


@pytest.mark.parametrize("days", [1, 2, 7, 30, 365])
@pytest.mark.parametrize("size", layout.SIZES)
def test_ticks_of_a_long_period_do_not_lie_on_each_other(days, size):
    ticks = layout.clock_ticks(START, START + days * 86400, size.room, size.font)
    widest = max(layout.text_width(text, size.font) for _at, text in ticks)
    assert len(ticks) >= 1
    assert len(ticks) == 1 or widest < size.room * (ticks[1][0] - ticks[0][0]) / (days * 86400)
