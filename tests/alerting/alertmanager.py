"""A real Alertmanager on a free port of the loopback interface, and a real sink for what it tells."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

STARTS_WITHIN_S = 60.0


def program(*names: str) -> str:
    """The path of the first of these programs. Fails, and says what to install, without any."""
    for name in names:
        found = shutil.which(name)
        if found:
            return found
    return pytest.fail(f"no {' or '.join(names)} in PATH: install Debian's prometheus-alertmanager (make setup)")


def amtool() -> str:
    """The path of amtool."""
    return program("amtool")


class Alertmanager:
    """One process. As a context manager it is started, and killed at the end with nothing left but its folder."""

    def __init__(self, folder: Path, port: int, config: Path) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.config = config
        self.log = folder / "alertmanager.log"
        self._folder, self._port = folder, port
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Alertmanager:
        self._folder.mkdir(parents=True, exist_ok=True)
        command = [
            program("prometheus-alertmanager", "alertmanager"),
            f"--config.file={self.config}",
            f"--storage.path={self._folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self._port}",
            "--cluster.listen-address=",
        ]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=self._folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            self._await_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _await_ready(self) -> None:
        give_up = time.monotonic() + STARTS_WITHIN_S
        while True:
            try:
                with urllib.request.urlopen(f"{self.url}/-/ready", timeout=5):
                    return
            except (urllib.error.URLError, OSError):
                if not self.running or time.monotonic() > give_up:
                    pytest.fail(f"Alertmanager does not answer: {self.log.read_text(errors='replace')[-1500:]}")
                time.sleep(0.05)

    def request(self, method: str, path: str, body: Any = None) -> Any:
        """The document that the API answers."""
        asked = urllib.request.Request(
            f"{self.url}/api/v2/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(asked, timeout=20) as response:
            text = response.read()
        return json.loads(text) if text else None

    def silences(self, *states: str) -> list[dict[str, Any]]:
        """The silences as the server has them; all of them, or those in these states."""
        found = sorted(self.request("GET", "silences"), key=lambda one: one["id"])
        return [one for one in found if not states or one["status"]["state"] in states]

    def silence(self, comment: str, matchers: Mapping[str, str], seconds: float = 3600) -> str:
        """Make one as somebody else would: its id."""
        now = datetime.now(UTC)
        body = {
            "matchers": [{"name": name, "value": value, "isRegex": False} for name, value in matchers.items()],
            "startsAt": now.isoformat(),
            "endsAt": (now + timedelta(seconds=seconds)).isoformat(),
            "createdBy": "somebody",
            "comment": comment,
        }
        return str(self.request("POST", "silences", body)["silenceID"])

    def fire(self, *alerts: Mapping[str, str]) -> None:
        """Let alerts with these labels fire, as a Prometheus would."""
        body = [{"labels": dict(labels), "annotations": {"summary": labels["alertname"]}} for labels in alerts]
        self.request("POST", "alerts", body)

    def resolve(self, *alerts: Mapping[str, str]) -> None:
        """Let alerts with these labels be over."""
        now = datetime.now(UTC).isoformat()
        self.request("POST", "alerts", [{"labels": dict(labels), "endsAt": now} for labels in alerts])

    def states(self) -> dict[tuple[str, ...], dict[str, Any]]:
        """The status of each alert (state, inhibitedBy, silencedBy), by the values of its labels in their order."""
        found = self.request("GET", "alerts")
        return {tuple(v for _k, v in sorted(one["labels"].items())): one["status"] for one in found}

    def reload(self) -> None:
        """Have it read its file again."""
        asked = urllib.request.Request(f"{self.url}/-/reload", method="POST")
        urllib.request.urlopen(asked, timeout=20).close()

    @property
    def loaded(self) -> str:
        """The configuration that it runs with, without its secrets."""
        return str(self.request("GET", "status")["config"]["original"])
