# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verdicts of series, metrics and reviews, and what is refused before Prometheus is asked."""

from __future__ import annotations

import math

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.plugins.module_utils._performance.definitions import (
    Metric,
    default_metrics,
    read_metrics,
)
from ansible_collections.churnguard.ops.plugins.module_utils._performance.judging import (
    judge,
    outcome,
    recommendations,
    verdicts,
)
from ansible_collections.churnguard.ops.plugins.module_utils._prometheus.asking import Server
from ansible_collections.churnguard.ops.plugins.module_utils._prometheus.limits import Scope, acceptable, overall
from ansible_collections.churnguard.ops.plugins.module_utils._prometheus.period import grid_of, seconds_of
from ansible_collections.churnguard.ops.plugins.module_utils._prometheus.ranges import Grid, Line, joined

CPU = Metric("cpu", "cpu", unit="%", threshold=80.0)
NOW = 1768000000.0


def line(*values: float, **labels: str) -> Line:
    return Line(labels, list(values), sum(not math.isnan(value) for value in values))


def judged(*lines: Line, metric: Metric = CPU, wanted: float = 0.9):
    count = len(lines[0].values) if lines else 100
    return judge(metric, metric.query, lines, Grid(NOW, 60, count), wanted)


def test_a_twentieth_of_the_samples_may_be_above():
    assert judged(line(*[50.0] * 95, *[90.0] * 5)).verdict == "passed"
    assert judged(line(*[50.0] * 94, *[90.0] * 6)).verdict == "failed"


def test_the_worst_series_speaks_for_the_metric():
    found = judged(line(*[10.0] * 50, instance="a"), line(*[99.0] * 50, instance="b"), line(*[20.0] * 50, instance="c"))
    plain = found.plain()
    assert (plain["labels"], plain["p95"], plain["series_total"]) == ({"instance": "b"}, 99.0, 3)
    assert plain["reason"] == "b: p95 99 % is above 80 %, severity medium"


def test_a_series_with_gaps_spoils_the_metric_beside_a_good_one():
    gaps = line(*[10.0] * 50, *[math.nan] * 50, instance="a")
    found = judged(line(*[10.0] * 100, instance="b"), gaps)
    assert (found.verdict, found.reason) == ("not_checked", "a: 50 of 100 samples are there, 90 % are wanted")


def test_gaps_do_not_hide_violations_that_are_too_many_whatever_is_missing():
    assert judged(line(*[99.0] * 10, *[math.nan] * 90)).verdict == "failed"
    assert judged(line(*[99.0] * 5, *[math.nan] * 95)).verdict == "not_checked"
    average = Metric("cpu", "cpu", threshold=80.0, judged="average")
    assert judged(line(*[99.0] * 10, *[math.nan] * 90), metric=average).verdict == "not_checked"


def test_infinity_is_no_number():
    found = judged(line(*[math.inf] * 100))
    assert (found.verdict, found.worst, found.drawn()) == ("not_checked", None, None)
    assert "100 are no numbers" in found.reason


def test_a_metric_may_ask_for_less():
    relaxed = Metric("cpu", "cpu", threshold=80.0, min_coverage=0.4)
    assert judged(line(*[10.0] * 50, *[math.nan] * 50), metric=relaxed).verdict == "passed"


def test_without_a_threshold_there_are_figures_and_no_verdict():
    found = judged(line(*[10.0] * 50), metric=Metric("disk", "disk", unit="B/s")).plain()
    assert (found["verdict"], found["reason"], found["average"]) == ("not_checked", "no threshold is set", 10.0)
    assert found["violations"] is None


def test_a_review_passes_only_if_something_was_checked_and_nothing_was_left():
    good, bad = judged(line(*[10.0] * 50)), judged(line(*[99.0] * 50))
    gone, free = judged(), judged(line(*[10.0] * 50), metric=Metric("disk", "disk"))
    assert overall(verdicts([good, free])) == "passed"
    assert [overall(verdicts(some)) for some in ([good, bad], [good, gone], [free], [])] == ["failed"] * 4
    assert acceptable(verdicts([good, gone]), ["violation"]) and not acceptable(verdicts([good, gone]), ["not_checked"])
    assert acceptable(verdicts([good, bad]), ["not_checked"]) and not acceptable(verdicts([good, bad]), ["violation"])
    assert not acceptable(verdicts([free]), ["not_checked"]) and acceptable(verdicts([free]), [])
    assert outcome([good, good]) == "All 2 metrics with a threshold are within it."
    assert outcome([free]) == "Nothing was held against a threshold."


def test_the_guides_advice_is_given_with_the_figure_that_says_so():
    cpu = next(metric for metric in default_metrics() if metric.name == "cpu")
    found = recommendations([judged(line(*[65.0] * 99, 91.0, instance="a"), metric=cpu)])
    assert [(one["statistic"], one["above"]) for one in found] == [("average", 60.0), ("max", 90.0)]
    assert found[0]["value"] == pytest.approx(65.26)
    assert recommendations([judged(line(*[60.0] * 100), metric=cpu)]) == []
    assert recommendations([judged(line(*[99.0] * 100))])[0]["text"].startswith("Find out what causes it")


