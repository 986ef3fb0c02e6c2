# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The section of a business review in words, from good and from odd envelopes."""

from __future__ import annotations

import pytest
from ansible_collections.churnguard.ops.plugins.plugin_utils._report import business

START = 1768000000.0


def figure(name: str = "score", **more) -> dict:
    details = {"now": 92.0, "average": 91.5, "lowest": 76.0, "highest": 93.0}
    base = {"kind": "business_figure", "name": name, "type": "gauge", "title": name.capitalize(), "unit": "points"}
    limits = {"limit": 80.0, "at_least": True, "verdict": "passed", "reason": ""}
    changes = {"before": 90.0, "change_percent": 1.7, "change_reason": ""}
    return {**base, "meaning": "How good.", "value": 92.0, "details": details, **limits, **changes, **more}


def reviewed(*evidence: dict, verdict: str = "failed") -> dict:
    envelope = {
        "operation": "business_review",
        "subject": {"start": "2026-01-09T00:05:00Z", "end": "2026-01-10T00:00:00Z", "step_s": 300},
        "verdict": verdict,
        "started": "2026-01-10T00:00:10.000Z",
        "finished": "2026-01-10T00:00:12.000Z",
        "timeline": [],
        "measurements": [],
        "evidence": list(evidence),
    }
    return business.review(0, envelope)


def only(**more) -> dict:
    """One figure as the page gets it."""
    return reviewed(figure(**more))["figures"][0]


def test_the_headline_names_what_is_bad_and_what_is_unknown():
    unknown = figure("age", verdict="not_checked", reason="gaps")
    bad = figure("late", verdict="failed", reason="too many")
    assert reviewed(bad, figure())["headline"] == "Business: Late needs attention"
    both = reviewed(bad, figure("slow", verdict="failed"), unknown)
    assert (both["headline"], both["tone"]) == ("Business: Late and Slow need attention; Age not known", "bad")
    assert reviewed(unknown)["tone"] == "warn"
    free = figure("users", limit=None, verdict="not_checked", reason="no limit is set")
    good = reviewed(figure(), free, verdict="passed")
    assert (good["headline"], good["tone"]) == ("Business: everything within its limits", "good")
    assert reviewed(free)["headline"] == "Business: nothing was held against a limit"
    assert business.notes(reviewed(unknown, free)) == ["Age is not known: gaps."]


def test_the_period_begins_a_step_before_its_first_sample():
    assert reviewed()["period"]["start"] == "2026-01-09T00:00:00.000Z"


def test_lights_are_words_and_symbols_and_never_green_without_a_check():
    assert business.light(only()) == ("✓", "good", "good")
    assert business.light(only(verdict="failed")) == ("✕", "needs attention", "bad")
    assert business.light(only(verdict="not_checked")) == ("?", "not known", "warn")
    assert business.light(only(limit=None, verdict="not_checked")) == ("·", "for information", "off")
    assert business.light(only(limit=None, verdict="passed"))[1] == "for information"
    assert business.light(only(limit=None, value=None, verdict="not_checked"))[1] == "not known"


@pytest.mark.parametrize(
    ("value", "more", "text"),
    [
        (99.98, {"type": "share", "unit": "%"}, "99.98 of 100"),
        # One failure in a million is not none.
        (99.9999, {"type": "share", "unit": "%"}, "99.99 of 100"),
        (100.0, {"type": "share", "unit": "%"}, "100 of 100"),
        (92.04, {}, "92 of 100"),
        (0.5, {"unit": "h"}, "30 min"),
        (26.04, {"unit": "h"}, "26 h"),
        (1234567.4, {"unit": ""}, "1,234,567"),
        (None, {}, "–"),  # noqa: RUF001
    ],
)
def test_amounts(value, more, text):
    assert business.amount(value, only(**more)) == text


def test_a_share_is_said_of_a_hundred():
    well = {"type": "share", "unit": "%", "details": {"total": 5000.0, "failed": 1.0}, "limit": 99.9}
    assert business.sentence(only(value=99.98, **well)) == (
        "Of 100 requests 99.98 were answered well. 1 of 5,000 were not."
    )
    none = {**well, "details": {"total": 5000.0, "failed": 0.0}}
    assert business.sentence(only(value=100.0, **none)) == (
        "Of 100 requests 100 were answered well. None of 5,000 failed."
    )
    assert business.wanted(only(value=99.98, **well)) == "At least 99.9 of 100 is well."
    assert business.sentence(only(value=None, **well)) == ""


def test_a_gauge_says_its_range_and_what_is_well():
    assert business.sentence(only()) == (
        "In the period on average 91.5 of 100, at least 76 of 100 and at most 93 of 100."
    )
    level = dict.fromkeys(("now", "average", "lowest", "highest"), 0.0)
    late = only(unit="", details=level, limit=0.0, at_least=False)
    assert (business.sentence(late), business.wanted(late)) == ("In the period always 0.", "There must be none.")
    assert business.wanted(only(limit=None)) == ""
    # The reason has it already.
    assert business.wanted(only(verdict="failed")) == ""


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({}, "1.7 % higher than in the period before (on average 90 of 100)."),
        ({"change_percent": -12.34}, "12.3 % lower than in the period before (on average 90 of 100)."),
        ({"type": "counter", "unit": "", "change_percent": 250.4}, "250 % more than in the period before (90)."),
        ({"change_percent": 0.04}, "As in the period before (on average 90 of 100)."),
        ({"change_percent": None, "change_reason": "there were none before"}, "Change not known: there were none bef"),
    ],
)
def test_changes(more, text):
    assert business.change(only(**more)).startswith(text)


def test_many_parts_are_put_together_in_words_and_in_the_plot():
    parts = [{"name": f"p{number}", "value": 10 - number} for number in range(9)]
    lines = {f"p{number}": [float(10 - number), None] for number in reversed(range(9))}
    found = only(parts=parts, plot={"start": START, "step_s": 60, "lines": lines})
    assert [one["name"] for one in found["parts"]] == ["p0", "p1", "p2", "p3", "p4", "4 others"]
    assert found["parts"][-1]["value"] == 5 + 4 + 3 + 2
    assert found["plot"]["lines"] == [[10.0, None], [9.0, None], [8.0, None], [7.0, None], [6.0, None], [14.0, None]]


def test_odd_evidence_is_shown_as_unknown_and_never_as_good():
    odd = {"kind": "business_figure", "name": "x", "verdict": "great", "value": "many", "limit": float("nan")}
    found = reviewed({**odd, "details": [1], "parts": [3], "plot": {"start": START, "step_s": 0, "lines": {"a": [1]}}})
    (one,) = found["figures"]
    assert (one["verdict"], one["value"], one["limit"], one["plot"], one["parts"]) == (
        "not_checked",
        None,
        None,
        None,
        [],
    )
    assert business.light(one)[1] == "not known"
    assert business.change(one) == "Change not known: there is nothing to compare."
