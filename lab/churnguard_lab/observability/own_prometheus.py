"""A Prometheus of the benchmark's own: the lab's release, on a free port, with a folder that is deleted at the end."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType

from churnguard_lab.binaries import catalogue
from churnguard_lab.observability.asking import AskingError, Prometheus
from churnguard_lab.observability.waiting import until
from churnguard_lab.settings import LOOPBACK

STARTS_WITHIN_S = 120.0
_LINE = re.compile(r"^(\w+)(?:\{([^}]*)\})? (\S+)$")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def program(name: str) -> Path:
    """prometheus or promtool from the lab's cache. Raises RuntimeError when it is not there."""
    (bundle,) = (bundle for bundle in catalogue.BUNDLES if name in bundle.executables)
    found = catalogue.in_cache(catalogue.cache_root(os.environ), bundle)
    if not found:
        raise RuntimeError(f"there is no {bundle.title} in the cache: run make lab-binaries")
    return found[name]


def promtool(*arguments: str | Path, timeout_s: float = 600.0) -> subprocess.CompletedProcess[str]:
    """Run promtool, whatever it says."""
    command = [program("promtool"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)


class OwnPrometheus:
    """One process. As a context manager it is started, and killed at the end. It takes samples by remote write."""

    def __init__(self, folder: Path, *, retention: str) -> None:
        self.folder = folder
        self.data = folder / "data"
        self._config = folder / "prometheus.yml"
        self._log = folder / "prometheus.log"
        self._retention = retention
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"http://{LOOPBACK}:{_free_port()}"
        self.asked = Prometheus(self.url)

    def configure(self, text: str) -> None:
        """Its configuration, taken over at once if it runs. Raises AskingError when it is refused."""
        self._config.write_text(text, encoding="utf-8")
        if self._process is None:
            return
        request = urllib.request.Request(f"{self.url}/-/reload", method="POST")
        try:
            with urllib.request.urlopen(request, timeout=60):
                return
        except urllib.error.HTTPError as error:
            said = error.read(1000).decode(errors="replace")
            raise AskingError(f"Prometheus refuses its configuration: {said}") from error

    def __enter__(self) -> OwnPrometheus:
        command = [
            str(program("prometheus")),
            f"--config.file={self._config}",
            f"--storage.tsdb.path={self.data}",
            f"--storage.tsdb.retention.time={self._retention}",
            f"--web.listen-address={self.url.removeprefix('http://')}",
            "--web.enable-lifecycle",
            "--web.enable-remote-write-receiver",
            "--log.level=warn",
        ]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            until(f"{self.url} is ready", self._ready, STARTS_WITHIN_S)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def metrics(self, name: str, label: str) -> dict[str, float]:
        """Its own metric of that name: value of a label -> value. Raises AskingError."""
        try:
            with urllib.request.urlopen(f"{self.url}/metrics", timeout=30) as answer:
                text = answer.read().decode()
        except OSError as error:
            raise AskingError(f"{self.url} shows no metrics: {error}") from error
        found = {}
        for line in text.splitlines():
            match = _LINE.match(line)
            if match and match[1] == name:
                found[dict(_LABEL.findall(match[2] or "")).get(label, "")] = float(match[3])
        return found

    def _ready(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            said = self._log.read_text(encoding="utf-8", errors="replace")[-2000:]
            raise RuntimeError(f"Prometheus ended at its start:\n{said}")
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def _end(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()


def _free_port() -> int:
    with socket.create_server((LOOPBACK, 0)) as server:
        return int(server.getsockname()[1])
