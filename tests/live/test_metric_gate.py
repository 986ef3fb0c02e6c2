"""The judge's queries and the real Prometheus: what it understands, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
from world import World

pytestmark = pytest.mark.lab


@pytest.fixture
def judge(lab):
    """Runs metric_gate on a service that nobody asks."""

    def run(check: bool = False, **options: Any):
        url = f"http://127.0.0.1:{lab.ports.prometheus}"
        given = {"prometheus_url": url, "subjects": [{"name": "nobody", "namespace": "nowhere", "slot": "blue"}]}
        return World(lab).run({**given, **options}, "metric_gate", check)

    return run


def test_the_default_queries_are_promql(judge):
    result = judge(check=True)
    assert not result.failed, result.message
    assert result.message == "Would judge 1 services; every query is understood."


def test_a_syntax_error_is_refused_with_prometheus_words(judge):
    wrong = {"name": "errors", "kind": "value", "query": "sum(rate(x{$selector}[1m])", "limit": 1.0}
    for check in (True, False):
        result = judge(check=check, metrics=[wrong])
        assert result.failed
        assert "Could not use metric errors: Prometheus refuses its query, sum(rate(x{" in result.message
        assert "parse error" in result.message


def test_no_series_are_unknown_and_never_good(judge):
    result = judge(duration=2, interval=1, max_hold=1)
    assert result.failed
    assert "0 requests since the step began, 59 are needed" in result.message


def test_a_value_comes_from_the_server(judge):
    up = {"name": "up", "kind": "value", "query": "count(up)", "direction": "decrease", "limit": 1.0}
    result = judge(duration=2, interval=1, max_hold=1, min_good_samples=1, metrics=[up])
    assert not result.failed, result.message
    measured = {one["name"]: one for one in result.output["envelope"]["measurements"]}
    assert measured["up"]["value"] >= 1
