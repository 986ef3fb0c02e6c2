# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recording rules of one objective. No I/O. Internal: may change in any release.

Names and form follow sloth's, so that dashboards made for it work: slo:sli_error:ratio_rate5m and so on.
"""

from __future__ import annotations

from typing import Any

from .model import AVAILABILITY, LATENCY, Slo
from .windows import DERIVED, DIRECT

Rule = dict[str, Any]


def match(slo: Slo) -> str:
    """The matcher that finds this objective's own series."""
    return f'{{slo="{slo.name}"}}'


def identity(slo: Slo) -> dict[str, str]:
    """Labels of every series and alert of the objective."""
    return {"slo": slo.name, "service": slo.service}


def grouped(slo: Slo, aggregator: str) -> str:
    """The aggregation, with the labels that are kept."""
    return f"{aggregator} by ({', '.join(slo.by)})" if slo.by else aggregator


def base(slo: Slo) -> list[Rule]:
    """What the long windows are derived from: bad and total events a second, or whether it is bad now (0 or 1)."""
    if slo.counts_events:
        return [
            _record(slo, "slo:sli_total:rate5m", _total(slo, "5m")),
            _record(slo, "slo:sli_bad:rate5m", _bad(slo, "5m")),
        ]
    source = slo.sources["age"] if "age" in slo.sources else slo.sources["overdue"]
    return [_record(slo, "slo:sli_bad:now", f"{grouped(slo, 'max')} ({source.text()}) > bool {slo.threshold:g}")]


def errors(slo: Slo) -> list[Rule]:
    """The share of bad events, or of bad time, over each window up to three days."""
    if slo.counts_events:
        rules = [_error(slo, "5m", f"slo:sli_bad:rate5m{match(slo)} / slo:sli_total:rate5m{match(slo)}")]
        rules += [_error(slo, window, f"({_bad(slo, window)}) / {_total(slo, window)}") for window in DIRECT[1:]]
        return rules + [_error(slo, window, _weighted(slo, window)) for window in DERIVED]
    return [_error(slo, w, f"avg_over_time(slo:sli_bad:now{match(slo)}[{w}])") for w in DIRECT + DERIVED]


def budget(slo: Slo) -> list[Rule]:
    """The whole period, and what is known about the objective: budget, burn, what is left."""
    period = f"{slo.period_days}d"
    whole = _weighted(slo, period) if slo.counts_events else f"avg_over_time(slo:sli_bad:now{match(slo)}[{period}])"
    mine = match(slo)
    return [
        _error(slo, period, whole),
        _record(slo, "slo:objective:ratio", f"vector({round(1 - slo.budget, 12)!r})"),
        _record(slo, "slo:error_budget:ratio", f"vector({slo.budget!r})"),
        _record(slo, "slo:time_period:days", f"vector({slo.period_days})"),
        _record(slo, "slo:current_burn_rate:ratio", f"slo:sli_error:ratio_rate5m{mine} / {slo.budget!r}"),
        _record(slo, "slo:period_burn_rate:ratio", f"slo:sli_error:ratio_rate{period}{mine} / {slo.budget!r}"),
        _record(slo, "slo:period_error_budget_remaining:ratio", f"1 - slo:period_burn_rate:ratio{mine}"),
        {**_record(slo, "slo_info", "vector(1)"), "labels": {**identity(slo), "kind": slo.kind, "period": period}},
    ]


def _record(slo: Slo, name: str, expression: str) -> Rule:
    return {"record": name, "expr": expression, "labels": identity(slo)}


def _error(slo: Slo, window: str, expression: str) -> Rule:
    return _record(slo, f"slo:sli_error:ratio_rate{window}", expression)


def _weighted(slo: Slo, window: str) -> str:
    """Weighted by events: an hour of the night counts for what it served, not for an hour."""
    mine = f"{match(slo)}[{window}]"
    return f"sum_over_time(slo:sli_bad:rate5m{mine}) / sum_over_time(slo:sli_total:rate5m{mine})"


def _rate(slo: Slo, series: str, window: str) -> str:
    return f"{grouped(slo, 'sum')} (rate({series}[{window}]))"


def _total(slo: Slo, window: str) -> str:
    series = slo.sources["histogram"].text("_count") if "histogram" in slo.sources else slo.sources["total"].text()
    return _rate(slo, series, window)


def _bad(slo: Slo, window: str) -> str:
    """Bad events a second. A counter of errors does not exist before the first error, and one of successes not before
    the first success: without the part behind "or" there would be no ratio where there are requests."""
    total = _total(slo, window)
    if slo.kind == AVAILABILITY and "bad" in slo.sources:
        return f"{_rate(slo, slo.sources['bad'].text(), window)} or 0 * {total}"
    if slo.kind == LATENCY and "histogram" in slo.sources:
        bucket = slo.sources["histogram"].text("_bucket", _bound(slo.threshold or 0.0))
        return f"{total} - ({_rate(slo, bucket, window)} or 0 * {total})"
    return f"{total} - ({_rate(slo, slo.sources['good'].text(), window)} or 0 * {total})"


def _bound(threshold: float) -> str:
    """The matcher of a bucket's bound: written "2" or "2.0", depending on who wrote it."""
    short = f"{threshold:g}"
    if "." in short or "e" in short:
        return f'le="{short}"'
    return f'le=~"{short}(\\\\.0)?"'
