# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the service is worth to its users, for people who do not read PromQL. Internal: may change in any release."""

from __future__ import annotations

from ansible_collections.churnguard.ops.plugins.module_utils._grafana.model import (
    Board,
    Panel,
    Query,
    Variable,
    share,
)

OF = 'job=~"$job", namespace=~"$namespace"'
HOUR_S = 3600.0


def grown(metric: str, by: str = "", more: str = "") -> str:
    """PromQL: growth of a counter over the period that is shown, by the labels in ``by``."""
    labels = f"{OF}, {more}" if more else OF
    grouping = f"sum by ({by})" if by else "sum"
    return f"{grouping} (increase({metric}{{{labels}}}[$__range]))"


REQUESTS = "churnguard_requests_total"
PREDICTIONS = "churnguard_predictions_total"
FAILED = grown(REQUESTS, more='status_code=~"5.."')
AVAILABILITY = f"1 - {share(FAILED, grown(REQUESTS))}"

USERS = (
    Panel(
        "stat",
        "Active users",
        "Users that are active now.",
        "short",
        (Query(f"sum (max by (subscription_tier) (churnguard_active_users{{{OF}}}))", "active users"),),
        span=6,
        height=6,
    ),
    Panel(
        "stat",
        "Answered well",
        "Share of the requests in the period that were not answered with an error of ours. The goal is 99.9 %.",
        "percentunit",
        (Query(AVAILABILITY, "answered well"),),
        span=6,
        height=6,
        limits=((0.99, "orange"), (0.999, "green")),
        base="red",
    ),
    Panel(
        "stat",
        "Predictions in the period",
        "Churn predictions given in the period shown.",
        "short",
        (Query(grown(PREDICTIONS), "predictions"),),
        span=6,
        height=6,
    ),
    Panel(
        "stat",
        "Age of the predictions",
        "How old the oldest prediction in use is.",
        "s",
        (Query(f"max (churnguard_prediction_age_seconds{{{OF}}})", "oldest prediction"),),
        span=6,
        height=6,
        limits=((24 * HOUR_S, "orange"), (48 * HOUR_S, "red")),
    ),
)
RISK = (
    Panel(
        "bars",
        "Predictions by risk",
        "Predictions of the period by how likely the customer is to leave.",
        "short",
        (Query(grown(PREDICTIONS, "risk_level"), "{{ risk_level }}"),),
        minimum=0,
        base="blue",
    ),
    Panel(
        "lines",
        "Customers at high risk",
        "Share of the predictions that see a high risk. A sudden change is more often a fault of the data than of the"
        " customers.",
        "percentunit",
        (
            Query(
                share(
                    f'sum (rate({PREDICTIONS}{{{OF}, risk_level="high"}}[$__rate_interval]))',
                    f"sum (rate({PREDICTIONS}{{{OF}}}[$__rate_interval]))",
                ),
                "high risk",
            ),
        ),
        minimum=0,
        maximum=1,
    ),
    Panel(
        "bars",
        "Predictions by model",
        "Predictions of the period by the model's version.",
        "short",
        (Query(grown(PREDICTIONS, "model_version"), "{{ model_version }}"),),
        minimum=0,
        base="blue",
    ),
    Panel(
        "lines",
        "Requests",
        "Requests of our users in a second.",
        "reqps",
        (Query(f"sum (rate({REQUESTS}{{{OF}}}[$__rate_interval]))", "requests"),),
        minimum=0,
    ),
)
COMPLIANCE = (
    Panel(
        "dial",
        "Compliance score",
        "Of 100 points. Below 80, the compliance team is told.",
        "none",
        (Query(f"min (churnguard_compliance_score{{{OF}}})", "score"),),
        span=8,
        limits=((80, "orange"), (95, "green")),
        base="red",
        minimum=0,
        maximum=100,
    ),
    Panel(
        "stat",
        "GDPR requests overdue",
        "Requests of data subjects past their date. There must be none.",
        "short",
        (Query(f"max (churnguard_gdpr_requests_overdue{{{OF}}})", "overdue"),),
        span=8,
        limits=((1, "red"),),
    ),
    Panel(
        "bars",
        "GDPR requests handled",
        "Requests of the period by their kind and how they ended.",
        "short",
        # Every pod counts what is in the same database.
        (
            Query(
                f"max by (type, status) (increase(churnguard_gdpr_requests_total{{{OF}}}[$__range]))",
                "{{ type }} {{ status }}",
            ),
        ),
        span=8,
        minimum=0,
        base="blue",
    ),
)

BOARD = Board(
    "business",
    "business",
    "Users, predictions and compliance in plain words.",
    (
        Variable("job", "Job", PREDICTIONS, "job"),
        Variable("namespace", "Namespace", PREDICTIONS, "namespace"),
    ),
    (("Users", USERS), ("Predictions", RISK), ("Compliance", COMPLIANCE)),
    period="now-24h",
)
