# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Against a real HTTP server on the loopback interface."""

from __future__ import annotations

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._prometheus.api import QueryError, query_scalar
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
