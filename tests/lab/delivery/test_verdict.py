"""From releases to measurements with limits."""

from __future__ import annotations

from typing import Any

from churnguard_lab import bench
from churnguard_lab.delivery import verdict

GOOD = {"verdict": "passed", "failed": 0, "sent": 100, "seconds": 120.0}
BAD = {
    "verdict": "rolled_back",
    "failed": 0,
    "sent": 50,
    "looks_to_decision": 1,
    "off_s": 4.0,
    "total_s": 20.0,
    "bad_requests": 70,
}


def verdicts(runs: dict[str, Any]) -> dict[str, tuple[float | None, str]]:
    return {one["name"]: (one["value"], one["verdict"]) for one in verdict.measurements(runs)}


def test_nothing_measured_gives_nothing() -> None:
    assert verdict.measurements({}) == []


def test_good_releases() -> None:
    found = verdicts({"good": [GOOD, GOOD]})
    assert found["canary_good_failed_requests"] == (0, "passed")
    assert found["canary_good_clean_releases"] == (2, "passed")


def test_one_failed_request_is_too_many() -> None:
    found = verdicts({"good": [GOOD, {**GOOD, "failed": 1}]})
    assert found["canary_good_failed_requests"] == (1, "failed")
    assert found["canary_good_clean_releases"] == (1, "failed")


def test_a_good_release_that_was_taken_back_is_not_clean() -> None:
    assert verdicts({"good": [{**GOOD, "verdict": "rolled_back"}]})["canary_good_clean_releases"] == (0, "failed")


def test_bad_releases_are_measured_by_the_worst() -> None:
    found = verdicts({"bad": [BAD, {**BAD, "off_s": 11.0, "total_s": 30.0, "bad_requests": 90}]})
    assert found["canary_bad_off_s"] == (11.0, "failed")
    assert found["canary_bad_total_s"] == (30.0, "passed")
    assert found["canary_bad_decision_intervals"] == (1, "passed")
    assert found["canary_bad_requests_served_median"] == (80, "not_checked")


def test_a_bad_release_that_got_through_breaks_every_limit() -> None:
    through = {**BAD, "verdict": "passed", "looks_to_decision": None, "off_s": None}
    found = verdicts({"bad": [BAD, through]})
    assert found["canary_bad_decision_intervals"] == (None, "failed")
    assert found["canary_bad_off_s"] == (None, "failed")
    assert found["canary_bad_clean_releases"] == (1, "failed")


def show(ours: int, limit_3: int) -> dict[str, Any]:
    served = {"ours": ours, "failure_limit_3": limit_3, "threshold_3": 80, "first_bad_sample": 20}
    return {"failed": 0, "loops": {loop: {"bad_requests": count} for loop, count in served.items()}}


def test_loops_are_compared_by_all_bad_requests_together() -> None:
    found = verdicts({"loops": [show(30, 100), show(50, 100)]})
    assert found["bad_requests_served_ratio_vs_failure_limit_3"] == (0.4, "passed")
    assert found["bad_requests_served_ratio_vs_first_bad_sample"] == (2.0, "not_checked")
    assert verdicts({"loops": [show(50, 100)]})["bad_requests_served_ratio_vs_failure_limit_3"] == (0.5, "failed")


def test_every_prefix_has_to_be_recovered() -> None:
    strikes = {"total": 10, "recovered": 9, "failed": 0, "sent": 500}
    found = verdicts({"kill": strikes})
    assert found["kill_prefixes_total"] == (10, "not_checked")
    assert found["kill_prefixes_recovered"] == (9, "failed")
    assert verdicts({"kill": {**strikes, "recovered": 10}})["kill_prefixes_recovered"] == (10, "passed")


def test_the_table_shows_which_way_a_limit_goes() -> None:
    text = bench.table([bench.figure("a", 1, "x", 2), bench.figure("b", 3, "x", 2, at_least=True)])
    assert "<= 2" in text
    assert ">= 2" in text
    assert "failed" not in text


def test_what_could_not_be_measured_fails_its_limit() -> None:
    assert bench.figure("a", None, "s", 5)["verdict"] == "failed"
    assert bench.figure("a", None, "s")["verdict"] == "not_checked"
    assert "none" in bench.table([bench.figure("a", None, "s", 5)])
