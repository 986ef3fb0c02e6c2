# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every question that dashboards put to Prometheus, with its panel. Internal: may change in any release."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

#: Who exposes a metric, by what its name begins with; the first that fits holds.
SOURCES = (
    ("churnguard_rollout_", "rollouts"),
    ("churnguard_backup_", "backups"),
    ("churnguard_drill_", "drills"),
    ("churnguard_", "application"),
    ("pg_", "postgres_exporter"),
    ("redis_", "redis_exporter"),
    ("node_", "node_exporter"),
    ("kube_", "kube-state-metrics"),
    ("container_", "cadvisor"),
)
_METRIC = re.compile(r"\b(?:" + "|".join(prefix for prefix, _source in SOURCES) + r")[a-z0-9_]+")
_SELECTORS = re.compile(r"\{[^}]*\}|\b(?:by|on|without|ignoring|group_left|group_right)\s*\([^)]*\)")
_VARIABLE = re.compile(r"\$(?:\{(\w+)(?::\w+)?\}|(\w+))")
#: What Grafana would put in: four scrapes of 15 s at least, an hour's view.
TIMES = {"__rate_interval": "1m", "__interval": "15s", "__range": "1h"}
#: A variable's "All".
ALL = ".*"


@dataclass(frozen=True)
class Question:
    """One query of one panel. ``expr`` is Grafana's, ``promql`` the same without variables, for Prometheus itself."""

    dashboard: str
    panel_id: int
    panel: str
    ref_id: str
    expr: str
    promql: str
    sources: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """It as plain data."""
        return {**asdict(self), "sources": list(self.sources)}


def questions(documents: Iterable[dict[str, Any]], values: dict[str, str] | None = None) -> list[Question]:
    """Every query of every panel of dashboards' documents, in their order.

    ``values`` puts values in for variables by name (without the dollar sign) instead of "All" and the usual times.
    """
    return [
        Question(
            dashboard=document["uid"],
            panel_id=panel["id"],
            panel=panel["title"],
            ref_id=target["refId"],
            expr=target["expr"],
            promql=without_variables(target["expr"], values or {}),
            sources=sources(target["expr"]),
        )
        for document in documents
        for panel in document["panels"]
        for target in panel.get("targets", [])
    ]


def without_variables(expr: str, values: dict[str, str]) -> str:
    """PromQL from an expression with Grafana's variables."""
    known = {**TIMES, **values}
    return _VARIABLE.sub(lambda found: known.get(found[1] or found[2], ALL), expr)


def sources(expr: str) -> tuple[str, ...]:
    """Who has to be scraped for an expression to have data, in alphabetical order."""
    names = _METRIC.findall(_SELECTORS.sub("", expr))
    found = {next(source for prefix, source in SOURCES if name.startswith(prefix)) for name in names}
    return tuple(sorted(found))
