"""Application processes on loopback addresses of their own."""

from __future__ import annotations

import contextlib
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

import psycopg2
import pytest
from churnguard_api.faults import Faults
from churnguard_lab import images
from churnguard_lab.binaries import catalogue, download, ensure
from churnguard_lab.binaries.report import Report
from churnguard_lab.cluster import Cluster
from prometheus_client.parser import text_string_to_metric_families

from ..ports import free_ports
from ..relay import Relay
from ..waiting import until

DATABASE = Path(images.__file__).parents[1] / "database"

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
            "log_dir": str(folder),
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

    def get(
        self, path: str, method: str = "GET", timeout: float = 30, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any, Mapping[str, str]]:
        """One request: status, document, headers."""
        request = urllib.request.Request(
            f"http://{self.address}:5000{path}", method=method, headers=dict(headers or {})
        )
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

    def scrape(self, accept: str = "") -> tuple[str, str]:
        """What /metrics answers to a scrape that accepts this: text and content type."""
        request = urllib.request.Request(f"http://{self.address}:8080/metrics", headers={"Accept": accept})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read().decode(), answer.headers["Content-Type"]

    def end(self) -> int:
        """SIGTERM, and the exit code."""
        self.process.terminate()
        return self.process.wait(60)

    def lines(self) -> list[dict[str, Any]]:
        """What it logged; every line has to be JSON."""
        return [json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines()]

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


class Stand:
    """ChurnGuard's seeded database behind a relay, and a Redis, for the tests alone."""

    def __init__(self, cluster: Cluster, redis_port: int) -> None:
        self.dsn = cluster.dsn()
        self.database = Relay(("127.0.0.1", cluster.port))
        self.variables = {
            "DATABASE_URL": f"postgresql://postgres:{cluster.password}@127.0.0.1:{self.database.port}/postgres",
            "REDIS_URL": f"redis://127.0.0.1:{redis_port}/0",
        }

    def run(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements on the database; the rows of the last one."""
        with contextlib.closing(psycopg2.connect(**self.dsn)) as session:
            session.autocommit = True
            with session.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
                return cursor.fetchall() if cursor.description else []


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """Both servers, started for a module."""
    folder = tmp_path_factory.mktemp("stand")
    port, redis_port = free_ports(2)
    options = ["--port", str(redis_port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    with Cluster(folder / "cluster", port=port) as cluster, open(folder / "redis.log", "wb") as log:
        cache = subprocess.Popen(["redis-server", *options], stdout=log, stderr=log)
        try:
            made = Stand(cluster, redis_port)
            made.run(*((DATABASE / name).read_text(encoding="utf-8") for name in ("schema.sql", "seed.sql")))
            yield made
        finally:
            cache.terminate()
            cache.wait(30)


@pytest.fixture(scope="module")
def promtool() -> Path:
    """promtool of the lab's release, from the lab's cache, which is filled if need be."""
    (bundle,) = (bundle for bundle in catalogue.BUNDLES if "promtool" in bundle.executables)
    found, _origin = ensure.from_cache(bundle, catalogue.cache_root(os.environ), download.Sources(), Report())
    return found["promtool"]
