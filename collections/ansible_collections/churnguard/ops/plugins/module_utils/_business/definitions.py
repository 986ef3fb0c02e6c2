# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a business review looks at: figures in plain words, where they come from, their limits. No I/O. Internal: may
change in any release."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from .._common.errors import OperationError
from .._prometheus.limits import number_or_none

# How a figure comes about: growth of counters, growth of one in growth of another, or a gauge as it stands.
COUNTER, SHARE, GAUGE = "counter", "share", "gauge"


@dataclass(frozen=True)
class Figure:
    """One figure. C(query) is a PromQL template: of a counter its raw series, one for each process and part; of a gauge
    one series for each part; of a share all that was counted, with C(bad) as what of it did not go well. C(by) are the
    labels that name a part. A counter that is C(stored) is one of a database, which any process shows and none begins
    at 0. C(limit) is the most that is well, or the least where C(at_least)."""

    name: str
    kind: str
    title: str
    meaning: str
    query: str
    unit: str = ""
    bad: str = ""
    by: tuple[str, ...] = ()
    stored: bool = False
    limit: float | None = None
    at_least: bool = False


# Whether the application was looked at: then a counter that is not there yet stands at 0.
SEEN = "count(up{$application} == 1) or count(churnguard_requests_total{$application})"
# All counters of a process start again together, so they may be added up before their growth is taken.
_REQUESTS = "sum without (method, endpoint, status_code) (churnguard_requests_total{%s$application})"
_ERRORS = _REQUESTS % 'status_code=~"5..",' + " or 0 * " + _REQUESTS % ""


def default_figures() -> list[Figure]:
    """The figures, with the operations guide's limits: a compliance score of 80, no request of a data subject past its
    date, predictions of the last 24 hours. What is answered well is held against the objective of availability."""
    return [
        Figure(
            "answered_well",
            SHARE,
            "Requests answered well",
            "How many of a hundred requests were not answered with an error of ours.",
            _REQUESTS % "",
            "%",
            bad=_ERRORS,
            limit=99.9,
            at_least=True,
        ),
        Figure(
            "predictions",
            COUNTER,
            "Predictions",
            "How many times it was foretold how likely a customer is to leave, by how high the risk is.",
            "sum without (model_version) (churnguard_predictions_total{$application})",
            by=("risk_level",),
        ),
        # From here on every process says the same, out of the database: their sum would be a multiple.
        Figure(
            "active_users",
            GAUGE,
            "Active users",
            "How many people use the service.",
            "max by (subscription_tier) (churnguard_active_users{$application})",
            by=("subscription_tier",),
        ),
        Figure(
            "prediction_age",
            GAUGE,
            "Age of the predictions",
            "How old the newest predictions are; old ones tell of customers as they were.",
            "max(churnguard_prediction_age_seconds{$application}) / 3600",
            "h",
            limit=24.0,
        ),
        Figure(
            "compliance_score",
            GAUGE,
            "Compliance score",
            "How well the rules on personal data are kept, of 100 points.",
            "min(churnguard_compliance_score{$application})",
            "points",
            limit=80.0,
            at_least=True,
        ),
        Figure(
            "gdpr_overdue",
            GAUGE,
            "GDPR requests overdue",
            "How many people wait longer than the law allows for what they asked about their own data.",
            "max(churnguard_gdpr_requests_overdue{$application})",
            limit=0.0,
        ),
        Figure(
            "gdpr_handled",
            COUNTER,
            "GDPR requests handled",
            "How many requests of people about their own data were dealt with, by kind and outcome.",
            'max by (type, status) (churnguard_gdpr_requests_total{status!="received",$application})',
            by=("type", "status"),
            stored=True,
        ),
    ]


def read_figures(limits: Mapping[str, Any]) -> list[Figure]:
    """The figures with other C(limits) by name, None for none. Raises OperationError for a name or limit that is
    none."""
    figures = default_figures()
    names = [figure.name for figure in figures]
    for name in limits:
        if name not in names:
            raise OperationError(
                f"review figure {name}", "there is no such figure.", f"name one of {', '.join(names)}."
            )
    return [replace(figure, limit=_limit(figure, limits)) for figure in figures]


def _limit(figure: Figure, limits: Mapping[str, Any]) -> float | None:
    attempted = f"review figure {figure.name}"
    limit = number_or_none(attempted, "limit", limits.get(figure.name, figure.limit))
    if limit is not None and not (math.isfinite(limit) and limit >= 0):
        raise OperationError(attempted, f"its limit is {limit:g}.", "give one that is 0 or more.")
    if limit is not None and figure.kind == SHARE and limit > 100:
        raise OperationError(attempted, f"its limit is {limit:g} %.", "give at most 100.")
    return limit
