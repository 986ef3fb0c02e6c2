"""What the pods' processes use, by the names and units of the kubelet's cAdvisor: GET /metrics/cadvisor."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterable

import psutil
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

LABELS = ("namespace", "pod", "container")


@dataclasses.dataclass(frozen=True)
class Occupant:
    """A container that runs, and its main process."""

    namespace: str
    pod: str
    container: str
    container_id: str
    pid: int


class Usage:
    """Processor seconds and memory of containers. May be asked from several threads at once."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._guard = threading.Lock()

    def exposition(self, occupants: Iterable[Occupant]) -> bytes:
        """All containers in Prometheus' text format; one that has just ended is left out."""
        seconds = CounterMetricFamily(
            "container_cpu_usage_seconds", "Processor time that the container has used.", labels=LABELS
        )
        memory = GaugeMetricFamily(
            "container_memory_working_set_bytes", "Memory of its processes; pages they share count once.", labels=LABELS
        )
        with self._guard:
            known, self._seconds = self._seconds, {}
            for one in occupants:
                try:
                    used, held = _measure(one.pid)
                except psutil.Error:
                    continue
                # A process that ends while it is counted is missing for a moment; a counter that falls means a restart.
                used = max(used, known.get(one.container_id, 0.0))
                self._seconds[one.container_id] = used
                labels = (one.namespace, one.pod, one.container)
                seconds.add_metric(labels, used)
                memory.add_metric(labels, held)
        registry = CollectorRegistry()
        registry.register(_Made((seconds, memory)))
        return generate_latest(registry)


class _Made(Collector):
    def __init__(self, families: tuple[CounterMetricFamily | GaugeMetricFamily, ...]) -> None:
        self._families = families

    def collect(self) -> Iterable[CounterMetricFamily | GaugeMetricFamily]:
        """The families as they are."""
        return self._families


def _measure(pid: int) -> tuple[float, float]:
    """Processor seconds (with those of children that have ended) and bytes of a process and all below it."""
    main = psutil.Process(pid)
    seconds = held = 0.0
    for process in (main, *main.children(recursive=True)):
        try:
            times, pages = process.cpu_times(), process.memory_full_info()
        except psutil.NoSuchProcess:
            continue
        seconds += times.user + times.system + times.children_user + times.children_system
        held += pages.pss
    return seconds, held
