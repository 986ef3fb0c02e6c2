"""Probe specifications, schedules and thresholds."""

from __future__ import annotations

import pytest
from churnguard_lab.node.probes import (
    SETTLE_S,
    ExecCheck,
    HttpCheck,
    Probe,
    ProbeError,
    ProbeState,
    TcpCheck,
    due_at,
    parse_check,
    parse_probe,
    resolve_port,
)

PORTS = [{"name": "http", "containerPort": 5000}, {"containerPort": 8080}]
IP = "127.0.16.5"


def probe(**values: object) -> Probe:
    return Probe("readiness", TcpCheck(IP, 1), **values)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"httpGet": {"port": 5000}}, HttpCheck(IP, 5000, "/")),
        ({"httpGet": {"port": "http", "path": "ready"}}, HttpCheck(IP, 5000, "/ready")),
        (
            {"httpGet": {"port": 1, "host": "127.0.0.9", "httpHeaders": [{"name": "A", "value": "b"}]}},
            HttpCheck("127.0.0.9", 1, "/", (("A", "b"),)),
        ),
        ({"tcpSocket": {"port": "8080"}}, TcpCheck(IP, 8080)),
        ({"exec": {"command": ["cat", "x"]}}, ExecCheck(("cat", "x"))),
    ],
)
def test_checks_are_understood(raw: dict, expected: object) -> None:
    assert parse_check(raw, PORTS, IP) == expected


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"grpc": {"port": 1}}, "grpc"),
        ({"httpGet": {"port": "nope"}}, "'nope'"),
        ({"httpGet": {"port": 1, "scheme": "HTTPS"}}, "HTTPS"),
    ],
)
def test_what_cannot_be_checked_is_named(raw: dict, message: str) -> None:
    with pytest.raises(ProbeError, match=message):
        parse_check(raw, PORTS, IP)


def test_a_named_port_wins_over_a_number_in_text() -> None:
    assert resolve_port("80", [{"name": "80", "containerPort": 9}]) == 9


def test_probe_defaults_are_the_apis() -> None:
    parsed = parse_probe("liveness", {"livenessProbe": {"tcpSocket": {"port": 1}}}, IP)
    assert parsed == Probe("liveness", TcpCheck(IP, 1), 0, 10, 1, 1, 3, None)


def test_probe_settings_are_taken() -> None:
    raw = {
        "tcpSocket": {"port": 1},
        "initialDelaySeconds": 5,
        "periodSeconds": 2,
        "timeoutSeconds": 3,
        "successThreshold": 4,
        "failureThreshold": 6,
        "terminationGracePeriodSeconds": 0,
    }
    assert parse_probe("startup", {"startupProbe": raw}, IP) == Probe("startup", TcpCheck(IP, 1), 5, 2, 3, 4, 6, 0)


def test_no_probe_is_none() -> None:
    assert parse_probe("readiness", {}, IP) is None


@pytest.mark.parametrize(
    ("initial", "asked", "expected"),
    [(0, None, 100 + SETTLE_S), (30, None, 130), (0, 103, 108), (30, 101, 130), (30, 200, 205)],
)
def test_schedule(initial: float, asked: float | None, expected: float) -> None:
    assert due_at(probe(initial_delay=initial, period=5), ProbeState(asked_at=asked), 100) == expected


@pytest.mark.parametrize(
    ("success", "failure", "results", "passing"),
    [
        (1, 3, "", None),
        (1, 3, "+", True),
        (1, 3, "-", None),
        (1, 3, "--", None),
        (1, 3, "---", False),
        (1, 3, "--+--", True),
        (1, 3, "+--", True),
        (1, 3, "+---", False),
        (1, 3, "+---+", True),
        (2, 1, "+", None),
        (2, 1, "+-+", False),
        (2, 1, "-++", True),
        (2, 1, "++-", False),
    ],
)
def test_thresholds(success: int, failure: int, results: str, passing: bool | None) -> None:
    state, asked = ProbeState(), probe(success_threshold=success, failure_threshold=failure)
    for result in results:
        state.observe(asked, result == "+")
    assert state.passing is passing


def test_observe_tells_changes_only() -> None:
    state, asked = ProbeState(), probe(failure_threshold=2)
    assert [state.observe(asked, result == "+") for result in "++--+-+"] == [
        True,
        False,
        False,
        True,
        True,
        False,
        False,
    ]
