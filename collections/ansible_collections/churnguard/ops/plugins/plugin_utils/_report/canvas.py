# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The drawing surface of the report's plots: matplotlib, measured in CSS pixels. Internal: may change in any release.

matplotlib is imported when the first plot is drawn, so that everything else works without it.
"""

from __future__ import annotations

import io
from contextlib import AbstractContextManager
from typing import Any

from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError

from .layout import Placed, Size, clock_ticks
from .svg import adapt

# The light colours; the page sets the CSS variable of each name for dark mode. Versions and outcomes are told apart
# by people with any colour vision (Okabe and Ito), and no meaning hangs on colour alone.
PALETTE = {
    "ink": "#1f2429",
    "muted": "#656d76",
    "grid": "#dfe3e8",
    "shade": "#6e7782",
    "version-1": "#6ca8d9",
    "version-2": "#eeb64b",
    "version-3": "#d396bd",
    "version-4": "#57b596",
    "version-5": "#a8d4f2",
    "version-6": "#cdc75f",
    "on-area": "#16191d",
    "accent": "#0b62a4",
    "failed": "#c8321e",
    "injected": "#9c8f7a",
    "p50": "#5f9f88",
    "p95": "#23775a",
    "p99": "#083d2e",
    "good": "#1a7f4b",
    "warn": "#9a5b00",
    "bad": "#c8321f",
    "kept": "#5146b8",
    "neutral": "#57606a",
}
BOTTOM = 26  # px below the plot area, for the labels of its axis
ROW = 1.45  # height of a row of marks, in font sizes
SETTINGS = {
    "svg.fonttype": "none",  # text stays text: crisp, small, and in the page's own face
    "svg.hashsalt": "churnguard.ops",  # the same figure gives the same bytes
    "text.parse_math": False,  # a $ in a version is a $
    "font.family": "DejaVu Sans",  # for measuring only, and always at hand: it comes with matplotlib
    "path.simplify": True,
}


def libraries() -> Any:
    """The parts of matplotlib that are used. Raises OperationError when it is not installed."""
    try:
        import matplotlib
        import matplotlib.backends.backend_svg
        import matplotlib.figure
    except ImportError as error:
        raise OperationError(
            "draw the report's plots",
            f"matplotlib is not installed ({error}).",
            "install it for the Python that runs ansible-playbook: pip install matplotlib.",
        ) from error
    return matplotlib


def style(size: Size) -> AbstractContextManager[None]:
    """Inside, matplotlib draws as the report needs it; outside, its settings are what they were."""
    return libraries().rc_context({**SETTINGS, "font.size": size.font})


class Canvas:
    """One plot: a figure of C(size).width by C(height) px with a plot area that leaves C(top) and C(bottom) px free."""

    def __init__(self, size: Size, height: float, top: float, bottom: float) -> None:
        library = libraries()
        self.size = size
        self.height = height
        self.figure = library.figure.Figure(figsize=(size.width / 72, height / 72), dpi=72)
        library.backends.backend_svg.FigureCanvasSVG(self.figure)
        self.figure.patch.set_visible(False)
        self.axes = self.panel(bottom, height - top - bottom)
        self.top_px = height - top

    def panel(self, bottom: float, height: float) -> Any:
        """A further plot area over the whole width, C(bottom) px from the bottom of the figure."""
        size = self.size
        area = (size.left / size.width, bottom / self.height, size.room / size.width, height / self.height)
        axes = self.figure.add_axes(area)
        axes.patch.set_visible(False)
        for side in ("top", "left", "right"):
            axes.spines[side].set_visible(False)
        axes.spines["bottom"].set_color(PALETTE["muted"])
        axes.tick_params(colors=PALETTE["muted"], labelcolor=PALETTE["ink"], length=0, pad=5)
        axes.tick_params(axis="x", length=4)
        return axes

    def clock(self, start: float, end: float, axes: Any = None) -> None:
        """Time of day along the bottom, from C(start) to C(end) (Unix s)."""
        axes = axes or self.axes
        ticks = clock_ticks(start, end, self.size.room, self.size.font)
        axes.set_xlim(start, end)
        axes.set_xticks([moment for moment, _label in ticks], [label for _moment, label in ticks])

    def grid(self, axes: Any = None) -> None:
        """Faint lines behind the data, one for each label of the vertical axis."""
        axes = axes or self.axes
        axes.set_axisbelow(True)
        axes.grid(axis="y", color=PALETTE["grid"], linewidth=1)

    def text(self, x: float, y: float, text: str, colour: str = "ink", **options: Any) -> None:
        """Text at pixel C(x), C(y) from the bottom left of the figure."""
        self.figure.text(x / self.size.width, y / self.height, text, color=PALETTE[colour], **options)

    def line(self, x: float, bottom: float, top: float, colour: str, **options: Any) -> None:
        """A vertical line at pixel C(x)."""
        from matplotlib.lines import Line2D

        ends = [bottom / self.height, top / self.height]
        at = x / self.size.width
        self.figure.add_artist(Line2D([at, at], ends, color=PALETTE[colour], **options))

    def marks(self, placed: list[Placed], bottom: float) -> None:
        """Labelled lines above and through the plot area."""
        row_px = self.size.font * ROW
        for mark, x, start, _end, row in placed:
            base = self.top_px + 5 + row * row_px
            self.line(x, bottom, base + row_px - 4, mark.tone, linewidth=1, alpha=0.75)
            right_of_line = start >= x
            self.text(
                x + (4 if right_of_line else -4),
                base + row_px / 2 - 2,
                mark.text,
                "ink" if mark.tone == "neutral" else mark.tone,
                ha="left" if right_of_line else "right",
                va="center_baseline",
                fontweight="normal" if mark.tone == "neutral" else "bold",
            )

    def svg(self, name: str, title: str, description: str) -> str:
        """The figure as an SVG element whose ids begin with C(name)."""
        stream = io.StringIO()
        self.figure.savefig(stream, format="svg", metadata={"Date": None})
        colours = {colour: name for name, colour in PALETTE.items()}
        return adapt(stream.getvalue(), name, title, description, colours)
