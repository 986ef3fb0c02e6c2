# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plot of how a version was judged: weights and measured shares, the verdict of each sample, each metric against
its limit, over one axis of time. Internal: may change in any release."""

from __future__ import annotations

import math
from typing import Any

from ansible_collections.churnguard.ops.plugins.module_utils._rollout.figures import LATENCY, RATIO, figure

from . import rollouts as facts
from . import samples as evidence
from .canvas import BOTTOM, PALETTE, ROW, Canvas
from .layout import Mark, Size, place, text_width

MOST_METRICS = 6
_MOST_ROWS = 5
_WEIGHTS = 150
_STRIP = 24
_METRIC = 78
_TITLE = 34
# More columns than this would only show noise.
_MOST_COLUMNS = 240
# The versions that are not on their way in stand back.
_OTHERS = 0.4
# A limit so far above everything measured would press the rest flat.
_FAR = 6.0
# Marker, colour, size and whether it is filled: a shape for each verdict.
_SHAPES = {"good": ("o", "good", 6.5, True), "bad": ("X", "bad", 9.0, True), "unknown": ("D", "warn", 6.5, False)}


def judged(rollout: dict[str, Any], model: dict[str, Any], name: str, size: Size, colours: dict[str, int]) -> str:
    """SVG for a rollout with samples, on its own span of time."""
    envelope = model["operations"][rollout["operation"]]
    taken = evidence.samples(envelope)
    limits = _span(rollout)
    placed = place(_marks(rollout, envelope), *limits, size, _MOST_ROWS)
    top = max((one.row + 1 for one in placed), default=0) * size.font * ROW + 12
    below = _height(taken)
    canvas = Canvas(size, top + _WEIGHTS + below, top, below)
    _weights(canvas, rollout, model["series"], limits, colours)
    everywhere = [canvas.axes, *_panels(canvas, taken, below)]
    for axes in everywhere:
        _spans(axes, envelope)
    _times(canvas, everywhere, limits)
    canvas.marks(placed, BOTTOM)
    return canvas.svg(name, f"How {rollout['version']} was judged", _described(rollout))


def looked_at(gate: dict[str, Any], service: dict[str, Any], taken: list[dict[str, Any]], name: str, size: Size) -> str:
    """SVG for a service that was judged outside of a rollout, by the looks C(taken): the same without weights."""
    height = _height(taken)
    canvas = Canvas(size, height, height - 2, 1)
    canvas.axes.set_axis_off()
    _times(canvas, _panels(canvas, taken, height), _span(gate))
    counted = service["samples"]
    text = f"{counted['total']} looks: {counted['good']} good, {counted['bad']} bad, {counted['unknown']} unknown."
    return canvas.svg(name, f"How {service['name']} was judged", f"{text} {service['reason']}")


def _span(item: dict[str, Any]) -> tuple[float, float]:
    """Start and end (Unix s), at least a second apart."""
    start = facts.seconds(item["started"])
    return start, max(facts.seconds(item["finished"]), start + 1)


def _height(taken: list[dict[str, Any]]) -> float:
    """Of the panels (px): one for the samples, one for each metric."""
    metrics = evidence.metric_names(taken)[:MOST_METRICS]
    return BOTTOM + len(metrics) * (_METRIC + _TITLE) + _STRIP + _TITLE


def _panels(canvas: Canvas, taken: list[dict[str, Any]], below: float) -> list[Any]:
    """The samples and each metric, from C(below) px downwards."""
    strip = canvas.panel(below - _TITLE - _STRIP, _STRIP)
    _strip(canvas, strip, taken, below - _TITLE)
    panels = [strip]
    for index, metric in enumerate(evidence.metric_names(taken)[:MOST_METRICS]):
        bottom = below - (_TITLE + _STRIP) - (index + 1) * (_TITLE + _METRIC)
        axes = canvas.panel(bottom, _METRIC)
        _metric(canvas, axes, metric, taken, bottom + _METRIC)
        panels.append(axes)
    strip.spines["bottom"].set_visible(False)
    return panels


def _times(canvas: Canvas, everywhere: list[Any], limits: tuple[float, float]) -> None:
    """One axis of time for all panels, named below the last one."""
    for axes in everywhere:
        axes.set_xlim(*limits)
        axes.set_xticks([])
    canvas.clock(*limits, axes=everywhere[-1])


def _described(rollout: dict[str, Any]) -> str:
    """The plot in words."""
    counted = rollout["samples"]
    text = f"{counted['total']} samples: {counted['good']} good, {counted['bad']} bad, {counted['unknown']} unknown."
    decided = rollout["decision"]
    return f"{text} The deciding one, at {decided['weight']} %: {decided['reason']}" if decided else text


def _marks(rollout: dict[str, Any], envelope: dict[str, Any]) -> list[Mark]:
    """What happened beside the samples."""
    found = [Mark(facts.seconds(one["start"]), "frozen", 1, "warn") for one in evidence.freezes(envelope)]
    for one in evidence.gates(envelope):
        before = f"{one['before']} %" if one["before"].isdigit() else one["before"]
        by = f", {one['by']}" if one["by"] else ""
        found.append(Mark(facts.seconds(one["start"]), f"gate {before}{by}", 1, "kept"))
    # What ends a span is seen at its end.
    for one in evidence.commands(envelope):
        if one["command"] not in ("approve", "resume"):
            by = f" by {one['by']}" if one["by"] else ""
            found.append(Mark(facts.seconds(one["at"]), f"{one['command']}{by}", 1, "accent"))
    for event in envelope["timeline"]:
        if event["event"] == "rollback_started":
            found.append(Mark(facts.seconds(event["at"]), "taken back", 0, "bad"))
    return found


def _spans(axes: Any, envelope: dict[str, Any]) -> None:
    """Times in which the weight stood still for a reason."""
    for one in evidence.freezes(envelope):
        span = facts.seconds(one["start"]), facts.seconds(one["end"])
        axes.axvspan(
            *span, facecolor="none", edgecolor=PALETTE["warn"], hatch="////", alpha=0.45, linewidth=0, zorder=1
        )
    for waits, colour in ((evidence.gates(envelope), "kept"), (evidence.pauses(envelope), "accent")):
        for one in waits:
            span = facts.seconds(one["start"]), facts.seconds(one["end"])
            axes.axvspan(*span, color=PALETTE[colour], alpha=0.16, linewidth=0, zorder=0)


# -- weights and shares --------------------------------------------------------------------------------------------


def _weights(
    canvas: Canvas,
    rollout: dict[str, Any],
    series: dict[str, Any] | None,
    limits: tuple[float, float],
    colours: dict[str, int],
) -> None:
    """The weight that was written as a line, over the share that was measured as areas."""
    axes = canvas.axes
    _shares(axes, rollout, series, limits, colours)
    changes = [(facts.seconds(c["at"]), c["shares"].get(rollout["slot"], 0)) for c in rollout["weights"]]
    if changes:
        points = [(limits[0], 0.0), *changes, (limits[1], changes[-1][1])]
        axes.plot(
            *zip(*points, strict=True),
            drawstyle="steps-post",
            color=PALETTE["ink"],
            linewidth=2,
            clip_on=False,
            zorder=4,
        )
        _name_weights(canvas, changes, limits)
    axes.set_ylim(0, 1)
    axes.set_yticks([0, 0.5, 1], ["0 %", "50 %", "100 %"])
    canvas.grid()


def _shares(
    axes: Any,
    rollout: dict[str, Any],
    series: dict[str, Any] | None,
    limits: tuple[float, float],
    colours: dict[str, int],
) -> None:
    """The new version from the bottom, so that its edge should lie on the line of the weight; the others above it."""
    if series is None:
        return
    columns = _columns(series, limits)
    version = str(rollout["version"])
    if not columns or version not in series["by_version"]:
        return
    edges = [column[0] for column in columns] + [columns[-1][1]]
    low = [0.0] * len(columns)
    for one in (version, *(other for other in series["by_version"] if other != version)):
        high = [below + column[2].get(one, 0.0) for below, column in zip(low, columns, strict=True)]
        if high != low:
            colour, alpha = PALETTE[f"version-{colours.get(one, 1)}"], 1.0 if one == version else _OTHERS
            heights = [*low, low[-1]], [*high, high[-1]]
            axes.fill_between(edges, *heights, step="post", color=colour, linewidth=0, alpha=alpha)
        low = high


def _columns(series: dict[str, Any], limits: tuple[float, float]) -> list[tuple[float, float, dict[str, float]]]:
    """Start, end (Unix s) and each version's share of the answered requests, in columns that are wide enough to see."""
    start, step = facts.seconds(series["start"]), series["step_s"]
    first = max(0, math.floor((limits[0] - start) / step))
    last = min(len(series["sent"]), math.ceil((limits[1] - start) / step))
    width = max(1, math.ceil((last - first) / _MOST_COLUMNS))
    columns = []
    for begin in range(first, last, width):
        end = min(begin + width, last)
        counts = {one: sum(values[begin:end]) for one, values in series["by_version"].items()}
        answered = sum(counts.values())
        shares = {one: count / answered for one, count in counts.items()} if answered else {}
        columns.append((max(start + begin * step, limits[0]), min(start + end * step, limits[1]), shares))
    return columns


