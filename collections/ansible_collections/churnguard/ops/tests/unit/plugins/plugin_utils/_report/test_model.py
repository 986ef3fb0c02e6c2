# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report as data."""

from __future__ import annotations

import json

import pytest
from ansible_collections.churnguard.ops.plugins.plugin_utils._report import envelopes, model, traffic


@pytest.fixture
def build():
    """The model of envelopes and ledgers, as the filter makes it."""

    def make(given, ledgers=(), generated=None):
        loaded = envelopes.load(given)
        return model.build(loaded, traffic.measure(ledgers, model.intervals(loaded)), "lab", generated)

    return make


@pytest.fixture
def steady(ledger, request_line):
    """A ledger of ten requests each second from C(start) to C(end)."""

    def write(start, end, version="v1", failed=(), name="load.jsonl"):
        return ledger(
            [
                request_line(start + i / 10, version=version, outcome="reset" if i in failed else "ok")
                for i in range(int((end - start) * 10))
            ],
            name=name,
        )

    return write


def test_a_rollout_says_what_report_json_promises(build, envelope, steady, at):
    report = build([envelope(start=10, end=20)], [steady(0, 30, failed=[150])])
    (rollout,) = report["rollouts"]
    assert {key: rollout[key] for key in ("version", "strategy", "verdict", "duration_s", "started", "finished")} == {
        "version": "v2",
        "strategy": "blue_green",
        "verdict": "passed",
        "duration_s": 10.0,
        "started": at(10),
        "finished": at(20),
    }
    assert rollout["requests"] == {
        "sent": 101,
        "failed": 1,
        "by_version": {"v1": 100},
        "outcomes": {"ok": 100, "reset": 1},
        "coverage": "full",
        "reason": None,
    }
    assert rollout["latency_s"]["p50"] == pytest.approx(0.01, rel=0.02)
    assert (report["schema_version"], report["environment"], report["generated"]) == (1, "lab", at(20))
    assert report["load"]["sent"] == 300
    assert json.loads(json.dumps(report)) == report


def test_without_a_ledger_nothing_is_claimed(build, envelope):
    report = build([envelope()])
    requests = report["rollouts"][0]["requests"]
    assert (requests["sent"], requests["failed"], requests["by_version"]) == (None, None, {})
    assert (requests["coverage"], requests["reason"]) == ("none", "no load ledger was given")
    assert (report["load"], report["series"], report["rollouts"][0]["latency_s"]) == (None, None, None)
    assert report["summary"]["headline"] == "v2 shipped. Requests were not measured."


def test_a_rollout_before_the_load_is_not_covered(build, envelope, steady):
    report = build([envelope(start=0, end=10), envelope(start=30, end=40)], [steady(20, 50)])
    first, second = (rollout["requests"] for rollout in report["rollouts"])
    assert (first["coverage"], first["sent"]) == ("none", None)
    assert first["reason"] == "no load ran between 12:00:00 and 12:00:10 UTC"
    assert (second["coverage"], second["reason"]) == ("full", None)


@pytest.mark.parametrize(
    ("start", "end", "says"),
    [
        (5, 50, "load ran only 12:00:05 to 12:00:20 of 12:00:00 to 12:00:20 UTC"),
        (-5, 12, "load ran only 12:00:00 to 12:00:11 of 12:00:00 to 12:00:20 UTC"),
    ],
)
def test_partial_coverage_is_said(build, envelope, steady, start, end, says):
    report = build([envelope(start=0, end=20)], [steady(start, end)])
    requests = report["rollouts"][0]["requests"]
    assert (requests["coverage"], requests["reason"]) == ("partial", says)
    assert report["summary"]["tone"] == "warn"
    assert says in report["summary"]["notes"][0]


def test_a_moment_without_load_at_the_edge_is_no_gap(build, envelope, steady):
    report = build([envelope(start=0, end=20)], [steady(0.6, 50)])
    assert report["rollouts"][0]["requests"]["coverage"] == "full"


def test_load_that_stalled_proves_less(build, envelope, ledger, request_line):
    requests = [request_line(i / 10) for i in range(300) if not 50 < i < 150]
    report = build([envelope(start=0, end=20)], [ledger(requests)])
    found = report["rollouts"][0]["requests"]
    assert (found["coverage"], found["reason"]) == ("partial", "the load sent 102 of about 200 planned requests")


def test_an_operation_that_took_no_time_can_be_covered(build, envelope, steady):
    report = build([envelope(start=5, end=5, changed=False)], [steady(0, 10)])
    assert report["rollouts"][0]["requests"]["coverage"] == "full"


def test_the_same_input_gives_the_same_report(build, envelope, steady):
    path = steady(0, 20)
    assert build([envelope()], [path]) == build([envelope()], [path])
    assert build([envelope()], [path], generated="2030-01-01T00:00:00.000Z")["generated"][:4] == "2030"


@pytest.mark.parametrize(
    ("verdicts", "failed", "tone", "headline"),
    [
        (["passed"], [], "good", "v2 shipped. None of 200 requests failed."),
        (["passed", "rolled_back"], [], "good", "v2 shipped, v2 refused. None of 200 requests failed."),
        (["passed"], [5, 6], "bad", "v2 shipped. 2 of 200 requests failed."),
        (["failed"], [], "bad", "v2 failed. None of 200 requests failed."),
        (["aborted"], [], "warn", "v2 aborted. None of 200 requests failed."),
    ],
)
def test_the_first_line(build, envelope, steady, verdicts, failed, tone, headline):
    given = [envelope(start=index, end=index + 5, verdict=verdict) for index, verdict in enumerate(verdicts)]
    summary = build(given, [steady(0, 20, failed=failed)])["summary"]
    assert (summary["tone"], summary["headline"]) == (tone, headline)


def test_other_operations_are_told_too(build, envelope):
    report = build([envelope(operation="backup", subject={}, verdict="failed")])
    assert report["rollouts"] == []
    assert report["operations"][0]["operation"] == "backup"
    assert report["summary"]["headline"] == "backup failed. Requests were not measured."
    assert report["summary"]["tone"] == "bad"


def test_nothing_at_all_is_not_good(build):
    summary = build([])["summary"]
    assert (summary["tone"], summary["headline"]) == (
        "warn",
        "No operation is recorded. Requests were not measured.",
    )


def test_unreadable_lines_are_named_in_the_notes(build, envelope, ledger, request_line):
    lines = [request_line(i / 10) for i in range(200)]
    summary = build([envelope()], [ledger([*lines[:7], "{oops", *lines[7:], *["{"] * 25])])["summary"]
    assert summary["notes"][0] == "load.jsonl, line 9 could not be read: not JSON: '{oops'"
    assert summary["notes"][-1] == "6 more lines of the load ledgers could not be read."
    assert summary["tone"] == "warn"


def test_failures_outside_the_operations_are_not_lost(build, envelope, steady):
    summary = build([envelope(start=100, end=110)], [steady(0, 300, failed=[3])])["summary"]
    assert summary["notes"] == ["1 of 2,299 requests before or after the operations failed."]


def test_the_series_is_per_second_and_small_for_long_loads(build, envelope, ledger, request_line):
    report = build([envelope(start=0, end=10)], [ledger([request_line(s) for s in range(20)])])
    assert (report["series"]["step_s"], len(report["series"]["sent"])) == (1, 20)
    long = build([envelope(start=0, end=7200)], [ledger([request_line(s) for s in range(0, 7200, 10)])])
    assert (long["series"]["step_s"], len(long["series"]["sent"])) == (10, 720)
    assert sum(long["series"]["sent"]) == 720
