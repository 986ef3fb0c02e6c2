# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Notifications: what is told, and that telling harms nobody."""

from __future__ import annotations

import json
import time

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.churnguard.ops.plugins.module_utils._common.envelope import Recorder
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.plugins.module_utils._rollout import notify
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.notify import KINDS, Story
from ansible_collections.churnguard.ops.tests.unit.support.clock import FakeClock
from ansible_collections.churnguard.ops.tests.unit.support.servers import Answer, Server, free_port, script

SUBJECT = {
    "app": "churnguard-api",
    "namespace": "churnguard-lab",
    "version": "v2",
    "previous_version": "v1",
    "strategy": "blue_green",
    "slot": "green",
}
ERRORS = {
    "name": "error_ratio",
    "kind": "ratio",
    "verdict": "bad",
    "value": 0.213,
    "limit": 0.01,
    "n": 412,
    "p_value": 0.00012,
}
SAMPLE = {"step": "hold", "weight": 10, "verdict": "bad", "results": [ERRORS]}
PATH = "/services/T0/B0/SECRETWORD"


def entry(event: str, detail: str = "", **data) -> dict:
    return {"at": "2026-11-21T19:33:07.123Z", "event": event, "detail": detail, **({"data": data} if data else {})}


def told(*entries: dict, kinds: tuple[str, ...] = KINDS) -> list[dict]:
    """The messages of a run that recorded these events and then ended."""
    story = Story(frozenset(kinds))
    messages = [story.hear(one, SUBJECT) for one in entries]
    return [message for message in [*messages, story.last(SUBJECT)] if message is not None]


def words(*entries: dict, **options) -> list[str]:
    """What follows application and version in each message."""
    return [message["text"].split(": ", 1)[1] for message in told(*entries, **options)]


# -- what is told ----------------------------------------------------------------------------------------------------


def test_a_message_has_the_form_that_slack_takes():
    (message,) = told(entry("planned", "v2 into slot green"))
    assert message == {
        "text": "churnguard-api v2 (churnguard-lab): started",
        "attachments": [
            {
                "color": "#3671b0",
                "title": "churnguard-api v2 (churnguard-lab): started",
                "text": "v2 into slot green",
                "fallback": "churnguard-api v2 (churnguard-lab): started",
                "fields": [
                    {"title": "Strategy", "value": "blue-green", "short": True},
                    {"title": "Replaces", "value": "v1", "short": True},
                    {"title": "Slot", "value": "green", "short": True},
                ],
                "ts": 1795289587,
            }
        ],
    }


def test_a_run_that_is_taken_back_is_told_from_beginning_to_end():
    assert words(
        entry("planned", "v2"),
        entry("step_started", "route green at 10 %"),
        entry("weights", "green 10 %", weights={"green": 10, "blue": 90}),
        entry("sample", "", **SAMPLE),
        entry("frozen", "errors", cause="bad"),
        entry("control", "", command="pause", by="ada"),
        entry("failed", "hold green at 10 %: errors"),
        entry("rollback_started", "errors"),
        entry("rolled_back", "v2 was refused"),
    ) == ["started", "traffic moved", "frozen", "command pause by ada", "is being taken back", "taken back"]


def test_what_led_to_it_stands_beside_a_freeze_and_a_way_back():
    messages = told(entry("sample", "", **SAMPLE), entry("frozen", "errors"), entry("rollback_started", "errors"))
    for message in messages:
        fields = message["attachments"][0]["fields"]
        assert [field["title"] for field in fields] == ["Weight", "error_ratio"]
        assert fields[1]["value"] == "bad: 21.3 % &gt; 1 % (n 412, p 0.00012)"


def test_one_freeze_is_told_once_until_it_has_thawed():
    frozen, bad = entry("frozen", "errors"), entry("sample", "", **SAMPLE)
    good = entry("sample", "", verdict="good")
    assert words(bad, frozen, bad, frozen) == ["frozen"]
    assert words(bad, frozen, good, bad, frozen) == ["frozen", "frozen"]


def test_a_run_that_stopped_half_way_is_told_at_its_end():
    halted = entry("failed", "The rollout of v2 stopped half-way: drain.")
    messages = told(entry("planned", "v2"), entry("failed", "drain blue: not silent"), halted)
    assert messages[-1]["text"].endswith(": stopped half-way")
    assert messages[-1]["attachments"][0]["color"] == "danger"
    assert messages[-1]["attachments"][0]["text"] == halted["detail"]


def test_a_version_that_was_live_already_is_no_news():
    assert told(entry("completed", "v2 is already live in slot blue")) == []


def test_only_what_was_asked_for_is_told():
    assert words(entry("planned", "v2"), entry("completed", "v2"), kinds=("completed",)) == ["is live"]
    assert words(entry("planned", "v2"), entry("failed", "x"), kinds=("completed",)) == []


def test_what_a_gate_waits_for_is_told():
    assert words(entry("gate", "waiting up to 60 s", before="50")) == ["gate waiting"]


def test_nothing_in_a_message_calls_a_channel_or_becomes_a_link():
    (message,) = told(entry("planned", "<!channel> & <https://evil.example|click>"))
    assert message["attachments"][0]["text"] == "&lt;!channel&gt; &amp; &lt;https://evil.example|click&gt;"


