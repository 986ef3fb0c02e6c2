# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures as people read them, and the table for a terminal. No I/O. Internal: may change in any release."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import parse_time

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
    """The rollouts as aligned lines, a heading first; one line of words when there is none."""
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
    if len(rows) == 1:
        return ["no rollout recorded"]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    right = (3, 4, 5)
    return [
        "  ".join(
            cell.rjust(widths[column]) if column in right else cell.ljust(widths[column])
            for column, cell in enumerate(row)
        ).rstrip()
        for row in rows
    ]
