"""What processes use, in the form that Prometheus reads."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from churnguard_lab.node.usage import Occupant, Usage
from prometheus_client.parser import text_string_to_metric_families

from ..waiting import until

LABELS = {"namespace": "shop", "pod": "a", "container": "api"}
#: Works in a child that ends, holds 40 MB, and waits.
BUSY = """
import subprocess, sys, time
subprocess.run([sys.executable, "-c", "import time\\nwhile time.process_time() < 0.5: pass"])
held = bytearray(40 * 2**20)
print("ready", flush=True)
time.sleep(600)
"""


@pytest.fixture
def busy() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen([sys.executable, "-c", BUSY], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def read(usage: Usage, *pids: int) -> dict[str, float]:
    text = usage.exposition(Occupant(*LABELS.values(), f"id-{pid}", pid) for pid in pids).decode()
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    assert all(sample.labels == LABELS for sample in samples)
    return {sample.name: sample.value for sample in samples}


def test_a_child_that_has_ended_counts_and_memory_is_what_is_held(busy: subprocess.Popen[str]) -> None:
    found = read(Usage(), busy.pid)
    assert 0.5 <= found["container_cpu_usage_seconds_total"] < 60
    assert 40 * 2**20 <= found["container_memory_working_set_bytes"] < 400 * 2**20


def test_a_counter_does_not_fall(busy: subprocess.Popen[str]) -> None:
    usage = Usage()
    first = read(usage, busy.pid)["container_cpu_usage_seconds_total"]
    assert read(usage, busy.pid)["container_cpu_usage_seconds_total"] >= first


def test_a_container_that_has_ended_is_left_out(busy: subprocess.Popen[str]) -> None:
    busy.kill()
    busy.wait(30)
    until("gone", lambda: not Path(f"/proc/{busy.pid}").exists())
    assert read(Usage(), busy.pid) == {}
