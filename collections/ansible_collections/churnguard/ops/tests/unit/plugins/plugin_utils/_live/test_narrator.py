# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lines of the live view say."""

from __future__ import annotations

import json

import pytest
from ansible_collections.churnguard.ops.plugins.plugin_utils._live.narrator import WIDTH, Narrator, how_far, read

AT = "2026-11-21T19:33:07.123Z"
SUBJECT = "churnguard-api v2"


def entry(event: str, detail: str, **more) -> dict:
    return {"at": AT, "event": event, "detail": detail, **more}


def result(name: str, verdict: str = "good", value: float | None = 0.002, limit: float | None = 0.01, **more) -> dict:
    return {"name": name, "kind": "ratio", "verdict": verdict, "value": value, "limit": limit, **more}


LATENCY = result("p99", value=0.412, limit=2.0, kind="latency")
BUSINESS = result("predictions", value=0.991, limit=None, stable_value=1.0, kind="value")


def sample(verdict: str, *results: dict, subject: str = SUBJECT, **data) -> str:
    """The one line of a sample."""
    given = {"step": "hold", "weight": 10, "verdict": verdict, "results": list(results), **data}
    (line,) = Narrator(subject).lines(entry("sample", "told in data", data=given), 0)
    assert len(line.text) <= WIDTH
    return line.text


def say(narrator: Narrator, *said: tuple[float, str, str]) -> list[str]:
    """What is printed for (time, event, detail)."""
    return [line.text for now, event, detail in said for line in narrator.lines(entry(event, detail), now)]


def test_every_event_is_shown_with_its_time_and_subject():
    shown = say(Narrator("api v2"), (0, "planned", "v2 into slot green"), (0, "planned", "v2 into slot green"))
    assert shown == ["19:33:07  api v2  planned          v2 into slot green"] * 2


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ([(100, "a"), (101, "a"), (104, "a")], ["a"]),
        ([(100, "a"), (101, "a"), (105, "a"), (106, "a"), (110, "a")], ["a", "a", "a"]),
        ([(100, "a"), (101, "b"), (102, "c")], ["a", "b", "c"]),
        ([(100, "a"), (100.2, "b"), (100.4, "c"), (101.1, "d")], ["a", "d"]),
    ],
    ids=["repeated", "every five seconds", "changing", "faster than one reads"],
)
def test_a_wait_is_shown_when_it_changes_and_else_every_few_seconds(said, shown):
    told = say(Narrator("x"), *((now, "progress", detail) for now, detail in said))
    assert [text.split()[-1] for text in told] == shown


def test_the_same_wait_after_an_event_is_shown_again():
    told = say(Narrator("x"), (100, "progress", "a"), (101, "ready", "b"), (102, "progress", "a"))
    assert [text.split()[-1] for text in told] == ["a", "b", "a"]


def test_a_long_wait_says_how_far_it_is_and_is_repeated_less_often():
    narrator = Narrator("api v2")
    waits = [entry("progress", "baking, 3/3 ready", waited_s=float(s), limit_s=300) for s in range(0, 180, 5)]
    shown = [line.text for wait in waits for line in narrator.lines(wait, 1000 + wait["waited_s"])]
    assert shown[-1].endswith("baking, 3/3 ready (2 min 30 s of 5 min)")
    assert len(shown) == 16


def test_seconds_in_a_waits_own_words_are_no_news_and_are_not_said_twice():
    narrator = Narrator("api v2")
    waits = [
        entry("progress", f"hold green at 10 %: held for {s} of 600 s", waited_s=float(s), limit_s=600)
        for s in range(30)
    ]
    shown = [line.text for wait in waits for line in narrator.lines(wait, 1000 + wait["waited_s"])]
    assert [text.split("held for ")[1] for text in shown] == [f"{s} of 600 s" for s in range(0, 30, 5)]


@pytest.mark.parametrize(
    ("waited", "limit", "text"),
    [(3.4, 60, "3 of 60 s"), (45, 600, "45 s of 10 min"), (61, 7500, "1 min 01 s of 2 h 05 min")],
)
def test_how_far_a_wait_is(waited, limit, text):
    assert how_far(waited, limit) == text


