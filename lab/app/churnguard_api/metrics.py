"""The application's metrics. Every label has a bounded set of values, whatever clients send."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

#: 2 s is the latency limit of the service level: it must be a bucket's bound to be counted exactly.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
UNMATCHED, OTHER = "unmatched", "OTHER"


class Metrics:
    """The metrics of one process, in a registry of their own."""

    def __init__(self, connections: Callable[[], int]) -> None:
        disable_created_metrics()
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "churnguard_requests",
            "HTTP requests answered; probes are not counted",
            ["method", "endpoint", "status_code"],
            registry=self.registry,
        )
        self._durations = Histogram(
            "churnguard_request_duration_seconds",
            "Time from a request's arrival to its answer",
            ["method", "endpoint"],
            buckets=BUCKETS,
            registry=self.registry,
        )
        self.in_progress = Gauge(
            "churnguard_requests_in_progress", "HTTP requests being answered", registry=self.registry
        )
        self._predictions = Counter(
            "churnguard_predictions",
            "Predictions given",
            ["model_version", "risk_level"],
            registry=self.registry,
        )
        self._evaluations = Counter(
            "churnguard_feature_evaluations",
            "Feature flags evaluated, by the variant that was answered",
            ["flag", "variant"],
            registry=self.registry,
        )
        active = Gauge("churnguard_db_connections_active", "Open database connections", registry=self.registry)
        active.set_function(connections)

    def answered(self, method: str, rule: str | None, status: int, seconds: float) -> None:
        """Count a request; `rule` is its route, None when none matched."""
        method = method if method in METHODS else OTHER
        endpoint = rule or UNMATCHED
        self._requests.labels(method, endpoint, str(status)).inc()
        self._durations.labels(method, endpoint).observe(seconds)

    def predicted(self, version: str, level: str) -> None:
        """Count a prediction given to a client."""
        self._predictions.labels(version, level).inc()

    def evaluated(self, flag: str, variant: str) -> None:
        """Count a feature flag evaluated; both come from a fixed set, see features."""
        self._evaluations.labels(flag, variant).inc()
