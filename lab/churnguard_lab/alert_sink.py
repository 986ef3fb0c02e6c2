"""Who is notified in the lab: a webhook receiver that writes down what arrived, and when.

python -m churnguard_lab.alert_sink --port PORT --file FILE

Alertmanager's receivers post to http://127.0.0.1:PORT/<any path>. Each notification becomes a line of JSON in FILE:
  {"arrived": ISO 8601 in UTC with milliseconds, "arrived_s": Unix seconds, "path": "/platform-page",
   "receiver", "status": "firing" or "resolved", "group_key", "truncated": alerts left out by max_alerts,
   "alerts": [{"status", "labels", "annotations", "starts_at", "ends_at", "fingerprint"}]}
The time is that of the request's headers, before its body was read. The line is on the disk before the answer is sent,
so that what Alertmanager counts as told is written down. GET /-/ready answers 200. It listens on loopback alone.
"""

from __future__ import annotations

import argparse
import ipaddress
import json
import os
import signal
import socketserver
import sys
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

LARGEST_BODY = 4 * 1024 * 1024
#: How long a client may take to send what it announced.
PATIENCE_S = 10


class NotANotification(ValueError):
    """The body is not what Alertmanager's webhook sends."""


def read_notification(body: bytes, path: str, arrived_s: float) -> dict[str, Any]:
    """The record of one notification, from the body of Alertmanager's webhook (version 4). Raises NotANotification."""
    try:
        sent = json.loads(body)
        alerts = [
            {
                "status": alert["status"],
                "labels": dict(alert["labels"]),
                "annotations": dict(alert.get("annotations") or {}),
                "starts_at": alert["startsAt"],
                "ends_at": alert["endsAt"],
                "fingerprint": alert["fingerprint"],
            }
            for alert in sent["alerts"]
        ]
        return {
            "arrived": datetime.fromtimestamp(arrived_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "arrived_s": int(arrived_s * 1000) / 1000,
            "path": path,
            "receiver": sent["receiver"],
            "status": sent["status"],
            "group_key": sent["groupKey"],
            "truncated": int(sent.get("truncatedAlerts") or 0),
            "alerts": alerts,
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NotANotification(f"no notification of Alertmanager: {type(error).__name__}: {error}") from error


def read_records(path: Path) -> list[dict[str, Any]]:
    """Every record of a file, in the order of arrival; none if there is no file. A line that is being written counts
    only once it is whole."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def drop_torn_line(file: int) -> None:
    """Cut off what is after the last line's end: a record that was being written when its writer died, and was never
    acknowledged."""
    content = os.pread(file, os.fstat(file).st_size, 0)
    os.ftruncate(file, content.rfind(b"\n") + 1)


class Sink(ThreadingHTTPServer):
    """The receiver. Raises ValueError for an address that is not of the loopback interface."""

    daemon_threads = True

    def __init__(self, address: str, port: int, file: Path) -> None:
        if not ipaddress.ip_address(address).is_loopback:
            raise ValueError(f"{address} is not of the loopback interface")
        self._lock = threading.Lock()
        file.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            drop_torn_line(self._file)
            super().__init__((address, port), Handler)
        except OSError:
            os.close(self._file)
            raise

    def server_bind(self) -> None:
        """Bind without the reverse name lookup of the standard library."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]

    def server_close(self) -> None:
        """Stop listening; nothing more is written."""
        super().server_close()
        with self._lock:
            if self._file >= 0:
                os.close(self._file)
            self._file = -1

    def record(self, notification: dict[str, Any]) -> None:
        """Write it down, on the disk."""
        line = json.dumps(notification, ensure_ascii=False, sort_keys=True) + "\n"
        with self._lock:
            os.write(self._file, line.encode())
            os.fsync(self._file)


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Sink
    protocol_version = "HTTP/1.1"
    timeout = PATIENCE_S

    def do_GET(self) -> None:
        """Only whether it is there."""
        ready = urlsplit(self.path).path == "/-/ready"
        self._answer(200 if ready else 404, "ready" if ready else "not found")

    def do_POST(self) -> None:
        """A notification."""
        arrived_s = time.time()
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal():
            self._answer(411, "Content-Length is needed", close=True)
        elif int(length) > LARGEST_BODY:
            self._answer(413, f"more than {LARGEST_BODY} bytes", close=True)
        else:
            try:
                record = read_notification(self.rfile.read(int(length)), urlsplit(self.path).path, arrived_s)
            except NotANotification as error:
                self._answer(400, str(error))
            else:
                self.server.record(record)
                self._answer(200, "recorded")

    def _answer(self, status: int, text: str, close: bool = False) -> None:
        body = f"{text}\n".encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        if close:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: Any) -> None:
        """Notifications are recorded, not logged."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="alert_sink", description="Writes down Alertmanager's notifications.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--file", type=Path, required=True, help="where to append a line for each notification")
    parser.add_argument("--address", default="127.0.0.1", help="loopback address (default: %(default)s)")
    given = parser.parse_args(arguments)
    try:
        sink = Sink(given.address, given.port, given.file)
    except (ValueError, OSError) as error:
        print(f"alert_sink: cannot listen on {given.address}:{given.port} for {given.file}: {error}", file=sys.stderr)
        return 1
    ending = (signal.SIGTERM, signal.SIGINT)
    signal.pthread_sigmask(signal.SIG_BLOCK, ending)
    threading.Thread(target=sink.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
    print(f"alert_sink: listening on {given.address}:{sink.server_port}, writing to {given.file}", flush=True)
    signal.sigwait(ending)
    sink.shutdown()
    sink.server_close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
