# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tests against figures that can be worked out by hand, and against scipy on single observations."""

from __future__ import annotations

import math

import numpy
import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._rollout import statistics
from scipy.stats import mannwhitneyu


def test_the_binomial_test_is_the_tail_of_the_binomial_distribution():
    # Two or more heads of three.
    assert statistics.p_share_above(2, 3, 0.5) == pytest.approx(0.5)
    assert statistics.p_share_above(0, 300, 0.01) == 1.0
    assert statistics.p_share_above(0, 0, 0.01) == 1.0
    # 59 requests without an error prove "less than 5 %" at 95 %, 58 do not.
    assert 0.95**59 < 0.05 < 0.95**58


def test_fishers_test_is_the_tail_of_the_hypergeometric_distribution():
    # 3 of 3 against 0 of 3: one of the 20 ways to choose 3 of 6.
    assert statistics.p_ratio_worse(3, 3, 0, 3, rises=True) == pytest.approx(1 / 20)
    assert statistics.p_ratio_worse(0, 3, 3, 3, rises=False) == pytest.approx(1 / 20)
    assert statistics.p_ratio_worse(3, 3, 0, 3, rises=False) == pytest.approx(1.0)
    assert statistics.p_ratio_worse(1, 10, 0, 0, rises=True) == 1.0


def test_events_that_outnumber_requests_are_compared_as_rates():
    # 12 of 12 events on the side with half of the requests.
    assert statistics.p_ratio_worse(12, 5, 0, 5, rises=True) == pytest.approx(0.5**12)
    assert statistics.p_ratio_worse(0, 5, 12, 5, rises=False) == pytest.approx(0.5**12)


def test_the_rank_test_on_counts_is_the_one_on_observations():
    draw = numpy.random.default_rng(1)
    slow, fast = draw.lognormal(0.3, 1, 400), draw.lognormal(0, 1, 300)
    bounds = [-math.inf, *numpy.linspace(0.1, 8, 30), math.inf]
    bins, bins0 = (numpy.histogram(data, bounds)[0].tolist() for data in (slow, fast))
    rounded, rounded0 = (numpy.digitize(data, bounds) for data in (slow, fast))
    expected = mannwhitneyu(rounded, rounded0, alternative="greater", method="asymptotic")
    assert statistics.p_slower(bins, bins0) == pytest.approx(expected.pvalue)
    assert statistics.superiority(bins, bins0) == pytest.approx(expected.statistic / (400 * 300))


def test_the_rank_test_knows_its_edges():
    assert statistics.p_slower([5, 0], [5, 0]) == 1.0
    assert statistics.p_slower([], []) == 1.0
    assert statistics.superiority([0, 0], [1, 1]) == 0.5
    assert statistics.superiority([0, 10], [10, 0]) == 1.0
    # Millions of requests take no more memory than thousands, and are no less certain.
    assert statistics.p_slower([1_000_000, 2_000_000], [2_000_000, 1_000_000]) < 1e-100


def test_stages_are_combined_by_stouffers_sum():
    one = statistics.combined([0.05], [3.0])
    assert one == pytest.approx(0.05)
    # Two equal z-values of 1.645 give one of 1.645 * sqrt(2).
    assert statistics.combined([0.05, 0.05], [1.0, 1.0]) == pytest.approx(0.0100, abs=1e-4)
    # A stage without any event (p = 1) is a weak word, not a veto; a p-value of 0 is no infinity.
    assert statistics.combined([1.0, 1e-9], [1.0, 3.0]) < 1e-5
    assert math.isfinite(statistics.combined([0.0, 0.5], [1.0, 1.0]))


def test_a_stages_weight_is_that_of_its_smaller_side():
    assert statistics.information(100, 100) == pytest.approx(math.sqrt(50))
    assert statistics.information(100, 1_000_000) == pytest.approx(10, abs=0.01)
    assert statistics.information(0, 5) == 0.0


@pytest.mark.parametrize(
    ("bins", "share", "value"),
    [
        ([10, 0, 0], 0.5, 0.5),
        ([10, 10, 0], 0.75, 1.5),
        ([0, 10, 0], 0.5, 1.5),
        ([0, 0, 10], 0.5, 2.0),
        ([0, 0, 0], 0.5, None),
    ],
)
def test_quantiles_are_interpolated_as_prometheus_does(bins, share, value):
    assert statistics.quantile([1.0, 2.0, math.inf], bins, share) == (None if value is None else pytest.approx(value))
