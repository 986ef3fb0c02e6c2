# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plots of a drill: its recovery against the objectives, its phases, and the writes of its ledger. Internal: may
change in any release."""

from __future__ import annotations

from typing import Any

from . import rollouts as facts
from .canvas import BOTTOM, PALETTE, ROW, Canvas
from .drills import losses, said
from .layout import Mark, Size, place, second_ticks, text_width
from .words import duration, number

_MOST_ROWS = 4
_BAR = 30
_PHASE = 22
_GAP = 30
_WRITES = 130
_COLOURS = {"done": "neutral", "failed": "bad", "unfinished": "warn", "skipped": "grid"}


def recovery(drill: dict[str, Any], name: str, size: Size) -> str:
    """SVG of the recovery as one bar of its steps against the RTO, and below it the phases on the same time, in seconds
    since the fault (or since the start of a drill without one)."""
    wide = size.name == "wide"
    longest = max([text_width(one["name"], size.font) for one in drill["phases"]] + [text_width("recovery", size.font)])
    size = size._replace(left=int(longest + 18), right=90 if wide else 62)
    origin = _origin(drill)
    steps = _until_accepted([one for one in drill["clocks"] if one["seconds"] is not None])
    goal = drill["objectives"][0]
    begin, end = _reach(drill, origin)
    shown = goal["limit_s"] is not None and not drill["limit_far"]
    limits = begin, max(end, goal["limit_s"] * 1.04 if shown else 0.0, begin + 1.0)
    placed = place(_marks(drill, goal, shown), *limits, size, _MOST_ROWS)
    top = max((one.row + 1 for one in placed), default=0) * size.font * ROW + 10
    rows = len(drill["phases"])
    below = BOTTOM + rows * _PHASE
    canvas = Canvas(size, top + _BAR + 8 + below, top, below)
    _steps(canvas, steps, limits)
    axes = canvas.panel(BOTTOM, max(rows * _PHASE, 1))
    _phases(canvas, axes, drill, origin, limits)
    canvas.text(size.left - 10, below + (_BAR + 8) / 2, "recovery", ha="right", va="center", fontweight="bold")
    _seconds_axis(axes, limits, size)
    canvas.marks(placed, BOTTOM)
    title = f"How {drill['scenario']} was recovered from"
    return canvas.svg(name, title, _described(drill, steps))


def _until_accepted(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What counts for the RTO; some scenarios verify after users are served again."""
    names = [one["name"] for one in steps]
    return steps[: names.index("t_accept") + 1] if "t_accept" in names else steps


def _origin(drill: dict[str, Any]) -> float:
    """The fault as seconds since the drill began; 0 without one."""
    fault = next((one for one in drill["clocks"] if one["name"] == "t_fault"), None)
    return facts.seconds(fault["at"]) - facts.seconds(drill["started"]) if fault else 0.0


def _reach(drill: dict[str, Any], origin: float) -> tuple[float, float]:
    """First and last moment, in seconds since the fault."""
    starts = [one["start_s"] - origin for one in drill["phases"]]
    ends = [one["start_s"] + one["seconds"] - origin for one in drill["phases"]]
    clocks = [one["since_fault_s"] for one in drill["clocks"] if one["since_fault_s"] is not None]
    return min([0.0, *starts]), max([drill["duration_s"] - origin, *ends, *clocks])


def _marks(drill: dict[str, Any], goal: dict[str, Any], shown: bool) -> list[Mark]:
    wanted = {"t_fault": (0, "bad"), "t_accept": (0, "good"), "t_detect": (3, "neutral"), "t_declare": (4, "neutral")}
    found = []
    for one in drill["clocks"]:
        rank, tone = wanted.get(one["name"], (2, "neutral"))
        if one["since_fault_s"] is not None:
            found.append(Mark(one["since_fault_s"], one["label"], rank, tone))
    if shown:
        found.append(Mark(goal["limit_s"], f"RTO limit {duration(goal['limit_s'])}", 1, "warn"))
    return found


def _steps(canvas: Canvas, steps: list[dict[str, Any]], limits: tuple[float, float]) -> None:
    """The recovery from the fault on, one piece for what each clock ends, with its name where there is room."""
    axes, size = canvas.axes, canvas.size
    axes.set_xlim(*limits)
    axes.set_ylim(0, 1)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines["bottom"].set_visible(False)
    pixel = (limits[1] - limits[0]) / size.room
    for index, one in enumerate(steps):
        start = one["since_fault_s"] - one["seconds"]
        colour = PALETTE[f"version-{index % 6 + 1}"]
        axes.barh(0.5, one["seconds"], left=start, height=0.72, color=colour, linewidth=0)
        for text in (f"{one['step']} {duration(one['seconds'])}", one["step"]):
            if one["seconds"] / pixel > text_width(text, size.font) + 6:
                axes.text(
                    start + one["seconds"] / 2, 0.5, text, color=PALETTE["on-area"], ha="center", va="center_baseline"
                )
                break
    if steps:
        last = steps[-1]["since_fault_s"]
        axes.text(last + 5 * pixel, 0.5, duration(last), va="center_baseline", color=PALETTE["ink"], fontweight="bold")


