"""Mistakes in PromQL that promtool accepts: every one of them makes an alert that fires wrongly, or never.

Found in the syntax tree, not in the text. `faults` and `labels_kept` are pure; the parser is promql-parser.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any

import promql_parser as pp
from ansible_collections.churnguard.ops.plugins.plugin_utils._slo.selector import is_unbounded

RATES = {"rate", "irate", "increase"}
COUNTER = re.compile(r"_(?:total|count|sum|bucket)$")
#: Gauges that are named like counters, and counters that are not: names of postgres_exporter.
GAUGES = {"pg_stat_activity_count"}
COUNTERS = {"pg_stat_database_deadlocks", "pg_stat_archiver_failed_count"}
HISTOGRAMS = {"churnguard_request_duration_seconds"}
GROWS = "has a value for each customer or request"
#: What may be asked of a counter without a rate: whether it is there, or how often it began anew.
PRESENCE = {"absent", "absent_over_time", "present_over_time", "resets", "changes", "timestamp", "count_over_time"}


def children(node: Any) -> list[Any]:
    """The expressions directly below one."""
    if isinstance(node, pp.BinaryExpr):
        return [node.lhs, node.rhs]
    if isinstance(node, pp.Call):
        return list(node.args)
    if isinstance(node, pp.AggregateExpr):
        return [part for part in (node.param, node.expr) if part is not None]
    if isinstance(node, pp.MatrixSelector):
        return [node.vector_selector]
    if isinstance(node, (pp.ParenExpr, pp.UnaryExpr, pp.SubqueryExpr)):
        return [node.expr]
    return []


def walk(node: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Every expression with those above it, the outermost first."""
    yield node, above
    for child in children(node):
        yield from walk(child, (*above, node))


def bare(node: Any) -> Any:
    """Without parentheses around it."""
    while isinstance(node, pp.ParenExpr):
        node = node.expr
    return node


def metrics(expression: str) -> set[str]:
    """Names of all metrics in it."""
    return {node.name for node, _ in walk(pp.parse(expression)) if isinstance(node, pp.VectorSelector) and node.name}


def is_counter(name: str) -> bool:
    """By its name. Recorded series (with a colon) are never counters."""
    return ":" not in name and name not in GAUGES and (name in COUNTERS or bool(COUNTER.search(name)))


def faults(expression: str) -> list[str]:
    """What is wrong with it; empty if nothing is."""
    found: list[str] = []
    for node, above in walk(pp.parse(expression)):
        if isinstance(node, pp.VectorSelector):
            found += _selector_faults(node, above)
        elif isinstance(node, pp.Call):
            found += _call_faults(node)
        elif isinstance(node, pp.AggregateExpr) and node.modifier is not None:
            found += [f"{label} {GROWS}" for label in node.modifier.labels if is_unbounded(label)]
        elif isinstance(node, pp.BinaryExpr):
            found += _comparison_faults(node)
    return found


def _selector_faults(node: Any, above: tuple[Any, ...]) -> list[str]:
    functions = {one.func.name for one in above if isinstance(one, pp.Call)}
    counted = {str(one.op) for one in above if isinstance(one, pp.AggregateExpr)}
    found = [f"{one.name} {GROWS}" for one in node.matchers.matchers if is_unbounded(one.name)]
    name = node.name or ""
    if name in HISTOGRAMS:
        found.append(f"{name} is a histogram: this name itself has no series")
    if is_counter(name) and not functions & (RATES | PRESENCE) and "count" not in counted:
        found.append(f"{name} is a counter, whose value means nothing without rate or increase")
    if not is_counter(name) and functions & RATES:
        found.append(f"{name} is no counter: its rate means nothing")
    return found


def _call_faults(node: Any) -> list[str]:
    if node.func.name == "irate":
        return ["irate sees two samples only: an alert would flap"]
    if node.func.name != "histogram_quantile":
        return []
    inner = bare(node.args[1])
    if not isinstance(inner, pp.AggregateExpr):
        return ["histogram_quantile without an aggregation: each series has its own quantile"]
    found = [] if _keeps(inner, "le") else ["histogram_quantile of buckets that have lost le: never a result"]
    rated = any(isinstance(one, pp.Call) and one.func.name in RATES for one, _ in walk(inner))
    return found if rated else [*found, "histogram_quantile without rate: all requests since the start count"]


