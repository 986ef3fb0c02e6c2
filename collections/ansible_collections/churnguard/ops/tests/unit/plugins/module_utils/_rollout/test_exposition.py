# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Metrics about rollouts: what they say, and both ways out."""

from __future__ import annotations

import math
import stat
import time

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import isoformat
from ansible_collections.churnguard.ops.plugins.module_utils._common.envelope import Recorder
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.plugins.module_utils._rollout import exposition
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.exposition import Picture, push_path, render
from ansible_collections.churnguard.ops.tests.unit.support.clock import START, FakeClock
from ansible_collections.churnguard.ops.tests.unit.support.servers import Answer, Server, free_port, script
from prometheus_client.parser import text_string_to_metric_families

SUBJECT = {
    "app": "churnguard-api",
    "namespace": "churnguard-lab",
    "version": "v2",
    "previous_version": "v1",
    "strategy": "canary",
    "slot": "green",
}
HERE = {"app": "churnguard-api", "namespace": "churnguard-lab"}


def entry(event: str, seconds: float = 0.0, **data) -> dict:
    at = isoformat(START.fromtimestamp(START.timestamp() + seconds, START.tzinfo))
    return {"at": at, "event": event, "detail": "", **({"data": data} if data else {})}


def sample(verdict: str, seconds: float = 0.0, *results: dict) -> dict:
    return entry("sample", seconds, verdict=verdict, results=list(results))


def heard(*entries: dict) -> Picture:
    picture = Picture()
    for one in entries:
        picture.hear(one, SUBJECT)
    return picture


def values(picture_or_text: Picture | str) -> dict[tuple, float]:
    """(name, further labels) -> value of everything exported."""
    text = picture_or_text if isinstance(picture_or_text, str) else render(picture_or_text).decode()
    found = {}
    for family in text_string_to_metric_families(text):
        for one in family.samples:
            assert {key: one.labels[key] for key in HERE} == HERE
            rest = tuple(value for key, value in one.labels.items() if key not in HERE)
            found[one.name.removeprefix("churnguard_rollout_"), *rest] = one.value
    return found


def states(picture: Picture) -> list[str]:
    return [key[1] for key, value in values(picture).items() if key[0] == "state" and value]


# -- what they say ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("events", "state"),
    [
        (["planned"], "running"),
        (["planned", "frozen"], "frozen"),
        (["planned", "frozen", "weights"], "running"),
        (["planned", "frozen", "rollback_started"], "rolling_back"),
        (["planned", "rollback_started", "weights"], "rolling_back"),
        (["planned", "rollback_started", "rolled_back"], "rolled_back"),
        (["planned", "completed"], "passed"),
    ],
)
def test_the_state_is_one_of_a_few_and_follows_the_events(events, state):
    picture = heard(*(entry(event) for event in events))
    assert states(picture) == [state]
    assert state in exposition.STATES


def test_a_pause_a_gate_and_a_thaw_are_states_too():
    assert states(heard(entry("planned"), entry("control", command="pause"))) == ["paused"]
    assert states(heard(entry("control", command="pause"), entry("control", command="resume"))) == ["running"]
    assert states(heard(entry("gate", before="50"))) == ["waiting"]
    assert states(heard(entry("gate", before="50"), entry("gate", flag="x"))) == ["running"]
    assert states(heard(entry("frozen"), sample("bad"))) == ["frozen"]
    assert states(heard(entry("frozen"), sample("good"))) == ["running"]


def test_weights_samples_values_and_times():
    errors = {"name": "error_ratio", "value": 0.213, "limit": 0.01}
    business = {"name": "predictions", "value": None, "limit": None}
    picture = heard(
        entry("planned"),
        entry("weights", 10, weights={"green": 10, "blue": 90}),
        sample("good", 20, {"name": "error_ratio", "value": 0.002, "limit": 0.01}),
        sample("unheard of", 25),
        sample("bad", 30, errors, business),
    )
    shown = values(picture)
    assert shown["weight", "green"] == 10
    assert shown["weight", "blue"] == 90
    assert [shown["samples_total", verdict] for verdict in ("good", "bad", "unknown")] == [1, 1, 1]
    assert shown["judged_value", "error_ratio"] == 0.213
    assert math.isnan(shown["judged_value", "predictions"])
    assert shown["judged_limit", "error_ratio"] == 0.01
    assert ("judged_limit", "predictions") not in shown
    assert shown["duration_seconds",] == 30
    assert shown["start_timestamp_seconds",] == START.timestamp()
    assert shown["info", "v1", "canary", "v2"] == 1
    assert not [key for key in shown if key[0].startswith("last_result")]


def test_the_end_tells_when_and_how():
    picture = heard(entry("planned"), entry("rolled_back", 42))
    assert values(picture)["last_result_timestamp_seconds", "rolled_back"] == START.timestamp() + 42
    picture.end("aborted", START.timestamp() + 43)
    assert states(picture) == ["aborted"]
    assert values(picture)["last_result_timestamp_seconds", "aborted"] == START.timestamp() + 43


def test_however_many_metrics_there_are_the_export_stays_small():
    many = [{"name": f"m{n}", "value": n, "limit": 1} for n in range(1000)]
    assert len(render(heard(sample("good", 0, *many)))) < 10_000


