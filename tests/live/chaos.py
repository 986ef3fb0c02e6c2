"""A proxy in front of the API server that strikes at a chosen write: it kills the client, or refuses to answer.

It stands between the module and the server as a network does; nothing in the module is changed.
"""

from __future__ import annotations

import http.client
import os
import signal
import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import kubernetes

WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
BEFORE = "before"
AFTER = "after"


class ChaosProxy:
    """Forwards to the API server of `kubeconfig` with its credentials.

    `strike(method, path, number, moment)` is called around the `number`-th write (from 1) with the moment `before`
    or `after` the server has seen it; if it returns True the connection is dropped without an answer.
    """

    def __init__(self, kubeconfig: str) -> None:
        configuration = kubernetes.client.Configuration()
        kubernetes.config.load_kube_config(kubeconfig, client_configuration=configuration)
        self._upstream = configuration.host.removeprefix("https://")
        self._tls = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
        self._tls.load_cert_chain(configuration.cert_file, configuration.key_file)
        self.strike: Callable[[str, str, int, str], bool] = lambda *_: False
        self.writes: list[str] = []
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def reset(self, strike: Callable[[str, str, int, str], bool] | None = None) -> None:
        """Count from the start again, and strike differently."""
        with self._lock:
            self.writes = []
            self.strike = strike or (lambda *_: False)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _count(self, method: str, path: str) -> int:
        with self._lock:
            self.writes.append(f"{method} {path.split('?')[0]}")
            return len(self.writes)

    def _forward(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, list[Any], bytes]:
        connection = http.client.HTTPSConnection(self._upstream, context=self._tls, timeout=30)
        try:
            connection.request(method, path, body or None, headers)
            response = connection.getresponse()
            return response.status, response.getheaders(), response.read()
        finally:
            connection.close()

    def _handler(proxy) -> type[BaseHTTPRequestHandler]:  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                """Tests read the writes list instead."""

            def _serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                writing = self.command in WRITES
                number = proxy._count(self.command, self.path) if writing else 0
                if writing and proxy.strike(self.command, self.path, number, BEFORE):
                    self.close_connection = True
                    return
                kept = {k: v for k, v in self.headers.items() if k in ("Accept", "Content-Type", "User-Agent")}
                status, headers, answer = proxy._forward(self.command, self.path, kept, body)
                if writing and proxy.strike(self.command, self.path, number, AFTER):
                    self.close_connection = True
                    return
                self.send_response_only(status)
                for key, value in headers:
                    if key.lower() in ("content-type", "date"):
                        self.send_header(key, value)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

        return Handler


def killer(pid: Callable[[], int], number: int, moment: str) -> Callable[[str, str, int, str], bool]:
    """A strike that ends process `pid()` with SIGKILL at the given write and moment."""

    def strike(_method: str, _path: str, count: int, when: str) -> bool:
        if count != number or when != moment:
            return False
        os.kill(pid(), signal.SIGKILL)
        return True

    return strike
