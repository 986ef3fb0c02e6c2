"""Prometheus metrics whose number of series is bounded in code, whatever clients send or a database holds."""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
#: What is beyond a label's values, and what no route matched.
OTHER, UNMATCHED = "other", "unmatched"
MOST_VALUES = 50
_LOG = logging.getLogger(__name__)


class LabelError(ValueError):
    """A label is not known to be bounded; the message names metric and label."""


@dataclasses.dataclass(frozen=True)
class Label:
    """The values of a label: exactly `values`, or without them the first `most` that come. The rest is "other"."""

    values: frozenset[str] | None = None
    most: int = MOST_VALUES


#: Labels of every service: requests', and those of the metrics about telemetry itself.
COMMON: Mapping[str, Label] = {
    "method": Label(METHODS),
    "endpoint": Label(),
    "status_code": Label(),
    "reason": Label(),
    "metric": Label(),
    "label": Label(),
}


class Family:
    """One metric with labels."""

    def __init__(self, metric: Any, names: Sequence[str], rules: Sequence[Label], replaced: Callable[[str], None]):
        self._metric, self._names, self._rules, self._replaced = metric, names, rules, replaced
        self._seen: list[set[str]] = [set() for _ in names]
        self._children: dict[tuple[str, ...], Any] = {}
        self._guard = threading.Lock()

    def labels(self, *values: str) -> Any:
        """The counter, gauge or histogram of these values, in the order of the label names."""
        child = self._children.get(values)
        return self._admit(values) if child is None else child

    def _admit(self, values: tuple[str, ...]) -> Any:
        with self._guard:
            bounded = tuple(self._bounded(number, value) for number, value in enumerate(values))
            child = self._metric.labels(*bounded)
            if bounded == values:  # others are not kept: there is no end to them
                self._children[values] = child
            return child

    def _bounded(self, number: int, value: str) -> str:
        rule, seen = self._rules[number], self._seen[number]
        if rule.values is not None:
            return value if value in rule.values else OTHER
        if value not in seen:
            if len(seen) >= rule.most:
                self._replaced(self._names[number])
                return OTHER
            seen.add(value)
        return value


class Metrics:
    """A registry that takes labels only of a list that says how many values each may have."""

    def __init__(self, prefix: str, labels: Mapping[str, Label]) -> None:
        disable_created_metrics()
        self.prefix = prefix
        self.registry = CollectorRegistry()
        self._labels = {**COMMON, **labels}
        self._replaced = Counter(
            f"{prefix}_telemetry_label_values_replaced",
            'Label values beyond the cap of their label, counted as "other" instead',
            ["metric", "label"],
            registry=self.registry,
        )

    def counter(self, name: str, text: str, labels: Sequence[str]) -> Family:
        """A counter; `_total` is added to its name. Raises LabelError."""
        return self._family(Counter, name, text, labels)

    def histogram(self, name: str, text: str, labels: Sequence[str], buckets: Sequence[float]) -> Family:
        """A histogram with these upper bounds. Raises LabelError."""
        return self._family(Histogram, name, text, labels, buckets=buckets)

    def gauge(self, name: str, text: str, value: Callable[[], float] | None = None) -> Gauge:
        """A gauge without labels; `value` is asked at each scrape."""
        made = Gauge(name, text, registry=self.registry)
        if value is not None:
            made.set_function(value)
        return made

    def folded(self, name: str, label: str, value: str) -> str:
        """A label's value for a metric that a collector makes: itself, or "other". Raises LabelError."""
        values = self._rule(name, label).values
        if values is None:
            raise LabelError(f"metric {name}: label {label} has no list of values, which a collector's label needs")
        return value if value in values else OTHER

    def _family(self, kind: type, name: str, text: str, labels: Sequence[str], **more: Any) -> Family:
        rules = [self._rule(name, label) for label in labels]
        metric = kind(name, text, labels, registry=self.registry, **more)
        return Family(metric, labels, rules, lambda label: self._replaced.labels(name, label).inc())

    def _rule(self, name: str, label: str) -> Label:
        try:
            return self._labels[label]
        except KeyError:
            raise LabelError(
                f"metric {name}: label {label} is not among the bounded ones ({', '.join(sorted(self._labels))}), and "
                "each of its values would be series of their own: put it into logs and traces, or bound it"
            ) from None


class RequestMetrics:
    """HTTP requests: how many, how long, how many at the moment."""

    def __init__(self, metrics: Metrics, buckets: Sequence[float]) -> None:
        prefix = metrics.prefix
        self._requests = metrics.counter(
            f"{prefix}_requests",
            "HTTP requests answered; probes are not counted",
            ["method", "endpoint", "status_code"],
        )
        self._durations = metrics.histogram(
            f"{prefix}_request_duration_seconds",
            "Time from a request's arrival to its answer",
            ["method", "endpoint"],
            buckets,
        )
        self.in_progress = metrics.gauge(f"{prefix}_requests_in_progress", "HTTP requests being answered")

    def answered(self, method: str, route: str | None, status: int, seconds: float, trace_id: str = "") -> None:
        """Count a request. `route` is its template, None when none matched; `trace_id` (hexadecimal) is that of a
        trace that is kept, for the exemplars, which only the OpenMetrics format shows."""
        endpoint = route or UNMATCHED
        exemplar = {"trace_id": trace_id} if trace_id else None
        self._requests.labels(method, endpoint, str(status)).inc(exemplar=exemplar)
        self._durations.labels(method, endpoint).observe(seconds, exemplar)


class CachedCollector(Collector):
    """Metrics that are read from elsewhere at a scrape, once in `keep_s` seconds at most.

    `read` runs in a thread of its own, one at a time, and a scrape waits `wait_s` seconds for it: it is answered
    whatever happens to `read`. When that fails, its series are absent, not 0. A value is at most 2 `keep_s` old.
    """

    def __init__(
        self,
        read: Callable[[], Sequence[Metric]],
        keep_s: float,
        wait_s: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read, self._keep_s, self._wait_s, self._clock = read, keep_s, wait_s, clock
        self._guard = threading.Lock()
        self._reading: threading.Thread | None = None
        self._begun_at: float | None = None
        self._read_at = 0.0
        self._found: Sequence[Metric] = ()
        self._problem = ""

    def describe(self) -> Sequence[Metric]:
        """Nothing: registering must not read."""
        return ()

    def collect(self) -> Sequence[Metric]:
        """The metrics; none when they could not be read."""
        with self._guard:
            if self._reading is None and (self._begun_at is None or self._clock() - self._begun_at >= self._keep_s):
                self._begun_at = self._clock()
                self._reading = threading.Thread(target=self._renew, name="collector", daemon=True)
                self._reading.start()
            reading = self._reading
        if reading is not None:
            reading.join(self._wait_s)
        with self._guard:
            return self._found if self._clock() - self._read_at < 2 * self._keep_s else ()

    def _renew(self) -> None:
        found: Sequence[Metric] = ()
        problem = ""
        try:
            found = list(self._read())
        except Exception as error:  # noqa: BLE001  whatever it is, the other metrics must be served
            problem = f"{type(error).__name__}: {error}"
        with self._guard:
            told, self._problem = self._problem, problem
            self._found, self._read_at, self._reading = found, self._clock(), None
        if problem and not told:
            _LOG.warning("metrics absent until they can be read: %s", problem)
