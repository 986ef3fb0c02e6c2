# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures and bands, held against numpy and the guide."""

from __future__ import annotations

import math
import random

import numpy
import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._performance.statistics import (
    certainly_above,
    figures,
    severity,
    thinned,
    violations,
)


@pytest.mark.parametrize("count", [1, 2, 3, 19, 1440, 11001])
def test_figures_are_numpys(count):
    rng = random.Random(count)
    values = [rng.lognormvariate(3, 1) for _value in range(count)]
    found = figures(values)
    assert (found.samples, found.max, found.min) == (count, max(values), min(values))
    assert found.average == pytest.approx(numpy.mean(values))
    assert found.p95 == pytest.approx(numpy.percentile(values, 95))
    assert found.value("p99") == pytest.approx(numpy.percentile(values, 99))


@pytest.mark.parametrize(
    ("value", "threshold", "name"),
    [
        (80.0, 80.0, "none"),
        (80.1, 80.0, "low"),
        (87.9, 80.0, "low"),
        (88.0, 80.0, "medium"),
        (93.5, 85.0, "medium"),
        (2200.0, 2000.0, "medium"),
        (100.0, 80.0, "high"),
        (119.9, 80.0, "high"),
        (150.0, 100.0, "critical"),
        (1e9, 100.0, "critical"),
    ],
)
def test_bands_are_the_guides_with_their_bounds_inside(value, threshold, name):
    assert severity(value, threshold) == name


def test_violations_are_counted_by_band_and_a_gap_ends_a_stretch():
    found = violations([90, 90, math.nan, 101, 121, 80, 79, 81], 80.0, 60)
    assert (found.count, found.seconds, found.longest_s) == (5, 300, 120)
    assert found.bands == {"low": 1, "medium": 2, "high": 1, "critical": 1}


@pytest.mark.parametrize("statistic", ["max", "p95", "p99"])
def test_what_is_certain_holds_whatever_is_missing(statistic):
    rng = random.Random(7)
    certain = 0
    for _attempt in range(300):
        expected = rng.randint(20, 200)
        count = rng.randint(0, expected)
        if certainly_above(statistic, count, expected):
            certain += 1
            best = figures([0.0] * (expected - count) + [1.0001] * count)
            assert best.value(statistic) > 1.0
    assert certain > 100
    assert not certainly_above("average", 200, 200)


def test_thinning_keeps_spikes_and_gaps():
    values = [1.0] * 9 + [math.nan] * 3 + [1.0, 50.0, 1.0]
    means, peaks, width = thinned(values, 5)
    assert (width, len(means)) == (3, 5)
    assert peaks == [1.0, 1.0, 1.0, None, 50.0]
    assert means[3:] == [None, pytest.approx(52 / 3, rel=1e-5)]
