# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the judge's samples and the events around them say, as people read it: in a terminal, in a message, in the
report. No I/O. Internal: may change in any release."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

RATIO = "ratio"
LATENCY = "latency"
# How much a verdict matters to who reads one line only.
_URGENCY = {"bad": 0, "unknown": 1, "good": 2}


def figure(value: Any, kind: str = "") -> str:
    """C(value) with three digits and the unit of its C(kind): a ratio in per cent, a latency in ms or s; "no data" for
    None and for what is no number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value):
        return "no data"
    if math.isinf(value):
        return "infinite" if value > 0 else "-infinite"
    if kind == RATIO:
        return f"{_digits(value * 100)} %"
    if kind == LATENCY:
        return f"{_digits(value * 1000)} ms" if abs(value) < 0.9995 else f"{_digits(value)} s"
    return _digits(value)


def comparison(result: Mapping[str, Any]) -> str:
    """A metric's value against its limit ("0.21 % <= 1 %"), else against stable's value ("0.91, stable 1.02"), else
    alone. A bad metric that keeps its limit is shown against stable: that is where it is bad."""
    kind = kind_of(result)
    value, limit, stable = result.get("value"), result.get("limit"), result.get("stable_value")
    shown = figure(value, kind)
    if shown == "no data":
        return shown
    within = isinstance(limit, (int, float)) and value <= limit
    against_stable = isinstance(stable, (int, float)) and (limit is None or (within and result.get("verdict") == "bad"))
    if against_stable:
        return f"{shown}, stable {figure(stable, kind)}"
    if limit is None:
        return shown
    return f"{shown} {'<=' if within else '>'} {figure(limit, kind)}"


def kind_of(result: Mapping[str, Any]) -> str:
    """What a metric measures: ratio, latency or value; "" for a result that does not say, whose figures then have no
    unit."""
    return str(result.get("kind") or "")


def by_urgency(results: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Bad metrics first, then unknown ones; else in the order in which they were defined."""
    return sorted(results, key=lambda result: _URGENCY.get(str(result.get("verdict")), 1))


def gate_state(data: Mapping[str, Any]) -> str:
    """What a gate's event tells: waiting, opened (by a flag), or passed."""
    if data.get("state"):
        return str(data["state"])
    if "before" in data:
        return "waiting"
    return "opened" if "flag" in data else "passed"


def duration(seconds: float) -> str:
    """45 s, 4 min 05 s, 2 h 07 min."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if minutes else f"{hours} h"


def _digits(value: float) -> str:
    """Three digits, without an exponent and without trailing zeros."""
    if value == 0:
        return "0"
    decimals = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{min(decimals, 6)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
