"""Checks against real listeners and commands."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from churnguard_lab.node.hooks import perform
from churnguard_lab.node.probes import Check, ExecCheck, HttpCheck, TcpCheck

ENVIRONMENT = {"PATH": os.environ["PATH"], "GREETING": "hello"}


class Handler(BaseHTTPRequestHandler):
    """Answers with the status that the path names; /slow takes a second."""

    def do_GET(self) -> None:
        if self.path == "/slow":
            time.sleep(1)
        known = self.path[1:].isdigit()
        self.send_response(int(self.path[1:]) if known else 200 if self.headers.get("X-Key") == "k" else 418)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Quiet."""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A server's port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def ask(check: Check, tmp_path: Path, timeout: float = 30.0) -> tuple[bool, str]:
    return perform(check, timeout, ENVIRONMENT, tmp_path)


@pytest.mark.parametrize(
    ("path", "success"), [("/200", True), ("/204", True), ("/302", True), ("/404", False), ("/503", False)]
)
def test_http_status(port: int, path: str, success: bool, tmp_path: Path) -> None:
    answered, detail = ask(HttpCheck("127.0.0.1", port, path), tmp_path)
    assert answered is success
    assert detail == ("" if success else f"HTTP probe failed with statuscode: {path[1:]}")


def test_http_headers_are_sent(port: int, tmp_path: Path) -> None:
    assert ask(HttpCheck("127.0.0.1", port, "/key", (("X-Key", "k"),)), tmp_path)[0]
    assert not ask(HttpCheck("127.0.0.1", port, "/key"), tmp_path)[0]


def test_http_timeout(port: int, tmp_path: Path) -> None:
    assert ask(HttpCheck("127.0.0.1", port, "/slow"), tmp_path, 0.2) == (
        False,
        f'Get "http://127.0.0.1:{port}/slow": timed out',
    )


def test_nobody_listens(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        for check in (HttpCheck("127.0.0.1", port, "/"), TcpCheck("127.0.0.1", port)):
            success, detail = ask(check, tmp_path)
            assert not success
            assert "Connection refused" in detail


def test_tcp(port: int, tmp_path: Path) -> None:
    assert ask(TcpCheck("127.0.0.1", port), tmp_path) == (True, "")


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ('test "$GREETING" = hello', (True, "")),
        ("echo why; exit 4", (False, "exit code 4: why")),
        ("touch here && test -f here", (True, "")),
    ],
)
def test_exec(script: str, expected: tuple[bool, str], tmp_path: Path) -> None:
    assert ask(ExecCheck(("sh", "-c", script)), tmp_path) == expected


def test_exec_is_ended_at_its_timeout_with_its_children(tmp_path: Path) -> None:
    started = time.monotonic()
    success, detail = ask(ExecCheck(("sh", "-c", "sleep 30 & sleep 30")), tmp_path, 0.3)
    assert not success
    assert "timed out after 0.3s" in detail
    assert time.monotonic() - started < 25, "its children, which take 30 s, were not waited for"


def test_exec_of_nothing(tmp_path: Path) -> None:
    assert ask(ExecCheck(("no-such-program",)), tmp_path) == (
        False,
        "cannot run ('no-such-program',): No such file or directory",
    )
