# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Counters, gauges and shares over a period and the one before, and what is said of them."""

from __future__ import annotations

import math

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._business import figures
from ansible_collections.churnguard.ops.plugins.module_utils._business.definitions import (
    COUNTER,
    GAUGE,
    SHARE,
    Figure,
    default_figures,
    read_figures,
)
from ansible_collections.churnguard.ops.plugins.module_utils._business.figures import Measured, Periods, growth
from ansible_collections.churnguard.ops.plugins.module_utils._business.judging import (
    Judged,
    change_of,
    outcome,
    verdict_of,
    verdicts,
)
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.plugins.module_utils._prometheus.limits import acceptable, overall
from ansible_collections.churnguard.ops.plugins.module_utils._prometheus.ranges import Grid, Line, stretches

GAP = math.nan
SCORE = Figure("score", GAUGE, "Score", "How good.", "score", "points", limit=80.0, at_least=True)
OVERDUE = Figure("overdue", GAUGE, "Overdue", "How late.", "overdue", limit=0.0)
WELL = Figure("well", SHARE, "Well", "How well.", "all", "%", bad="bad", limit=99.9, at_least=True)
SOLD = Figure("sold", COUNTER, "Sold", "How many.", "sold", by=("size",))


def line(*values: float, **labels: str) -> Line:
    return Line(labels, list(values), sum(not math.isnan(value) for value in values))


@pytest.mark.parametrize(
    ("values", "known_from", "grown"),
    [
        ((5, 7, 7, 10), 0, [0, 2, 0, 3]),
        # It starts again from 0.
        ((5, 7, 1, 4), 0, [0, 2, 1, 3]),
        ((5, 7, 0, 0), 0, [0, 2, 0, 0]),
        # What was missed in a gap is found after it, also when the process has started again.
        ((5, GAP, GAP, 9), 0, [0, 0, 0, 4]),
        ((5, GAP, GAP, 3), 0, [0, 0, 0, 3]),
        # New while somebody looked: all of it is growth.
        ((GAP, GAP, 4, 6), 0, [0, 0, 4, 2]),
        # There when somebody began to look: when it grew nobody knows.
        ((GAP, GAP, 4, 6), 2, [0, 0, 0, 2]),
        ((GAP, GAP, GAP, GAP), 0, [0, 0, 0, 0]),
    ],
)
def test_growth_of_a_counter(values, known_from, grown):
    assert growth(list(map(float, values)), known_from) == grown


def test_a_counter_of_a_database_neither_begins_at_nought_nor_starts_again():
    assert growth([GAP, 7.0, 9.0, 8.0, 10.0], 0, stored=True) == [0, 0, 2, 0, 2]


def test_the_periods_are_of_one_length_and_touch():
    periods = Periods.of(Grid(1000.0, 10, 4))
    moments = [periods.grid.start + place * 10 for place in range(periods.grid.count)]
    assert moments[periods.now] == [1000, 1010, 1020, 1030]
    assert moments[periods.before] == [960, 970, 980, 990]
    assert moments[0] == 950


def test_parts_are_added_up_over_processes_and_never_before_their_growth_is_taken():
    lines = [line(0, 10, 20, 0, 10, pod="a", size="s"), line(0, 1, 2, 3, 4, pod="b", size="s"), line(0, 0, 0, 5, 5)]
    parts = figures.grown_parts(lines, ("size",), [True] * 5)
    assert parts == {"s": [0, 11, 11, 1, 11], "all": [0, 0, 0, 5, 0]}
    found = figures.counted(parts, [True] * 5, slice(3, 5))
    assert (found.value, found.parts, found.coverage) == (17, {"s": 12, "all": 5}, 1.0)


def test_a_counter_that_nobody_could_see_is_not_nought():
    looked = [True, False, False, True, True]
    parts = {"s": [0.0] * 5}
    unseen = figures.counted(parts, looked, slice(1, 3))
    assert (unseen.value, unseen.missing) == (None, "Prometheus has nothing of it in the period")
    assert figures.counted({}, looked, slice(3, 5)).missing == "Prometheus has no such series"
    assert figures.counted(parts, looked, slice(3, 5)).value == 0


