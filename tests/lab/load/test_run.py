"""The generator at work: it keeps its schedule, tells its own lateness, and ends in order."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from churnguard_lab.load import summarise
from churnguard_lab.load.__main__ import main
from churnguard_lab.load.ledger import Entry, Writer, read
from churnguard_lab.load.run import Run, live_line
from churnguard_lab.load.schedule import Load

from ..waiting import until


async def serve(delay_s: float) -> tuple[web.AppRunner, str]:
    async def answer(request: web.Request) -> web.Response:
        await asyncio.sleep(float(request.query.get("seconds", delay_s)))
        return web.Response(text="ok", headers={"X-ChurnGuard-Version": "v1"})

    application = web.Application()
    application.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    return runner, f"http://127.0.0.1:{runner.addresses[0][1]}"


def execute(tmp_path: Path, delay_s: float, block_s: float = 0.0, **changes: Any) -> tuple[Path, dict[str, Any]]:
    """Run a load against a server that takes `delay_s`; stop the whole process for `block_s` in the middle."""

    async def run() -> dict[str, Any]:
        runner, url = await serve(delay_s)
        generator = Run(Load(url, "churnguard.lab", **changes), writer, lambda _: None)
        task = asyncio.create_task(generator.execute())
        if block_s:
            await asyncio.sleep(0.5)
            time.sleep(block_s)  # the point: nothing runs meanwhile
        figures = await task
        await runner.cleanup()
        return figures

    writer = Writer(tmp_path / "l.jsonl", {"started": 0, "rate": 0, "target": "", "host": ""})
    figures = asyncio.run(run())
    writer.close()
    return writer.path, figures


def test_slow_replies_do_not_slow_the_schedule(tmp_path: Path) -> None:
    path, _ = execute(tmp_path, 1.0, rate=50, duration_s=2, slow_share=0.0)
    entries = sorted(read(path)[1], key=lambda entry: entry.t)
    assert len(entries) == 100
    assert entries[-1].t - entries[0].t == pytest.approx(99 / 50, abs=0.01)
    assert {entry.outcome for entry in entries} == {"ok"}
    assert min(entry.lat for entry in entries) >= 1.0


def test_lateness_counts_as_latency_and_is_told(tmp_path: Path) -> None:
    """What falls due while the generator stands still is sent late, and its clock runs from the due time."""
    path, _ = execute(tmp_path, 0.0, block_s=0.8, rate=50, duration_s=2, slow_share=0.0)
    late = [entry for entry in read(path)[1] if entry.lag > 0.1]
    assert len(late) >= 25
    assert all(entry.lat >= entry.lag for entry in late)
    summary = summarise(path)
    assert (summary["sent"], summary["failed"]) == (100, 0)
    assert summary["lag_s"]["max"] >= 0.6
    assert summary["latency_s"]["p95"] >= 0.3


def test_the_generators_own_figures(tmp_path: Path) -> None:
    path, figures = execute(tmp_path, 0.0, rate=20, duration_s=1, slow_share=0.1, slow_seconds=0.5)
    assert (figures["stopped_early"], figures["abandoned"]) == (False, 0)
    assert 0 < figures["cpu_s"] < figures["elapsed_s"]
    slow = [entry for entry in read(path)[1] if entry.slow]
    assert len(slow) == 2
    assert all(entry.lat >= 0.5 for entry in slow)


def test_the_bound_on_requests_holds(tmp_path: Path) -> None:
    path, _ = execute(tmp_path, 0.0, rate=100, duration_s=5, max_requests=30, slow_share=0.0)
    assert summarise(path)["sent"] == 30


@pytest.fixture
def application() -> Iterator[str]:
    """The lab's test application as a process of its own; its URL."""
    address = f"127.0.{128 + os.getpid() % 64}.1"
    environment = {**os.environ, "POD_IP": address, "APP_VERSION": "v1"}
    command = [sys.executable, "-m", "churnguard_lab.testserver"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def answers() -> bool:
        with contextlib.suppress(OSError):
            socket.create_connection((address, 5000), timeout=1).close()
            return True
        return False

    until("the application answers", answers)
    yield f"http://{address}:5000"
    process.kill()
    process.wait()


def test_sigterm_ends_it_in_order(application: str, tmp_path: Path) -> None:
    ledger = tmp_path / "l.jsonl"
    command = [sys.executable, "-m", "churnguard_lab.load", "run", "--url", application, "--rate", "50"]
    command += ["--duration", "600", "--slow-share", "0.1", "--slow-seconds", "2", "--ledger", str(ledger)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    # Flushed while it runs.
    until("50 replies in the ledger", lambda: ledger.exists() and len(list(read(ledger)[1])) > 50)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    summary = json.loads(ledger.with_suffix(".summary.json").read_text(encoding="utf-8"))
    assert summary["generator"]["stopped_early"]
    assert summary["failed"] == 0
    assert summary["slow"]["sent"] >= 5, "requests under way were awaited"
    assert summary["outcomes"] == {"ok": summary["sent"]}
    assert "in flight" in output
    assert f"sent {summary['sent']}, failed 0" in output


def test_summary_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, _ = execute(tmp_path, 0.0, rate=20, duration_s=1, slow_share=0.0)
    assert main(["summary", str(path)]) == 0
    assert json.loads(capsys.readouterr().out)["sent"] == 20
    assert main(["summary", str(path), "--from", "0", "--to", "1"]) == 0
    assert json.loads(capsys.readouterr().out)["sent"] == 0


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["run", "--url", "http://10.0.0.1:80"], "loopback addresses only"),
        (["run", "--rate", "100000"], "rate 100000 is outside"),
        (["summary", "/nowhere.jsonl"], "cannot read the ledger /nowhere.jsonl"),
    ],
)
def test_mistakes_are_told_without_a_traceback(
    arguments: list[str], part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert part in capsys.readouterr().err


def test_live_line() -> None:
    def entry(version: str, lat: float) -> Entry:
        return Entry(0.0, lat, "ok", 200, version, None, "fresh", False, 0.0)

    line = live_line(12.3, 2400, 7, 1, [entry("v1", 0.010), entry("v2", 0.020), entry("v2", 0.020), entry("v2", 0.020)])
    assert line == "    12 s  sent 2400  in flight 7  failed 1  p50 20.0 ms  p99 20.0 ms  v1 25%  v2 75%"
    assert "no replies  no version" in live_line(1, 0, 0, 0, [])
