"""The stalling proxy as a process of its own, before an echo server."""

from __future__ import annotations

import json
import socket
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from .waiting import until


class Echo(socketserver.BaseRequestHandler):
    """Says back what it hears, and keeps it."""

    def handle(self) -> None:
        while data := self.request.recv(65536):
            self.server.heard.append(data)  # type: ignore[attr-defined]
            self.request.sendall(data)


class Proxied:
    """A proxy process, the server behind it, and a client before it."""

    def __init__(self, lifetime: str = "60") -> None:
        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo)
        self.server.daemon_threads = True
        self.heard = self.server.heard = []  # type: ignore[attr-defined]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        target = f"127.0.0.1:{self.server.server_address[1]}"
        command = [sys.executable, "-m", "churnguard_lab.stall", "--target", target, "--lifetime", lifetime]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.client = socket.create_connection(("127.0.0.1", self.said()["listening"]), timeout=10)

    def said(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        return dict(json.loads(self.process.stdout.readline()))

    def order(self, command: str) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return self.said()

    def close(self) -> None:
        self.client.close()
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def proxied() -> Iterator[Proxied]:
    made = Proxied()
    try:
        yield made
    finally:
        made.close()


def test_it_passes_on_both_ways(proxied: Proxied) -> None:
    proxied.client.sendall(b"hello")
    assert proxied.client.recv(5) == b"hello"


def test_what_a_stall_holds_back_arrives_when_it_ends(proxied: Proxied) -> None:
    proxied.client.sendall(b"before")
    assert proxied.client.recv(6) == b"before"
    assert proxied.order("stall") == {"state": "stalled"}
    proxied.client.sendall(b"meanwhile")
    proxied.client.settimeout(0.3)
    with pytest.raises(TimeoutError):
        proxied.client.recv(9)
    assert proxied.heard == [b"before"]
    assert proxied.order("pass") == {"state": "passing"}
    proxied.client.settimeout(10)
    assert proxied.client.recv(9) == b"meanwhile"


def test_what_a_stall_holds_back_never_arrives_when_the_proxy_ends(proxied: Proxied) -> None:
    assert proxied.order("stall") == {"state": "stalled"}
    proxied.client.sendall(b"lost")
    assert proxied.process.stdin is not None
    proxied.process.stdin.close()
    assert proxied.process.wait(10) == 0
    assert proxied.heard == []


def test_it_ends_with_its_lifetime() -> None:
    proxied = Proxied(lifetime="2")
    try:
        until("the proxy has ended", lambda: proxied.process.poll() is not None)
        assert proxied.process.returncode == 0
    finally:
        proxied.close()


def test_an_order_that_it_does_not_know_is_refused(proxied: Proxied) -> None:
    assert "unknown command 'stop'" in proxied.order("stop")["error"]


@pytest.mark.parametrize("target", ["10.0.0.1:6379", "redis:6379", "127.0.0.1", "127.0.0.1:x"])
def test_only_loopback_may_be_stalled(target: str) -> None:
    command = [sys.executable, "-m", "churnguard_lab.stall", "--target", target]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert ended.returncode == 2
    assert "loopback" in ended.stderr
