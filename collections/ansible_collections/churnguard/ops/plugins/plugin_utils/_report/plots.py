# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report's plots, each as two SVG elements: wide, and narrow for a phone. Internal: may change in any release."""

from __future__ import annotations

import math
from typing import Any

from . import gates
from . import rollouts as facts
from .alerts_plots import strip
from .business_plots import CARD, card
from .canvas import BOTTOM, PALETTE, ROW, Canvas, style
from .drill_plots import recovery, writes
from .gantt import gantt
from .judged import judged, looked_at
from .layout import SIZES, Mark, Size, colour_numbers, marks, place, span, text_width
from .performance_plots import performance
from .stats import NOT_FAILED
from .trends import trend
from .words import latency, number

MOST_ROWS = 6


def plots(model: dict[str, Any]) -> dict[str, str]:
    """All plots of a report model: traffic, latency and failures (as far as there is data), one rollout_N for each
    rollout that took a step, one judged_N for each that was sampled, gate_N_M for each service of a gate, drill_N and
    writes_N for each drill, trend_N for each scenario of the history, performance_N for each review that has data,
    alerts for what fired; each under NAME_wide and NAME_narrow. business_N_M for each figure of a business review is
    one plot for every width.

    Raises OperationError when matplotlib is not installed.
    """
    drawn: dict[str, str] = {}
    limits = span(model)
    for size in SIZES:
        with style(size):
            if limits:
                drawn.update(_over_time(model, limits, size))
            for index, rollout in enumerate(model["rollouts"], start=1):
                name = f"rollout_{index}_{size.name}"
                if rollout["steps"]:
                    drawn[name] = gantt(rollout, name, size)
                if rollout["samples"]["total"]:
                    named = f"judged_{index}_{size.name}"
                    drawn[named] = judged(rollout, model, named, size, colour_numbers(model))
            drawn.update(_gates(model, size))
            drawn.update(_drills(model, size))
            for index, review in enumerate(model["reviews"], start=1):
                if review["drawn"]:
                    name = f"performance_{index}_{size.name}"
                    drawn[name] = performance(review, name, size)
            drawn.update(_alerts(model, size))
    with style(CARD):
        drawn.update(_business(model))
    return drawn


def _gates(model: dict[str, Any], size: Size) -> dict[str, str]:
    """The looks at each service that is shown in detail."""
    drawn = {}
    for number_of, gate in enumerate(model["gates"], start=1):
        envelope = model["operations"][gate["operation"]]
        for position, service in enumerate(gate["services"], start=1):
            taken = gates.looks(envelope, service["name"])
            name = f"gate_{number_of}_{position}_{size.name}"
            if service["name"] in gate["shown"] and taken:
                drawn[name] = looked_at(gate, service, taken, name, size)
    return drawn


def _drills(model: dict[str, Any], size: Size) -> dict[str, str]:
    """Each drill's recovery and writes, and the trend of each scenario."""
    drawn = {}
    for index, drill in enumerate(model["drills"], start=1):
        if drill["clocks"] or drill["phases"]:
            name = f"drill_{index}_{size.name}"
            drawn[name] = recovery(drill, name, size)
        if drill["ledger"] and drill["ledger"]["series"]:
            name = f"writes_{index}_{size.name}"
            drawn[name] = writes(drill, name, size)
    for index, scenario in enumerate((model["history"] or {"scenarios": []})["scenarios"], start=1):
        name = f"trend_{index}_{size.name}"
        if scenario["total"] > 1:
            drawn[name] = trend(scenario, name, size)
    return drawn


def _alerts(model: dict[str, Any], size: Size) -> dict[str, str]:
    """The alerts over all that is drawn and reported on."""
    found = model["alerts"]
    if not found or not found["alerts"]:
        return {}
    limits = (facts.seconds(found["start"]), max(facts.seconds(found["end"]), facts.seconds(found["start"]) + 1))
    name = f"alerts_{size.name}"
    return {name: strip(found, limits, name, size)}