def _comparison_faults(node: Any) -> list[str]:
    """rate(x{status="5.."}[5m]) > 0.05: a number of events, of one series, held against what is meant as a share."""
    if str(node.op) not in {">", ">=", "<", "<="} or not isinstance(bare(node.rhs), pp.NumberLiteral):
        return []
    left = bare(node.lhs)
    limit = bare(node.rhs).val
    if isinstance(left, pp.Call) and left.func.name == "rate" and 0 < limit < 1:
        return ["the rate of single series is held against a share: divide by the rate of all"]
    if isinstance(left, pp.Call) and left.func.name == "rate" and limit == 0:
        return ["any single event within the window fires"]
    return []


def _keeps(aggregation: Any, label: str) -> bool:
    if aggregation.modifier is None:
        return False
    named = label in aggregation.modifier.labels
    return named if "By" in str(aggregation.modifier.type) else not named


def labels_kept(expression: str) -> set[str] | None:
    """The labels that the result can have; None when it keeps those of its series, whatever they are."""
    return _kept(pp.parse(expression))


def _kept(node: Any) -> set[str] | None:
    node = bare(node)
    if isinstance(node, pp.AggregateExpr):
        if node.modifier is None:
            return set()
        return set(node.modifier.labels) if "By" in str(node.modifier.type) else None
    if isinstance(node, pp.BinaryExpr):
        return _kept_of_two(node)
    if isinstance(node, pp.Call):
        return _kept_of_call(node)
    if isinstance(node, pp.NumberLiteral):
        return set()
    if isinstance(node, (pp.UnaryExpr, pp.SubqueryExpr)):
        return _kept(node.expr)
    return _recorded(node)


def _kept_of_two(node: Any) -> set[str] | None:
    left, right = bare(node.lhs), bare(node.rhs)
    if _is_number(left):
        return _kept(right)
    if _is_number(right) or str(node.op) in {"and", "unless"}:
        return _kept(left)
    sides = [_kept(left), _kept(right)]
    if any(side is None for side in sides):
        return None
    return sides[0] & sides[1] if str(node.op) == "or" else sides[0]


def _is_number(node: Any) -> bool:
    """A number, or what is one at each moment, such as time()."""
    node = bare(node)
    if isinstance(node, pp.BinaryExpr):
        return _is_number(node.lhs) and _is_number(node.rhs)
    return isinstance(node, pp.NumberLiteral) or (isinstance(node, pp.Call) and node.func.name in {"time", "scalar"})


def _kept_of_call(node: Any) -> set[str] | None:
    if node.func.name in {"vector", "time"}:
        return set()
    if node.func.name in {"absent", "absent_over_time"}:
        selector = next(one for one, _ in walk(node) if isinstance(one, pp.VectorSelector))
        return {one.name for one in selector.matchers.matchers if one.op == pp.MatchOp.Equal}
    if node.func.name == "histogram_quantile":
        inner = _kept(node.args[1])
        return None if inner is None else inner - {"le"}
    series = [one for one in node.args if not _is_number(one) and not isinstance(one, pp.StringLiteral)]
    return _kept(series[0]) if series else set()


def _recorded(node: Any) -> set[str] | None:
    """A recorded series says in its name, before the first colon, what it was grouped by: job_namespace:..."""
    selector = node.vector_selector if isinstance(node, pp.MatrixSelector) else node
    level, colon, _ = (selector.name or "").partition(":")
    if colon and level == "slo":
        return {"slo", "service"}
    return set(level.split("_")) if colon else None


def metric_labels(source: str) -> Iterator[tuple[str, str]]:
    """(metric, label) of every metric that Python code declares, by prometheus_client or churnguard_telemetry."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or getattr(node.func, "id", getattr(node.func, "attr", "")) not in {
            "Counter", "Gauge", "Histogram", "Summary", "Info", "Enum", "counter", "histogram",
        }:  # fmt: skip
            continue
        texts = [one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
        lists = [*node.args, *(keyword.value for keyword in node.keywords if keyword.arg == "labelnames")]
        for one in lists:
            if texts and isinstance(one, (ast.List, ast.Tuple)):
                for label in one.elts:
                    if isinstance(label, ast.Constant):
                        yield texts[0], str(label.value)
