"""Two days of metrics in a real Prometheus: known values, a spike, a gap, a night without traffic, and too many
labels."""

from __future__ import annotations

import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from churnguard_lab.binaries import catalogue
from ports import free_ports

# What is recorded ends here; a day on which every clock agrees that it is past.
END = datetime(2026, 1, 10, tzinfo=UTC)
HOURS = 48
MINUTES = HOURS * 60
# In hours before the end: one machine is busy, the queue is not scraped, nobody sends a request.
BUSY, GAP, QUIET = (5, 2), (12, 6), (24, 20)
TOTAL = 16e9
NAMESPACE = 'namespace="churnguard-production"'
USERS = 300
# Name and type of a family, and its samples: series, minute, value.
Family = tuple[str, list[tuple[str, int, float]]]


def executable(name: str) -> Path:
    """prometheus or promtool of the lab's version, from the cache that `make lab-binaries` fills."""
    root = catalogue.cache_root(os.environ)
    found = catalogue.in_cache(root, catalogue.PROMETHEUS)
    assert found, f"{catalogue.PROMETHEUS.title} is not in {root}: run make lab-binaries"
    return found[name]


def within(minute: int, hours: tuple[int, int]) -> bool:
    """Whether a minute of the record (0 is the first) lies in a stretch before its end."""
    left = (MINUTES - minute) / 60
    return hours[1] < left <= hours[0]


def connections(minute: int) -> int:
    """Database connections in a minute: every number from 0 to 96, in no order."""
    return minute * 37 % 97


def _counter(name: str, grows: list[float]) -> Iterator[tuple[str, int, float]]:
    value = 0.0
    for minute, amount in enumerate(grows):
        value += amount
        yield name, minute, value


def _samples() -> Iterator[Family]:
    """Families with their samples, each series in one piece."""
    minutes = range(MINUTES + 1)
    busy = {"web1": [0.5] * len(minutes), "db1": [0.96 if within(m, BUSY) else 0.5 for m in minutes]}
    cpu = []
    for instance, shares in busy.items():
        for mode, parts in (("user", shares), ("idle", [(1 - one) * 0.9 for one in shares]),
                            ("iowait", [(1 - one) * 0.1 for one in shares])):  # fmt: skip
            name = f'node_cpu_seconds_total{{cpu="0",mode="{mode}",instance="{instance}"}}'
            cpu += list(_counter(name, [60 * part for part in parts]))
    yield "node_cpu_seconds counter", cpu
    for family, value in (("node_memory_MemTotal_bytes", TOTAL), ("node_memory_MemAvailable_bytes", 0.6 * TOTAL)):
        yield f"{family} gauge", [(f'{family}{{instance="web1"}}', minute, value) for minute in minutes]
    for family, devices in (
        ("node_disk_read_bytes", ("sda", "dm-0", "loop0")),
        ("node_network_receive_bytes", ("eth0", "lo", "veth1a2b")),
    ):
        counters = []
        for device in devices:
            counters += _counter(f'{family}_total{{device="{device}",instance="web1"}}', [60e6] * len(minutes))
        yield f"{family} counter", counters
    requests = [0.0 if within(minute, QUIET) else 600.0 for minute in minutes]
    durations = [*_counter(f"churnguard_request_duration_seconds_sum{{{NAMESPACE}}}", [0.1 * one for one in requests])]
    durations += _counter(f"churnguard_request_duration_seconds_count{{{NAMESPACE}}}", requests)
    for bound, share in (("0.1", 0.5), ("0.25", 1.0), ("+Inf", 1.0)):
        name = f'churnguard_request_duration_seconds_bucket{{le="{bound}",{NAMESPACE}}}'
        durations += _counter(name, [share * one for one in requests])
    yield "churnguard_request_duration_seconds histogram", durations
    active = "churnguard_db_connections_active"
    yield f"{active} gauge", [(f"{active}{{{NAMESPACE}}}", minute, connections(minute)) for minute in minutes]
    queue = "churnguard_requests_in_progress"
    yield f"{queue} gauge", [(f"{queue}{{{NAMESPACE}}}", minute, 7) for minute in minutes if not within(minute, GAP)]
    yield "logins gauge", [(f'logins{{user="u{number}",job="api"}}', MINUTES, 1) for number in range(USERS)]


def record(folder: Path, families: Iterable[Family] | None = None) -> None:
    """Write the days into C(folder) as blocks of a Prometheus: these families with their samples, or those above."""
    begin = END.timestamp() - MINUTES * 60
    lines = []
    for family, samples in families or _samples():
        lines.append(f"# TYPE {family}")
        lines += [f"{name} {value:.10g} {begin + minute * 60:.0f}" for name, minute, value in samples]
    text = folder / "recorded.txt"
    text.write_text("\n".join([*lines, "# EOF", ""]), encoding="utf-8")
    subprocess.run(
        [executable("promtool"), "tsdb", "create-blocks-from", "openmetrics", "-q", text, folder / "data"],
        check=True, timeout=120, stdout=subprocess.DEVNULL,
    )  # fmt: skip


class Prometheus:
    """A server over such a folder that scrapes nothing; use it in a with statement."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_ports(1)[0]
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "prometheus.yml").write_text("global: {}\n", encoding="utf-8")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start it and wait until it answers queries."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [executable("prometheus"), f"--config.file={self._folder}/prometheus.yml",
                 f"--storage.tsdb.path={self._folder}/data", "--storage.tsdb.retention.time=20y",
                 f"--web.listen-address=127.0.0.1:{self._port}"],
                stdout=log, stderr=log,
            )  # fmt: skip
        give_up = time.monotonic() + 60
        while not self._ready():
            text = (self._folder / "log").read_text(encoding="utf-8")[-2000:]
            assert self._process.poll() is None, f"Prometheus ended: {text}"
            assert time.monotonic() < give_up, f"Prometheus is not ready after 60 s: {text}"
            time.sleep(0.1)

    def kill(self) -> None:
        """End it as a crash does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(30)
            self._process = None

    def __enter__(self) -> Prometheus:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.kill()

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=2) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False
