"""A Prometheus of the lab's release over an hour of series as the exporters expose them, read-only and on loopback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from churnguard_lab.binaries import catalogue, download, ensure
from churnguard_lab.binaries.report import Report

ROOT = Path(__file__).resolve().parents[2]
for folder in ("collections", "tests/lab"):
    sys.path.insert(0, str(ROOT / folder))

from ports import free_ports  # noqa: E402
from waiting import until  # noqa: E402

SERIES = Path(__file__).with_name("series.txt")
STEP_S = 15
SAMPLES = 3600 // STEP_S + 2


def program(name: str) -> Path:
    """One of Prometheus' executables, from the lab's cache, which is filled if need be."""
    (bundle,) = (bundle for bundle in catalogue.BUNDLES if name in bundle.executables)
    found, _origin = ensure.from_cache(bundle, catalogue.cache_root(os.environ), download.Sources(), Report())
    return found[name]


def exposition(start: float) -> str:
    """The series in OpenMetrics, a sample every 15 s for an hour from `start` (seconds since the epoch)."""
    lines = []
    for line in SERIES.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        series, value, growth = line.rsplit(" ", 2)
        lines += [
            f"{series} {float(value) + float(growth) * STEP_S * step} {start + STEP_S * step:.0f}"
            for step in range(SAMPLES)
        ]
    return "\n".join([*lines, "# EOF\n"])


@pytest.fixture(scope="session")
def query(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], list[dict[str, Any]]]]:
    """Asks a PromQL expression about the last moment of the series: Prometheus' result, a list of metric and value."""
    folder = tmp_path_factory.mktemp("prometheus")
    end = int(time.time()) // STEP_S * STEP_S
    metrics = folder / "series.om"
    metrics.write_text(exposition(end - STEP_S * (SAMPLES - 1)), encoding="utf-8")
    making = [program("promtool"), "tsdb", "create-blocks-from", "openmetrics", metrics, folder / "data"]
    subprocess.run(making, check=True, capture_output=True, timeout=60)
    config = folder / "prometheus.yml"
    config.write_text("---\nscrape_configs: []\n", encoding="utf-8")
    (port,) = free_ports(1)
    log = folder / "log"
    options = [f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [program("prometheus"), *options, f"--web.listen-address=127.0.0.1:{port}"],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        until(f"Prometheus is ready, see {log}", lambda: ready(port, process))
        yield lambda expr: ask(port, expr, end)
    finally:
        process.terminate()
        process.wait(30)


def ready(port: int, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, "Prometheus ended"
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def ask(port: int, expr: str, moment: int) -> list[dict[str, Any]]:
    parameters = urllib.parse.urlencode({"query": expr, "time": moment})
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/query?{parameters}", timeout=10) as answer:
        return json.load(answer)["data"]["result"]
