# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Against a real HTTP server on the loopback interface."""

from __future__ import annotations

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._prometheus.api import (
    BadQuery,
    QueryError,
    Series,
    Unreachable,
    query_all,
    query_scalar,
    query_vector,
)
from ansible_collections.churnguard.ops.tests.unit.support.prometheus import NOW, FakePrometheus, refusal
from ansible_collections.churnguard.ops.tests.unit.support.servers import Answer, Server, free_port, script

EXPRESSION = 'sum(churnguard_requests_total{slot="blue"})'


def vector(*values: str) -> dict:
    result = [{"metric": {"pod": str(n)}, "value": [1700000000.0, value]} for n, value in enumerate(values)]
    return {"status": "success", "data": {"resultType": "vector", "result": result}}


def ask(answer: Answer, timeout: float = 5.0) -> float | None:
    with Server(script(answer)) as server:
        return query_scalar(server.url + "/", EXPRESSION, timeout)


def test_the_value_of_the_one_series():
    with Server(script(Answer(200, vector("42.5")))) as server:
        assert query_scalar(server.url + "/", EXPRESSION) == 42.5
    assert server.requests[0].path == "/api/v1/query"
    assert server.requests[0].query == {"query": EXPRESSION}


def test_no_series_is_no_value():
    assert ask(Answer(200, vector())) is None


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (Answer(200, vector("1", "2")), "2 series where one was expected"),
        (Answer(400, {"status": "error", "error": "parse error"}), "400: .*parse error"),
        (Answer(503, "starting up"), "503: starting up"),
        (Answer(200, "<html>Log in</html>"), "Expecting value"),
        (Answer(200, {"status": "error"}), "no answer of Prometheus"),
        (Answer(200, ["what"]), "no answer of Prometheus"),
        (Answer(200, {"data": {"result": [{"value": []}]}}), "no answer of Prometheus"),
        (Answer(200, "{", cut=True), "IncompleteRead"),
    ],
    ids=["two series", "bad query", "unavailable", "a page", "no data", "a list", "no value", "cut off"],
)
def test_what_is_no_value_is_an_error(answer, text):
    with pytest.raises(QueryError, match=text):
        ask(answer)


def test_an_answer_that_stalls_is_an_error():
    with pytest.raises(QueryError, match="timed out"):
        ask(Answer(200, "{", stall=5), timeout=0.2)


def test_nobody_listens():
    with pytest.raises(QueryError, match="refused"):
        query_scalar(f"http://127.0.0.1:{free_port()}", EXPRESSION)


def test_a_vector_keeps_labels_and_says_what_is_no_number():
    with Server(script(Answer(200, vector("1", "NaN", "+Inf")))) as server:
        series = query_vector(server.url, EXPRESSION)
    assert series[0] == Series({"pod": "0"}, 1.0)
    assert [one.finite for one in series] == [True, False, False]


def test_a_scalar_is_a_series_without_labels():
    document = {"status": "success", "data": {"resultType": "scalar", "result": [1700000000.0, "7"]}}
    with Server(script(Answer(200, document))) as server:
        assert query_vector(server.url, "7") == [Series({}, 7.0)]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refusal(400, "bad_data", "parse error"), BadQuery),
        (refusal(422, "execution", "many-to-many matching"), QueryError),
        (refusal(503, "timeout", "query timed out"), Unreachable),
        (Answer(503, "Service Unavailable"), Unreachable),
        (Answer(502, "<html>"), Unreachable),
    ],
)
def test_a_wrong_query_is_told_from_a_server_out_of_reach(answer, kind):
    with Server(script(answer)) as server, pytest.raises(QueryError) as refused:
        query_vector(server.url, EXPRESSION)
    assert refused.type is kind


def test_several_queries_are_answered_in_their_order_and_each_is_asked_once():
    with FakePrometheus(lambda query: [({}, float(query))]) as prometheus:
        answers = query_all(prometheus.url, ["3", "1", "3", "2"])
        assert [answer[0].value for answer in answers] == [3.0, 1.0, 3.0, 2.0]
        assert sorted(prometheus.queries) == ["1", "2", "3"]
        assert query_all(prometheus.url, []) == []


def test_all_answers_are_of_one_moment_by_the_servers_clock():
    with FakePrometheus(lambda _query: []) as prometheus:
        query_all(prometheus.url, ["a", "b", "c"])
        assert prometheus.times == [f"{NOW - 2:.3f}"] * 3


def test_one_refused_query_is_no_harm_to_the_others():
    answers = {
        "time()": Answer(200, {"data": {"resultType": "scalar", "result": [5.0, "5"]}}),
        "good": Answer(200, vector("1")),
        "bad": refusal(400, "bad_data", "parse error"),
    }
    with Server(lambda request: answers[request.query["query"]]) as server:
        good, bad = query_all(server.url, ["good", "bad"])
    assert good[0].value == 1.0
    assert isinstance(bad, BadQuery)


def test_a_server_that_goes_away_in_between_is_not_asked_hundreds_of_times():
    answers = {"time()": Answer(200, {"data": {"resultType": "scalar", "result": [5.0, "5"]}})}
    with Server(lambda request: answers.get(request.query["query"], Answer(503, "Unavailable"))) as server:
        found = query_all(server.url, [str(number) for number in range(500)])
        assert all(isinstance(answer, Unreachable) for answer in found)
        assert len(server.requests) < 100


def test_a_server_out_of_reach_is_not_asked_hundreds_of_times():
    with FakePrometheus(lambda _query: []) as prometheus:
        prometheus.mode = "503"
        answers = query_all(prometheus.url, [str(number) for number in range(500)])
        assert all(isinstance(answer, Unreachable) for answer in answers)
        assert prometheus.queries == []
