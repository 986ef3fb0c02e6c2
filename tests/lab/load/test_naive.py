"""The baseline drops requests, and leaves nothing behind."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from churnguard_lab import images, naive, settings

from ..waiting import until


def left_behind(lab: settings.Settings) -> list[str]:
    found = [name for name in images.references(lab.state_dir) if name.startswith(naive.IMAGE)]
    return found + [naive.NAMESPACE] * naive.Cluster(lab.kubeconfig).has_namespace()


@pytest.mark.lab
def test_the_naive_switch_drops_requests_and_everything_is_removed(tmp_path: Path) -> None:
    lab = settings.load()
    output = tmp_path / "naive.json"
    command = [sys.executable, "-m", "churnguard_lab.naive", "--rate", "100", "--seconds", "15"]
    done = subprocess.run([*command, "--output", str(output)], capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(output.read_text(encoding="utf-8"))
    assert result["failed"] > 0
    assert result["sent"] >= 1500
    assert set(result["by_version"]) == {"v1", "v2"}
    assert f"dropped {result['failed']} of {result['sent']} requests" in done.stdout
    assert left_behind(lab) == []


@pytest.mark.lab
def test_an_interrupted_baseline_leaves_nothing_behind() -> None:
    lab = settings.load()
    cluster = naive.Cluster(lab.kubeconfig)
    process = subprocess.Popen([sys.executable, "-m", "churnguard_lab.naive"], stderr=subprocess.PIPE, text=True)
    try:
        until("the baseline's namespace", cluster.has_namespace)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=150)
        assert (process.returncode, "interrupted" in errors) == (130, True)
        assert left_behind(lab) == []
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(("rate", "seconds"), [(0, 30), (5000, 30), (200, 0), (200, 1000)])
def test_bounds(rate: float, seconds: float) -> None:
    lab: Any = None
    with pytest.raises(naive.NaiveError, match="rate must be"):
        naive.run(lab, rate, seconds)


def test_the_manifests_are_as_naive_as_they_say() -> None:
    container = naive.deployment("v1")["spec"]["template"]["spec"]["containers"][0]
    assert "lifecycle" not in container
    assert naive.service("v1")["spec"]["selector"] == {"app": "churnguard", "version": "v1"}
