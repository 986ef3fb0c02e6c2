# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plot of a performance review: each metric over the period against its threshold. Internal: may change in any
release."""

from __future__ import annotations

import math
from typing import Any

from . import rollouts as facts
from .canvas import BOTTOM, PALETTE, Canvas
from .layout import Size
from .performance import amount

_PANEL = 66
_TITLE = 32
# A threshold further away than so many times the highest value is said in words.
_FAR = 4.0


def performance(review: dict[str, Any], name: str, size: Size) -> str:
    """SVG of the metrics one below the other on one axis of time: highest values and means of each stretch, what is
    above the threshold filled, and the threshold."""
    metrics = [review["metrics"][place] for place in review["drawn"]]
    size = size._replace(left=max(size.left, 76), right=24)
    height = len(metrics) * (_PANEL + _TITLE) + BOTTOM
    canvas = Canvas(size, height, height - 2, 1)
    canvas.axes.set_axis_off()
    limits = _limits(review, metrics)
    for index, metric in enumerate(metrics):
        bottom = BOTTOM + (len(metrics) - 1 - index) * (_PANEL + _TITLE)
        axes = canvas.panel(bottom, _PANEL)
        canvas.clock(*limits, axes)
        if index < len(metrics) - 1:
            axes.tick_params(axis="x", labelbottom=False)
        _panel(canvas, axes, metric)
        _name(canvas, bottom + _PANEL, metric)
    return canvas.svg(name, "Metrics over the period", " ".join(_described(metric) for metric in metrics))


def _limits(review: dict[str, Any], metrics: list[dict[str, Any]]) -> tuple[float, float]:
    """Of the time (Unix s)."""
    plots = [metric["plot"] for metric in metrics]
    start = min(one["start"] for one in plots)
    end = max(one["start"] + one["step_s"] * len(one["max"]) for one in plots)
    stated = review["period"]["end"]
    return start, max(start + 1, facts.seconds(stated) if stated else end)


def _panel(canvas: Canvas, axes: Any, metric: dict[str, Any]) -> None:
    plot, threshold = metric["plot"], metric["threshold"]
    moments = [plot["start"] + index * plot["step_s"] for index in range(len(plot["max"]))]
    peaks, means = ([math.nan if value is None else value for value in plot[key]] for key in ("max", "average"))
    highest = max((value for value in plot["max"] if value is not None), default=0.0)
    near = _near(metric)
    axes.set_ylim(0, max(highest, threshold if near else 0.0, 1e-9) * 1.18)
    axes.yaxis.get_major_locator().set_params(nbins=2)
    ticks = [tick for tick in axes.get_yticks() if 0 <= tick <= axes.get_ylim()[1]]
    axes.set_yticks(ticks, [amount(tick, metric["unit"]) for tick in ticks])
    canvas.grid(axes)
    if near:
        above = [value > threshold for value in peaks]
        axes.fill_between(moments, peaks, threshold, where=above, color=PALETTE["bad"], alpha=0.3, linewidth=0)
        axes.axhline(threshold, color=PALETTE["bad"], linewidth=1.4, dashes=(5, 3), zorder=2)
    axes.plot(moments, peaks, color=PALETTE["muted"], linewidth=1, zorder=3)
    axes.plot(moments, means, color=PALETTE["accent"], linewidth=1.6, zorder=4)


def _near(metric: dict[str, Any]) -> bool:
    """Whether the threshold can be drawn without pressing the values flat."""
    highest = max((value for value in metric["plot"]["max"] if value is not None), default=0.0)
    return metric["threshold"] is not None and metric["threshold"] <= _FAR * highest


def _name(canvas: Canvas, bottom: float, metric: dict[str, Any]) -> None:
    """The metric and its series at the left, and at the right what to compare with."""
    wide = canvas.size.name == "wide"
    title = f"{metric['title']} ({metric['on']})" if metric["on"] and wide else metric["title"]
    canvas.text(canvas.size.left if wide else 4, bottom + 6, title, fontweight="bold", va="bottom")
    threshold = metric["threshold"]
    note = "no threshold" if threshold is None else f"threshold {amount(threshold, metric['unit'])}"
    note += "" if threshold is None or _near(metric) else ", far above"
    canvas.text(canvas.size.width - canvas.size.right, bottom + 6, note, "muted", ha="right", va="bottom")


def _described(metric: dict[str, Any]) -> str:
    figures = ", ".join(f"{key} {amount(metric[key], metric['unit'])}" for key in ("average", "p95", "max"))
    return f"{metric['title']}: {figures}, {metric['verdict'].replace('_', ' ')}."
