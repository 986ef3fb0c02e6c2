# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where things go in a plot: ticks, marks and labels that do not collide. No I/O, no drawing. Internal: may change in
any release."""

from __future__ import annotations

import math
from datetime import datetime, timezone
from typing import Any, NamedTuple

from . import rollouts as facts

_DAY = 86400
TICK_STEPS_S = (
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200,
    _DAY, 2 * _DAY, 7 * _DAY, 14 * _DAY, 28 * _DAY, 84 * _DAY, 364 * _DAY,
)  # fmt: skip
COLOURS = 6


class Size(NamedTuple):
    """One variant of each plot. Lengths in CSS pixels at natural size."""

    name: str
    width: int
    font: float
    left: int
    right: int

    @property
    def room(self) -> int:
        """Width of the plot area."""
        return self.width - self.left - self.right


WIDE = Size("wide", 1040, 13, 56, 44)
NARROW = Size("narrow", 360, 12, 46, 32)
SIZES = (WIDE, NARROW)


class Mark(NamedTuple):
    """A moment (Unix s) worth a label. Lower C(rank) is placed first; C(tone) colours it."""

    at: float
    text: str
    rank: int
    tone: str


class Placed(NamedTuple):
    """A mark with its place (px): line at C(x), text from C(start) to C(end), in C(row) counted from the
    plot."""

    mark: Mark
    x: float
    start: float
    end: float
    row: int


def colour_numbers(model: dict[str, Any]) -> dict[str, int]:
    """A colour (1 to 6) for each version, the same in every plot: by first appearance, then by name."""
    series = model["series"] or {"by_version": {}}
    named = [rollout[key] for rollout in model["rollouts"] for key in ("previous_version", "version")]
    ordered = dict.fromkeys([str(name) for name in named if name] + sorted(series["by_version"]))
    return {version: index % COLOURS + 1 for index, version in enumerate(ordered)}


def span(model: dict[str, Any]) -> tuple[float, float] | None:
    """Start and end (Unix s) of everything there is to draw."""
    moments = [facts.seconds(rollout[key]) for rollout in model["rollouts"] for key in ("started", "finished")]
    load = model["load"]
    if load and load["started"]:
        moments += [facts.seconds(load["started"]), facts.seconds(load["finished"])]
    if not moments:
        return None
    start, end = min(moments), max(moments)
    return start, max(end, start + 1)


def marks(rollout: dict[str, Any], timeline: list[dict[str, Any]]) -> list[Mark]:
    """The moments of a rollout that a reader of the traffic plot looks for."""
    version, previous, ended = rollout["version"] or "rollout", rollout["previous_version"], rollout["outcome"]
    start, end = facts.seconds(rollout["started"]), facts.seconds(rollout["finished"])
    if ended == facts.UNCHANGED:
        return [Mark(start, f"{version} unchanged", 2, "neutral")]
    found = [Mark(start, f"{version} starts", 1, "neutral")]
    for change in rollout["weights"] if previous else []:
        share = change["shares"].get(rollout["slot"], 0) * 100
        found.append(Mark(facts.seconds(change["at"]), f"{version} {share:.0f} %", 0, "neutral"))
    if ended == facts.SHIPPED:
        found.append(Mark(end, f"{version} done", 3, rollout["tone"]))
        names = {"ready": ("ready", 4), "retired": (f"{previous} retired" if previous else "retired", 2)}
        for event in timeline:
            if event["event"] in names:
                text, rank = names[event["event"]]
                found.append(Mark(facts.seconds(event["at"]), text, rank, "neutral"))
    else:
        found.append(Mark(end, f"{version} {ended.replace('_', ' ')}", 0, rollout["tone"]))
    return found


def place(wanted: list[Mark], start: float, end: float, size: Size, rows: int) -> list[Placed]:
    """Give each mark a row for its text, so that no text lies on another text or on the line of another mark.

    What finds no place is left out, least important first: the rollout's own timeline has it all the same. Of texts
    that all stand right of their lines, all left, or all towards the middle, what shows the most is taken.
    """
    middle = size.left + size.room / 2
    attempts = [_attempt(wanted, start, end, size, rows, turn) for turn in (size.width, middle, 0)]
    return max(attempts, key=lambda placed: sum(1 / (1 + one.mark.rank) for one in placed))


def clock_ticks(start: float, end: float, room: float, font: float) -> list[tuple[float, str]]:
    """Round moments (Unix s) between start and end with their labels (UTC), as many as fit into C(room) px."""
    long = end - start > _DAY
    most = max(2, int(room / ((7.5 if long else 5.5) * font)))
    step = next((step for step in TICK_STEPS_S if (end - start) / step <= most), TICK_STEPS_S[-1])
    form = "%H:%M:%S" if step < 60 else "%H:%M"
    if long:
        form = "%d %b" if step >= _DAY else "%d %b %H:%M"
    first = math.ceil(start / step) * step
    moments = [first + index * step for index in range(int((end - first) // step) + 1)]
    return [(moment, datetime.fromtimestamp(moment, timezone.utc).strftime(form)) for moment in moments]


def second_ticks(end: float, most: int) -> list[float]:
    """Round durations (s) from 0 to C(end)."""
    step = next((step for step in (0.1, 0.2, 0.5, *TICK_STEPS_S) if end / step <= most), TICK_STEPS_S[-1])
    return [round(index * step, 1) for index in range(int(end / step) + 1)]


def text_width(text: str, font: float) -> float:
    """Estimated width (px) in a sans-serif face, on the generous side."""
    return len(text) * font * 0.56


def _attempt(wanted: list[Mark], start: float, end: float, size: Size, rows: int, turn: float) -> list[Placed]:
    """Place what fits, texts right of their lines up to pixel C(turn) and left of them beyond, if they can."""
    placed: list[Placed] = []
    for mark in sorted(wanted, key=lambda mark: (mark.rank, mark.at)):
        x = size.left + (mark.at - start) / (end - start) * size.room
        width = text_width(mark.text, size.font) + 6
        sides = (x, x - width) if x < turn else (x - width, x)
        candidates = (Placed(mark, x, side, side + width, row) for row in range(rows) for side in sides)
        free = (one for one in candidates if _fits(one, size) and not any(_collide(one, other) for other in placed))
        placed.extend([one for one in [next(free, None)] if one])
    return placed


def _fits(one: Placed, size: Size) -> bool:
    return one.start >= 0 and one.end <= size.width


def _collide(one: Placed, other: Placed) -> bool:
    if one.row == other.row:
        return one.start < other.end and other.start < one.end
    upper, lower = (one, other) if one.row > other.row else (other, one)
    # The upper one's line runs down past the lower one's text, which may begin or end right at the line.
    return lower.start + 0.5 < upper.x < lower.end - 0.5
