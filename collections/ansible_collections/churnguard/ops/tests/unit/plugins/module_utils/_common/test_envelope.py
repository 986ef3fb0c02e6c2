# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import isoformat, parse_time
from ansible_collections.churnguard.ops.plugins.module_utils._common.envelope import Recorder
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.tests.unit.support.clock import FakeClock


@pytest.fixture
def told():
    return []


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def recorder(clock, told):
    return Recorder(clock, "rollout", told.append)


def test_an_envelope_has_every_field_of_the_contract(recorder, clock):
    recorder.subject = {"app": "churnguard-api"}
    clock.sleep(2.5)
    assert recorder.envelope("passed", True) == {
        "operation": "rollout",
        "subject": {"app": "churnguard-api"},
        "started": "2026-11-21T19:00:00.000Z",
        "finished": "2026-11-21T19:00:02.500Z",
        "verdict": "passed",
        "changed": True,
        "timeline": [],
        "measurements": [],
        "evidence": [],
    }


def test_events_are_kept_and_told_and_progress_is_only_told(recorder, clock, told):
    recorder.event("planned", "v2 into slot green")
    clock.sleep(1)
    recorder.event("weights", "green 100 %", {"weights": {"green": 100}})
    recorder.progress("1/2 ready")
    timeline = recorder.envelope("passed", True)["timeline"]
    assert timeline == [
        {"at": "2026-11-21T19:00:00.000Z", "event": "planned", "detail": "v2 into slot green"},
        {
            "at": "2026-11-21T19:00:01.000Z",
            "event": "weights",
            "detail": "green 100 %",
            "data": {"weights": {"green": 100}},
        },
    ]
    assert [json.loads(line) for line in told[:2]] == timeline
    assert json.loads(told[2]) == {"at": "2026-11-21T19:00:01.000Z", "event": "progress", "detail": "1/2 ready"}


def test_a_recorder_without_a_listener_keeps_silent(clock):
    recorder = Recorder(clock, "rollout")
    recorder.event("planned", "v2")
    recorder.progress("soon")
    assert len(recorder.timeline) == 1


@pytest.mark.parametrize(
    ("value", "limit", "given", "verdict"),
    [
        (3.0, 3.0, "", "passed"),
        (3.1, 3.0, "", "failed"),
        (3.1, None, "", "not_checked"),
        (None, 3.0, "", "not_checked"),
        (9.0, 3.0, "passed", "passed"),
        (None, None, "skipped", "skipped"),
    ],
)
def test_the_verdict_of_a_figure(recorder, value, limit, given, verdict):
    recorder.measure("ready_s", value, "s", limit, given)
    assert recorder.measurements[0]["verdict"] == verdict


def test_a_figure_is_rounded_after_it_was_judged_and_keeps_its_reason(recorder):
    recorder.measure("ready_s", 3.00049, "s", 3.0004, reason="slow")
    assert recorder.measurements == [
        {"name": "ready_s", "value": 3.0, "unit": "s", "limit": 3.0004, "verdict": "failed", "reason": "slow"}
    ]


@pytest.mark.parametrize(
    "moment",
    [datetime(2026, 11, 21, 19, 33, 0, 123000, UTC), datetime(2026, 1, 1, 1, 0, tzinfo=timezone(timedelta(hours=1)))],
)
def test_times_survive_writing_and_reading(moment):
    assert parse_time(isoformat(moment)) == moment
    assert isoformat(moment).endswith("Z")


@pytest.mark.parametrize("text", ["2026-11-21T19:33:00Z", "2026-11-21T19:33:00.000000Z", "2026-11-21T20:33:00+01:00"])
def test_kubernetes_times_are_read(text):
    assert parse_time(text) == datetime(2026, 11, 21, 19, 33, tzinfo=UTC)


def test_an_error_says_what_was_tried_what_was_answered_and_what_next():
    error = OperationError("lock x/y", "somebody holds it.", "wait.")
    assert str(error) == "Could not lock x/y: somebody holds it. Next: wait."


def test_listeners_hear_events_and_progress_as_they_are(clock, told):
    heard, late = [], []
    recorder = Recorder(clock, "rollout", told.append, [heard.append])
    recorder.event("weights", "green 100 %", {"weights": {"green": 100}})
    recorder.listen(late.append)
    recorder.progress("1/2 ready", 3, 60)
    assert heard == [json.loads(line) for line in told]
    assert [entry["event"] for entry in late] == ["progress"]


def test_a_listener_that_fails_is_dropped_and_the_rest_hears_on(clock):
    heard = []

    def broken(_entry):
        raise ValueError("https://hooks.example/secret")

    recorder = Recorder(clock, "rollout", listeners=[broken, heard.append])
    recorder.event("planned", "v2")
    recorder.event("completed", "v2 is live")
    envelope = recorder.envelope("passed", True)
    assert [entry["event"] for entry in heard] == ["planned", "completed"]
    assert [item["kind"] for item in envelope["evidence"]] == ["listener_failed"]
    assert "secret" not in json.dumps(envelope)