def _phases(canvas: Canvas, axes: Any, drill: dict[str, Any], origin: float, limits: tuple[float, float]) -> None:
    """A bar for each phase, with what it took."""
    size, rows = canvas.size, drill["phases"]
    pixel = (limits[1] - limits[0]) / size.room
    axes.set_xlim(*limits)
    axes.set_ylim(max(len(rows), 1), 0)
    axes.set_yticks([])
    for row, one in enumerate(rows):
        start, width = one["start_s"] - origin, max(one["seconds"], 2 * pixel)
        colour = PALETTE[_COLOURS[one["result"]]]
        axes.barh(row + 0.5, width, left=start, height=0.5, color=colour, linewidth=0)
        axes.text(limits[0] - 10 * pixel, row + 0.5, one["name"], ha="right", va="center", color=PALETTE["ink"])
        ending = "" if one["result"] == "done" else f" {one['result']}"
        label = duration(one["seconds"]) + ending
        room = limits[1] - start - width
        inside = room / pixel + size.right < text_width(label, size.font) + 8
        at, side = (start - 5 * pixel, "right") if inside else (start + width + 5 * pixel, "left")
        axes.text(at, row + 0.5, label, ha=side, va="center", color=colour if ending else PALETTE["ink"])


def _seconds_axis(axes: Any, limits: tuple[float, float], size: Size) -> None:
    """Seconds before and after the fault, in minutes where there are many."""
    reach = limits[1] - limits[0]
    unit, name = (60.0, "min") if reach >= 600 else (1.0, "s")
    step = next(iter(second_ticks(reach, max(4, size.room // 80))[1:2]), reach)
    ticks = [index * step for index in range(int(limits[0] / step), int(limits[1] / step) + 1)]
    axes.set_xticks(ticks, [f"{'+' * (tick > 0)}{tick / unit:g} {name}" if tick else "0" for tick in ticks])
    axes.grid(axis="x", color=PALETTE["grid"], linewidth=1)
    axes.set_axisbelow(True)


def _described(drill: dict[str, Any], steps: list[dict[str, Any]]) -> str:
    """The plot in words."""
    goals = "; ".join(said(goal) for goal in drill["objectives"])
    pieces = ", ".join(f"{one['step']} {duration(one['seconds'])}" for one in steps)
    phases = ", ".join(f"{one['name']} {duration(one['seconds'])} {one['result']}" for one in drill["phases"])
    return f"{goals}. Steps: {pieces or 'none'}. Phases: {phases or 'none'}."


# -- the ledger ------------------------------------------------------------------------------------------------------


def writes(drill: dict[str, Any], name: str, size: Size) -> str:
    """SVG of the acknowledged writes over time, with the fault, the acceptance, and what was lost."""
    series = drill["ledger"]["series"]
    start, step = facts.seconds(series["start"]), series["step_s"]
    edges = [start + index * step for index in range(len(series["acked"]) + 1)]
    moments = _moments(drill, series)
    limits = edges[0], max([edges[-1], *(one.at for one in moments)])
    placed = place(moments, *limits, size, _MOST_ROWS)
    top = max((one.row + 1 for one in placed), default=0) * size.font * ROW + 10
    canvas = Canvas(size, top + _WRITES + BOTTOM, top, BOTTOM)
    axes = canvas.axes
    heights = [*series["acked"], series["acked"][-1]]
    axes.fill_between(edges, heights, step="post", color=PALETTE["p50"], linewidth=0)
    if series["lost_from"]:
        lost = facts.seconds(series["lost_from"]), facts.seconds(series["lost_to"])
        wide_enough = max(lost[1], lost[0] + 3 * (limits[1] - limits[0]) / size.room)
        axes.axvspan(lost[0], wide_enough, color=PALETTE["bad"], alpha=0.14, linewidth=0, zorder=0)
        gone = axes.fill_between(edges, heights, step="post", color=PALETTE["failed"], linewidth=0, zorder=3)
        window = axes.axvspan(lost[0], wide_enough, visible=False)
        gone.set_clip_path(window)
    _outage(axes, drill)
    axes.set_ylim(0, max(series["acked"]) * 1.15)
    axes.yaxis.get_major_locator().set_params(integer=True, nbins=4)
    canvas.grid()
    canvas.clock(*limits)
    canvas.marks(placed, BOTTOM)
    ledger = drill["ledger"]
    text = f"{number(ledger['acked'])} writes acknowledged; {losses(drill)}; outage {duration(drill['outage_s'])}."
    return canvas.svg(name, "Acknowledged writes over time", text)


def _moments(drill: dict[str, Any], series: dict[str, Any]) -> list[Mark]:
    named = {"t_fault": ("fault", 0, "bad"), "t_accept": ("accepted", 1, "good")}
    found = []
    for one in drill["clocks"]:
        if one["name"] in named:
            text, rank, tone = named[one["name"]]
            found.append(Mark(facts.seconds(one["at"]), text, rank, tone))
    if series["lost_from"]:
        lost = drill["ledger"]["lost"]
        found.append(Mark(facts.seconds(series["lost_from"]), f"{number(lost)} lost from here", 0, "bad"))
    return found


def _outage(axes: Any, drill: dict[str, Any]) -> None:
    """The time in which nothing was acknowledged, on a faint ground."""
    fault = next((one for one in drill["clocks"] if one["name"] == "t_fault"), None)
    if fault and drill["outage_s"]:
        begin = facts.seconds(fault["at"])
        axes.axvspan(begin, begin + drill["outage_s"], color=PALETTE["shade"], alpha=0.12, linewidth=0, zorder=0)