def _business(model: dict[str, Any]) -> dict[str, str]:
    """Each figure that has something to draw."""
    names = {
        f"business_{index}_{place}": figure
        for index, review in enumerate(model["business"], start=1)
        for place, figure in enumerate(review["figures"], start=1)
        if figure["plot"]
    }
    return {name: card(figure, name) for name, figure in names.items()}


def _over_time(model: dict[str, Any], limits: tuple[float, float], size: Size) -> dict[str, str]:
    colours = colour_numbers(model)
    if model["series"]:
        return {
            f"traffic_{size.name}": _served(model, limits, size, colours),
            f"latency_{size.name}": _latency(model, limits, size),
            f"failures_{size.name}": _failures(model, limits, size),
        }
    if any(rollout["weights"] for rollout in model["rollouts"]):
        return {f"traffic_{size.name}": _planned(model, limits, size, colours)}
    return {}


def _served(model: dict[str, Any], limits: tuple[float, float], size: Size, colours: dict[str, int]) -> str:
    """Share of the requests that each version answered, stacked, with the rollouts' marks on top."""
    series = model["series"]
    edges = _edges(series)
    answered = series["by_version"]
    layers = {version: _share(counts, series["sent"]) for version, counts in answered.items()}
    unanswered = [sent - sum(counts) for sent, *counts in zip(series["sent"], *answered.values(), strict=True)]
    canvas = _traffic_canvas(model, limits, size)
    paint = {**{version: f"version-{colours[version]}" for version in layers}, "": "failed"}
    _stack(canvas, edges, paint, {**layers, "": _share(unanswered, series["sent"])})
    for version in layers:
        _name_area(canvas, edges, layers, version, limits)
    _name_gaps(canvas, limits, edges)
    title = "Share of requests answered by each version"
    return canvas.svg(f"traffic_{size.name}", title, model["summary"]["headline"])


def _planned(model: dict[str, Any], limits: tuple[float, float], size: Size, colours: dict[str, int]) -> str:
    """The same from the weights that were set: all there is without a load ledger."""
    canvas = _traffic_canvas(model, limits, size)
    for rollout in model["rollouts"]:
        version, previous = rollout["version"], rollout["previous_version"]
        changes = [(facts.seconds(c["at"]), c["shares"].get(rollout["slot"], 0)) for c in rollout["weights"]]
        if not changes:
            continue
        edges = [facts.seconds(rollout["started"]), *[at for at, _share in changes], facts.seconds(rollout["finished"])]
        new = [0.0, *[share for _at, share in changes]]
        layers = {"old": [1 - share if previous else 0 for share in new], "new": new}
        names = {"old": str(previous), "new": str(version)}
        _stack(canvas, edges, {key: f"version-{colours.get(name, 1)}" for key, name in names.items()}, layers)
    title = "Share of traffic given to each version"
    return canvas.svg(f"traffic_{size.name}", title, "As set by weights; served requests were not measured.")


def _latency(model: dict[str, Any], limits: tuple[float, float], size: Size) -> str:
    """p50, p95 and p99 over time."""
    canvas = Canvas(size, 190, 12, BOTTOM)
    series = model["series"]
    start, step = facts.seconds(series["start"]), series["step_s"]
    known = [value for values in series["latency_s"].values() for value in values if value]
    for name, values in series["latency_s"].items():
        points = [(start + (i + 0.5) * step, math.nan if v is None else v) for i, v in enumerate(values)]
        width = {"p50": 2.0, "p95": 1.6, "p99": 1.3}[name]
        canvas.axes.plot(*zip(*points, strict=True), color=PALETTE[name], linewidth=width, solid_joinstyle="round")
    canvas.clock(*limits)
    if known:
        _latency_axis(canvas, min(known), max(known))
        _name_lines(canvas, series["latency_s"])
    _shade(canvas, model)
    canvas.grid()
    whole = model["load"]["latency_s"]
    described = ", ".join(f"{name} {latency(whole[name])}" for name in ("p50", "p95", "p99"))
    return canvas.svg(f"latency_{size.name}", "Latency of answered requests over time", f"Overall {described}.")


