# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verdicts of a business review, and what has changed. No I/O. Internal: may change in any release."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .._common.envelope import FAILED, NOT_CHECKED, PASSED
from .definitions import GAUGE, Figure
from .figures import Measured


@dataclass(frozen=True)
class Change:
    """From the period before: C(before) is what is compared, C(percent) the change, None where that is not known or
    makes no sense, which C(reason) says."""

    before: float | None
    percent: float | None
    reason: str


@dataclass(frozen=True)
class Judged:
    """A figure with its verdict. C(start) (Unix s) and C(plot) are for drawing."""

    figure: Figure
    queries: dict[str, str]
    measured: Measured
    change: Change
    before: Measured
    verdict: str
    reason: str
    plot: dict[str, Any] | None

    def plain(self) -> dict[str, Any]:
        """As the module returns it."""
        figure, measured = self.figure, self.measured
        parts = [
            {"name": name, "value": value, "before": self.before.parts.get(name)}
            for name, value in sorted(measured.parts.items(), key=lambda item: -(item[1] or 0.0))
        ]
        return {
            "name": figure.name,
            "type": figure.kind,
            "title": figure.title,
            "meaning": figure.meaning,
            "unit": figure.unit,
            "value": _rounded(measured.value),
            "judged": _rounded(measured.judged),
            "limit": figure.limit,
            "at_least": figure.at_least,
            "verdict": self.verdict,
            "reason": self.reason,
            "details": {name: _rounded(value) for name, value in measured.details.items()},
            "parts": [{**one, "value": _rounded(one["value"]), "before": _rounded(one["before"])} for one in parts],
            "coverage": round(measured.coverage, 4),
            "before": _rounded(self.change.before),
            "change_percent": _rounded(self.change.percent),
            "change_reason": self.change.reason,
            "queries": self.queries,
        }


def verdict_of(figure: Figure, measured: Measured, wanted: float) -> tuple[str, str]:
    """Verdict and reason of a figure. What is beyond its limit is so whatever is missing, unless it is a share: what is
    missing would be in it. What has gaps, with less than the share C(wanted) of the samples, is never passed."""
    if measured.judged is None:
        return NOT_CHECKED, measured.missing
    thin = measured.coverage < wanted
    if figure.limit is None:
        return NOT_CHECKED, _thin(measured, wanted) if thin else "no limit is set"
    beyond = measured.judged < figure.limit if figure.at_least else measured.judged > figure.limit
    if beyond and (figure.kind == GAUGE or not thin):
        return FAILED, _beyond(figure, measured.judged)
    if thin:
        return NOT_CHECKED, _thin(measured, wanted)
    return PASSED, ""


def change_of(now: Measured, before: Measured, wanted: float) -> Change:
    """How a figure has changed; not known where either period was seen in part only."""
    if now.compared is None:
        return Change(before.compared, None, now.missing or "there is nothing to compare")
    if before.compared is None:
        return Change(None, None, f"of the period before: {before.missing}")
    if before.coverage < wanted:
        return Change(None, None, f"of the period before: {_thin(before, wanted)}")
    if now.coverage < wanted:
        return Change(before.compared, None, f"of this period: {_thin(now, wanted)}")
    if before.compared == 0:
        return Change(0.0, 0.0 if now.compared == 0 else None, "" if now.compared == 0 else "there were none before")
    return Change(before.compared, 100.0 * (now.compared - before.compared) / abs(before.compared), "")


def verdicts(found: Sequence[Judged]) -> list[str]:
    """Those of the figures that have a limit."""
    return [one.verdict for one in found if one.figure.limit is not None]


def outcome(found: Sequence[Judged]) -> str:
    """The review in a sentence."""
    limited = [one for one in found if one.figure.limit is not None]
    if not limited:
        return "Nothing was held against a limit."
    parts = []
    for wanted, words in ((FAILED, "beyond the limit"), (NOT_CHECKED, "not checked")):
        named = [f"{one.figure.title} ({one.reason})" for one in limited if one.verdict == wanted]
        if named:
            parts.append(f"{len(named)} of {len(limited)} {words}: {', '.join(named)}")
    return "; ".join(parts) + "." if parts else f"All {len(limited)} figures with a limit are within it."


def _beyond(figure: Figure, value: float) -> str:
    least, worst = ("at least", "lowest") if figure.at_least else ("at most", "highest")
    shown = f"{value:.4g} {figure.unit}".strip()
    word = f"the {worst} was {shown}" if figure.kind == GAUGE else f"it was {shown}"
    return f"{word}, {least} {figure.limit:g} {figure.unit}".strip() + " is well"


def _thin(measured: Measured, wanted: float) -> str:
    return f"it was seen {measured.coverage:.0%} of the time, {wanted:.0%} is wanted".replace("%", " %")


def _rounded(value: float | None) -> float | None:
    """Six digits are more than anybody reads; a count stays a count."""
    return None if value is None else round(value, 6)
