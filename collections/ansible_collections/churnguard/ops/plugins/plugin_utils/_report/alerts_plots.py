# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The strip of alerts: when each fired, when somebody was told, when it was over. Internal: may change in any
release."""

from __future__ import annotations

from typing import Any

from . import rollouts as facts
from .canvas import BOTTOM, PALETTE, Canvas
from .layout import Size, text_width

MOST_ROWS = 14


def strip(found: dict[str, Any], limits: tuple[float, float], name: str, size: Size) -> str:
    """SVG with a row for each of the first MOST_ROWS alerts over C(limits) (Unix s): a bar while it fired, open at its
    end while it still does, and a dot when somebody was told."""
    rows = found["alerts"][:MOST_ROWS]
    wide = size.name == "wide"
    if wide:
        longest = max(text_width(one["name"], size.font) for one in rows)
        size = size._replace(left=int(min(300, longest + 16)))
    else:
        size = size._replace(left=12, right=16)
    canvas = Canvas(size, len(rows) * (24 if wide else 36) + 8 + BOTTOM, 8, BOTTOM)
    axes = canvas.axes
    canvas.clock(*limits)
    axes.set_ylim(len(rows), 0)
    axes.set_yticks([])
    axes.grid(axis="x", color=PALETTE["grid"], linewidth=1)
    axes.set_axisbelow(True)
    for row, one in enumerate(rows):
        _row(canvas, one, row, limits, wide)
    described = ", ".join(f"{one['name']} at {one['fired'][11:19]}" for one in rows)
    return canvas.svg(name, "Alerts over time", f"{described} UTC.")


def _row(canvas: Canvas, one: dict[str, Any], row: int, limits: tuple[float, float], wide: bool) -> None:
    size, axes = canvas.size, canvas.axes
    pixel = (limits[1] - limits[0]) / size.room
    start = max(facts.seconds(one["fired"]), limits[0])
    end = limits[1] if one["over"] is None else min(facts.seconds(one["over"]), limits[1])
    centre = row + (0.5 if wide else 0.72)
    axes.barh(
        centre,
        max(end - start, 3 * pixel),
        height=0.42 if wide else 0.28,
        left=start,
        color=PALETTE["bad"],
        alpha=0.75,
        linewidth=0,
    )
    for moment in filter(None, (one["told"], one["told_over"])):
        at = facts.seconds(moment)
        if limits[0] <= at <= limits[1]:
            axes.plot([at], [centre], "o", color=PALETTE["ink"], markersize=5, clip_on=False, zorder=5)
    if one["over"] is None:
        axes.text(end + 4 * pixel, centre, "▸", color=PALETTE["bad"], va="center", fontweight="bold")
    if wide:
        axes.text(limits[0] - 10 * pixel, centre, one["name"], color=PALETTE["ink"], ha="right", va="center")
    else:
        axes.text(limits[0], row + 0.32, one["name"], color=PALETTE["ink"], va="center_baseline", fontweight="bold")
