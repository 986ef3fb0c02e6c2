"""From an alert to the receiver: routes, inhibition, maintenance and silences in a running Alertmanager."""

from __future__ import annotations

import time
from datetime import datetime

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._alertmanager.api import AlertmanagerApi, Way

from tests.lab.waiting import until


def test_an_alert_arrives_with_its_time_and_so_does_its_end(routing, place):
    before = time.time()
    routing.fire({"alertname": "HighErrorRate", "severity": "critical", "team": "infrastructure", "service": "api"})
    (first, *_more) = until("the page", lambda: place.told("/infrastructure-page", "HighErrorRate"))
    assert before - 0.001 <= first["arrived_s"] <= time.time()
    assert datetime.fromisoformat(first["arrived"]).timestamp() == pytest.approx(first["arrived_s"], abs=0.0011)
    assert (first["receiver"], first["status"]) == ("infrastructure-page", "firing")
    assert first["alerts"][0]["annotations"] == {"summary": "HighErrorRate"}
    routing.resolve({"alertname": "HighErrorRate", "severity": "critical", "team": "infrastructure", "service": "api"})
    until("its end", lambda: place.told("/infrastructure-page", "HighErrorRate", "resolved"))


def test_the_watchdog_is_told_again_and_again(routing, place):
    routing.fire({"alertname": "Watchdog", "severity": "none", "team": "infrastructure"})
    until("three of it", lambda: len(place.told("/deadman", "Watchdog")) >= 3)


def test_the_louder_alert_silences_the_quieter_one_of_the_same_name_and_place(routing):
    here, there = {"namespace": "inhibited"}, {"namespace": "other"}
    host = {"alertname": "NodeDiskAlmostFull", "instance": "host-a"}
    alerts = {
        "critical": {"alertname": "Errors", "severity": "critical", **here},
        "warning": {"alertname": "Errors", "severity": "warning", **here},
        "info": {"alertname": "Errors", "severity": "info", **here},
        "elsewhere": {"alertname": "Errors", "severity": "warning", **there},
        "info elsewhere": {"alertname": "Errors", "severity": "info", **there},
        "other name": {"alertname": "Slow", "severity": "warning", **here},
        "host critical": {**host, "severity": "critical"},
        "host warning": {**host, "severity": "warning"},
        "other host": {**host, "severity": "warning", "instance": "host-b"},
        "fast burn": {"alertname": "BurnFast", "slo": "availability", "service": "api", "severity": "critical"},
        "slow burn": {"alertname": "BurnSlow", "slo": "availability", "service": "api", "severity": "warning"},
        "other burn": {"alertname": "BurnSlow", "slo": "latency", "service": "api", "severity": "warning"},
        # Labels that both lack do not make them equal.
        "no place": {"alertname": "Placeless", "severity": "critical"},
        "no place either": {"alertname": "Placeless", "severity": "warning"},
    }
    check_inhibited(routing, alerts, {"warning", "info", "info elsewhere", "host warning", "slow burn"})


def test_a_node_that_is_gone_silences_its_pods_and_no_others(routing):
    alerts = {
        "node": {"alertname": "NodeDown", "node": "node-1", "severity": "critical"},
        "not ready": {"alertname": "KubeNodeNotReady", "node": "node-1", "pod": "ksm-0", "severity": "warning"},
        "its pod": {"alertname": "PodCrashLooping", "node": "node-1", "pod": "api-1", "severity": "critical"},
        "other pod": {"alertname": "PodCrashLooping", "node": "node-2", "pod": "api-2", "severity": "critical"},
        "pod of no node": {"alertname": "PodCrashLooping", "pod": "api-3", "severity": "critical"},
        "its disk": {"alertname": "NodeDiskAlmostFull", "node": "node-1", "severity": "critical"},
    }
    check_inhibited(routing, alerts, {"its pod"})


def test_in_a_maintenance_window_warnings_wait_and_critical_alerts_do_not(routing, place):
    team = {"team": "infrastructure"}
    routing.fire({"alertname": "PostgresLongTransaction", "severity": "warning", **team})
    routing.fire({"alertname": "PostgresDown", "severity": "critical", **team})
    until("the page", lambda: place.told("/infrastructure-page", "PostgresDown"))
    # Told after the warning would have been, by the same receiver.
    routing.fire({"alertname": "RedisMemoryHigh", "severity": "warning", **team})
    until("another warning", lambda: place.told("/infrastructure-chat", "RedisMemoryHigh"))
    assert routing.states()["PostgresLongTransaction", "warning", "infrastructure"]["state"] == "active"
    assert place.told("/infrastructure-chat", "PostgresLongTransaction") == []


def test_a_silence_keeps_back_what_it_is_about_until_it_is_ended(routing, place):
    alert = {"alertname": "DeploymentStuck", "namespace": "silenced", "severity": "critical", "team": "infrastructure"}
    number = routing.silence("deploy", {"namespace": "silenced"})
    routing.fire(alert)
    routing.fire({**alert, "alertname": "Other", "namespace": "loud"})
    until("another alert", lambda: place.told("/infrastructure-page", "Other"))
    assert place.told("/infrastructure-page", "DeploymentStuck") == []
    api = AlertmanagerApi(Way(routing.url))
    (kept,) = [one for one in api.list().silences if one.id == number]
    api.expire(kept)
    api.expire(kept)
    until("the alert", lambda: place.told("/infrastructure-page", "DeploymentStuck"))


def check_inhibited(routing, alerts: dict[str, dict[str, str]], expected: set[str]) -> None:
    """Let all fire: exactly the expected ones are silenced by others."""
    routing.fire(*alerts.values())

    def silenced() -> set[str]:
        states = routing.states()
        found = {name: states[tuple(value for _label, value in sorted(one.items()))] for name, one in alerts.items()}
        return {name for name, status in found.items() if status["inhibitedBy"]}

    # The inhibitor hears of alerts a moment after the API does.
    until(f"{expected} are silenced", lambda: silenced() >= expected)
    time.sleep(0.5)
    assert silenced() == expected