def test_a_share_of_nothing_is_none():
    looked = [True] * 4
    found = figures.shared([0.0, 100, 100, 0], [0.0, 1, 0, 0], looked, slice(1, 3))
    assert (found.value, found.details) == (99.5, {"total": 200, "failed": 1})
    nothing = figures.shared([0.0] * 4, [0.0] * 4, looked, slice(1, 3))
    assert (nothing.value, nothing.missing) == (None, "nobody asked for anything")
    assert verdict_of(WELL, nothing, 0.9) == ("not_checked", "nobody asked for anything")


def test_a_gauge_of_several_parts_is_their_sum_where_any_is_there():
    parts = {"free": [1.0, 2, GAP, GAP], "pro": [10.0, 20, 30, GAP]}
    found = figures.stood(parts, slice(0, 3), at_least=False)
    assert found.details == {"now": 30, "average": 63 / 3, "lowest": 11, "highest": 30}
    assert (found.judged, found.parts) == (30, {"pro": 30})
    ended = figures.stood(parts, slice(1, 4), at_least=False)
    assert (ended.value, ended.judged, ended.missing) == (None, 30, "it was not there at the end of the period")
    assert ended.coverage == pytest.approx(2 / 3)
    assert figures.stood({}, slice(0, 3), at_least=False).missing == "Prometheus has no such series"


def test_of_several_lines_of_a_part_the_worse_one_counts():
    lines = [line(90.0, GAP, GAP), line(70.0, 75.0, GAP)]
    assert figures.gauge_parts(SCORE, lines)["all"][:2] == [70.0, 75.0]
    assert figures.gauge_parts(OVERDUE, lines)["all"][:2] == [90.0, 75.0]
    assert math.isnan(figures.gauge_parts(OVERDUE, lines)["all"][2])


def measured(judged: float | None, coverage: float = 1.0, compared: float | None = None) -> Measured:
    return Measured(judged, judged, judged if compared is None else compared, {}, {}, coverage, "gone")


@pytest.mark.parametrize(
    ("figure", "found", "verdict", "reason"),
    [
        (SCORE, measured(80.0), "passed", ""),
        (SCORE, measured(79.9), "failed", "the lowest was 79.9 points, at least 80 points is well"),
        (OVERDUE, measured(0.0), "passed", ""),
        (OVERDUE, measured(1.0), "failed", "the highest was 1, at most 0 is well"),
        # Beyond its limit whatever is missing; within it nobody knows.
        (OVERDUE, measured(1.0, 0.1), "failed", "the highest was 1, at most 0 is well"),
        (OVERDUE, measured(0.0, 0.89), "not_checked", "it was seen 89 % of the time, 90 % is wanted"),
        (OVERDUE, measured(None), "not_checked", "gone"),
        (WELL, measured(99.9), "passed", ""),
        (WELL, measured(99.0), "failed", "it was 99 %, at least 99.9 % is well"),
        # What is missing of a share would be in it.
        (WELL, measured(99.0, 0.5), "not_checked", "it was seen 50 % of the time, 90 % is wanted"),
        (SOLD, measured(5.0), "not_checked", "no limit is set"),
        (SOLD, measured(5.0, 0.5), "not_checked", "it was seen 50 % of the time, 90 % is wanted"),
    ],
)
def test_verdicts(figure, found, verdict, reason):
    assert verdict_of(figure, found, 0.9) == (verdict, reason)


