"""The application's parts that need no server."""

from __future__ import annotations

from pathlib import Path

import pytest
from churnguard_api.cache import CacheUnavailable
from churnguard_api.config import ConfigError, Tuning, load, parse_tuning
from churnguard_api.metrics import Metrics
from churnguard_api.prediction import churn_probability, risk_level
from churnguard_api.readiness import Readiness

ENVIRONMENT = {"DATABASE_URL": "postgresql://u:hush@h/d", "REDIS_URL": "redis://:hush@h/0"}


def test_settings(tmp_path: Path) -> None:
    (tmp_path / "churnguard.json").write_text('{"cache_ttl_s": 60, "high_risk": 0.9}')
    variables = {"APP_VERSION": "v2", "SLOT": "blue", "POD_NAME": "p", "POD_IP": "127.0.0.9", "HTTP_PORT": "5001"}
    config = load({**ENVIRONMENT, **variables, "CHURNGUARD_CONFIG_DIR": str(tmp_path)})
    assert (config.version, config.slot, config.pod, config.address) == ("v2", "blue", "p", "127.0.0.9")
    assert (config.http_port, config.metrics_port) == (5001, 8080)
    assert config.tuning == Tuning(cache_ttl_s=60, high_risk=0.9)
    assert "hush" not in repr(config)


def test_without_a_file_the_defaults_hold(tmp_path: Path) -> None:
    config = load({**ENVIRONMENT, "CHURNGUARD_CONFIG_DIR": str(tmp_path)})
    assert (config.tuning, config.version, config.address) == (Tuning(), "unknown", "127.0.0.1")


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"DATABASE_URL": ""}, "DATABASE_URL is missing"),
        ({"REDIS_URL": ""}, "REDIS_URL is missing"),
        ({"HTTP_PORT": "http"}, "HTTP_PORT is 'http'"),
        ({"METRICS_PORT": "0"}, "METRICS_PORT is '0'"),
        ({"CHURNGUARD_FAULTS": '{"latency_s": -1}'}, "latency_s is -1"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"}, "OTEL_EXPORTER_OTLP_ENDPOINT is not an http"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:x"}, "OTEL_EXPORTER_OTLP_ENDPOINT is not an http"),
    ],
)
def test_bad_environment(variables: dict[str, str], message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        load({**ENVIRONMENT, "CHURNGUARD_CONFIG_DIR": str(tmp_path), **variables})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON"),
        ("[]", "not an object"),
        ('{"colour": 1}', "unknown settings"),
        ('{"threads": 0}', "threads is 0, not between 1 and 128"),
        ('{"threads": 1.5}', "not a whole number"),
        ('{"threads": true}', "not a whole number"),
        ('{"high_risk": "0.7"}', "not a number"),
        ('{"high_risk": NaN}', "not a number"),
        ('{"medium_risk": 0.8}', "above high_risk"),
        ('{"trace_ratio": 1.1}', "trace_ratio is 1.1, not between 0 and 1"),
        ('{"business_metrics_s": 0}', "business_metrics_s is 0, not between 1 and 3600"),
        ('{"access_log": "some"}', "access_log is 'some', not one of all, notable, none"),
        ('{"access_log": []}', "access_log is"),
    ],
)
def test_bad_tuning(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_tuning(text)


def test_a_bad_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "churnguard.json").write_text("x")
    with pytest.raises(ConfigError, match=str(tmp_path / "churnguard.json")):
        load({**ENVIRONMENT, "CHURNGUARD_CONFIG_DIR": str(tmp_path)})


def customer(tenure: int, charges: float, tickets: int) -> dict[str, float]:
    return {"tenure_months": tenure, "monthly_charges": charges, "support_tickets": tickets}


def test_the_score_is_fixed_bounded_and_moves_the_right_way() -> None:
    middle = churn_probability(customer(30, 70, 3))
    assert middle == churn_probability(customer(30, 70, 3)) == 0.5399
    assert churn_probability(customer(60, 70, 3)) < middle < churn_probability(customer(30, 110, 3))
    assert middle < churn_probability(customer(30, 70, 8))
    extremes = [churn_probability(customer(*values)) for values in ((0, 1e5, 1000), (10**5, 0, 0))]
    assert extremes == [1.0, 0.0]


def test_a_customer_base_has_all_risk_levels() -> None:
    scores = [churn_probability(customer(n * 31 % 72, 20 + n * 7919 % 10000 / 100, n * 13 % 9)) for n in range(500)]
    assert {risk_level(score, 0.4, 0.7) for score in scores} == {"low", "medium", "high"}


@pytest.mark.parametrize(("score", "level"), [(0, "low"), (0.39, "low"), (0.4, "medium"), (0.7, "high"), (1, "high")])
def test_risk_levels(score: float, level: str) -> None:
    assert risk_level(score, 0.4, 0.7) == level


def test_labels_are_bounded_whatever_is_asked() -> None:
    metrics = Metrics(lambda: 3)
    for number in range(1000):
        metrics.requests.answered(f"METHOD{number}", None, 404, 0.1)
    samples = [item for family in metrics.registry.collect() for item in family.samples]
    labels = {frozenset(item.labels.items()) for item in samples if item.name == "churnguard_requests_total"}
    assert labels == {frozenset({("method", "other"), ("endpoint", "unmatched"), ("status_code", "404")})}
    assert [item.value for item in samples if item.name == "churnguard_db_connections_active"] == [3]


def test_two_seconds_are_a_bucket_of_their_own() -> None:
    metrics = Metrics(lambda: 0)
    for seconds in (1.999, 2.0, 2.001):
        metrics.requests.answered("GET", "/", 200, seconds)
    within = [
        item.value
        for family in metrics.registry.collect()
        for item in family.samples
        if item.name.endswith("_bucket") and item.labels["le"] == "2.0"
    ]
    assert within == [2]


def test_readiness_asks_again_only_after_a_while() -> None:
    now, asked, down = [0.0], [], [False]

    def cache() -> None:
        asked.append(now[0])
        if down[0]:
            raise CacheUnavailable("no answer")

    readiness = Readiness({"database": lambda: None, "cache": cache}, 1.0, lambda: now[0])
    answers = []
    for now[0], down[0] in ((0.0, False), (0.5, True), (1.0, True), (1.5, False), (2.0, False)):
        answers.append(readiness.problems())
    assert answers == [[], [], ["cache"], ["cache"], []]
    assert asked == [0.0, 1.0, 2.0]
