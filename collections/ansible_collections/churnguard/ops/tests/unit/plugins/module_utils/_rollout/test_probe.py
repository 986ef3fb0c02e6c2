# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.probe import (
    Endpoint,
    Reply,
    fetch,
    other_origin,
    smoke_failure,
    wrong_origin,
)
from ansible_collections.churnguard.ops.tests.unit.support.objects import GREEN, release
from ansible_collections.churnguard.ops.tests.unit.support.servers import Answer, Server, free_port, script

ENDPOINT = Endpoint("http://127.0.0.1:1")
V2 = release(GREEN, "v2")


def reply(status: int = 200, version: str | None = "v2", slot: str | None = "green", body: str = "") -> Reply:
    named = {"x-churnguard-version": version, "x-churnguard-slot": slot}
    return Reply(status, {name: value for name, value in named.items() if value is not None}, body)


# -- whose answer it is ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (reply(), ""),
        (reply(404), ""),
        (reply(slot=None), ""),
        (reply(version=None), ""),
        (reply(version="v1"), "answered by v1"),
        (reply(slot="blue"), "answered by slot blue"),
        (reply(version=None, slot="blue"), "answered by slot blue"),
        (reply(version=None, slot=None), "200 without a X-ChurnGuard-Version header"),
        (reply(503, version=None, slot=None), "503 without a X-ChurnGuard-Version header"),
        (Reply(0, {}, "", "connection refused"), "no answer (connection refused)"),
    ],
)
def test_an_answer_is_the_releases_by_its_headers(answer, problem):
    for judge in (wrong_origin, other_origin):
        found = judge(answer, V2, ENDPOINT)
        assert found.startswith(problem) if problem else not found


@pytest.mark.parametrize("status", [500, 503])
def test_a_server_error_of_the_release_is_its_answer_but_not_a_good_one(status):
    assert wrong_origin(reply(status), V2, ENDPOINT) == f"answered {status}"
    assert other_origin(reply(status), V2, ENDPOINT) == ""


def test_the_header_names_are_configured():
    endpoint = Endpoint("http://x", version_header="X-Ver", slot_reply_header="X-Slot")
    assert wrong_origin(Reply(200, {"x-ver": "v2", "x-slot": "green"}, ""), V2, endpoint) == ""
    assert wrong_origin(reply(), V2, endpoint).startswith("200 without a X-Ver header")


# -- smoke tests -----------------------------------------------------------------------------------------------------


def smoke(**wanted) -> dict:
    return {"name": "t", "path": "/", "method": "GET", "status": [200], "contains": None, "json": None, **wanted}


@pytest.mark.parametrize(
    ("wanted", "answer", "problem"),
    [
        (smoke(), reply(), ""),
        (smoke(), Reply(0, {}, "", "timed out"), "no answer (timed out)"),
        (smoke(), reply(500, body="  boom\n"), "answered 500, expected 200: boom"),
        (smoke(status=[200, 204]), reply(204), ""),
        (smoke(status=[200, 204]), reply(302), "answered 302, expected 200 or 204: "),
        (smoke(status=[503]), reply(503), ""),
        (smoke(contains="ok"), reply(body="all ok"), ""),
        (smoke(contains="ok"), reply(body="bad"), "the reply does not contain 'ok': bad"),
        (smoke(json={"a": 1, "b": {"c": [2]}}), reply(body='{"a": 1, "b": {"c": [2]}, "d": 3}'), ""),
        (smoke(json={"a": 1}), reply(body='{"a": "1"}'), "the reply's a is '1', expected 1"),
        (smoke(json={"a": 1}), reply(body="{}"), "the reply's a is None, expected 1"),
        (smoke(json={"a": 1}), reply(body="[1]"), "the reply is not a JSON object: [1]"),
        (smoke(json={"a": 1}), reply(body="<html>"), "the reply is not JSON: <html>"),
        (smoke(contains="x", json={"a": 1}), reply(body='{"a": 1}'), "the reply does not contain 'x': {\"a\": 1}"),
    ],
)
def test_what_a_smoke_test_wants(wanted, answer, problem):
    assert smoke_failure(wanted, answer) == problem


def test_a_long_reply_is_quoted_in_part():
    assert len(smoke_failure(smoke(), reply(500, body="x" * 5000))) < 300


# -- requests, to a real server --------------------------------------------------------------------------------------


def test_a_request_is_pinned_by_a_header_only_when_asked():
    with Server(script(Answer(200, "fine", {"X-ChurnGuard-Version": "v2"}))) as server:
        endpoint = Endpoint(server.url + "/", headers={"Host": "churnguard.lab"}, slot_header="X-Pin")
        assert fetch(endpoint, "/a?b=c", GREEN, "POST").body == "fine"
        fetch(endpoint, "/health")
    pinned, free = server.requests
    assert (pinned.method, pinned.path, pinned.query) == ("POST", "/a", {"b": "c"})
    assert (pinned.headers["x-pin"], pinned.headers["host"]) == ("green", "churnguard.lab")
    assert (free.method, free.path) == ("GET", "/health")
    assert "x-pin" not in free.headers


@pytest.mark.parametrize("status", [200, 302, 404, 503])
def test_any_status_is_a_reply(status):
    headers = {"X-ChurnGuard-Version": "v2", "Location": "/elsewhere"}
    with Server(script(Answer(status, "text", headers))) as server:
        answer = fetch(Endpoint(server.url), "/")
    assert (answer.status, answer.body, answer.headers["x-churnguard-version"]) == (status, "text", "v2")
    assert len(server.requests) == 1
    assert answer.failed == (status >= 500)


def test_nobody_listens():
    answer = fetch(Endpoint(f"http://127.0.0.1:{free_port()}"), "/")
    assert (answer.status, answer.failed) == (0, True)
    assert "refused" in answer.error


def test_an_answer_that_stalls_in_its_middle_is_none():
    with Server(script(Answer(200, "half", stall=5))) as server:
        answer = fetch(Endpoint(server.url, timeout=0.2), "/")
    assert (answer.status, answer.error) == (0, "broke off: timed out")


def test_a_chunked_answer_that_breaks_off_is_none():
    headers = {"Transfer-Encoding": "chunked"}
    with Server(script(Answer(200, "50\r\nhalf", headers, cut=True))) as server:
        answer = fetch(Endpoint(server.url), "/")
    assert answer.status == 0
    assert answer.error.startswith("broke off: IncompleteRead")


def test_something_that_does_not_speak_http_is_no_answer():
    with Server(script(Answer(200))) as server:
        answer = fetch(Endpoint(server.url.replace("http://", "https://"), timeout=2), "/")
    assert answer.status == 0
