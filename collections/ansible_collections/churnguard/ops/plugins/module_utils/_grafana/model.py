# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a dashboard is made of, as data. Internal: may change in any release.

No import of Grafana's SDK: what a dashboard shows can be read, counted and asked of a Prometheus without it.
"""

from __future__ import annotations

from dataclasses import dataclass

KINDS = ("lines", "stat", "bars", "dial", "states")


@dataclass(frozen=True)
class Query:
    """One PromQL expression and the name of its series; ``{{ label }}`` in the name is the label's value."""

    expr: str
    legend: str

    @property
    def instant(self) -> bool:
        """Whether it is asked once, at the end of the period: what spans the whole period has no course in it."""
        return "$__range" in self.expr


@dataclass(frozen=True)
class Panel:
    """One panel.

    ``kind``: lines (over time), stat (a figure), bars (one for each series), dial, states (over
    time, as coloured ribbons). ``unit``: Grafana's name of it.
    ``limits``: (value, colour) from which on the colour holds; the one below the first is green unless ``base`` says
    otherwise. ``words``: (value, text, colour) shown instead of a value. ``names``: show the series' names, not values.
    """

    kind: str
    title: str
    description: str
    unit: str
    queries: tuple[Query, ...]
    span: int = 12
    height: int = 8
    limits: tuple[tuple[float, str], ...] = ()
    base: str = "green"
    words: tuple[tuple[int, str, str], ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    stacked: bool = False
    names: bool = False


@dataclass(frozen=True)
class Variable:
    """A drop-down list at the top: the values of ``label`` among the series of ``metric``, at first all."""

    name: str
    title: str
    metric: str
    label: str


@dataclass(frozen=True)
class Board:
    """One dashboard: rows of panels under a heading each. ``name`` ends its uid and begins its tag."""

    name: str
    title: str
    description: str
    variables: tuple[Variable, ...]
    rows: tuple[tuple[str, tuple[Panel, ...]], ...]
    period: str = "now-1h"

    @property
    def panels(self) -> tuple[Panel, ...]:
        """All panels, from the top."""
        return tuple(panel for _heading, panels in self.rows for panel in panels)


def share(part: str, whole: str) -> str:
    """PromQL of part / whole that is 0, not nothing, while no series of the part exists.

    A counter of errors has no series before the first error, and a division by nothing yields nothing.
    """
    return f"(({part}) or 0 * ({whole})) / ({whole})"


def or_zero(part: str, witness: str) -> str:
    """PromQL of part that is 0 while it has no series but the witness, which tells that somebody looked, has one."""
    return f"({part}) or on() 0 * max({witness})"
