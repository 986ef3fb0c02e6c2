# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the envelope of a business review says, in plain words for people who do not read queries. No I/O. Internal: may
change in any release."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import isoformat, parse_time

from . import rollouts as facts
from .envelopes import finite
from .words import NOTHING, duration, iso, listing, number

OPERATION = "business_review"
PASSED, FAILED, NOT_CHECKED = "passed", "failed", "not_checked"
VERDICTS = (FAILED, NOT_CHECKED, PASSED)
SHARE, COUNTER, GAUGE = "share", "counter", "gauge"
DETAILS = ("now", "average", "lowest", "highest", "total", "failed")
# Parts that are named and drawn; the rest is put together.
MOST_PARTS = 5
# Symbol, words and tone: none of them alone says it.
LIGHTS = {
    PASSED: ("✓", "good", "good"),
    FAILED: ("✕", "needs attention", "bad"),
    NOT_CHECKED: ("?", "not known", "warn"),
    "": ("·", "for information", "off"),
}


def is_review(envelope: dict[str, Any]) -> bool:
    """Whether it is a business review."""
    return envelope["operation"] == OPERATION


def review(index: int, envelope: dict[str, Any]) -> dict[str, Any]:
    """Facts of the envelope at C(index) of the operations."""
    subject = envelope["subject"]
    figures = [_figure(item) for item in envelope["evidence"] if item.get("kind") == "business_figure"]
    skew = next((one for one in envelope["measurements"] if one["name"] == "clock_skew_s"), None)
    failed = [one for one in figures if one["verdict"] == FAILED and one["limit"] is not None]
    return {
        "operation": index,
        "verdict": envelope["verdict"],
        "tone": "good" if envelope["verdict"] == PASSED else "bad" if failed else "warn",
        "headline": headline(figures),
        "started": envelope["started"],
        "finished": envelope["finished"],
        "duration_s": facts.duration_s(envelope),
        "period": {"start": _begin(subject), "end": iso(subject.get("end"))},
        "figures": figures,
        "skew_s": skew["value"] if skew and skew["verdict"] == FAILED else None,
        "errors": [{"at": envelope["finished"], "text": f"{one['title']}: {one['reason']}"} for one in failed],
    }


def _begin(subject: dict[str, Any]) -> str | None:
    """Where the period begins: its first sample stands for the step that ends with it."""
    first, step = iso(subject.get("start")), finite(subject.get("step_s"))
    return isoformat(parse_time(first) - timedelta(seconds=step or 0)) if first else None


def headline(figures: list[dict[str, Any]]) -> str:
    """One line for people, about the figures that have a limit."""
    limited = [one for one in figures if one["limit"] is not None]
    bad = [one["title"] for one in limited if one["verdict"] == FAILED]
    unknown = [one["title"] for one in limited if one["verdict"] == NOT_CHECKED]
    if not limited:
        return "Business: nothing was held against a limit"
    parts = [f"{listing(bad)} need{'s' * (len(bad) == 1)} attention"] if bad else []
    if unknown:
        parts.append(f"{listing(unknown) if len(unknown) < 4 else f'{len(unknown)} figures'} not known")
    return f"Business: {'; '.join(parts) or 'everything within its limits'}"


def notes(one: dict[str, Any]) -> list[str]:
    """What weakens the proof."""
    unknown = [figure for figure in one["figures"] if figure["verdict"] == NOT_CHECKED and figure["limit"] is not None]
    said = [f"{figure['title']} is not known: {figure['reason']}." for figure in unknown]
    if one["skew_s"] is not None:
        said.append(f"The clock of Prometheus is {number(one['skew_s'])} s from the clock of the controller.")
    return said


def light(figure: dict[str, Any]) -> tuple[str, str, str]:
    """Symbol, words and tone of a figure."""
    return LIGHTS[figure["verdict"] if figure["limit"] is not None or figure["value"] is None else ""]


def amount(value: float | None, figure: dict[str, Any]) -> str:
    """A value as people say it: 99.98 of 100, 3.2 h, 1,204. A share is never rounded up to all."""
    if value is None:
        return NOTHING
    if figure["type"] == SHARE:
        return f"{number(math.floor(value * 100 + 1e-9) / 100)} of 100"
    if figure["unit"] == "points":
        return f"{number(round(value, 1))} of 100"
    if figure["unit"] == "h":
        return f"{number(round(value, 1))} h" if value >= 2 else duration(value * 3600)
    return f"{number(round(value))} {figure['unit']}".strip()


