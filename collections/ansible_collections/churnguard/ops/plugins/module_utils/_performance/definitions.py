# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a performance review looks at: metrics, their thresholds, and what is advised. No I/O. Internal: may change in
any release."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .._common.errors import OperationError
from .._prometheus.limits import check_coverage, number_or_none

AVERAGE, MAXIMUM, P95, P99 = "average", "max", "p95", "p99"
STATISTICS = (AVERAGE, MAXIMUM, P95, P99)
_NAME = re.compile(r"[a-z][a-z0-9_]*$")


@dataclass(frozen=True)
class Advice:
    """What is recommended when a C(statistic) of a metric is above C(above)."""

    statistic: str
    above: float
    text: str


@dataclass(frozen=True)
class Metric:
    """One thing that is reviewed. C(query) is a PromQL template that yields any number of series in C(unit), of which
    higher is worse; the C(judged) statistic of each is held against C(threshold), and without one is not checked.
    C(min_coverage) is the share of the samples that has to be there, where it is not the review's."""

    name: str
    query: str
    unit: str = ""
    title: str = ""
    threshold: float | None = None
    judged: str = P95
    min_coverage: float | None = None
    advice: tuple[Advice, ...] = ()

    @property
    def label(self) -> str:
        """What people call it."""
        return self.title or self.name.replace("_", " ").capitalize()


# Idle as psutil has it, whose cpu_percent the guide samples: waiting for a disk is not being busy.
_CPU = (
    '100 * (1 - sum by (instance) (rate(node_cpu_seconds_total{mode=~"idle|iowait",$node}[$window]))'
    " / sum by (instance) (rate(node_cpu_seconds_total{$node}[$window])))"
)
_MEMORY = "100 * (1 - node_memory_MemAvailable_bytes{$node} / node_memory_MemTotal_bytes{$node})"
# Whole disks and real interfaces, once each.
_DISK = 'sum by (instance) (rate(node_disk_%s_bytes_total{device!~"(loop|ram|dm-|md|zram).*",$node}[$window]))'
_NETWORK = (
    "sum by (instance) (rate(node_network_%s_bytes_total"
    '{device!~"lo|(veth|cali|docker|br-|cni|flannel|tun|virbr|eni).*",$node}[$window]))'
)
_MEAN = (
    "1000 * sum(rate(churnguard_request_duration_seconds_sum{$application}[$window]))"
    " / sum(rate(churnguard_request_duration_seconds_count{$application}[$window]))"
)
_QUANTILE = (
    "1000 * histogram_quantile(0.95, sum by (le) "
    "(rate(churnguard_request_duration_seconds_bucket{$application}[$window])))"
)


def default_metrics() -> list[Metric]:
    """The guide's metrics with its thresholds and advice. The guide gives disk and network no threshold. That of
    connections, and that of the request's 95th percentile, are those of its alerts."""
    return [
        Metric(
            name="cpu",
            title="CPU",
            unit="%",
            query=_CPU,
            threshold=80.0,
            advice=(
                Advice(AVERAGE, 60.0, "Scale horizontally, or optimise what takes the CPU."),
                Advice(
                    MAXIMUM, 90.0, "Look for what causes the spikes of CPU; cache what is computed again and again."
                ),
            ),
        ),
        Metric(
            name="memory",
            unit="%",
            query=_MEMORY,
            threshold=85.0,
            advice=(Advice(AVERAGE, 70.0, "Look for memory leaks, and for data structures that can be smaller."),),
        ),
        Metric(name="disk_read", title="Disk reads", unit="B/s", query=_DISK % "read"),
        Metric(name="disk_write", title="Disk writes", unit="B/s", query=_DISK % "written"),
        Metric(name="network_received", title="Network received", unit="B/s", query=_NETWORK % "receive"),
        Metric(name="network_sent", title="Network sent", unit="B/s", query=_NETWORK % "transmit"),
        Metric(
            name="response_time",
            title="Mean response time",
            unit="ms",
            query=_MEAN,
            threshold=2000.0,
            advice=(
                Advice(AVERAGE, 1000.0, "Optimise database queries, and cache their answers."),
                Advice(P95, 3000.0, "Look for slow queries in the time of the peaks, and optimise the critical paths."),
            ),
        ),
        Metric(name="request_p95", title="Request p95", unit="ms", query=_QUANTILE, threshold=2000.0),
        Metric(
            name="connections",
            title="Database connections",
            query="sum(churnguard_db_connections_active{$application})",
            threshold=80.0,
        ),
        Metric(
            name="queue_depth",
            query="sum(churnguard_requests_in_progress{$application})",
            threshold=100.0,
            advice=(Advice(MAXIMUM, 50.0, "Give the application more workers, or spread the load over more of them."),),
        ),
    ]


