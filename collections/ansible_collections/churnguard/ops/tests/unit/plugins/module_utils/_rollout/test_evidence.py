# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Counters followed from reading to reading, as Prometheus really delivers them."""

from __future__ import annotations

import json
import math

from ansible_collections.churnguard.ops.plugins.module_utils._prometheus.api import Series
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.evidence import Evidence, Meter, Reading, bins
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.metrics import Metric

METRIC = Metric("errors", "ratio", numerator="e", denominator="r", limit=0.01, window=60.0, min_requests=10)


def counted(**pods: float) -> Reading:
    """Requests by pod."""
    return Reading("q", {"denominator": [Series({"pod": pod}, value) for pod, value in pods.items()]})


def grown(meter: Meter, **pods: float) -> int:
    return meter.read(counted(**pods)).get("denominator", 0)


def test_growth_is_added_up_over_all_series():
    meter = Meter(by_bound=False)
    grown(meter, a=100, b=50)
    assert grown(meter, a=110, b=55) == 15


def test_a_series_born_later_is_counted_from_nothing():
    meter = Meter(by_bound=False)
    grown(meter, a=100)
    assert grown(meter, a=100, b=1) == 1


def test_a_restarted_counter_is_counted_from_nothing():
    meter = Meter(by_bound=False)
    grown(meter, a=100)
    assert (grown(meter, a=7), grown(meter, a=9)) == (7, 2)


def test_a_series_that_one_scrape_missed_is_remembered():
    meter = Meter(by_bound=False)
    grown(meter, a=100, b=1000)
    assert (grown(meter, a=101), grown(meter, a=102, b=1003)) == (1, 4)


def test_what_is_no_number_is_left_out():
    meter = Meter(by_bound=False)
    grown(meter, a=100)
    assert (grown(meter, a=math.nan), grown(meter, a=math.inf), grown(meter, a=105)) == (0, 0, 5)


def test_bounds_are_one_whatever_their_spelling():
    meter = Meter(by_bound=True)
    buckets = [Series({"le": bound}, 1) for bound in ("1", "+Inf", "what")] + [Series({"le": "1.0", "pod": "b"}, 2)]
    assert meter.read(Reading("q", {"buckets": buckets})) == {"1.0": 3, "+Inf": 1}


def test_histograms_with_other_buckets_meet_on_the_bounds_they_share():
    first = {"0.1": 5, "0.5": 8, "+Inf": 10}
    second = {"0.1": 1, "0.2": 2, "0.5": 3, "+Inf": 4}
    assert bins(first, second) == ([0.1, 0.5, math.inf], [5, 3, 2], [1, 2, 1])


def evidence(*looks: tuple[float, float]) -> Evidence:
    """A stage begun at 0 requests and looked at: moment, requests so far."""
    made = Evidence(METRIC)
    made.base((counted(a=0), None))
    for moment, value in looks:
        made.add(moment, (counted(a=value), None))
    return made


def requests(found: tuple) -> int:
    return found[0].get("denominator", 0)


def test_the_window_holds_what_is_not_older():
    assert requests(evidence((30, 100), (60, 300), (120, 700)).window(120, 10)) == 400
    assert requests(evidence((30, 100), (60, 300), (119, 700)).window(119, 10)) == 600


def test_a_window_with_too_few_requests_reaches_further_back():
    made = evidence((30, 6), (60, 8), (120, 10), (180, 12))
    assert requests(made.window(180, 10)) == 12
    assert made.fresh(180) == 2


def test_a_stage_begins_empty_and_the_release_keeps_what_both_sides_served():
    made = Evidence(METRIC)
    for total in (0, 50):
        made.add(total, (counted(a=total), counted(b=total)))
    made.begin_stage()
    made.base((counted(a=80), counted(b=90)))
    made.add(100, (counted(a=85), counted(b=91)))
    assert made.stages == [({"denominator": 50}, {"denominator": 50})]
    assert (made.candidate.stage, made.stable.stage) == ({"denominator": 5}, {"denominator": 1})
    made.forget_stage()
    made.begin_stage()
    assert len(made.stages) == 1


def test_without_a_reading_at_the_begin_the_first_one_is_what_counts_from():
    made = Evidence(METRIC)
    made.base((Reading("q", error="away"), None))
    made.add(10, (counted(a=1000), None))
    made.add(20, (counted(a=1003), None))
    assert made.candidate.stage == {"denominator": 3}


def test_no_series_at_the_begin_is_nothing_served_yet():
    made = Evidence(METRIC)
    made.base((Reading("q", {"denominator": []}), None))
    made.add(10, (counted(a=40), None))
    assert made.candidate.stage == {"denominator": 40}


def test_the_state_is_plain_data_and_goes_on_where_it_was():
    made = evidence((30, 100), (60, 300))
    state = json.loads(json.dumps(made.state(60)))
    other = Evidence(METRIC)
    other.restore(state, 1000)
    other.add(1010, (counted(a=305), None))
    assert requests(other.window(1010, 10)) == 305
    assert other.candidate.stage == {"denominator": 305}


def test_hundreds_of_series_fit_into_a_config_map():
    made = Evidence(METRIC)
    pods = {f"churnguard-api-green-7d9f8b6c5-{number:05d}": 123456.0 for number in range(2000)}
    made.base((counted(**pods), None))
    assert len(json.dumps(made.state(0))) < 100_000