def _failures(model: dict[str, Any], limits: tuple[float, float], size: Size) -> str:
    """Requests that did not end well, for each stretch of time, by what became of them."""
    series = model["series"]
    edges = _edges(series)
    failed = series["failed"]
    injected = series["outcomes"].get("injected_5xx", [0] * len(failed))
    both = [one + other for one, other in zip(failed, injected, strict=True)]
    highest = max(both, default=0)
    canvas = Canvas(size, 150 if highest else 92, 12, BOTTOM)
    for heights, colour in ((both, "injected"), (failed, "failed")):
        if any(heights):
            canvas.axes.fill_between(edges, [*heights, heights[-1]], step="post", color=PALETTE[colour], linewidth=0)
    canvas.clock(*limits)
    canvas.axes.set_ylim(0, max(4, highest * 1.15))
    if highest:
        canvas.axes.yaxis.get_major_locator().set_params(integer=True, nbins=4)
    else:
        canvas.axes.set_yticks([0])
    _shade(canvas, model)
    canvas.grid()
    kinds = {kind: sum(counts) for kind, counts in series["outcomes"].items() if kind not in NOT_FAILED}
    load = model["load"]
    described = f"{number(load['failed'])} of {number(load['sent'])} requests failed"
    if not load["failed"]:
        middle = (facts.seconds(load["started"]) + facts.seconds(load["finished"])) / 2
        height = canvas.axes.get_ylim()[1] * (0.9 if highest else 0.5)
        canvas.axes.text(middle, height, described, ha="center", va="center", color=PALETTE["ink"])
    details = ", ".join(f"{kind} {number(count)}" for kind, count in kinds.items())
    return canvas.svg(f"failures_{size.name}", "Failed requests over time", f"{described}. {details}".strip())


def _traffic_canvas(model: dict[str, Any], limits: tuple[float, float], size: Size) -> Canvas:
    wanted: list[Mark] = []
    for rollout in model["rollouts"]:
        wanted += marks(rollout, model["operations"][rollout["operation"]]["timeline"])
    # What fired at that time, where there is room for its name.
    fired = [(facts.seconds(one["fired"]), one["name"]) for one in (model["alerts"] or {"alerts": []})["alerts"]]
    wanted += [Mark(at, f"{name} fires", 5, "bad") for at, name in fired if limits[0] <= at <= limits[1]]
    placed = place(wanted, *limits, size, MOST_ROWS)
    rows = max((one.row + 1 for one in placed), default=0)
    top = rows * size.font * ROW + 10
    canvas = Canvas(size, 200 + top + BOTTOM, top, BOTTOM)
    canvas.clock(*limits)
    canvas.axes.set_ylim(0, 1)
    canvas.axes.set_yticks([0, 0.5, 1], ["0 %", "50 %", "100 %"])
    canvas.grid()
    _shade(canvas, model)
    canvas.marks(placed, BOTTOM)
    return canvas


def _edges(series: dict[str, Any]) -> list[float]:
    start = facts.seconds(series["start"])
    return [start + index * series["step_s"] for index in range(len(series["sent"]) + 1)]


def _share(counts: list[int], sent: list[int]) -> list[float]:
    return [count / all_sent if all_sent else 0 for count, all_sent in zip(counts, sent, strict=True)]


def _stack(canvas: Canvas, edges: list[float], colours: dict[str, str], layers: dict[str, list[float]]) -> None:
    """Each layer is drawn from the bottom to the top of the pile, highest first: no seams between them."""
    pile = [0.0] * (len(edges) - 1)
    drawn = []
    for name, shares in layers.items():
        pile = [below + share for below, share in zip(pile, shares, strict=True)]
        if any(shares):
            drawn.append((list(pile), colours[name]))
    for heights, colour in reversed(drawn):
        canvas.axes.fill_between(edges, [*heights, heights[-1]], step="post", color=PALETTE[colour], linewidth=0)


