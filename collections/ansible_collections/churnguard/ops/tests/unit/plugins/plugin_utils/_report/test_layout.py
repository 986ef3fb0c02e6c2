# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Labels that keep off each other."""

from __future__ import annotations

import random

import pytest
from ansible_collections.churnguard.ops.plugins.plugin_utils._report import layout
from ansible_collections.churnguard.ops.plugins.plugin_utils._report.layout import NARROW, WIDE, Mark, place


def crosses(upper, lower):
    """Whether the line of one runs through the text of the other."""
    return upper.row > lower.row and lower.start + 0.5 < upper.x < lower.end - 0.5


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=lambda size: size.name)
@pytest.mark.parametrize("seed", range(20))
def test_no_text_lies_on_another_or_on_a_line_or_outside(size, seed):
    rng = random.Random(seed)
    marks = [Mark(rng.uniform(0, 100), "v" * rng.randint(2, 14), rng.randint(0, 4), "neutral") for _i in range(25)]
    placed = place(marks, 0, 100, size, rows=6)
    assert placed
    for one in placed:
        assert 0 <= one.start < one.end <= size.width
        assert one.x in (pytest.approx(one.start), pytest.approx(one.end))
        for other in placed:
            assert not crosses(one, other)
            if one is not other and one.row == other.row:
                assert one.end <= other.start or other.end <= one.start


def test_what_matters_most_gets_the_place():
    marks = [Mark(50, "less important", 4, "neutral"), Mark(50, "v2 100 %", 0, "neutral")]
    assert [one.mark.text for one in place(marks, 0, 100, NARROW, rows=1)][0] == "v2 100 %"


@pytest.mark.parametrize(
    ("end", "room", "labels"),
    [
        (30, 282, ["12:00:00", "12:00:10", "12:00:20", "12:00:30"]),
        (170, 282, ["12:00", "12:01", "12:02"]),
        (3 * 3600, 282, ["12:00", "13:00", "14:00", "15:00"]),
    ],
)
def test_ticks_are_round_and_fit(noon, end, room, labels):
    ticks = layout.clock_ticks(noon, noon + end, room, 12)
    assert [label for _moment, label in ticks] == labels


def test_ticks_over_days_name_the_day(noon):
    assert layout.clock_ticks(noon, noon + 3 * 86_400, 900, 13)[0][1] == "21 Nov 12:00"


@pytest.mark.parametrize("end", [0.1, 1, 12.4, 33, 78.6, 600, 86_400, 1e6])
def test_durations_get_some_ticks_but_not_many(end):
    ticks = layout.second_ticks(end, 8)
    assert ticks[0] == 0
    assert ticks[-1] <= end
    assert 2 <= len(ticks) <= 13


def test_a_version_keeps_its_colour_in_every_plot():
    model = {
        "series": {"by_version": {"v0": [], "v2": [], "v1": []}},
        "rollouts": [
            {"previous_version": "v1", "version": "v2"},
            {"previous_version": "v2", "version": "v3"},
            {"previous_version": None, "version": "v1"},
        ],
    }
    assert layout.colour_numbers(model) == {"v1": 1, "v2": 2, "v3": 3, "v0": 4}


@pytest.mark.parametrize(
    ("change", "texts"),
    [
        ({}, ["v2 starts", "v2 100 %", "v2 done", "ready", "v1 retired"]),
        ({"previous_version": None}, ["v2 starts", "v2 done", "ready", "retired"]),
        ({"outcome": "refused", "weights": []}, ["v2 starts", "v2 refused"]),
        ({"outcome": "rolled_back"}, ["v2 starts", "v2 100 %", "v2 rolled back"]),
        ({"outcome": "unchanged"}, ["v2 unchanged"]),
        ({"version": None, "outcome": "failed", "weights": []}, ["rollout starts", "rollout failed"]),
    ],
)
def test_marks_tell_the_story_of_a_rollout(at, change, texts):
    rollout = {
        "version": "v2",
        "previous_version": "v1",
        "slot": "blue",
        "started": at(0),
        "finished": at(9),
        "weights": [{"at": at(5), "shares": {"blue": 1.0}}],
        "outcome": "shipped",
        "tone": "good",
    }
    timeline = [{"at": at(2), "event": "ready"}, {"at": at(8), "event": "retired"}, {"at": at(8), "event": "smoke"}]
    assert [mark.text for mark in layout.marks({**rollout, **change}, timeline)] == texts