def sentence(figure: dict[str, Any]) -> str:
    """The figure in a sentence; empty where there is nothing to add."""
    details = figure["details"]
    if figure["type"] == SHARE and figure["value"] is not None:
        whole, failed = details["total"], details["failed"]
        of = amount(figure["value"], figure).removesuffix(" of 100")
        rest = ""
        if whole and failed is not None:
            rest = (
                f" {number(round(failed))} of {number(round(whole))} were not."
                if failed
                else f" None of {number(round(whole))} failed."
            )
        return f"Of 100 requests {of} were answered well.{rest}"
    if figure["type"] == GAUGE:
        if details["lowest"] is not None and details["lowest"] == details["highest"]:
            return f"In the period always {amount(details['lowest'], figure)}."
        names = {"average": "on average", "lowest": "at least", "highest": "at most"}
        said = [f"{word} {amount(details[key], figure)}" for key, word in names.items() if details[key] is not None]
        return f"In the period {listing(said)}." if said else ""
    return ""


def wanted(figure: dict[str, Any]) -> str:
    """What is well; empty without a limit, and where the reason of a failure says it."""
    limit = figure["limit"]
    if limit is None or figure["verdict"] == FAILED:
        return ""
    if not limit and not figure["at_least"]:
        return "There must be none."
    return f"{'At least' if figure['at_least'] else 'At most'} {amount(limit, figure)} is well."


def change(figure: dict[str, Any]) -> str:
    """How it stands to the period before, in words."""
    percent, before = figure["change_percent"], figure["before"]
    if percent is None:
        return f"Change not known: {figure['change_reason'] or 'there is nothing to compare'}."
    shown = amount(before, figure)
    which = "on average " if figure["type"] == GAUGE else ""
    if abs(percent) < 0.05:
        return f"As in the period before ({which}{shown})."
    word = "more" if percent > 0 else "less"
    if figure["unit"] in ("%", "points", "h"):
        word = "higher" if percent > 0 else "lower"
    size = abs(percent)
    told = number(round(size, 1)) if size < 100 else number(round(size))
    return f"{told} % {word} than in the period before ({which}{shown})."


def _figure(item: dict[str, Any]) -> dict[str, Any]:
    texts = {key: str(item.get(key) or "") for key in ("name", "type", "unit", "meaning", "reason", "change_reason")}
    values = {key: finite(item.get(key)) for key in ("value", "judged", "limit", "before", "change_percent")}
    raw = item.get("details") if isinstance(item.get("details"), dict) else {}
    verdict = item.get("verdict") if item.get("verdict") in VERDICTS else NOT_CHECKED
    parts = [one for one in item.get("parts") or [] if isinstance(one, dict)]
    queries = item.get("queries") if isinstance(item.get("queries"), dict) else {}
    return {
        **texts,
        **values,
        "title": str(item.get("title") or texts["name"]),
        "at_least": item.get("at_least") is True,
        "details": {key: finite(raw.get(key)) for key in DETAILS},
        "verdict": verdict,
        "parts": _parts(parts),
        "plot": _plot(item.get("plot"), [str(one.get("name")) for one in parts]),
        "queries": {str(key): str(value) for key, value in queries.items()},
    }


def _parts(raw: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The largest parts, the rest of them together; a part alone is the whole."""
    parts = [{"name": str(one.get("name") or "?"), "value": finite(one.get("value")) or 0} for one in raw]
    if len(parts) < 2:
        return [one for one in parts if one["name"] != "all"]
    if len(parts) <= MOST_PARTS + 1:
        return parts
    rest = parts[MOST_PARTS:]
    return [*parts[:MOST_PARTS], {"name": f"{len(rest)} others", "value": sum(one["value"] for one in rest)}]


def _plot(raw: Any, order: list[str]) -> dict[str, Any] | None:
    """Values over time, None where there was none; the parts in C(order), what is too many put together as in
    _parts()."""
    lines = raw.get("lines") if isinstance(raw, dict) else None
    if not isinstance(lines, dict) or not finite(raw.get("step_s")) or finite(raw.get("start")) is None:
        return None
    known = {str(name): [finite(one) for one in values or []] for name, values in lines.items()}
    names = [name for name in order if name in known] + [name for name in known if name not in order]
    found = [known[name] for name in names if known[name]]
    if len(found) > MOST_PARTS + 1:
        rest = [_sum(column) for column in zip(*found[MOST_PARTS:], strict=False)]
        found = [*found[:MOST_PARTS], rest]
    return {"start": raw["start"], "step_s": raw["step_s"], "lines": found} if found else None


def _sum(column: tuple[float | None, ...]) -> float | None:
    known = [value for value in column if value is not None]
    return sum(known) if known else None