def test_long_texts_are_cut():
    (message,) = told(entry("rollback_started", "x" * 100_000))
    assert len(message["attachments"][0]["text"]) == 1500


# -- telling it ------------------------------------------------------------------------------------------------------


@pytest.fixture
def recorder():
    recorder = Recorder(FakeClock(), "rollout")
    recorder.subject = SUBJECT
    return recorder


def run(recorder: Recorder, **given) -> dict:
    """A short rollout with these options; its envelope."""
    notifier = notify.start({"events": list(KINDS), **given}, recorder)
    recorder.event("planned", "v2 into slot green")
    recorder.progress("0/3 ready", 1, 600)
    recorder.event("completed", "v2 is live")
    notifier.finish()
    return recorder.envelope("passed", True)


def test_messages_go_to_the_webhook_in_their_order(recorder):
    with Server(script(Answer(200, "ok"))) as server:
        envelope = run(recorder, webhook_url=server.url + PATH, channel="#deployments")
    assert [request.path for request in server.requests] == [PATH, PATH]
    assert [request.json["text"].split(": ")[1] for request in server.requests] == ["started", "is live"]
    assert {request.json["channel"] for request in server.requests} == {"#deployments"}
    assert server.requests[0].headers["content-type"] == "application/json"
    assert envelope["measurements"] == [
        {"name": "notifications", "value": 2, "unit": "messages", "limit": None, "verdict": "passed"}
    ]


def test_a_sink_gets_what_a_webhook_would(recorder, tmp_path):
    run(recorder, sink=str(tmp_path / "messages.jsonl"))
    lines = [json.loads(line) for line in (tmp_path / "messages.jsonl").read_text().splitlines()]
    assert [line["text"].split(": ")[1] for line in lines] == ["started", "is live"]


def test_a_webhook_that_fails_once_is_asked_again(recorder):
    with Server(script(Answer(502), Answer(200, "ok"))) as server:
        envelope = run(recorder, webhook_url=server.url + PATH)
    assert len(server.requests) == 3
    assert envelope["measurements"][0]["verdict"] == "passed"


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (Answer(404, "no_service"), "answered HTTP 404"),
        (Answer(302, "", {"Location": "/services/T0/B0/SECRETWORD/elsewhere"}), "answered HTTP 302"),
    ],
)
def test_a_webhook_that_refuses_stands_in_the_envelope_without_its_address(recorder, answer, says):
    with Server(script(answer)) as server:
        envelope = run(recorder, webhook_url=server.url + PATH)
    (measurement,) = envelope["measurements"]
    assert measurement["verdict"] == "failed"
    assert measurement["reason"] == f"2 of 2 not delivered: the webhook or sink {says}"
    assert "SECRETWORD" not in json.dumps(envelope)


def test_a_webhook_that_is_down_is_named_without_its_address(recorder):
    envelope = run(recorder, webhook_url=f"http://127.0.0.1:{free_port()}{PATH}")
    assert "connection refused" in envelope["measurements"][0]["reason"]
    assert "SECRETWORD" not in json.dumps(envelope)


def test_a_webhook_that_never_answers_costs_one_time_out_at_the_end_and_nothing_before(recorder):
    with Server(script(Answer(stall=60))) as server:
        notifier = notify.start({"events": list(KINDS), "webhook_url": server.url, "timeout": 0.5}, recorder)
        begin = time.monotonic()
        for number in range(50):
            recorder.event("weights", f"green {number} %")
        told_in = time.monotonic() - begin
        notifier.finish()
        ended_in = time.monotonic() - begin
    # The server holds each request for 60 s; generous, because the machine may be busy.
    assert told_in < 10
    assert ended_in < 20
    (measurement,) = recorder.measurements
    assert measurement["verdict"] == "failed"
    assert "not delivered" in measurement["reason"]


def test_a_sink_that_cannot_be_written_fails_nothing(recorder, tmp_path):
    envelope = run(recorder, sink=str(tmp_path / "nowhere" / "messages"))
    assert "no such file" in envelope["measurements"][0]["reason"]


def test_nothing_is_sent_and_nothing_recorded_without_options(recorder):
    assert notify.start(None, recorder) is None
    recorder.event("planned", "v2")
    assert recorder.measurements == []


@pytest.mark.parametrize(
    "given", [{"webhook_url": "hooks.example/SECRETWORD"}, {"webhook_url": "", "sink": ""}], ids=["no address", "none"]
)
def test_options_that_cannot_work_are_refused_before_anything_starts(recorder, given):
    with pytest.raises(OperationError) as raised:
        notify.start({"events": [], **given}, recorder)
    assert "SECRETWORD" not in str(raised.value)


def test_the_address_is_a_secret_to_ansible():
    validator = ArgumentSpecValidator({"notifications": notify.options()})
    checked = validator.validate({"notifications": {"webhook_url": "https://h/SECRETWORD"}})
    assert checked.error_messages == []
    assert "https://h/SECRETWORD" in checked._no_log_values
    assert validator.validate({"notifications": {"events": ["started"]}}).error_messages
    assert validator.validate({"notifications": {"sink": "/x", "events": ["party"]}}).error_messages
