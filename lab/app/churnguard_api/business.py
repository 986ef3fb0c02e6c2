"""Metrics about the business and the GDPR, from the database: the same in every pod, so they are not to be added up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from churnguard_telemetry.metrics import Metrics
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from churnguard_api.database import Database, Row
from churnguard_api.metrics import GDPR_STATUSES, GDPR_TYPES, TIERS

#: One statement, so that all figures are of one moment. `due_at` is a calendar month after `received_at` (GDPR
#: article 12(3)) unless it was extended. The newest prediction is found by its key, which is an index.
STATEMENT = """
SELECT 'requests' AS figure, type AS first, status AS second, count(*)::float8 AS value
  FROM gdpr_requests GROUP BY type, status
UNION ALL
SELECT 'overdue', '', '', count(*) FROM gdpr_requests WHERE completed_at IS NULL AND due_at < now()
UNION ALL
SELECT 'users', o.subscription_tier, '', count(DISTINCT s.user_id)
  FROM user_sessions s JOIN users u ON u.id = s.user_id JOIN organizations o ON o.id = u.organization_id
  WHERE u.active AND s.last_seen_at > now() - interval '30 days' GROUP BY o.subscription_tier
UNION ALL
SELECT 'checks', fulfilled::text, '', count(*) FROM compliance_checks GROUP BY fulfilled
UNION ALL
SELECT 'age', '', '', greatest(extract(epoch FROM now() - created_at), 0)
  FROM (SELECT created_at FROM predictions ORDER BY id DESC LIMIT 1) AS newest
"""
RECEIVED, ENDED = GDPR_STATUSES[0], GDPR_STATUSES[1:]


class Business:
    """Reads the figures and makes metrics of them."""

    def __init__(self, database: Database, bounded: Metrics) -> None:
        self._database, self._bounded = database, bounded

    def read(self) -> list[Metric]:
        """All metrics. Raises DatabaseUnavailable, and psycopg2.Error where the tables are missing."""
        rows = self._database.query(STATEMENT)
        overdue = _sum(rows, "overdue")
        made = [
            self._requests(rows),
            GaugeMetricFamily(
                "churnguard_gdpr_requests_overdue", "Open requests under the GDPR past their deadline", overdue
            ),
            self._users(rows),
        ]
        checks = _sum(rows, "checks")
        if checks:
            # The deadlines are one check more, and the only one that is not somebody's word.
            fulfilled = _sum(rows, "checks", lambda row: row["first"] == "true") + (overdue == 0)
            made.append(
                GaugeMetricFamily(
                    "churnguard_compliance_score",
                    "Share of the compliance checks that are fulfilled, 0 to 100",
                    round(100 * fulfilled / (checks + 1), 1),
                )
            )
        if any(row["figure"] == "age" for row in rows):
            made.append(
                GaugeMetricFamily(
                    "churnguard_prediction_age_seconds", "Age of the newest stored prediction", _sum(rows, "age")
                )
            )
        return made

    def _requests(self, rows: list[Row]) -> Metric:
        name = "churnguard_gdpr_requests"
        counts: Counter[tuple[str, str]] = Counter(
            {(kind, status): 0 for kind in GDPR_TYPES for status in GDPR_STATUSES}
        )
        for row in rows:
            if row["figure"] == "requests":
                kind = self._bounded.folded(name, "type", row["first"])
                # Each request was received, whatever it is now: so a count never falls when a request moves on.
                counts[kind, RECEIVED] += row["value"]
                if row["second"] in ENDED:
                    counts[kind, self._bounded.folded(name, "status", row["second"])] += row["value"]
        made = CounterMetricFamily(
            name, "Requests under the GDPR that have reached a status", labels=["type", "status"]
        )
        for (kind, status), count in sorted(counts.items()):
            made.add_metric([kind, status], count)
        return made

    def _users(self, rows: list[Row]) -> Metric:
        name = "churnguard_active_users"
        counts: Counter[str] = Counter(dict.fromkeys(TIERS, 0))
        for row in rows:
            if row["figure"] == "users":
                counts[self._bounded.folded(name, "subscription_tier", row["first"])] += row["value"]
        made = GaugeMetricFamily(name, "Users seen within 30 days", labels=["subscription_tier"])
        for tier, count in sorted(counts.items()):
            made.add_metric([tier], count)
        return made


def _sum(rows: list[Row], figure: str, counts: Callable[[Row], bool] = lambda _row: True) -> float:
    return float(sum(row["value"] for row in rows if row["figure"] == figure and counts(row)))