def metric_options() -> dict[str, dict[str, Any]]:
    """Argument-spec suboptions of one metric."""
    advice = {
        "statistic": {"type": "str", "choices": list(STATISTICS), "required": True},
        "above": {"type": "float", "required": True},
        "text": {"type": "str", "required": True},
    }
    return {
        "name": {"type": "str", "required": True},
        "query": {"type": "str", "required": True},
        "unit": {"type": "str", "default": ""},
        "title": {"type": "str", "default": ""},
        "threshold": {"type": "float"},
        "judged": {"type": "str", "choices": list(STATISTICS), "default": P95},
        "min_coverage": {"type": "float"},
        "advice": {"type": "list", "elements": "dict", "default": [], "options": advice},
    }


def read_metrics(
    raw: Sequence[Mapping[str, Any]],
    thresholds: Mapping[str, Any] | None = None,
    only: Sequence[str] | None = None,
) -> list[Metric]:
    """The metrics that a module's parameters name, the guide's for none, with other C(thresholds) (None for none) and,
    of them, C(only) those named. Raises OperationError for what cannot be reviewed."""
    metrics = [_metric(entry) for entry in raw] or default_metrics()
    names = [metric.name for metric in metrics]
    for name in names:
        if names.count(name) > 1:
            raise _wrong(name, "its name is given twice.", "give each metric a name of its own.")
    for name in [*(thresholds or {}), *(only or [])]:
        if name not in names:
            raise _wrong(name, "there is no such metric.", f"name one of {', '.join(names)}, or define it in metrics.")
    metrics = [
        replace(metric, threshold=_threshold(metric, thresholds or {}))
        for metric in metrics
        if not only or metric.name in only
    ]
    for metric in metrics:
        _check(metric)
    return metrics


def _metric(entry: Mapping[str, Any]) -> Metric:
    given = {key: value for key, value in entry.items() if value is not None and key != "advice"}
    return Metric(**given, advice=tuple(Advice(**one) for one in entry.get("advice") or ()))


def _threshold(metric: Metric, given: Mapping[str, Any]) -> float | None:
    return number_or_none(f"review metric {metric.name}", "threshold", given.get(metric.name, metric.threshold))


def _check(metric: Metric) -> None:
    if not _NAME.match(metric.name):
        raise _wrong(metric.name, "that is no name.", "use lower-case letters, digits and underscores.")
    if not metric.query.strip():
        raise _wrong(metric.name, "its query is empty.", "give a PromQL expression.")
    if metric.threshold is not None and not 0 < metric.threshold < float("inf"):
        raise _wrong(
            metric.name,
            f"its threshold is {metric.threshold:g}.",
            "give one above 0, as severity is a multiple of it; of what gets worse when it falls, review the opposite.",
        )
    if metric.min_coverage is not None:
        check_coverage(f"review metric {metric.name}", metric.min_coverage)


def _wrong(name: str, answer: str, next_step: str) -> OperationError:
    return OperationError(f"review metric {name}", answer, next_step)
