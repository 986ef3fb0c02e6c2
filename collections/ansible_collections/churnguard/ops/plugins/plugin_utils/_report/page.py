# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report as one page: HTML with its style and plots inside, no script and nothing fetched. Internal: may change in
any release."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from ansible_collections.churnguard.ops.plugins.module_utils._rollout.figures import figure
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from . import alerts, beside, business, words
from . import rollouts as facts
from .drills import SHOWN, losses, said
from .layout import colour_numbers
from .performance import amount, share

# Rows of the long tables; the rest is in report.json.
MOST_EVENTS = 400
MOST_RESOURCES = 40
MOST_TEXT = 80
TEMPLATES = Path(__file__).parent / "templates"
OUTCOMES = {
    facts.SHIPPED: ("✓", "passed"),
    facts.UNCHANGED: ("=", "nothing to do"),
    facts.REFUSED: ("⊘", "refused"),
    facts.ROLLED_BACK: ("↩", "rolled back"),
    facts.ABORTED: ("■", "aborted"),
    facts.FAILED: ("✕", "failed"),
}
VERDICTS = {
    "passed": ("✓", "passed", "good"),
    "failed": ("✕", "failed", "bad"),
    "rolled_back": ("↩", "rolled back", "warn"),
    "aborted": ("■", "aborted", "warn"),
    "skipped": ("–", "skipped", "off"),  # noqa: RUF001
    "not_checked": ("?", "not checked", "off"),
}

STATES = {
    "ok": ("✓", "ok", "good"),
    "unverified": ("?", "unverified", "warn"),
    "stale": ("◷", "stale", "warn"),
    "failed": ("✕", "failed", "bad"),
    "missing": ("∅", "missing", "bad"),
    "not_checked": ("?", "not checked", "off"),
}
JUDGEMENTS = {"good": ("●", "good", "good"), "bad": ("✖", "bad", "bad"), "unknown": ("◇", "unknown", "warn")}


def page(model: dict[str, Any], plots: dict[str, str] | None = None) -> str:
    """HTML of a report model. C(plots) are SVG elements by name, as the plots module draws them; all else is
    escaped."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        number=words.number,
        duration=words.duration,
        latency=words.latency,
        clock=words.clock,
        day=words.day,
        quantity=quantity,
        outcome=outcome,
        verdict=lambda name: VERDICTS[name],
        judgement=lambda name: JUDGEMENTS[name],
        figure=figure,
        probability=probability,
        state=lambda name: STATES[name],
        moment=moment,
        seconds=facts.seconds,
        size=words.size,
        age=words.age,
        losses=losses,
        amount=amount,
        share=share,
        business_amount=business.amount,
        light=business.light,
        sentence=business.sentence,
        wanted=business.wanted,
        change=business.change,
        alerts_headline=alerts.headline,
        said=said,
        short=short,
        plain=plain,
        label=label,
        strategy=lambda name: str(name or words.NOTHING).replace("_", "-"),
    )
    text = environment.get_template("page.html.j2").render(
        model=model,
        style=Markup((TEMPLATES / "page.css").read_text(encoding="utf-8")),
        plots={name: Markup(svg) for name, svg in (plots or {}).items()},
        colours=colour_numbers(model),
        most_events=MOST_EVENTS,
        most_resources=MOST_RESOURCES,
        shown_evidence=SHOWN,
        beside={
            one["operation"]: {"kind": kind, "number": number, "one": one}
            for kind in beside.KINDS
            for number, one in enumerate(model[kind], start=1)
        },
        rollout_of={rollout["operation"]: rollout for rollout in model["rollouts"]},
        seconds=facts.seconds,
        duration_of=facts.duration_s,
    )
    return re.sub(r"\n\s*\n+", "\n", text)


def moment(text: str | None) -> str:
    """ISO time as 2026-11-21 19:33 (UTC)."""
    return words.NOTHING if not text else text[:16].replace("T", " ")


def outcome(rollout: dict[str, Any]) -> tuple[str, str]:
    """Symbol and word for how a rollout ended; requests that failed are said beside a verdict of passed."""
    symbol, word = OUTCOMES[rollout["outcome"]]
    if rollout["requests"]["failed"] and rollout["verdict"] == "passed":
        return "!", f"{word}, but requests failed"
    return symbol, word


def quantity(value: Any, unit: str) -> str:
    """A figure with its unit; seconds as people read them."""
    if value is None:
        return words.NOTHING
    if unit == "s" and isinstance(value, (int, float)):
        return words.duration(value)
    return f"{words.number(value)} {unit}".strip()


def probability(value: float | None) -> str:
    """A p-value: two digits, in powers of ten where it is tiny."""
    return words.NOTHING if value is None else f"{value:.2g}".replace("e-0", "e-")


def plain(value: Any) -> str:
    """A value of the evidence as text: scalars as they are, the rest as indented JSON."""
    if isinstance(value, (dict, list)):
        return json.dumps(value, indent=2, ensure_ascii=False)
    return words.number(value)


def short(value: Any) -> str:
    """A value on one line of a table, cut where it is long."""
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list)) else words.number(value)
    return text if len(text) <= MOST_TEXT else f"{text[: MOST_TEXT - 2]}.."


def label(name: Any) -> str:
    """An identifier as words: answered_by -> answered by."""
    return str(name).replace("_", " ")
