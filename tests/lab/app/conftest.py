"""Application processes on loopback addresses of their own."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from churnguard_api.faults import Faults
from churnguard_lab import images
from prometheus_client.parser import text_string_to_metric_families

from ..waiting import until

_addresses = (f"127.2.{os.getpid() % 250}.{number}" for number in itertools.count(1))


class Application:
    """One version of the application as a process: the command and the environment of its lab image."""

    def __init__(self, kind: str, folder: Path, variables: Mapping[str, str], wrong: Faults) -> None:
        self.address = next(_addresses)
        document = images.document("churnguard/api:v7", kind, wrong)
        root = Path(images.__file__).parents[2]
        values = {
            "python": sys.executable,
            "repository": str(root),
            "mount:config": str(folder),
            "mount:tmp": str(folder),
            "mount:flags": str(folder),
        }
        expanded = {name: images.expand(text, values.get) for name, text in document["env"].items()}
        base = {"PATH": os.environ["PATH"], "POD_IP": self.address, "POD_NAME": "api-1", "SLOT": "green"}
        flags = folder / "flags.json"
        if not flags.exists():
            flags.write_text('{"flags": {}}', encoding="utf-8")
        self.log = folder / f"{self.address}.log"
        with open(self.log, "wb") as output:
            self.process = subprocess.Popen(
                [images.expand(part, values.get) for part in document["command"]],
                env=base | expanded | dict(variables),
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def get(self, path: str, method: str = "GET", timeout: float = 30) -> tuple[int, Any, Mapping[str, str]]:
        """One request: status, document, headers."""
        request = urllib.request.Request(f"http://{self.address}:5000{path}", method=method)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return answer.status, json.loads(answer.read() or b"null"), answer.headers
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"null"), error.headers

    def status(self, path: str) -> int | None:
        """The status of a GET; None when nobody answers."""
        try:
            return self.get(path)[0]
        except OSError:
            return None

    def await_status(self, path: str, status: int | None, seconds: float = 60) -> None:
        """Wait until a GET is answered with that status."""
        deadline = time.monotonic() + seconds
        while (answer := self.status(path)) != status:
            if time.monotonic() > deadline or (status is not None and self.process.poll() is not None):
                pytest.fail(f"{path} answers {answer}, not {status}; output: {self.log.read_text()}")
            time.sleep(0.05)

    def await_sample(self, value: float, name: str, **labels: str) -> None:
        """Wait until a sample has that value: a request is counted when its reply has been sent, so just afterwards."""
        until(f"{name} {labels} is {value:g}", lambda: self.sample(name, **labels) == value)

    def metrics(self) -> dict[tuple[str, frozenset], float]:
        """(name, labels) -> value of all samples."""
        with urllib.request.urlopen(f"http://{self.address}:8080/metrics", timeout=30) as answer:
            families = text_string_to_metric_families(answer.read().decode())
            return {
                (item.name, frozenset(item.labels.items())): item.value for each in families for item in each.samples
            }

    def sample(self, name: str, **labels: str) -> float | None:
        """The value of one sample."""
        return self.metrics().get((name, frozenset(labels.items())))

    def endpoints(self) -> set[str]:
        """All values of the label endpoint."""
        return {dict(labels)["endpoint"] for _name, labels in self.metrics() if "endpoint" in dict(labels)}


@pytest.fixture
def application(tmp_path: Path) -> Iterator[Callable[..., Application]]:
    """Starts applications that answer /health; ends them all."""
    started: list[Application] = []

    def start(
        kind: str, variables: Mapping[str, str] | None = None, wrong: Faults | None = None, healthy: bool = True
    ) -> Application:
        item = Application(kind, tmp_path, variables or {}, wrong or Faults())
        started.append(item)
        if healthy:
            item.await_status("/health", 200)
        return item

    yield start
    for item in started:
        if item.process.poll() is None:
            os.killpg(item.process.pid, 9)
        item.process.wait(10)
