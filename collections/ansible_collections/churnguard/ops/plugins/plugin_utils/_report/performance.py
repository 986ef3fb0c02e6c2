# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the envelope of a performance review says, as the report shows it. No I/O. Internal: may change in any
release."""

from __future__ import annotations

from typing import Any

from . import rollouts as facts
from .envelopes import finite
from .words import NOTHING, iso, listing, number, size

OPERATION = "performance_review"
PASSED, FAILED, NOT_CHECKED = "passed", "failed", "not_checked"
VERDICTS = (FAILED, NOT_CHECKED, PASSED)
STATISTICS = ("average", "max", "p95", "p99", "threshold")
SEVERITIES = ("low", "medium", "high", "critical")


def is_review(envelope: dict[str, Any]) -> bool:
    """Whether it is a performance review."""
    return envelope["operation"] == OPERATION


def review(index: int, envelope: dict[str, Any]) -> dict[str, Any]:
    """Facts of the envelope at C(index) of the operations; C(drawn) are the places of the metrics that have something
    to draw."""
    subject = envelope["subject"]
    items = [item for item in envelope["evidence"] if item.get("kind") == "performance_metric"]
    metrics = [_metric(item) for item in items]
    titles = {one["name"]: one["title"] for one in metrics}
    advice = [_advice(item, titles) for item in envelope["evidence"] if item.get("kind") == "recommendation"]
    skew = next((one for one in envelope["measurements"] if one["name"] == "clock_skew_s"), None)
    step = finite(subject.get("step_s"))
    return {
        "operation": index,
        "verdict": envelope["verdict"],
        "tone": "good" if envelope["verdict"] == PASSED else "bad",
        "headline": headline(metrics),
        "started": envelope["started"],
        "finished": envelope["finished"],
        "duration_s": facts.duration_s(envelope),
        "period": {"start": iso(subject.get("start")), "end": iso(subject.get("end")), "step_s": step},
        "metrics": metrics,
        "drawn": [place for place, one in enumerate(metrics) if one["plot"]],
        "advice": advice,
        "skew_s": skew["value"] if skew and skew["verdict"] == FAILED else None,
        "errors": [
            {"at": envelope["finished"], "text": f"{one['title']}: {one['reason']}"}
            for one in metrics
            if one["verdict"] == FAILED
        ],
    }


def headline(metrics: list[dict[str, Any]]) -> str:
    """One line for people, about the metrics that have a threshold."""
    limited = [one for one in metrics if one["threshold"] is not None]
    above = [one["title"] for one in limited if one["verdict"] == FAILED]
    unknown = [one["title"] for one in limited if one["verdict"] == NOT_CHECKED]
    if not limited:
        return "Performance: nothing was held against a threshold"
    parts = [f"{listing(above)} above the threshold"] if above else []
    if unknown:
        parts.append(f"{listing(unknown) if len(unknown) < 4 else f'{len(unknown)} metrics'} not checked")
    if not parts and len(limited) == 1:
        parts = [f"{limited[0]['title']} within its threshold"]
    return f"Performance: {'; '.join(parts) or f'all {len(limited)} metrics within their thresholds'}"


def notes(one: dict[str, Any]) -> list[str]:
    """What weakens the proof."""
    unknown = [metric for metric in one["metrics"] if metric["verdict"] == NOT_CHECKED]
    said = [
        f"{metric['title']} was not checked: {metric['reason']}."
        for metric in unknown
        if metric["threshold"] is not None
    ]
    if one["skew_s"] is not None:
        said.append(f"The clock of Prometheus is {number(one['skew_s'])} s from the clock of the controller.")
    return said


def amount(value: float | None, unit: str) -> str:
    """Four digits with the unit: 95.2 %, 1,250 ms, 12.4 MB/s."""
    if value is None:
        return NOTHING
    if unit == "B/s":
        return f"{size(value)}/s"
    return f"{number(float(f'{value:.4g}'))} {unit}".strip()


def share(metric: dict[str, Any]) -> str:
    """How much of the time a metric was above its threshold: 12.5 %; a dash where nobody knows."""
    found = metric["violations"]
    if not found or not metric["samples"]:
        return NOTHING
    return f"{number(round(100 * found['count'] / metric['samples'], 1))} %"


def _metric(item: dict[str, Any]) -> dict[str, Any]:
    verdict = item.get("verdict") if item.get("verdict") in VERDICTS else NOT_CHECKED
    texts = {key: str(item.get(key) or "") for key in ("name", "unit", "query", "judged", "reason")}
    found = {key: finite(item.get(key)) for key in (*STATISTICS, "coverage", "series_total")}
    severity = item.get("severity") if item.get("severity") in SEVERITIES else ""
    return {
        **texts,
        **found,
        "title": str(item.get("title") or texts["name"]),
        "on": _said(item.get("labels")),
        "samples": finite(item.get("samples")) or 0,
        "violations": _violations(item.get("violations")),
        "severity": severity,
        "verdict": verdict,
        "plot": _plot(item.get("plot")),
    }


def _violations(raw: Any) -> dict[str, Any] | None:
    if not isinstance(raw, dict):
        return None
    bands = raw.get("bands") if isinstance(raw.get("bands"), dict) else {}
    figures = {key: finite(raw.get(key)) or 0 for key in ("count", "seconds", "longest_s")}
    return {**figures, "bands": {name: finite(bands.get(name)) or 0 for name in SEVERITIES}}


def _plot(raw: Any) -> dict[str, Any] | None:
    """Values over time, with None where there was none."""
    if not isinstance(raw, dict) or not finite(raw.get("step_s")) or finite(raw.get("start")) is None:
        return None
    lines = {key: [finite(value) for value in raw.get(key) or []] for key in ("average", "max")}
    return {"start": raw["start"], "step_s": raw["step_s"], **lines} if lines["max"] else None


def _advice(item: dict[str, Any], titles: dict[str, str]) -> dict[str, str]:
    name, unit = str(item.get("metric") or ""), str(item.get("unit") or "")
    value, above = (amount(finite(item.get(key)), unit) for key in ("value", "above"))
    on = _said(item.get("labels"))
    said = f"{item.get('statistic') or 'value'} {value}, more than {above}" + (f", on {on}" if on else "")
    return {"title": titles.get(name, name), "said": said, "text": str(item.get("text") or "")}


def _said(labels: Any) -> str:
    """The labels of a series as people read them."""
    return " ".join(str(value) for value in labels.values()) if isinstance(labels, dict) else ""