def test_the_guides_thresholds():
    found = {metric.name: metric.threshold for metric in default_metrics() if metric.threshold}
    guide = {"cpu": 80.0, "memory": 85.0, "response_time": 2000.0, "queue_depth": 100.0}
    alerts = {"connections": 80.0, "request_p95": 2000.0}
    assert found == guide | alerts


def test_templates_are_filled_and_foreign_dollars_stay():
    scope = Scope(node='job="node"', application="")
    assert scope.fill('rate(x{$node}[$window]) or y{a=~"b$",$application}', 900) == (
        'rate(x{job="node"}[900s]) or y{a=~"b$",}'
    )
    assert scope.fill("[$window]", 60) == "[300s]"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"raw": [{"name": "A b", "query": "x"}]}, "that is no name"),
        ({"raw": [{"name": "a", "query": " "}]}, "its query is empty"),
        ({"raw": [{"name": "a", "query": "x"}] * 2}, "its name is given twice"),
        ({"raw": [{"name": "a", "query": "x", "threshold": 0.0}]}, "give one above 0"),
        ({"raw": [{"name": "a", "query": "x", "min_coverage": 1.5}]}, "1.5 is no share"),
        ({"raw": [], "thresholds": {"cpus": 1}}, "there is no such metric"),
        ({"raw": [], "thresholds": {"cpu": "many"}}, "'many' is no number"),
        ({"raw": [], "thresholds": {"cpu": float("nan")}}, "its threshold is nan"),
        ({"raw": [], "only": ["gpu"]}, "there is no such metric"),
    ],
)
def test_what_cannot_be_reviewed_is_refused(options, text):
    with pytest.raises(OperationError, match=text):
        read_metrics(**options)


def test_a_threshold_can_be_taken_away_and_set():
    found = read_metrics([], {"cpu": None, "disk_read": "5e6"}, ["cpu", "disk_read"])
    assert [(metric.name, metric.threshold) for metric in found] == [("cpu", None), ("disk_read", 5e6)]


@pytest.mark.parametrize(("text", "seconds"), [("90m", 5400), ("24h", 86400), ("7d", 604800), ("2w", 1209600)])
def test_periods(text, seconds):
    assert seconds_of(text) == seconds
    grid = grid_of(text, None, 300 if seconds > 5400 else 60, NOW)
    assert grid.end == NOW - 5
    assert grid_of(text, "2026-01-09T23:06:00Z", 300 if seconds > 5400 else 60, NOW).end == NOW - 40
    assert grid.count * grid.step == seconds


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("1y", None, 60), "that is no duration"),
        (("0h", None, 60), "that is no duration"),
        (("10m", None, 60), "that is 10 samples"),
        (("52w", None, 60), "that is 524160 samples"),
        (("1h", None, 0), "that is no step"),
        (("1h", "yesterday", 60), "no time with a zone"),
        (("1h", "2026-01-01T00:00:00", 60), "no time with a zone"),
        (("1h", "2036-01-01T00:00:00Z", 60), "compare the clocks"),
    ],
)
def test_periods_that_are_none(arguments, text):
    with pytest.raises(OperationError, match=text):
        grid_of(*arguments, NOW)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (("prometheus:9090",), "that is no address"),
        (("ftp://prometheus",), "that is no address"),
        (("http://",), "that is no address"),
        (("http://prometheus:9090", 0.0), "no time to answer"),
        (("http://prometheus:9090", 30.0, -1.0), "no time to answer"),
    ],
)
def test_an_address_that_is_none_is_refused_at_once(given, text):
    with pytest.raises(OperationError, match=text):
        Server(*given)


def test_a_password_is_not_shown():
    assert Server("https://ops:secret@prometheus:9090/x").shown == "https://prometheus:9090/x"


@pytest.mark.parametrize("count", [1, 11000, 11001, 43200])
def test_pieces_hold_each_moment_once_and_are_joined_again(count):
    grid = Grid(NOW, 60, count)
    pieces = grid.pieces()
    assert all(piece.count <= 11000 for piece in pieces)
    moments = [piece.start + place * piece.step for piece in pieces for place in range(piece.count)]
    assert moments == [NOW + place * 60 for place in range(count)]
    parts = [[line(*[float(number)] * piece.count, a="x")] for number, piece in enumerate(pieces)]
    (whole,) = joined(parts, pieces)
    assert (len(whole.values), whole.given, whole.values[-1]) == (count, count, len(pieces) - 1)


def test_a_series_that_comes_late_or_ends_early_keeps_its_place():
    pieces = Grid(NOW, 60, 6).pieces(2)
    late, early = line(1.0, 2.0, a="late"), line(3.0, math.nan, a="early")
    found = {one.labels["a"]: one for one in joined([[early], [], [late]], pieces)}
    assert [place for place, value in enumerate(found["late"].values) if not math.isnan(value)] == [4, 5]
    assert found["early"].values[0] == 3.0
    assert (len(found["early"].values), found["early"].given) == (6, 1)
