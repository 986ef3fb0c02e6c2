# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The small plots of a business review, one for each figure. Internal: may change in any release."""

from __future__ import annotations

import math
from typing import Any

from .business import COUNTER, SHARE, amount, change
from .canvas import BOTTOM, PALETTE, Canvas
from .layout import COLOURS, Size
from .words import number

CARD = Size("card", 340, 11.5, 46, 14)
_PANEL = 86
# A limit further away than so many times the highest value is left to the words.
_FAR = 3.0


def card(figure: dict[str, Any], name: str) -> str:
    """SVG of one figure over the period: counters as steps, the parts on each other; everything else as a line or
    areas; the limit where it is near."""
    plot = figure["plot"]
    canvas = Canvas(CARD, _PANEL + BOTTOM + 8, 8, BOTTOM)
    axes = canvas.axes
    width = plot["step_s"]
    edges = [plot["start"] + index * width for index in range(len(plot["lines"][0]) + 1)]
    low, high = _limits(figure)
    axes.set_ylim(low, high)
    canvas.clock(edges[0], edges[-1])
    _ticks(canvas, figure)
    canvas.grid()
    if len(plot["lines"]) > 1 or figure["type"] == COUNTER:
        _pile(axes, edges, plot["lines"], figure["type"] == COUNTER)
    else:
        values = [math.nan if value is None else value for value in plot["lines"][0]]
        axes.step([*edges], [*values, values[-1]], where="post", color=PALETTE["accent"], linewidth=1.8)
    limit = figure["limit"]
    if limit is not None and low <= limit <= high and not (limit == 0 and low == 0):
        axes.axhline(limit, color=PALETTE["bad"], linewidth=1.2, dashes=(5, 3))
    return canvas.svg(
        name, f"{figure['title']} over the period", f"{amount(figure['value'], figure)}. {change(figure)}"
    )


def _pile(axes: Any, edges: list[float], lines: list[list[float | None]], steps: bool) -> None:
    """The parts on each other, highest pile first: no seams between them."""
    pile = [0.0] * (len(edges) - 1)
    drawn = []
    for place, line in enumerate(lines):
        pile = [below + (value or 0.0) for below, value in zip(pile, line, strict=True)]
        drawn.append((list(pile), f"version-{place % COLOURS + 1}"))
    for heights, colour in reversed(drawn):
        axes.fill_between(
            edges, [*heights, heights[-1]], step="post" if steps else None, color=PALETTE[colour], linewidth=0
        )


def _limits(figure: dict[str, Any]) -> tuple[float, float]:
    """Of the vertical axis. Points go from 0 to 100, and a share up to 100: everything else would make little look
    like much, or hide it."""
    lines = figure["plot"]["lines"]
    known = [value for line in lines for value in line if value is not None]
    if figure["unit"] == "points":
        return 0, 104
    limit = figure["limit"]
    if figure["type"] == SHARE:
        lowest = min([*known, *([limit] if limit is not None else [])], default=0.0)
        below = max(100 - lowest, 0.01) * 1.3
        return max(0.0, 100 - below), 100 + below * 0.12
    piled = [sum(value or 0.0 for value in column) for column in zip(*lines, strict=True)]
    highest = max(piled, default=0.0)
    if limit and limit <= _FAR * highest:
        highest = max(highest, limit)
    return 0, highest * 1.18 if highest else 1


def _ticks(canvas: Canvas, figure: dict[str, Any]) -> None:
    axes = canvas.axes
    low, high = axes.get_ylim()
    axes.yaxis.get_major_locator().set_params(nbins=3, integer=not figure["unit"])
    ticks = [tick for tick in axes.get_yticks() if low <= tick <= (min(high, 100) if figure["type"] == SHARE else high)]
    unit = " h" if figure["unit"] == "h" else ""
    axes.set_yticks(ticks, [f"{number(float(f'{tick:.5g}'))}{unit}" for tick in ticks])