def _name_weights(canvas: Canvas, changes: list[tuple[float, float]], limits: tuple[float, float]) -> None:
    """Each weight on its stretch of the line, where there is room."""
    pixel = (limits[1] - limits[0]) / canvas.size.room
    for index, (at, share) in enumerate(changes):
        end = changes[index + 1][0] if index + 1 < len(changes) else limits[1]
        text = f"{share * 100:.0f} %"
        if (end - at) / pixel < text_width(text, canvas.size.font) + 4 or not share:
            continue
        above = share < 0.85
        canvas.axes.annotate(
            text,
            (at, share),
            xytext=(4, 3 if above else -4),
            textcoords="offset points",
            ha="left",
            va="bottom" if above else "top",
            color=PALETTE["ink" if above else "on-area"],
            fontweight="bold",
            zorder=5,
        )


# -- samples -------------------------------------------------------------------------------------------------------


def _strip(canvas: Canvas, axes: Any, taken: list[dict[str, Any]], top: float) -> None:
    """The verdict of each sample as a mark."""
    axes.set_ylim(0, 1)
    axes.set_yticks([])
    for one in taken:
        _mark(axes, facts.seconds(one["at"]), 0.42, one["verdict"])
        if one["decisive"]:
            style = {"marker": "o", "markersize": 15, "markerfacecolor": "none", "markeredgewidth": 1.4}
            axes.plot(facts.seconds(one["at"]), 0.42, color=PALETTE["bad"], clip_on=False, zorder=5, **style)
    counted = evidence.counts(taken)
    words = ", ".join(f"{counted[verdict]} {verdict}" for verdict in evidence.VERDICTS if counted[verdict])
    _title(canvas, top, "Samples", words)


