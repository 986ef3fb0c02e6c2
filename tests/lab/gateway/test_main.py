"""The controller as a process: a start without an API server, mistakes, defects."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from churnguard_lab.gateway.haproxy import HAProxy
from churnguard_lab.settings import Ports

from ..ports import free_ports

PARTS = [port.name for port in dataclasses.fields(Ports)]


@pytest.fixture
def lab(tmp_path: Path) -> Any:
    """A lab.json whose API server does not exist."""
    ports = dict(zip(PARTS, free_ports(len(PARTS)), strict=True))
    server = {"server": f"https://127.0.0.1:{ports['kube_apiserver']}"}
    kubeconfig = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": server}],
        "users": [{"name": "u", "user": {}}],
    }
    (tmp_path / "kubeconfigs").mkdir()
    (tmp_path / "kubeconfigs" / "gateway.kubeconfig").write_text(yaml.safe_dump(kubeconfig), encoding="utf-8")
    document = {
        "state_dir": str(tmp_path),
        "python": sys.executable,
        "repository": str(tmp_path),
        "kubeconfig": str(tmp_path / "kubeconfig"),
        "ports": ports,
        "node": {"name": "n", "pod_network": "127.0.16.0/20"},
        "gateway": {"class": "c", "sync_delay_s": 0.1},
    }
    (tmp_path / "lab.json").write_text(json.dumps(document), encoding="utf-8")
    return document


@pytest.fixture
def start(lab: Any, tmp_path: Path) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Starts the controller; ends it, and HAProxy."""
    started: list[subprocess.Popen[str]] = []

    def begin() -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "churnguard_lab.gateway", "--config", str(tmp_path / "lab.json")]
        started.append(subprocess.Popen(command, stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.communicate()
    HAProxy(tmp_path / "gateway", tmp_path / "haproxy.log", tmp_path).stop()


def get(port: int, path: str = "/") -> tuple[int, str]:
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def test_without_an_api_server_it_waits_and_says_so(lab: Any, start: Any) -> None:
    process = start()
    assert get(lab["ports"]["gateway"])[0] == 404
    status, text = get(lab["ports"]["gateway_controller"], "/healthz")
    assert (status, json.loads(text)["problem"]) == (503, "no sync yet")
    assert set(json.loads(text)["api"]) == {"gatewayclasses", "gateways", "httproutes", "services", "pods"}
    assert get(lab["ports"]["gateway_controller"], "/nothing")[0] == 404
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 0
    with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", lab["ports"]["gateway"])):
        pytest.fail("HAProxy still listens")


@pytest.mark.parametrize("part", ["gateway", "gateway_admin", "gateway_controller"])
def test_a_taken_port_is_named(lab: Any, start: Any, part: str) -> None:
    with socket.create_server(("127.0.0.1", lab["ports"][part])):
        process = start()
        _, errors = process.communicate(timeout=90)
    assert process.returncode == 1
    assert f"127.0.0.1:{lab['ports'][part]}" in errors
    assert "Traceback" not in errors


def test_a_missing_lab_is_told(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "churnguard_lab.gateway", "--config", str(tmp_path / "none.json")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "there is no lab at" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_thread_that_fails_by_a_defect_ends_the_process() -> None:
    program = (
        "import threading, time\n"
        "from churnguard_lab.gateway import __main__ as program\n"
        "threading.excepthook = program.on_thread_failure\n"
        "threading.Thread(target=lambda: 1 / 0).start()\n"
        "time.sleep(120)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 70
    assert "ZeroDivisionError" in done.stderr