def test_labels_may_hold_anything():
    picture = heard(entry("planned"))
    picture.version = 'v"2\n\\'
    assert values(picture)["info", "v1", "canary", 'v"2\n\\'] == 1


@pytest.mark.parametrize(
    ("app", "namespace", "path"),
    [
        ("api", "lab", "/metrics/job/churnguard_rollout/app/api/namespace/lab"),
        ("a/b", "lab", "/metrics/job/churnguard_rollout/app@base64/YS9i/namespace/lab"),
        ("a b", "", "/metrics/job/churnguard_rollout/app/a%20b/namespace@base64/="),
    ],
)
def test_the_group_of_a_pushgateway(app, namespace, path):
    assert push_path(app, namespace) == path


# -- getting them out ------------------------------------------------------------------------------------------------


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def recorder(clock):
    recorder = Recorder(clock, "rollout")
    recorder.subject = SUBJECT
    return recorder


def run(recorder: Recorder, clock: FakeClock, **given) -> dict:
    """A short rollout with these options; the measurement that came of it."""
    exporter = exposition.start(given, recorder, clock)
    recorder.event("planned", "v2")
    recorder.event("weights", "", {"weights": {"green": 10, "blue": 90}})
    clock.sleep(30)
    recorder.event("completed", "v2 is live")
    exporter.finish("passed")
    return recorder.measurements[-1]


def test_a_textfile_is_replaced_as_a_whole_and_everyone_may_read_it(recorder, clock, tmp_path):
    path = tmp_path / "churnguard-api.prom"
    path.write_text("old")
    measurement = run(recorder, clock, textfile=str(path))
    shown = values(path.read_text())
    assert shown["state", "passed"] == 1
    assert shown["duration_seconds",] == 30
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    assert measurement["verdict"] == "passed"


def test_a_pushgateway_gets_the_whole_group_each_time(recorder, clock):
    with Server(script(Answer(200))) as server:
        measurement = run(recorder, clock, pushgateway_url=server.url + "/")
    assert {(request.method, request.path) for request in server.requests} == {
        ("PUT", "/metrics/job/churnguard_rollout/app/churnguard-api/namespace/churnguard-lab")
    }
    assert values(server.requests[-1].body)["state", "passed"] == 1
    assert server.requests[-1].body.endswith("\n")
    assert measurement["verdict"] == "passed"


def test_a_run_that_finds_nothing_to_do_leaves_what_the_last_one_told(recorder, clock, tmp_path):
    path = tmp_path / "it.prom"
    exporter = exposition.start({"textfile": str(path)}, recorder, clock)
    recorder.event("completed", "v2 is live already")
    exporter.finish("passed")
    assert not path.exists()
    assert recorder.measurements == []


def test_a_pushgateway_may_ask_for_a_password(recorder, clock):
    with Server(script(Answer(200))) as server:
        given = {"pushgateway_username": "ada", "pushgateway_password": "hush"}
        run(recorder, clock, pushgateway_url=server.url, **given)
    assert server.requests[-1].headers["authorization"] == "Basic YWRhOmh1c2g="


def test_waits_are_told_now_and_then(recorder, clock, tmp_path):
    path = tmp_path / "it.prom"
    exporter = exposition.start({"textfile": str(path)}, recorder, clock)
    recorder.event("planned", "v2")
    for _second in range(60):
        clock.sleep(1)
        recorder.progress("0/3 ready", 1, 600)
    give_up = time.monotonic() + 20
    while not path.exists() or values(path.read_text())["duration_seconds",] < 45:
        assert time.monotonic() < give_up
        time.sleep(0.05)
    exporter.finish("passed")


@pytest.mark.parametrize("answer", [Answer(400, "pushed metrics are invalid"), Answer(500)])
def test_a_pushgateway_that_refuses_is_named_and_harms_nothing(recorder, clock, answer):
    with Server(script(answer)) as server:
        measurement = run(recorder, clock, pushgateway_url=server.url)
    assert measurement["verdict"] == "failed"
    assert f"answered HTTP {answer.status}" in measurement["reason"]


def test_a_pushgateway_that_is_down_and_a_folder_that_is_missing_harm_nothing(recorder, clock, tmp_path):
    down = run(recorder, clock, pushgateway_url=f"http://127.0.0.1:{free_port()}")
    assert "connection refused" in down["reason"]
    missing = run(recorder, clock, textfile=str(tmp_path / "no" / "it.prom"))
    assert "no such file" in missing["reason"]


def test_a_pushgateway_that_is_slow_keeps_nobody_waiting(recorder, clock):
    with Server(script(Answer(stall=60))) as server:
        exporter = exposition.start({"pushgateway_url": server.url, "timeout": 30.0}, recorder, clock)
        begin = time.monotonic()
        recorder.event("planned", "v2")
        for _number in range(50):
            recorder.event("weights", "", {"weights": {"green": 10, "blue": 90}})
        assert time.monotonic() - begin < 20
        exporter.finish("passed")
        assert time.monotonic() - begin < 30
    assert recorder.measurements[-1]["verdict"] == "failed"


def test_an_address_that_is_none_is_refused(recorder, clock):
    with pytest.raises(OperationError, match=r"metrics_export\.pushgateway_url"):
        exposition.start({"pushgateway_url": "localhost:9091"}, recorder, clock)


def test_nothing_is_exported_without_options(recorder, clock):
    assert exposition.start(None, recorder, clock) is None
