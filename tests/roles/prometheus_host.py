"""A host's Prometheus and blackbox exporter on free ports of the loopback interface, which the role configures."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml
from churnguard_lab.binaries import catalogue

from tests.lab.ports import free_ports
from tests.roles.playing import Run, play

STARTS_WITHIN_S = 60.0
PLAYBOOK = Path(__file__).with_name("monitoring_host.yml")


def upstream(name: str) -> Path:
    """prometheus or promtool of the lab's release."""
    found = catalogue.in_cache(catalogue.cache_root(os.environ), catalogue.PROMETHEUS)
    assert found, f"{catalogue.PROMETHEUS.title} is not in the cache: run make lab-binaries"
    return found[name]


def debian(name: str) -> str:
    """A program of a Debian package."""
    return shutil.which(name) or pytest.fail(f"there is no {name}: install Debian's package of that name (make setup)")


def get(url: str) -> str:
    """The body of an answer."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


class Host:
    """Its folder, and the programs that run from there."""

    def __init__(self, folder: Path) -> None:
        self.etc = folder / "etc"
        self.config = self.etc / "prometheus.yml"
        self.rules = self.etc / "rules"
        self.blackbox = self.etc / "blackbox.yml"
        self.folder = folder
        self.port, self.blackbox_port, self.nobody = free_ports(3)
        self.url = f"http://127.0.0.1:{self.port}"
        self.blackbox_url = f"http://127.0.0.1:{self.blackbox_port}"
        self._running: list[subprocess.Popen[bytes]] = []

    def play(self, *options: str, entry: str = "configure", **variables: Any) -> Run:
        """Run the role with everything in this folder."""
        nobody = f"127.0.0.1:{self.nobody}"
        given = {
            "entry": entry,
            "monitoring_config": str(self.config),
            "monitoring_rules_dir": str(self.rules),
            "monitoring_group": "",
            "monitoring_promtool": str(upstream("promtool")),
            "monitoring_url": "",
            "monitoring_blackbox_url": "",
            "monitoring_blackbox_program": debian("prometheus-blackbox-exporter"),
            "monitoring_blackbox_config": str(self.blackbox),
            "monitoring_blackbox_exporter": f"127.0.0.1:{self.blackbox_port}",
            "monitoring_prometheus_targets": [f"127.0.0.1:{self.port}"],
            "monitoring_alertmanagers": [nobody],
            "monitoring_node_targets": [nobody],
            "monitoring_postgres_targets": [nobody],
            "monitoring_redis_nodes": [nobody],
            "monitoring_redis_exporter": nobody,
            "monitoring_pushgateway_targets": [nobody],
            **variables,
        }
        return play(PLAYBOOK, "production", *options, **given)

    def running(self, *options: str, **variables: Any) -> Run:
        """Run the role with the addresses of the running programs."""
        return self.play(
            *options, **{"monitoring_url": self.url, "monitoring_blackbox_url": self.blackbox_url, **variables}
        )

    def start(self) -> None:
        """Start both programs and wait until they answer."""
        self._start(
            [upstream("prometheus"), f"--config.file={self.config}", f"--storage.tsdb.path={self.folder / 'data'}"]
            + [f"--web.listen-address=127.0.0.1:{self.port}", "--web.enable-lifecycle"],
            f"{self.url}/-/ready",
        )
        self._start(
            [debian("prometheus-blackbox-exporter"), f"--config.file={self.blackbox}"]
            + [f"--web.listen-address=127.0.0.1:{self.blackbox_port}"],
            f"{self.blackbox_url}/-/healthy",
        )

    def _start(self, command: list[Any], ready: str) -> None:
        log = self.folder / "log"
        with log.open("ab") as output:
            process = subprocess.Popen(command, cwd=self.folder, stdout=output, stderr=output)
        self._running.append(process)
        give_up = time.monotonic() + STARTS_WITHIN_S
        while True:
            try:
                get(ready)
                return
            except OSError as error:
                assert process.poll() is None, log.read_text()[-3000:]
                assert time.monotonic() < give_up, f"{ready}: {error}"
                time.sleep(0.1)

    def stop(self) -> None:
        """End what was started."""
        for process in self._running:
            process.terminate()
        for process in self._running:
            process.wait(30)
        self._running.clear()

    def files(self) -> dict[str, str]:
        """Every file in etc by its path there, with its content."""
        return {
            str(path.relative_to(self.etc)): path.read_text() for path in sorted(self.etc.rglob("*")) if path.is_file()
        }

    def taken(self) -> float:
        """When Prometheus took a configuration last, in Unix seconds."""
        found = re.search(
            r"(?m)^prometheus_config_last_reload_success_timestamp_seconds (\S+)$", get(f"{self.url}/metrics")
        )
        return float(found.group(1))

    def loaded(self) -> dict[str, set[str]]:
        """Names of the rules, and of the jobs, that the running Prometheus has."""
        groups = json.loads(get(f"{self.url}/api/v1/rules"))["data"]["groups"]
        running = yaml.safe_load(json.loads(get(f"{self.url}/api/v1/status/config"))["data"]["yaml"])
        return {
            "rules": {rule["name"] for group in groups for rule in group["rules"]},
            "jobs": {job["job_name"] for job in running["scrape_configs"]},
        }