def _name_area(
    canvas: Canvas,
    edges: list[float],
    layers: dict[str, list[float]],
    version: str,
    limits: tuple[float, float],
) -> None:
    """Write the version into the longest stretch where it answers most requests, if there is room."""
    shares = layers[version]
    longest, begin = (0, 0), None
    for index, share in enumerate([*shares, 0]):
        if share >= 0.5 and begin is None:
            begin = index
        elif share < 0.5 and begin is not None:
            longest = max(longest, (index - begin, begin))
            begin = None
    count, first = longest
    pixels = (edges[first + count] - edges[first]) / (limits[1] - limits[0]) * canvas.size.room
    if pixels < text_width(version, canvas.size.font + 2) + 8:
        return
    middle = first + count // 2
    below = 0.0
    for name, values in layers.items():
        if name == version:
            break
        below += values[middle]
    canvas.axes.text(
        (edges[first] + edges[first + count]) / 2,
        below + shares[middle] / 2,
        version,
        color=PALETTE["on-area"],
        fontsize=canvas.size.font + 2,
        fontweight="bold",
        ha="center",
        va="center",
    )


def _name_gaps(canvas: Canvas, limits: tuple[float, float], edges: list[float]) -> None:
    """Say why nothing is drawn before and after the load."""
    pixel = (limits[1] - limits[0]) / canvas.size.room
    for gap, at, side in (
        (edges[0] - limits[0], edges[0] - 3 * pixel, "right"),
        (limits[1] - edges[-1], edges[-1], "left"),
    ):
        if gap > 1.5 * canvas.size.font * pixel:
            canvas.axes.text(at, 0.5, "no load", ha=side, va="center", rotation=90, color=PALETTE["muted"])


def _latency_axis(canvas: Canvas, lowest: float, highest: float) -> None:
    """Logarithmic where the values span more than one and a half orders; labels of three digits at most."""
    if highest / lowest > 30:
        canvas.axes.set_yscale("log")
        canvas.axes.set_ylim(lowest / 1.3, highest * 1.4)
        powers = range(math.floor(math.log10(lowest)) - 1, math.ceil(math.log10(highest)) + 1)
        ticks = [10.0**power * factor for power in powers for factor in (1, 3)]
        ticks = [tick for tick in ticks if lowest / 1.3 <= tick <= highest * 1.4]
    else:
        canvas.axes.set_ylim(0, highest * 1.15)
        canvas.axes.yaxis.get_major_locator().set_params(nbins=4)
        ticks = [tick for tick in canvas.axes.get_yticks() if 0 < tick <= highest * 1.15]
    canvas.axes.set_yticks(ticks, [latency(tick) for tick in ticks])
    canvas.axes.set_yticks([], minor=True)


def _name_lines(canvas: Canvas, columns: dict[str, list[float | None]]) -> None:
    """p50, p95, p99 beside the end of their lines, pushed apart where they would touch."""
    ends = {name: next((value for value in reversed(values) if value), None) for name, values in columns.items()}
    lowest = -math.inf
    for name, value in sorted(((n, v) for n, v in ends.items() if v), key=lambda pair: pair[1]):
        pixel = canvas.axes.transData.transform((canvas.axes.get_xlim()[0], value))[1]
        lowest = max(pixel, lowest + canvas.size.font)
        canvas.text(canvas.size.width - canvas.size.right + 5, lowest, name, name, va="center", fontweight="bold")


def _shade(canvas: Canvas, model: dict[str, Any]) -> None:
    """A faint ground under the time of each rollout."""
    for rollout in model["rollouts"]:
        start, end = facts.seconds(rollout["started"]), facts.seconds(rollout["finished"])
        canvas.axes.axvspan(start, end, color=PALETTE["shade"], alpha=0.09, linewidth=0, zorder=0)
