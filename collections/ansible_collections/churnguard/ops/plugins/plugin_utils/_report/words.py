# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures as people read them, and the table for a terminal. No I/O. Internal: may change in any release."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import isoformat, parse_time

NOTHING = "–"  # noqa: RUF001 - an en dash marks an empty cell


def number(value: Any) -> str:
    """1234567 -> 1,234,567; at most three decimals, or three digits below one; a dash for None; text as it is."""
    if value is None:
        return NOTHING
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    if abs(value) < 1:
        return f"{value:.3g}"
    return f"{value:,.3f}".rstrip("0").rstrip(".")


def duration(seconds: float | None) -> str:
    """Seconds as 3.2 s, 4 min 05 s or 2 h 07 min; below a second in milliseconds."""
    if seconds is None:
        return NOTHING
    if seconds < 0.0995:
        return f"{seconds * 1000:.3g} ms" if seconds else "0 s"
    if seconds < 59.95:
        return f"{seconds:.1f} s".replace(".0 s", " s")
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if minutes else f"{hours} h"


def latency(seconds: float | None) -> str:
    """Three digits with a fitting unit: 4.21 ms, 1.3 s."""
    if seconds is None:
        return NOTHING
    return f"{seconds * 1000:.3g} ms" if seconds < 0.9995 else f"{seconds:.3g} s"


def iso(value: Any) -> str | None:
    """A time as every table takes it; None for what is no time."""
    try:
        return isoformat(parse_time(str(value))) if value else None
    except ValueError:
        return None


def clock(text: str | None) -> str:
    """ISO time as 19:33:00 (UTC)."""
    return NOTHING if not text else parse_time(text).strftime("%H:%M:%S")


def day(text: str | None) -> str:
    """ISO time as 21 November 2026."""
    moment = parse_time(text) if text else None
    return NOTHING if moment is None else f"{moment.day} {moment.strftime('%B %Y')}"


def listing(words: Sequence[str]) -> str:
    """a, b and c."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def table(model: dict[str, Any]) -> list[str]:
    """The rollouts as aligned lines, a heading first, and what else is recorded; one line of words for nothing."""
    rows = [["version", "strategy", "verdict", "duration", "sent", "failed", ""]]
    for rollout in model["rollouts"]:
        requests = rollout["requests"]
        rows.append(
            [
                str(rollout["version"] or NOTHING),
                str(rollout["strategy"] or NOTHING),
                rollout["verdict"],
                duration(rollout["duration_s"]),
                number(requests["sent"]),
                number(requests["failed"]),
                rollout["headline"] + (f" ({requests['reason']})" if requests["reason"] else ""),
            ]
        )
    lines = _aligned(rows, right=(3, 4, 5)) if len(rows) > 1 else []
    others = _others(model)
    if lines and others:
        lines.append("")
    return lines + others or ["no operation recorded"]


def size(count: float | None) -> str:
    """Bytes as 512 B, 4.2 MB, 1.03 GB (powers of ten)."""
    if count is None:
        return NOTHING
    for unit, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= unit:
            return f"{count / unit:.3g} {name}"
    return f"{count:.0f} B"


def age(seconds: float | None) -> str:
    """A long time as 5.2 h or 3.1 d; below two hours as a duration."""
    if seconds is None:
        return NOTHING
    if seconds < 7200:
        return duration(seconds)
    return f"{seconds / 3600:.1f} h" if seconds < 172800 else f"{seconds / 86400:.1f} d"


def _others(model: dict[str, Any]) -> list[str]:
    """Drills with their objectives, then what else was done, one line each."""
    rows = []
    for drill in model["drills"]:
        goals = [
            f"{goal['name']} {duration(goal['value_s'])}"
            + (f" of {duration(goal['limit_s'])}" if goal["limit_s"] is not None else "")
            for goal in drill["objectives"]
        ]
        rows.append(["drill", drill["verdict"], duration(drill["duration_s"]), drill["headline"], *goals])
    for gate in model["gates"]:
        rows.append(["metric gate", gate["verdict"], duration(gate["duration_s"]), gate["headline"], "", ""])
    for listed in model["backups"]:
        rows.append(["backups", listed["verdict"], "", listed["headline"], "", ""])
    for review in model["reviews"]:
        rows.append(["performance", review["verdict"], duration(review["duration_s"]), review["headline"], "", ""])
    for review in model["business"]:
        rows.append(["business", review["verdict"], duration(review["duration_s"]), review["headline"], "", ""])
    fired = (model["alerts"] or {"alerts": []})["alerts"]
    for one in fired:
        ended = "not resolved yet" if one["over"] is None else f"over after {duration(one['duration_s'])}"
        rows.append(
            ["alert", one["severity"] or NOTHING, duration(one["duration_s"]), f"{one['name']}, {ended}", "", ""]
        )
    return _aligned(rows, right=(2,)) if rows else []


def _aligned(rows: list[list[str]], right: tuple[int, ...]) -> list[str]:
    """Cells below each other, those of the columns in C(right) to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            cell.rjust(widths[column]) if column in right else cell.ljust(widths[column])
            for column, cell in enumerate(row)
        ).rstrip()
        for row in rows
    ]
