"""What one release says for the benchmark."""

from __future__ import annotations

from typing import Any

import pytest
from churnguard_lab.delivery import facts
from churnguard_lab.load.ledger import HTTP_5XX, INJECTED, OK, Entry

AT = "2026-11-21T12:00:{:06.3f}Z"
BEGIN = facts.moment(AT.format(0))


def entry(second: float, version: str = "v1", outcome: str = OK, lat: float = 0.01, lag: float = 0.0) -> Entry:
    status = 200 if outcome == OK else 500
    return Entry(BEGIN + second, lat, outcome, status, version, "blue", "fresh", False, lag)


def envelope(*events: tuple[float, str, dict[str, Any]], verdict: str = "rolled_back") -> dict[str, Any]:
    timeline = [{"at": AT.format(at), "event": name, "detail": f"{name}!", "data": data} for at, name, data in events]
    return {
        "subject": {"version": "v2"},
        "started": AT.format(0),
        "finished": AT.format(40),
        "verdict": verdict,
        "timeline": timeline,
    }


def sample(at: float, verdict: str) -> tuple[float, str, dict[str, Any]]:
    return at, "sample", {"verdict": verdict}


def test_a_release_counts_requests_and_failures() -> None:
    entries = [entry(1), entry(2, outcome=HTTP_5XX), entry(3, outcome=INJECTED)]
    said = facts.release(envelope((5, "weights", {"weights": {"green": 10}}), verdict="passed"), entries)
    assert (said["sent"], said["failed"], said["injected"]) == (3, 1, 1)
    assert (said["version"], said["verdict"], said["seconds"]) == ("v2", "passed", 40)
    assert said["weights"] == [{"green": 10}]
    assert said["failures"] == {"http_5xx: None": 1}


def test_off_runs_from_the_decision_to_the_end_of_the_last_request_of_the_canary() -> None:
    entries = [
        entry(9, "v2"),
        entry(10, "v2", INJECTED, lag=0.5),
        entry(20, "v2", INJECTED),
        entry(22, "v2", lat=5.0),
        entry(30, "v1"),
    ]
    said = facts.taken_back(envelope(sample(12, "unknown"), sample(21, "bad"), (21.5, facts.DECISION, {})), entries)
    assert said["looks_to_decision"] == 1
    assert said["off_s"] == pytest.approx(22 + 5 - 21.5)
    assert said["total_s"] == pytest.approx(22 + 5 - 10.5)
    assert (said["bad_requests"], said["canary_requests"]) == (2, 4)
    assert said["reason"] == "rollback_started!"


def test_looks_are_counted_from_the_first_bad_one() -> None:
    timeline = envelope(
        sample(5, "good"), sample(10, "bad"), sample(15, "unknown"), sample(20, "bad"), (20, facts.DECISION, {})
    )
    assert facts.taken_back(timeline, [])["looks_to_decision"] == 3


def test_a_release_that_was_not_taken_back_has_no_such_figures() -> None:
    said = facts.taken_back(envelope(sample(5, "good"), verdict="passed"), [entry(1, "v2", INJECTED)])
    assert (said["looks_to_decision"], said["off_s"]) == (None, None)


def test_taken_back_for_something_else_than_a_sample() -> None:
    said = facts.taken_back(envelope(sample(5, "good"), (6, facts.DECISION, {})), [])
    assert (said["looks_to_decision"], said["off_s"], said["total_s"]) == (None, None, None)


def test_an_event_that_is_missing_is_an_error() -> None:
    with pytest.raises(ValueError, match="v2 has no event failed"):
        facts.when(envelope(), "failed")
