"""Where alerts go: amtool on the configuration that the role writes from its defaults."""

from __future__ import annotations

import json
import subprocess

import pytest
import yaml

from .alertmanager import amtool
from .conftest import ROOT

PAGER, CHAT = "platform-page", "platform-chat"
POD = {"alertname": "PodCrashLooping", "namespace": "churnguard-production", "pod": "api-1"}
TABLE = [
    ({"alertname": "HighErrorRate", "severity": "critical", "team": "platform"}, [PAGER]),
    ({"alertname": "HighResponseTime", "severity": "warning", "team": "platform"}, [CHAT]),
    ({"alertname": "DatabaseConnectionsHigh", "severity": "warning", "team": "platform"}, [CHAT]),
    ({"alertname": "GDPRRequestOverdue", "severity": "critical", "team": "compliance"}, ["compliance-page"]),
    ({"alertname": "ComplianceScoreLow", "severity": "warning", "team": "compliance"}, ["compliance-chat"]),
    ({**POD, "severity": "critical", "team": "platform"}, [PAGER]),
    ({"alertname": "NodeHighCPU", "severity": "warning", "team": "infrastructure"}, ["infrastructure-chat"]),
    ({"alertname": "NodeDown", "severity": "critical", "team": "infrastructure"}, ["infrastructure-page"]),
    ({"alertname": "RedisMemoryHigh", "severity": "warning", "team": "infrastructure"}, ["infrastructure-chat"]),
    # In their maintenance windows, too: what is down still pages.
    ({"alertname": "RedisDown", "severity": "critical", "team": "infrastructure"}, ["infrastructure-page"]),
    ({"alertname": "PostgresDown", "severity": "critical", "team": "infrastructure"}, ["infrastructure-page"]),
    ({"alertname": "DatabaseSlow", "severity": "info", "team": "platform"}, [CHAT]),
    ({"alertname": "Note", "severity": "info", "team": "compliance"}, ["compliance-chat"]),
    # The dead man's switch, whatever its labels say.
    ({"alertname": "Watchdog", "severity": "none", "team": "infrastructure"}, ["deadman"]),
    ({"alertname": "Watchdog", "severity": "critical"}, ["deadman"]),
    ({"alertname": "InfoInhibitor", "severity": "none", "team": "platform"}, ["nobody"]),
    # No team, an unknown one, no severity, an unknown one.
    ({"alertname": "Stray", "severity": "critical"}, [PAGER]),
    ({"alertname": "Stray", "severity": "critical", "team": "dissolved"}, [PAGER]),
    ({"alertname": "RedisStray", "severity": "warning"}, [CHAT]),
    ({"alertname": "Stray", "severity": "info"}, [CHAT]),
    ({"alertname": "Stray"}, [CHAT]),
    ({"alertname": "Odd", "severity": "panic", "team": "compliance"}, ["compliance-chat"]),
]


@pytest.fixture
def config(routing, place):
    """The configuration that the role writes from its defaults."""
    return place.config


def routed(config, labels: dict[str, str], receivers: list[str]) -> int:
    """The exit code of amtool's comparison."""
    command = [amtool(), "config", "routes", "test", f"--config.file={config}"]
    command += [f"--verify.receivers={','.join(receivers)}", *(f"{name}={value}" for name, value in labels.items())]
    return subprocess.run(command, capture_output=True, timeout=60).returncode


def test_the_table_covers_every_receiver():
    assert len(TABLE) >= 12
    given = yaml.safe_load((ROOT / "tests/alerting/receivers.yml").read_text())["alerting_receivers"]
    assert {receiver for _labels, told in TABLE for receiver in told} == {one["name"] for one in given} | {"nobody"}


@pytest.mark.parametrize(("labels", "receivers"), TABLE, ids=lambda value: "-".join(value))
def test_an_alert_goes_to_its_receivers_and_to_no_other(config, labels, receivers):
    assert routed(config, labels, receivers) == 0


def test_another_receiver_than_the_routes_one_is_noticed(config):
    labels, receivers = TABLE[0]
    for others in ([*receivers, CHAT], [CHAT]):
        assert routed(config, labels, others) == 1


def test_secrets_are_named_and_nowhere_written(config):
    text = config.read_text()
    secrets = yaml.safe_load((ROOT / "tests/alerting/receivers.yml").read_text())["secrets"]
    for name, value in secrets.items():
        file = config.parent / "secrets" / name
        assert (file.read_text(), file.stat().st_mode & 0o777) == (value, 0o640)
        assert str(file) in text
        assert value not in text
    assert not {"api_url:", "routing_key:", "service_key:", "credentials:", "password:"} & set(text.split())


def test_people_read_what_it_is_and_what_to_do(config, tmp_path):
    alert = {
        "status": "firing",
        "labels": {"alertname": "HighErrorRate", "severity": "critical", "namespace": "churnguard-production"},
        "annotations": {
            "summary": "5 % of the requests fail",
            "description": "Of /api/v1/customers.",
            "runbook_url": "https://docs.churnguard.invalid/runbooks/HighErrorRate",
        },
        "startsAt": "2026-11-22T08:00:00Z",
    }
    over = {**alert, "status": "resolved", "endsAt": "2026-11-22T08:05:00Z"}

    def render(name: str, *alerts: dict) -> str:
        data = tmp_path / "data.json"
        status = "firing" if any(one["status"] == "firing" for one in alerts) else "resolved"
        data.write_text(json.dumps({"status": status, "alerts": alerts, "commonLabels": alerts[0]["labels"]}))
        command = [amtool(), "template", "render", f"--template.glob={config.parent}/templates/*.tmpl"]
        command += [f"--template.data={data}", f'--template.text={{{{ template "churnguard.{name}" . }}}}']
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.strip()

    assert render("title", alert) == "[FIRING 1] HighErrorRate (critical) in churnguard-production"
    assert render("text", alert).splitlines() == [
        "FIRING HighErrorRate: 5 % of the requests fail",
        "Of /api/v1/customers.",
        "Runbook: https://docs.churnguard.invalid/runbooks/HighErrorRate",
        "Since 2026-11-22 08:00:00 UTC",
    ]
    assert render("title", over) == "[RESOLVED] HighErrorRate (critical) in churnguard-production"
    assert render("text", over).endswith("Since 2026-11-22 08:00:00 UTC until 2026-11-22 08:05:00 UTC")
    assert [render("color", one) for one in (alert, over)] == ["danger", "good"]
    bare = {**alert, "labels": {"alertname": "Odd"}, "annotations": {}}
    assert [render("severity", one) for one in (alert, bare)] == ["critical", "error"]
    assert (render("title", bare), render("color", bare)) == ("[FIRING 1] Odd", "warning")
