# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests are cut out of ledgers by the time of the operations."""

from __future__ import annotations

import pytest
from ansible_collections.churnguard.ops.plugins.plugin_utils._report.traffic import bin_width, measure, merge


def test_a_window_holds_what_was_in_flight_at_any_time_of_it(ledger, request_line, noon):
    requests = [
        request_line(8.0, lat=1.9),  # over before
        request_line(9.0, lat=1.0),  # ends just then
        request_line(9.5, lat=30.0),  # in flight all the time
        request_line(15.0),
        request_line(20.0),  # due just then
        request_line(20.1),  # due after
    ]
    measured = measure([ledger(requests)], [(noon + 10, noon + 20)])
    assert measured.windows[0].tally.sent == 4
    assert measured.total.sent == 6


def test_windows_may_overlap_and_each_counts_for_itself(ledger, request_line, noon):
    path = ledger([request_line(second) for second in range(30)])
    measured = measure([path], [(noon + 5, noon + 15), (noon + 10, noon + 12)])
    assert [window.tally.sent for window in measured.windows] == [11, 3]


def test_several_ledgers_add_up(ledger, request_line, noon):
    one = ledger([request_line(second) for second in range(10)], name="a.jsonl")
    two = ledger([request_line(second) for second in range(8, 20)], name="b.jsonl")
    measured = measure([one, two], [(noon, noon + 19)])
    assert measured.windows[0].tally.sent == 22
    assert measured.windows[0].covered_s == pytest.approx(19)


def test_a_gap_between_ledgers_is_not_covered(ledger, request_line, noon):
    one = ledger([request_line(second) for second in range(5)], name="a.jsonl")
    two = ledger([request_line(second) for second in range(10, 20)], name="b.jsonl")
    measured = measure([one, two], [(noon, noon + 19)])
    assert measured.windows[0].covered_s == pytest.approx(4.01 + 9)


def test_load_of_another_day_is_named_and_left_out(ledger, request_line, noon):
    old = ledger([request_line(second - 90_000) for second in range(10)], name="a.jsonl")
    new = ledger([request_line(second) for second in range(10)], name="b.jsonl")
    later = ledger([request_line(second + 90_000) for second in range(10)], name="c.jsonl")
    measured = measure([old, new, later], [(noon, noon + 5)])
    left_out = "not from the time of the operations"
    assert [(one["file"], one["left_out"]) for one in measured.ledgers] == [
        ("a.jsonl", left_out),
        ("b.jsonl", None),
        ("c.jsonl", left_out),
    ]
    assert measured.total.sent == 10


def test_load_long_before_and_after_is_counted_apart(ledger, request_line, noon):
    requests = [request_line(second, outcome="reset" if second < 10 else "ok") for second in range(300)]
    measured = measure([ledger(requests)], [(noon + 100, noon + 110)])
    assert (measured.total.sent, measured.total.failed) == (71, 0)
    assert (measured.outside.sent, measured.outside.failed) == (229, 10)
    assert measured.span == (noon + 70, noon + 140)


def test_without_operations_all_load_counts(ledger, request_line):
    measured = measure([ledger([request_line(second) for second in range(300)])], [])
    assert measured.total.sent == 300


@pytest.mark.parametrize("requests", [[], None])
def test_an_empty_ledger_covers_nothing(ledger, tmp_path, noon, requests):
    path = str(tmp_path / "none.jsonl")
    if requests is None:
        (tmp_path / "none.jsonl").touch()
    else:
        path = ledger(requests, started=0)
    measured = measure([path], [(noon, noon + 10)])
    assert (measured.given, measured.windows[0].covered, measured.bins) == (1, [], None)
    assert measured.ledgers[0]["left_out"] == "no request in it"


@pytest.mark.parametrize(
    ("seconds", "width"), [(0, 1), (900, 1), (901, 2), (3600, 5), (86_400, 120), (900 * 3600, 3600), (9e6, 10_000)]
)
def test_a_series_stays_small(seconds, width):
    assert bin_width(seconds) == width


def test_merge_joins_what_touches_and_cuts_to_the_window():
    assert merge([(5, 7), (0, 2), (1, 3), (3, 4), (9, 20)], within=(1, 10)) == [(1, 4), (5, 7), (9, 10)]
