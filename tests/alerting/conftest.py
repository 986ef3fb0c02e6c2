"""Silences, routes and notifications with a real Alertmanager."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
for folder in ("lab", "collections"):
    sys.path.append(str(ROOT / folder))

from churnguard_lab.alert_sink import read_records  # noqa: E402

from tests.alerting.alertmanager import Alertmanager, amtool  # noqa: E402
from tests.lab.ports import free_ports  # noqa: E402
from tests.roles.playing import Run, play  # noqa: E402

QUIET = """---
route:
  receiver: nobody
receivers:
  - name: nobody
"""


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alertmanager]:
    """An Alertmanager that tells nobody. Tests of it use names of their own."""
    folder = tmp_path_factory.mktemp("alertmanager")
    config = folder / "alertmanager.yml"
    config.write_text(QUIET)
    with Alertmanager(folder, free_ports(1)[0], config) as running:
        yield running


# Alerts are told at once; a database's warnings never, because its maintenance lasts for ever here.
QUICK = {
    "alerting_group_wait": "0s",
    "alerting_group_wait_critical": "0s",
    "alerting_group_interval": "1s",
    "alerting_deadman_interval": "1s",
    "alerting_maintenance_windows": [
        {"name": "for-ever", "matchers": ['alertname=~"(Database|Postgres).*"'], "intervals": [{"months": ["1:12"]}]}
    ],
}


class Place:
    """A folder with an Alertmanager's files, written by the role alerting, and the sink that its receivers tell."""

    def __init__(self, folder: Path, sink_port: int) -> None:
        self.folder = folder
        self.config = folder / "etc" / "alertmanager.yml"
        self.records = folder / "alerts.jsonl"
        self.sink_port = sink_port
        self.config.parent.mkdir(parents=True)

    def play(self, *options: str, url: str = "", **variables: Any) -> Run:
        """Run the role; `url` is the running Alertmanager to reload."""
        etc = self.config.parent
        given = {
            "alerting_install": False,
            "alerting_group": "",
            "alerting_config": str(self.config),
            "alerting_templates_dir": str(etc / "templates"),
            "alerting_secrets_dir": str(etc / "secrets"),
            "alerting_amtool": amtool(),
            "alerting_url": url,
            "sink_url": f"http://127.0.0.1:{self.sink_port}",
        }
        receivers = yaml.safe_load((HERE / "receivers.yml").read_text())
        return play(HERE / "alerting.yml", "production", *options, **{**receivers, **given, **QUICK, **variables})

    def told(self, path: str, alertname: str, status: str = "firing") -> list[dict[str, Any]]:
        """What a receiver was told of an alert."""
        return [
            record
            for record in read_records(self.records)
            if record["path"] == path
            and any((one["labels"]["alertname"], one["status"]) == (alertname, status) for one in record["alerts"])
        ]


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A place whose configuration tells nobody yet."""
    made = Place(tmp_path_factory.mktemp("alerting"), free_ports(1)[0])
    made.config.write_text(QUIET)
    return made


@pytest.fixture(scope="session")
def routing(place: Place) -> Iterator[Alertmanager]:
    """An Alertmanager that ran with that, and was led by the role to what it writes from its defaults. It tells the
    sink."""
    command = [sys.executable, "-m", "churnguard_lab.alert_sink", f"--port={place.sink_port}"]
    secrets = yaml.safe_load((HERE / "receivers.yml").read_text())["secrets"]
    with Alertmanager(place.folder, free_ports(1)[0], place.config) as running:
        sink = subprocess.Popen([*command, f"--file={place.records}"], cwd=ROOT / "lab")
        try:
            first = place.play(url=running.url, alerting_secrets=secrets).passed()
            assert not [value for value in secrets.values() if value in first.output]
            yield running
        finally:
            sink.terminate()
            sink.wait()
