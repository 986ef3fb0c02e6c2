# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From objectives to the rule groups of a Prometheus rule file. No I/O. Internal: may change in any release."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from . import recordings
from .model import Slo, parse_all
from .selector import SloError, seconds
from .windows import PAGE, TICKET, Burn, reachable

FAST, SLOW, NO_DATA = "SloBurnFast", "SloBurnSlow", "SloNoData"
SEVERITIES = {FAST: "critical", SLOW: "warning", NO_DATA: "warning"}
#: The sums over long windows change slowly; more often would cost and tell nothing new.
SLOW_INTERVAL = "2m"


def groups(
    definitions: Iterable[Mapping[str, Any]],
    *,
    runbook_url: str,
    interval: str = "30s",
    known_metrics: Collection[str] | None = None,
    bounded_labels: Iterable[str] = (),
) -> dict[str, list[dict[str, Any]]]:
    """Rule groups of every definition, as a rule file has them: C({"groups": [...]}).

    C(interval) is how often the rules are evaluated, C(runbook_url) the folder of the runbooks. Raises SloError."""
    step = seconds(interval)
    if step is None or step > 60:
        raise SloError("rules", f"interval {interval!r}: a duration of at most 60s is wanted, such as 30s.")
    made: list[dict[str, Any]] = []
    for slo in parse_all(definitions, known_metrics, bounded_labels):
        burning = [
            _burn(slo, FAST, reachable(slo, PAGE), runbook_url, step),
            _burn(slo, SLOW, reachable(slo, TICKET), runbook_url, step),
        ]
        # One group is evaluated in its order, so that the alerts see what was just recorded.
        rules = [*recordings.base(slo), *recordings.errors(slo), *burning, _no_data(slo, runbook_url)]
        made.append({"name": f"slo.{slo.name}", "interval": interval, "rules": rules})
        made.append({"name": f"slo.{slo.name}.budget", "interval": SLOW_INTERVAL, "rules": recordings.budget(slo)})
    return {"groups": made}


def _burn(slo: Slo, alert: str, burns: list[tuple[Burn, float]], url: str, step: int) -> dict[str, Any]:
    """An alert that fires when both windows of one of its pairs burn too fast."""
    expression = "\nor\n".join(_pair(slo, burn, limit, step) for burn, limit in burns)
    longs = " or ".join(burn.long for burn, _limit in burns)
    return _alert(
        slo,
        alert,
        expression,
        url,
        f"Over the last {longs} far more went wrong than the objective of {slo.objective:g} % in {slo.period_days} "
        "days has room for. Lately it was {{ $value | humanizePercentage }}, "
        f"where {slo.budget * 100:.4g}% may be.",
    )


def _pair(slo: Slo, burn: Burn, limit: float, step: int) -> str:
    mine = recordings.match(slo)
    parts = [
        f"slo:sli_error:ratio_rate{burn.short}{mine} > {limit!r}",
        f"slo:sli_error:ratio_rate{burn.long}{mine} > {limit!r}",
    ]
    if slo.counts_events and slo.minimum_bad_events:
        # Events are the sum of rate times interval. One failure among twenty requests of a night is no page.
        counted = f"sum_over_time(slo:sli_bad:rate5m{mine}[{burn.long}]) * {step}"
        parts.append(f"{counted} >= {slo.minimum_bad_events}")
    return "(\n  " + "\n  and ".join(parts) + "\n)"


def _no_data(slo: Slo, url: str) -> dict[str, Any]:
    """Without requests or without series nothing burns, and nothing would be said."""
    mine = recordings.match(slo)
    if slo.counts_events:
        expression = f"slo:sli_total:rate5m{mine} == 0\nor absent(slo:sli_total:rate5m{mine})"
        missing = "There were no requests, or no metrics about them"
    else:
        expression = f"absent(slo:sli_bad:now{mine})"
        missing = "There is no metric about it"
    text = f"{missing}, for {slo.no_data_for}: whether the objective is met is not known."
    rule = _alert(slo, NO_DATA, expression, url, text)
    return {**{key: rule[key] for key in ("alert", "expr")}, "for": slo.no_data_for, **rule}


def _alert(slo: Slo, name: str, expression: str, url: str, description: str) -> dict[str, Any]:
    keep = "".join(f", {label} {{{{ $labels.{label} }}}}" for label in slo.by)
    severity = slo.labels.get("severity", SEVERITIES[name]) if name == FAST else SEVERITIES[name]
    labels = {**slo.labels, "severity": severity, **recordings.identity(slo)}
    return {
        "alert": name,
        "expr": expression,
        "labels": labels,
        "annotations": {
            "summary": f"{slo.service}: {slo.summary} ({_WORDS[name]}{keep})",
            "description": description,
            "runbook_url": slo.runbook or f"{url.rstrip('/')}/{name}.md",
        },
    }


_WORDS = {FAST: "the error budget burns fast", SLOW: "the error budget burns slowly", NO_DATA: "no data"}