def _mark(axes: Any, x: float, y: float, verdict: str) -> None:
    shape, colour, size, filled = _SHAPES[verdict]
    face = PALETTE[colour] if filled else "none"
    axes.plot(
        x, y, marker=shape, markersize=size, color=PALETTE[colour], markerfacecolor=face,
        markeredgewidth=0 if filled else 1.6, clip_on=False, zorder=6,
    )  # fmt: skip


def _title(canvas: Canvas, bottom: float, text: str, note: str) -> None:
    """A panel's name above it, and at the right what to compare with."""
    y = bottom + 6
    left = 4 if canvas.size.name == "narrow" else canvas.size.left
    canvas.text(left, y, text, fontweight="bold", va="bottom")
    canvas.text(canvas.size.width - canvas.size.right, y, note, "muted", ha="right", va="bottom")


def _metric(canvas: Canvas, axes: Any, name: str, taken: list[dict[str, Any]], top: float) -> None:
    """One metric: the new version's values, stable's beside them, the limit, and what could not be measured."""
    rows = [(facts.seconds(one["at"]), result) for one in taken for result in one["results"] if result["name"] == name]
    kind = next(result["kind"] for _at, result in rows)
    values = [result["value"] for _at, result in rows if result["value"] is not None]
    stable = [result["stable_value"] for _at, result in rows if result["stable_value"] is not None]
    limit = next((result["limit"] for _at, result in reversed(rows) if result["limit"] is not None), None)
    shown = limit is not None and (not values or limit <= _FAR * max(*values, *stable, 0.0, limit / _FAR / 10))
    low, high = _range([*values, *stable, *([limit] if shown else [])], kind in (RATIO, LATENCY))
    axes.set_ylim(low, high)
    axes.yaxis.get_major_locator().set_params(nbins=3)
    ticks = [tick for tick in axes.get_yticks() if low <= tick <= high]
    axes.set_yticks(ticks, [figure(tick, kind) for tick in ticks])
    canvas.grid(axes)
    if shown:
        axes.axhline(limit, color=PALETTE["bad"], linewidth=1.4, dashes=(5, 3), zorder=2)
    _line(axes, [(at, result["stable_value"]) for at, result in rows], "muted", 1.2, marker="_", markersize=9)
    _line(axes, [(at, result["value"]) for at, result in rows], "accent", 1.8)
    for at, result in rows:
        _mark(axes, at, low if result["value"] is None else result["value"], result["verdict"])
    note = "against stable" if limit is None else f"limit {figure(limit, kind)}" + ("" if shown else ", far above")
    _title(canvas, top, name, note)


def _line(axes: Any, points: list[tuple[float, float | None]], colour: str, width: float, **style: Any) -> None:
    """Broken where nothing was measured."""
    drawn = [(at, math.nan if value is None else value) for at, value in points]
    axes.plot(*zip(*drawn, strict=True), color=PALETTE[colour], linewidth=width, zorder=3, **style)


def _range(values: list[float], from_zero: bool) -> tuple[float, float]:
    """Of the axis, with room for the marks; C(from_zero) where 0 is the best there can be."""
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    if low > 0 and (from_zero or low < 0.5 * high):
        low = 0.0
    room = max(high - low, abs(high) * 0.05, 1e-9)
    bottom = 0.0 if low == 0 else low - 0.2 * room
    return bottom, high + 0.2 * room
