# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The timeline of one rollout: a bar for each step, with its duration. Internal: may change in any release."""

from __future__ import annotations

from typing import Any

from . import rollouts as facts
from .canvas import BOTTOM, PALETTE, ROW, Canvas
from .layout import Mark, Size, place, second_ticks, text_width
from .words import duration

COLOURS = {"done": "neutral", "failed": "bad", "unfinished": "warn"}


def gantt(rollout: dict[str, Any], name: str, size: Size) -> str:
    """SVG of a rollout's steps over the seconds since it started, with the moments at which traffic moved."""
    wide = size.name == "wide"
    rows = rollout["steps"]
    if wide:
        longest = max(text_width(step["name"], size.font) for step in rows)
        size = size._replace(left=int(min(300, longest + 16)), right=90)
    else:
        size = size._replace(left=12, right=16)
    begin = facts.seconds(rollout["started"])
    total = max(rollout["duration_s"], 0.1)
    placed = place(_moves(rollout, begin), 0, total, size, rows=4)
    top = max((one.row + 1 for one in placed), default=0) * size.font * ROW + 8
    canvas = Canvas(size, len(rows) * (26 if wide else 38) + top + BOTTOM, top, BOTTOM)
    axes = canvas.axes
    axes.set_xlim(0, total)
    axes.set_ylim(len(rows), 0)
    axes.set_yticks([])
    ticks = second_ticks(total, size.room // 70)
    axes.set_xticks(ticks, [f"{tick:g} s" if total < 600 else f"{tick / 60:g} min" for tick in ticks])
    axes.grid(axis="x", color=PALETTE["grid"], linewidth=1)
    axes.set_axisbelow(True)
    for row, step in enumerate(rows):
        _bar(canvas, step, row, facts.seconds(step["started"]) - begin, total, wide)
    canvas.marks(placed, BOTTOM)
    described = ", ".join(f"{step['name']} {duration(step['duration_s'])} {step['result']}" for step in rows)
    return canvas.svg(name, f"Steps of {rollout['headline']}", described)


def _moves(rollout: dict[str, Any], begin: float) -> list[Mark]:
    """The moments at which traffic was moved, in seconds since C(begin)."""
    return [
        Mark(
            facts.seconds(change["at"]) - begin,
            f"{rollout['version']} gets {change['shares'].get(rollout['slot'], 0) * 100:.0f} %",
            0,
            "accent",
        )
        for change in rollout["weights"]
    ]


def _bar(canvas: Canvas, step: dict[str, Any], row: int, start: float, total: float, wide: bool) -> None:
    """One step: bar, name, duration; what did not end well says so in words too."""
    size, axes = canvas.size, canvas.axes
    pixel = total / size.room
    width = max(step["duration_s"], 2 * pixel)
    colour = PALETTE[COLOURS[step["result"]]]
    centre, thickness = (row + 0.5, 0.5) if wide else (row + 0.72, 0.3)
    axes.barh(centre, width, height=thickness, left=start, color=colour, linewidth=0)
    ending = "" if step["result"] == "done" else f" {step['result']}"
    label = duration(step["duration_s"]) + ending
    if not wide:
        axes.text(0, row + 0.34, step["name"], color=PALETTE["ink"], va="center_baseline", fontweight="bold")
        axes.text(
            total, row + 0.34, label, color=colour if ending else PALETTE["ink"], ha="right", va="center_baseline"
        )
        return
    axes.text(-10 * pixel, centre, step["name"], color=PALETTE["ink"], ha="right", va="center")
    axes.text(start + width + 6 * pixel, centre, label, color=colour if ending else PALETTE["ink"], va="center")