@pytest.mark.parametrize(
    ("now", "before", "expected", "percent", "reason"),
    [
        (measured(110.0), measured(100.0), 100.0, 10.0, ""),
        (measured(50.0), measured(100.0), 100.0, -50.0, ""),
        (measured(0.0), measured(0.0), 0.0, 0.0, ""),
        (measured(3.0), measured(0.0), 0.0, None, "there were none before"),
        (measured(3.0), measured(None), None, None, "of the period before: gone"),
        (measured(None), measured(3.0), 3.0, None, "gone"),
        (measured(3.0), measured(2.0, 0.5), None, None, "of the period before: it was seen 50 %"),
        (measured(3.0, 0.5), measured(2.0), 2.0, None, "of this period: it was seen 50 %"),
    ],
)
def test_changes(now, before, expected, percent, reason):
    found = change_of(now, before, 0.9)
    assert (found.before, found.percent) == (expected, percent)
    assert found.reason.startswith(reason)
    assert bool(found.reason) == (percent is None)


def judged(figure: Figure, found: Measured) -> Judged:
    verdict, reason = verdict_of(figure, found, 0.9)
    return Judged(figure, {}, found, change_of(found, found, 0.9), found, verdict, reason, None)


def test_a_review_passes_only_if_something_was_checked_and_nothing_was_left():
    good, bad = judged(SCORE, measured(90.0)), judged(OVERDUE, measured(2.0))
    gone, free = judged(WELL, measured(None)), judged(SOLD, measured(5.0))
    assert overall(verdicts([good, free])) == "passed"
    assert [overall(verdicts(some)) for some in ([good, bad], [good, gone], [free], [])] == ["failed"] * 4
    assert acceptable(verdicts([good, gone]), ["violation"]) and not acceptable(verdicts([good, gone]), ["not_checked"])
    assert outcome([good, good]) == "All 2 figures with a limit are within it."
    assert outcome([bad, gone, free]) == (
        "1 of 2 beyond the limit: Overdue (the highest was 2, at most 0 is well); 1 of 2 not checked: Well (gone)."
    )
    assert outcome([free]) == "Nothing was held against a limit."


def test_the_guides_limits_and_the_objective_of_availability():
    found = {figure.name: (figure.limit, figure.at_least) for figure in default_figures() if figure.limit is not None}
    assert found == {
        "answered_well": (99.9, True),
        "prediction_age": (24.0, False),
        "compliance_score": (80.0, True),
        "gdpr_overdue": (0.0, False),
    }


def test_a_limit_can_be_taken_away_and_set():
    found = {figure.name: figure.limit for figure in read_figures({"compliance_score": None, "predictions": "1e3"})}
    assert (found["compliance_score"], found["predictions"], found["gdpr_overdue"]) == (None, 1000.0, 0.0)


@pytest.mark.parametrize(
    ("limits", "text"),
    [
        ({"score": 1}, "there is no such figure"),
        ({"gdpr_overdue": "none at all"}, "'none at all' is no number"),
        ({"gdpr_overdue": True}, "True is no number"),
        ({"gdpr_overdue": -1}, "give one that is 0 or more"),
        ({"gdpr_overdue": math.nan}, "its limit is nan"),
        ({"answered_well": 101}, "give at most 100"),
    ],
)
def test_limits_that_are_none(limits, text):
    with pytest.raises(OperationError, match=text):
        read_figures(limits)


@pytest.mark.parametrize(("count", "width"), [(60, 1), (61, 2), (288, 6), (720, 12), (1440, 24), (97, 2)])
def test_stretches_to_draw_are_equally_long_where_they_can_be(count, width):
    found, length = stretches([1.0] * count, figures.MOST_DRAWN)
    assert (length, sum(map(len, found))) == (width, count)
    assert len(found) <= figures.MOST_DRAWN
    assert len({len(one) for one in found}) == (1 if count % width == 0 else 2)


def test_what_is_drawn_of_a_share_has_no_value_where_nobody_asked():
    found = figures.shares([0.0, 10, 0, 10], [0.0, 5, 0, 0], slice(0, 4), 60)
    assert found == {"step_s": 60, "lines": {"all": [None, 50.0, None, 100.0]}}
