# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Counts and quantiles."""

from __future__ import annotations

import random

import pytest
from ansible_collections.churnguard.ops.plugins.plugin_utils._report.ledger import Entry
from ansible_collections.churnguard.ops.plugins.plugin_utils._report.stats import Bins, LatencyHistogram, Tally


def entry(due=0.0, latency=0.01, outcome="ok", version="v1", slow=False):
    return Entry(due, latency, outcome, version is not None, version, slow)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("share", [0.5, 0.95, 0.99, 1.0])
def test_a_quantile_is_right_to_one_percent(seed, share):
    rng = random.Random(seed)
    values = sorted(rng.lognormvariate(-4, 1.5) for _index in range(997))
    histogram = LatencyHistogram()
    for value in values:
        histogram.add(value)
    exact = values[-(-int(share * 997 * 1000) // 1000) - 1]
    assert histogram.quantile(share) == pytest.approx(exact, rel=0.0101)


def test_nothing_has_no_quantile():
    assert LatencyHistogram().quantiles() == {"p50": None, "p95": None, "p99": None}


def test_one_value_is_every_quantile_and_zero_is_a_value():
    histogram = LatencyHistogram()
    histogram.add(0.0)
    assert list(histogram.quantiles().values()) == pytest.approx([1e-6] * 3, rel=0.0101)


@pytest.mark.parametrize(
    ("outcome", "failed"),
    [
        ("ok", 0),
        ("injected_5xx", 0),
        ("http_5xx", 1),
        ("http_4xx", 1),
        ("refused", 1),
        ("reset", 1),
        ("timeout", 1),
        ("connect_error", 1),
        ("protocol_error", 1),
        ("something_new", 1),
    ],
)
def test_failed_is_all_but_good_answers_and_built_in_faults(outcome, failed):
    tally = Tally()
    tally.add(entry(outcome=outcome))
    assert (tally.sent, tally.failed) == (1, failed)


def test_latency_is_that_of_answers_and_not_of_requests_made_slow():
    tally = Tally()
    tally.add(entry(latency=0.01))
    tally.add(entry(latency=5.0, outcome="timeout", version=None))
    tally.add(entry(latency=3.0, slow=True))
    found = tally.latency_s()
    assert (found["requests"], found["slow_left_out"]) == (1, 1)
    assert found["p99"] == pytest.approx(0.01, rel=0.0101)


def test_versions_and_what_nobody_answered():
    tally = Tally()
    for version in ("v2", "v1", "v2", None):
        tally.add(entry(version=version, outcome="ok" if version else "reset"))
    assert tally.counts() == {
        "sent": 4,
        "failed": 1,
        "by_version": {"v1": 1, "v2": 2},
        "outcomes": {"ok": 3, "reset": 1},
    }


def test_bins_hold_what_was_due_in_them_and_nothing_from_outside():
    bins = Bins(100.0, 103.5, 1.0)
    for due in (99.99, 100.0, 100.999, 102.0, 103.4, 104.0):
        bins.add(entry(due=due, version="v2" if due > 101 else "v1"))
    columns = bins.columns()
    assert columns["sent"] == [2, 0, 1, 1]
    assert columns["by_version"] == {"v1": [2, 0, 0, 0], "v2": [0, 0, 1, 1]}
    assert columns["outcomes"] == {}
    assert columns["latency_s"]["p50"][1] is None
