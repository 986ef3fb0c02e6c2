# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The application: requests, errors, users, predictions, and what it stands on. Internal: may change in any release."""

from __future__ import annotations

from ansible_collections.churnguard.ops.plugins.module_utils._grafana.model import (
    Board,
    Panel,
    Query,
    Variable,
    share,
)

OF = 'job=~"$job", namespace=~"$namespace"'
#: Pseudo file systems are never full, or always.
DISKS = 'fstype!~"tmpfs|devtmpfs|squashfs|ramfs|iso9660"'


def requests(more: str = "", by: str = "") -> str:
    """PromQL: requests a second; by the labels in ``by``, all together without."""
    labels = f"{OF}, {more}" if more else OF
    grouping = f"sum by ({by})" if by else "sum"
    return f"{grouping} (rate(churnguard_requests_total{{{labels}}}[$__rate_interval]))"


def latency(quantile: float) -> str:
    """PromQL: the time within which that share of the requests was answered, in seconds."""
    buckets = f"sum by (le) (rate(churnguard_request_duration_seconds_bucket{{{OF}}}[$__rate_interval]))"
    return f"histogram_quantile({quantile}, {buckets})"


def mean_latency() -> str:
    """PromQL: the mean time to an answer, in seconds."""
    total, count = (
        f"sum (rate(churnguard_request_duration_seconds_{part}{{{OF}}}[$__rate_interval]))" for part in ("sum", "count")
    )
    return f"{total} / {count}"


REQUEST_RATE = Panel(
    "lines",
    "Request rate",
    "Requests answered in a second, by method and endpoint. Probes are not counted.",
    "reqps",
    (Query(requests(by="method, endpoint"), "{{ method }} {{ endpoint }}"),),
    stacked=True,
    minimum=0,
)
RESPONSE_TIME = Panel(
    "lines",
    "Response time",
    "Time within which 50, 95 and 99 per cent of the requests of all pods together were answered, and the mean. The"
    " alert looks at 95 per cent against 2 s.",
    "s",
    (
        Query(latency(0.5), "50 %"),
        Query(latency(0.95), "95 %"),
        Query(latency(0.99), "99 %"),
        Query(mean_latency(), "mean"),
    ),
    limits=((2, "red"),),
    minimum=0,
)
ERROR_RATE = Panel(
    "lines",
    "Error rate",
    "Share of the requests that were answered with 5xx (the service's fault) and 4xx (the client's). The alert looks at"
    " 5xx against 5 %.",
    "percentunit",
    (
        Query(share(requests('status_code=~"5.."'), requests()), "5xx"),
        Query(share(requests('status_code=~"4.."'), requests()), "4xx"),
    ),
    limits=((0.05, "red"),),
    minimum=0,
)
ACTIVE_USERS = Panel(
    "stat",
    "Active users",
    "Users that are active now. Pods answer from the same database, so the largest answer for each tier is taken.",
    "short",
    (Query(f"sum (max by (subscription_tier) (churnguard_active_users{{{OF}}}))", "active users"),),
)
PREDICTIONS = Panel(
    "lines",
    "Predictions",
    "Churn predictions given in a second, by risk level.",
    "cps",
    (
        Query(
            f"sum by (risk_level) (rate(churnguard_predictions_total{{{OF}}}[$__rate_interval]))",
            "{{ risk_level }}",
        ),
    ),
    stacked=True,
    minimum=0,
)
CONNECTIONS = Panel(
    "lines",
    "Database connections",
    "Connections to the database that the application holds open, of all pods together and of the pod with the most."
    " The alert looks at 80.",
    "short",
    (
        Query(f"sum (churnguard_db_connections_active{{{OF}}})", "all pods"),
        Query(f"max (churnguard_db_connections_active{{{OF}}})", "largest pod"),
    ),
    limits=((80, "red"),),
    minimum=0,
)
GDPR = Panel(
    "stat",
    "GDPR requests",
    "Requests of data subjects past their date, which must be none, and those handled within the period shown.",
    "short",
    (
        Query(f"max (churnguard_gdpr_requests_overdue{{{OF}}})", "overdue"),
        Query(
            f"sum by (status) (max by (type, status) (increase(churnguard_gdpr_requests_total{{{OF}}}[$__range])))",
            "{{ status }} in the period",
        ),
    ),
)
INFRASTRUCTURE = Panel(
    "lines",
    "Infrastructure",
    "Of the machines together: share of the processors' time and of the memory in use; and of the fullest file system.",
    "percentunit",
    (
        Query('1 - avg (rate(node_cpu_seconds_total{mode="idle"}[$__rate_interval]))', "processors"),
        Query("1 - sum (node_memory_MemAvailable_bytes) / sum (node_memory_MemTotal_bytes)", "memory"),
        Query(
            f"max (1 - node_filesystem_avail_bytes{{{DISKS}}} / node_filesystem_size_bytes{{{DISKS}}})",
            "fullest file system",
        ),
    ),
    limits=((0.8, "orange"), (0.9, "red")),
    minimum=0,
    maximum=1,
)

BOARD = Board(
    "application",
    "application",
    "Requests, errors, users and predictions of the application, and what it stands on.",
    (
        Variable("job", "Job", "churnguard_requests_total", "job"),
        Variable("namespace", "Namespace", "churnguard_requests_total", "namespace"),
    ),
    (
        ("Requests", (REQUEST_RATE, RESPONSE_TIME, ERROR_RATE)),
        ("Use", (ACTIVE_USERS, PREDICTIONS, GDPR)),
        ("What it stands on", (CONNECTIONS, INFRASTRUCTURE)),
    ),
)
