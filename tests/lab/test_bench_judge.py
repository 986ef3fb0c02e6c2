"""Short forms of the judge's benchmarks. Chance is seeded, so these give the same figures on every machine."""

from __future__ import annotations

import pytest
from churnguard_lab import bench_gate, bench_judge
from churnguard_lab.bench_judge import GUIDE, JUDGE, LIMIT_3, Scenario, releases, share_taken_back


@pytest.mark.parametrize("sigma", [0.5, 1.0])
def test_healthy_releases_are_not_taken_back(sigma):
    found = releases(Scenario(sigma=sigma), 30, 11, JUDGE, GUIDE, LIMIT_3)
    assert share_taken_back(found[JUDGE]) <= 0.05
    # The loops, on the same requests, take nearly every one of them back.
    assert share_taken_back(found[LIMIT_3]) > 0.5
    assert share_taken_back(found[GUIDE]) > 0.5


def test_many_errors_are_found():
    found = releases(Scenario(errors=0.05), 30, 12)[JUDGE]
    assert share_taken_back(found) >= 0.95
    # In the first step: no other share of the traffic has met the version.
    assert max(outcome.looks for outcome in found) <= 2 * bench_judge.STEP_LOOKS


@pytest.mark.parametrize("sigma", [0.5, 1.0])
def test_a_version_a_quarter_slower_is_found(sigma):
    assert share_taken_back(releases(Scenario(slower=1.25, sigma=sigma), 30, 13)[JUDGE]) >= 0.9


def test_a_fifth_of_errors_is_taken_back_at_the_first_look():
    measurements = {one["name"]: one for one in bench_judge.bad_requests(30)}
    assert measurements["simulated_decision_looks"]["value"] == 1
    assert measurements["simulated_bad_requests_served_ratio_vs_failure_limit_3"]["value"] <= 0.4


def test_the_judge_sees_the_traffic_that_the_loops_see():
    scenario = Scenario(errors=0.2, rate=200.0)
    found = releases(scenario, 3, 14, JUDGE, GUIDE)
    assert [one.bad_requests for one in found[JUDGE]] == [one.bad_requests for one in found[GUIDE]]
    assert found[JUDGE][0].bad_requests != found[JUDGE][1].bad_requests


def test_every_measurement_has_the_envelopes_form():
    for one in bench_judge.measure(2):
        assert set(one) - {"at_least"} == {"name", "value", "unit", "limit", "verdict"}


def test_several_services_are_judged_at_once_in_one_process():
    found = {one["name"]: one for one in bench_gate.measure(services=10, seconds=10, interval=2)}
    assert found["judge_looks_per_service"]["value"] >= 2
    assert found["judge_peak_mb"]["verdict"] == "passed"
