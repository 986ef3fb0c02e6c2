# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the judge measures, and how users say it. No I/O. Internal: may change in any release."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from string import Template
from typing import Any

from .._common.errors import OperationError

KIND_RATIO, KIND_LATENCY, KIND_VALUE = "ratio", "latency", "value"
INCREASE, DECREASE = "increase", "decrease"
HOLD, FAIL, PASS, PROBE = "hold", "fail", "pass", "probe"

# The expressions that each kind consists of.
PARTS = {KIND_RATIO: ("numerator", "denominator"), KIND_LATENCY: ("buckets",), KIND_VALUE: ("query",)}


@dataclass(frozen=True)
class Metric:
    """One thing that is measured of the new version and, where possible, of the stable one beside it.

    A ratio is given by two expressions of counters, a latency by one of a histogram's buckets (label C(le)), a value by
    one that yields a single number. Counters are given raw, without rate() or increase(): the judge adds up what they
    grow by, so that it knows whole requests. C(window) is in seconds; C(limit) is the ratio, the seconds of the
    C(quantile), or the value. C(max_change) is relative: 0.05 is 5 per cent. A latency is worse than the stable one's
    only if a request is slower with a probability above C(min_effect) and the median by C(min_slowdown) seconds.
    """

    name: str
    kind: str
    numerator: str = ""
    denominator: str = ""
    buckets: str = ""
    query: str = ""
    direction: str = INCREASE
    limit: float | None = None
    hard_limit: float | None = None
    quantile: float = 0.99
    max_change: float | None = None
    compare: bool = True
    min_effect: float = 0.53
    min_slowdown: float = 0.005
    window: float = 60.0
    weight: float = 1.0
    critical: bool = True
    min_requests: int = 59
    on_no_data: str = HOLD

    @property
    def rises(self) -> bool:
        """Whether higher is worse."""
        return self.direction == INCREASE

    @property
    def parts(self) -> dict[str, str]:
        """Its expressions, by the option that they were given in."""
        return {part: getattr(self, part) for part in PARTS[self.kind]}

    @property
    def allowed_share(self) -> float:
        """The share of bad requests that the limit allows: of the events, of the missing events, or of the slow."""
        if self.kind == KIND_LATENCY:
            return 1.0 - self.quantile
        limit = self.limit or 0.0
        return limit if self.rises else 1.0 - limit

    @property
    def tests(self) -> int:
        """How many tests one look takes, for the correction for looking many times."""
        if self.kind == KIND_VALUE:
            return 0
        return 2 * (self.limit is not None) + 2 * self.compare


@dataclass(frozen=True)
class Scope:
    """Whose series are meant: the fields that metric templates are filled from. Empty fields match everything."""

    namespace: str
    app: str
    slot: str
    version: str

    @property
    def selector(self) -> str:
        """Label matchers for between the braces."""
        labels = {"namespace": self.namespace, "app": self.app, "slot": self.slot, "version": self.version}
        return ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items() if value)

    def fill(self, template: str, window: float) -> str:
        """C(template) as PromQL. What is no placeholder stays, such as $1 in label_replace()."""
        return Template(template).safe_substitute(
            selector=self.selector,
            namespace=_escaped(self.namespace),
            app=_escaped(self.app),
            slot=_escaped(self.slot),
            version=_escaped(self.version),
            window=f"{max(int(window), 1)}s",
        )


def default_metrics() -> list[Metric]:
    """The guide's three: errors above 1 %, p99 above 2 s, 5 % fewer predictions per request than the stable version.

    Summed by pod, which carries all series of one process: they begin and end together, so a restart still shows, and
    the answers stay small. How long /api/v1/slow takes is what the client asks for.
    """
    requests = "sum by (pod) (churnguard_requests_total{$selector})"
    return [
        Metric(
            name="error_ratio",
            kind=KIND_RATIO,
            numerator='sum by (pod) (churnguard_requests_total{$selector,status_code=~"5.."})',
            denominator=requests,
            limit=0.01,
            max_change=0.5,
        ),
        Metric(
            name="latency_p99",
            kind=KIND_LATENCY,
            buckets='sum by (pod, le) (churnguard_request_duration_seconds_bucket{$selector,endpoint!="/api/v1/slow"})',
            limit=2.0,
        ),
        Metric(
            name="predictions_per_request",
            kind=KIND_RATIO,
            numerator="sum by (pod) (churnguard_predictions_total{$selector})",
            denominator=requests,
            direction=DECREASE,
            max_change=0.05,
        ),
    ]


