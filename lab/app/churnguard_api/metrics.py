"""The application's metrics. Every label has a bounded set of values, whatever clients send."""

from __future__ import annotations

from collections.abc import Callable

from churnguard_telemetry import metrics as telemetry
from churnguard_telemetry.metrics import Label

#: 2 s is the latency limit of the service level: it must be a bucket's bound to be counted exactly.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0)
TIERS = ("starter", "professional", "enterprise")
#: Rights of a person under the GDPR (articles 15 to 18, 20 and 21), and how far a request has come.
GDPR_TYPES = ("access", "rectification", "erasure", "restriction", "portability", "objection")
GDPR_STATUSES = ("received", "completed", "refused")
#: The application's labels, beside those of every service.
LABELS = {
    "model_version": Label(),
    "risk_level": Label(frozenset({"low", "medium", "high"})),
    "flag": Label(),
    "variant": Label(),
    "subscription_tier": Label(frozenset(TIERS)),
    "type": Label(frozenset(GDPR_TYPES)),
    "status": Label(frozenset(GDPR_STATUSES)),
}


class Metrics:
    """The metrics of one process, in a registry of their own."""

    def __init__(self, connections: Callable[[], int]) -> None:
        self.bounded = telemetry.Metrics("churnguard", LABELS)
        self.registry = self.bounded.registry
        self.requests = telemetry.RequestMetrics(self.bounded, BUCKETS)
        self._predictions = self.bounded.counter(
            "churnguard_predictions", "Predictions given", ["model_version", "risk_level"]
        )
        self._evaluations = self.bounded.counter(
            "churnguard_feature_evaluations",
            "Feature flags evaluated, by the variant that was answered",
            ["flag", "variant"],
        )
        self._lost = self.bounded.counter(
            "churnguard_telemetry_spans_dropped", "Spans of traces that were lost before they were stored", ["reason"]
        )
        self.bounded.gauge("churnguard_db_connections_active", "Open database connections", connections)

    def predicted(self, version: str, level: str) -> None:
        """Count a prediction given to a client."""
        self._predictions.labels(version, level).inc()

    def evaluated(self, flag: str, variant: str) -> None:
        """Count a feature flag evaluated; both come from a fixed set, see features."""
        self._evaluations.labels(flag, variant).inc()

    def lost(self, reason: str, number: int) -> None:
        """Count spans that were dropped."""
        self._lost.labels(reason).inc(number)
