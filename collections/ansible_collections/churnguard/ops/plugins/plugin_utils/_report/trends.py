# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The trend of a scenario's drills: RTO and RPO of each against their limits. Internal: may change in any release."""

from __future__ import annotations

import math
from typing import Any

from .canvas import BOTTOM, PALETTE, Canvas
from .layout import Size, second_ticks
from .words import day, duration

_PANEL = 96
_TITLE = 34
_FAR = 6.0
_LEAST_PLACES = 8
_SHAPES = {"passed": ("o", "good", 6.5, True), "failed": ("X", "bad", 9.0, True), "aborted": ("D", "warn", 6.5, False)}
_PANELS = (("RTO", "rto_s", "rto_limit_s"), ("RPO", "rpo_s", "rpo_limit_s"))


def trend(scenario: dict[str, Any], name: str, size: Size) -> str:
    """SVG of a scenario's drills, one place each, the oldest at the left: how long recovery took, and how far back."""
    drills = scenario["drills"]
    size = size._replace(left=max(size.left, 64), right=24)
    height = len(_PANELS) * (_PANEL + _TITLE) + BOTTOM
    canvas = Canvas(size, height, height - 2, 1)
    canvas.axes.set_axis_off()
    for index, (title, key, limit) in enumerate(_PANELS):
        bottom = BOTTOM + (len(_PANELS) - 1 - index) * (_PANEL + _TITLE)
        axes = canvas.panel(bottom, _PANEL)
        _panel(canvas, axes, drills, key, limit)
        _name(canvas, bottom + _PANEL, title, _note(drills, limit))
        axes.set_xlim(-0.5, _places(drills) - 0.5)
        axes.set_xticks([])
    _dates(axes, drills, size)
    return canvas.svg(name, f"RTO and RPO of {scenario['name']} over {len(drills)} drills", _described(scenario))


def _places(drills: list[dict[str, Any]]) -> int:
    """Room along the bottom: a few drills do not spread over all of it."""
    return max(len(drills), _LEAST_PLACES)


def _panel(canvas: Canvas, axes: Any, drills: list[dict[str, Any]], key: str, limit: str) -> None:
    """The values as a line, the verdicts as marks on it, and the limit where it can be seen beside them."""
    values = [one[key] for one in drills]
    known = [value for value in values if value is not None]
    limits = [one[limit] for one in drills]
    near = [one for one in limits if one is not None and known and one <= _FAR * max(known)]
    top = max([*known, *near, 0.25]) * 1.2
    axes.set_ylim(0, top)
    ticks = second_ticks(top, 3) if known else [0]
    axes.set_yticks(ticks, [duration(tick) for tick in ticks])
    canvas.grid(axes)
    places = range(len(drills))
    drawn = [math.nan if value is None or value > top else value for value in limits]
    edges = [place - 0.5 for place in places] + [_places(drills) - 0.5]
    if near:
        axes.step(edges, [*drawn, drawn[-1]], where="post", color=PALETTE["bad"], linewidth=1.4, dashes=(5, 3))
    line = [math.nan if value is None else value for value in values]
    axes.plot(list(places), line, color=PALETTE["accent"], linewidth=1.8, zorder=3)
    for place, one in zip(places, drills, strict=True):
        shape, colour, points, filled = _SHAPES[one["verdict"]]
        axes.plot(
            place, one[key] if one[key] is not None else 0, marker=shape, markersize=points, color=PALETTE[colour],
            markerfacecolor=PALETTE[colour] if filled else "none", markeredgewidth=0 if filled else 1.6,
            clip_on=False, zorder=6,
        )  # fmt: skip


def _note(drills: list[dict[str, Any]], limit: str) -> str:
    """What to compare with."""
    last = drills[-1][limit]
    if last is None:
        return "no limit was set"
    key = limit.replace("_limit", "")
    known = [one[key] for one in drills if one[key] is not None]
    if not known:
        return f"limit {duration(last)}, never measured"
    far = last > _FAR * max(known)
    return f"limit {duration(last)}" + (", far above" if far else "")


def _name(canvas: Canvas, bottom: float, text: str, note: str) -> None:
    left = 4 if canvas.size.name == "narrow" else canvas.size.left
    canvas.text(left, bottom + 6, text, fontweight="bold", va="bottom")
    canvas.text(canvas.size.width - canvas.size.right, bottom + 6, note, "muted", ha="right", va="bottom")


def _dates(axes: Any, drills: list[dict[str, Any]], size: Size) -> None:
    """The day of some of the drills, as many as there is room for; of those on one day, the first."""
    most = max(1, int(size.room / (size.font * 7)))
    apart = math.ceil(_places(drills) / most)
    ticks: list[tuple[int, str]] = []
    for place, one in enumerate(drills):
        text = _short(one["started"])
        if (not ticks or text != ticks[-1][1]) and (not ticks or place - ticks[-1][0] >= apart):
            ticks.append((place, text))
    axes.set_xticks([place for place, _text in ticks], [text for _place, text in ticks])


def _short(at: str) -> str:
    whole = day(at).split(" ")
    return f"{whole[0]} {whole[1][:3]}"


def _described(scenario: dict[str, Any]) -> str:
    parts = [f"{scenario['passed']} of {scenario['total']} passed"]
    for title, key, _limit in _PANELS:
        spread = scenario[key]
        if spread:
            best, worst, last = (duration(spread[which]) for which in ("best", "worst", "last"))
            parts.append(f"{title} {best} to {worst}, last {last}")
    return "; ".join(parts) + "."