def metric_options() -> dict[str, dict[str, Any]]:
    """Argument-spec suboptions of one metric; documented in the fragment churnguard.ops.metrics."""
    return {
        "name": {"type": "str", "required": True},
        "kind": {"type": "str", "choices": [KIND_RATIO, KIND_LATENCY, KIND_VALUE], "required": True},
        "numerator": {"type": "str"},
        "denominator": {"type": "str"},
        "buckets": {"type": "str"},
        "query": {"type": "str"},
        "direction": {"type": "str", "choices": [INCREASE, DECREASE], "default": INCREASE},
        "limit": {"type": "float"},
        "hard_limit": {"type": "float"},
        "quantile": {"type": "float", "default": 0.99},
        "max_change": {"type": "float"},
        "compare": {"type": "bool", "default": True},
        "min_effect": {"type": "float", "default": 0.53},
        "min_slowdown": {"type": "float", "default": 0.005},
        "window": {"type": "float", "default": 60},
        "weight": {"type": "float", "default": 1},
        "critical": {"type": "bool", "default": True},
        "min_requests": {"type": "int", "default": 59},
        "on_no_data": {"type": "str", "choices": [HOLD, FAIL, PASS, PROBE], "default": HOLD},
    }


def read_metrics(raw: list[dict[str, Any]] | None) -> list[Metric]:
    """The metrics that a module's parameter names; the default ones for none. Raises OperationError for what cannot be
    judged."""
    if not raw:
        return default_metrics()
    metrics = [Metric(**{key: value for key, value in entry.items() if value is not None}) for entry in raw]
    names = [metric.name for metric in metrics]
    for metric in metrics:
        if names.count(metric.name) > 1:
            raise _wrong(metric, "name", "is given twice", "give each metric a name of its own")
        _check(metric)
    return metrics


def _check(metric: Metric) -> None:
    for part, expression in metric.parts.items():
        if not expression.strip():
            raise _wrong(metric, part, "is missing", f"kind {metric.kind} needs it")
    for kind, parts in PARTS.items():
        for part in parts:
            if kind != metric.kind and getattr(metric, part):
                raise _wrong(metric, part, f"does not belong to kind {metric.kind}", f"it belongs to kind {kind}")
    for option, (holds, wanted) in _RANGES.items():
        value = getattr(metric, option)
        if value is not None and not holds(value):
            raise _wrong(metric, option, f"is {value:g}", f"give {wanted}")
    if metric.kind == KIND_RATIO and metric.limit is not None and not 0 <= metric.limit <= 1:
        raise _wrong(metric, "limit", f"is {metric.limit:g}", "give a share from 0 to 1, such as 0.01 for 1 %")
    if metric.kind == KIND_LATENCY and not metric.rises:
        raise _wrong(metric, "direction", "is decrease", "a latency can only be too high")
    if metric.hard_limit is not None and metric.kind != KIND_VALUE:
        raise _wrong(metric, "hard_limit", f"does not belong to kind {metric.kind}", "it belongs to kind value")
    compared = metric.max_change is not None if metric.kind == KIND_VALUE else metric.compare
    if metric.limit is None and metric.hard_limit is None and not compared:
        raise _wrong(metric, "limit", "is missing", "give a limit, or let it be compared with the stable version")


_RANGES: dict[str, tuple[Callable[[float], bool], str]] = {
    "quantile": (lambda value: 0 < value < 1, "a number between 0 and 1, such as 0.99"),
    "max_change": (lambda value: value >= 0, "a share, such as 0.05 for 5 %"),
    "min_effect": (lambda value: 0.5 <= value < 1, "a probability from 0.5 on, such as 0.53"),
    "min_slowdown": (lambda value: value >= 0, "seconds, 0 for none"),
    "window": (lambda value: value >= 1, "at least one second"),
    "weight": (lambda value: value > 0, "a weight above 0"),
    "min_requests": (lambda value: value >= 1, "at least one request"),
}


def _wrong(metric: Metric, option: str, answer: str, next_step: str) -> OperationError:
    return OperationError(f"use metric {metric.name}", f"its option {option} {answer}.", f"{next_step}.")


def _escaped(value: str) -> str:
    """For a PromQL string in double quotes."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
