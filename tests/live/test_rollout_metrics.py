"""Metrics about rollouts, with the real Pushgateway, Prometheus and promtool."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.parse
import urllib.request
import uuid
from pathlib import Path

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import Clock
from ansible_collections.churnguard.ops.plugins.module_utils._common.envelope import Recorder
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.outlets import Outlets
from churnguard_lab import settings
from churnguard_lab.binaries import catalogue

pytestmark = pytest.mark.lab
PATIENCE_S = 60


@pytest.fixture(scope="module")
def lab() -> settings.Settings:
    return settings.load()


@pytest.fixture
def namespace() -> str:
    """A name of its own for each test: the Pushgateway keeps what it is given."""
    return f"metrics-{uuid.uuid4().hex[:8]}"


def rollout(namespace: str, version: str, verdict: str, **options: str) -> dict:
    """A bad canary as the recorder hears it; the envelope's measurement of the export."""
    clock = Clock()
    recorder = Recorder(clock, "rollout")
    recorder.subject = {
        "app": "shop",
        "namespace": namespace,
        "version": version,
        "previous_version": "v1",
        "strategy": "canary",
        "slot": "green",
    }
    outlets = Outlets({"metrics_export": options}, recorder, clock)
    recorder.event("planned", f"{version} into slot green")
    recorder.event("weights", "green 10 %", {"weights": {"green": 10, "blue": 90}})
    errors = {"name": "error_ratio", "kind": "ratio", "verdict": "bad", "value": 0.2, "limit": 0.01}
    latency = {"name": "latency_p99", "kind": "latency", "verdict": "unknown", "value": None, "limit": 2.0}
    recorder.event("sample", "bad", {"verdict": "bad", "weight": 10, "results": [errors, latency]})
    recorder.event("rollback_started", "errors")
    recorder.event("weights", "blue 100 %", {"weights": {"green": 0, "blue": 100}})
    recorder.event("rolled_back", f"{version} was refused")
    outlets.finish(verdict)
    return recorder.measurements[-1]


def query(lab: settings.Settings, expression: str) -> dict[tuple[str, ...], float]:
    """Label values (without instance) -> value, as Prometheus has them now."""
    url = f"http://127.0.0.1:{lab.ports.prometheus}/api/v1/query?query={urllib.parse.quote(expression)}"
    with urllib.request.urlopen(url, timeout=5) as answer:
        rows = json.load(answer)["data"]["result"]
    names = {"__name__", "instance", "namespace", "app", "job"}
    return {
        tuple(v for k, v in sorted(row["metric"].items()) if k not in names): float(row["value"][1]) for row in rows
    }


def test_promtool_finds_nothing_to_complain_about(tmp_path: Path, namespace: str) -> None:
    path = tmp_path / "shop.prom"
    assert rollout(namespace, "v2", "rolled_back", textfile=str(path))["verdict"] == "passed"
    (bundle,) = (bundle for bundle in catalogue.BUNDLES if "promtool" in bundle.executables)
    promtool = catalogue.in_cache(catalogue.cache_root(os.environ), bundle)["promtool"]
    checked = subprocess.run(
        [promtool, "check", "metrics"], input=path.read_bytes(), capture_output=True, timeout=60, check=False
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")


def test_prometheus_shows_what_was_pushed_and_forgets_what_it_replaced(lab: settings.Settings, namespace: str) -> None:
    url = f"http://127.0.0.1:{lab.ports.pushgateway}"
    for version, verdict in (("v2", "rolled_back"), ("v3", "aborted")):
        assert rollout(namespace, version, verdict, pushgateway_url=url)["verdict"] == "passed"
        give_up = time.monotonic() + PATIENCE_S
        here = f'{{job="churnguard_rollout",app="shop",namespace="{namespace}"}}'
        while query(lab, f"churnguard_rollout_info{here}") != {("v1", "canary", version): 1}:
            assert time.monotonic() < give_up
            time.sleep(0.5)
        assert query(lab, f"churnguard_rollout_state{here} == 1") == {(verdict,): 1}
        assert query(lab, f"churnguard_rollout_weight{here}") == {("blue",): 100, ("green",): 0}
        assert query(lab, f"churnguard_rollout_samples_total{here}") == {("bad",): 1, ("good",): 0, ("unknown",): 0}
        assert query(lab, f"churnguard_rollout_judged_value{here} > 0") == {("error_ratio",): 0.2}
        assert list(query(lab, f"churnguard_rollout_last_result_timestamp_seconds{here}")) == [(verdict,)]