def test_a_good_sample_is_one_line_with_each_value_against_its_limit():
    assert sample("good", result("errors"), LATENCY, left_s=270.0) == (
        "19:33:07  churnguard-api v2  hold 10 %  good errors 0.2 % <= 1 %, p99 412 ms <= 2 s, 4 min 30 s left"
    )


def test_a_bad_sample_begins_with_what_is_bad_and_says_that_it_froze():
    bad = result("errors", "bad", 0.213)
    line = sample("bad", LATENCY, bad, left_s=10.0)
    assert "BAD  ! errors 21.3 % > 1 %, p99 412 ms <= 2 s" in line
    assert line.endswith(", FROZEN")
    assert sample("bad", bad, decisive=True).endswith(", taken back")


def test_a_metric_that_is_bad_against_stable_alone_shows_stable():
    worse = {**LATENCY, "verdict": "bad", "stable_value": 0.2}
    assert "! p99 412 ms, stable 200 ms" in sample("bad", worse)
    assert "predictions 0.991, stable 1" in sample("good", BUSINESS)


def test_an_unknown_sample_says_why_and_never_shows_a_number_it_has_not():
    held = {"left_s": 60, "frozen_s": 40.0, "max_hold_s": 600.0}
    line = sample("unknown", result("errors", "unknown", None), cause="metrics_unavailable", **held)
    assert "unknown metrics unavailable: ? errors no data, FROZEN 40 s of 10 min" in line
    assert "no data" in sample("unknown", result("errors", "unknown", float("nan")))


def test_what_does_not_fit_is_counted():
    many = [result(f"a_metric_with_a_long_name_{n}") for n in range(9)]
    worst = result("the_one_that_is_bad", "bad", 0.5)
    line = sample("bad", *many, worst, subject="a-very-long-application-name-indeed v2026.11.21-rc1")
    assert "! the_one_th.. 50%>1%, a_metric_w.. 0.2%<=1%, +8, FROZEN" in line


def test_figures_stand_closer_where_that_shows_more_of_them():
    latency = {**LATENCY, "name": "latency_p99"}
    shown = sample("bad", result("error_ratio", "bad", 0.179), latency, decisive=True)
    assert shown.endswith("BAD  ! error_ratio 17.9 % > 1 %, latency_p99 412 ms <= 2 s, taken back")
    shown = sample("bad", result("errors", "bad", 0.179), {**BUSINESS, "verdict": "bad"}, LATENCY, decisive=True)
    assert shown.endswith("! errors 17.9%>1%, ! predictions 0.991 vs 1, p99 412ms<=2s, taken back")


def test_a_sample_without_figures_gives_its_reason():
    assert "no metric is defined" in sample("unknown", reason="no metric is defined")


def test_a_long_event_is_wrapped_and_loses_nothing():
    detail = "ready blue: " + " ".join(f"word{n}" for n in range(60))
    lines = list(Narrator("api v2").lines(entry("failed", detail), 0))
    assert len(lines) > 2
    assert all(len(line.text) <= WIDTH for line in lines)
    assert " ".join(" ".join(line.text for line in lines).split()).endswith(detail)


def test_frozen_is_marked_without_colour():
    (line,) = Narrator("api").lines(entry("frozen", "at 10 %: errors 21.3 % > 1 %"), 0)
    assert "FROZEN" in line.text


@pytest.mark.parametrize("raw", ["", "{", "[]", "1", '{"at": "x"}', '{"at": 3, "event": "a", "detail": "b"}'])
def test_a_torn_line_is_no_entry(raw):
    assert read(raw) is None


def test_a_line_is_read():
    assert read(json.dumps(entry("a", "b"))) == entry("a", "b")


@pytest.mark.parametrize(
    ("verdict", "data", "ends"),
    [
        ("good", {"troubled_s": None, "left_s": 90.0}, ", 1 min 30 s left"),
        ("bad", {"troubled_s": 30.0, "max_hold_s": 60}, ", 30 of 60 s"),
        ("bad", {"troubled_s": 0.0, "max_hold_s": 60, "decisive": True}, ", fails"),
        ("unknown", {"troubled_s": None, "max_hold_s": 300}, ", 0 s of 5 min"),
    ],
)
def test_outside_of_a_rollout_nothing_is_frozen_or_taken_back(verdict, data, ends):
    shown = sample(verdict, result("error_ratio", verdict), step="look 3", weight=None, **data)
    assert "  look 3 " in shown
    assert shown.endswith(ends)
