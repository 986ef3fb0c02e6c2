# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a dashboard as data to the JSON that Grafana reads, by Grafana's SDK. Internal: may change in any release.

The SDK leaves panels without ids and targets without refIds; both are given here, by position.
"""

from __future__ import annotations

import contextlib
import json
import string
from dataclasses import dataclass
from typing import Any

from ansible_collections.churnguard.ops.plugins.module_utils._grafana.model import Board, Panel, Query, Variable

with contextlib.suppress(ImportError):  # library.require_library says it
    from grafana_foundation_sdk.builders import bargauge, common, gauge, prometheus, stat, statetimeline, timeseries
    from grafana_foundation_sdk.builders import dashboard as build
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.models import common as kinds
    from grafana_foundation_sdk.models import dashboard as model

#: Every panel asks the data source that is chosen at the top.
DATASOURCE = "${datasource}"
REF_IDS = string.ascii_uppercase
TAG = "churnguard"
MARKER = "churnguard.ops/"


@dataclass(frozen=True)
class Style:
    """What is the same for all dashboards of one place."""

    uid_prefix: str = "churnguard"
    title_prefix: str = "ChurnGuard"
    datasource_regex: str = ""
    refresh: str = "30s"
    tags: tuple[str, ...] = ()


def document(board: Board, style: Style) -> dict[str, Any]:
    """The document of a dashboard, ready for Grafana's file provisioning and its API."""
    made = (
        build.Dashboard(f"{style.title_prefix} {board.title}".strip())
        .uid(uid(board.name, style))
        .description(board.description)
        .tags([TAG, f"{MARKER}{board.name}", *style.tags])
        .readonly()
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .time(board.period, "now")
        .refresh(style.refresh)
        .with_variable(_datasource_list(style))
        .link(_siblings())
    )
    for variable in board.variables:
        made.with_variable(_list(variable))
    numbers = iter(range(1, 1000))
    for heading, panels in board.rows:
        made.with_row(build.Row(heading).id(next(numbers)))
        for panel in panels:
            made.with_panel(_panel(panel).id(next(numbers)))
    return json.loads(json.dumps(made.build(), cls=JSONEncoder))


def text(made: dict[str, Any]) -> str:
    """The document as it is written: the same bytes for the same dashboard, with one member a line for diffs."""
    return json.dumps(made, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def uid(name: str, style: Style) -> str:
    """The uid of a dashboard by its name."""
    return f"{style.uid_prefix}-{name}"


def _reference() -> model.DataSourceRef:
    return model.DataSourceRef(type_val="prometheus", uid=DATASOURCE)


def _datasource_list(style: Style) -> build.DatasourceVariable:
    return (
        build.DatasourceVariable("datasource")
        .label("Data source")
        .description("The Prometheus to ask")
        .type("prometheus")
        .regex(style.datasource_regex)
    )


def _list(variable: Variable) -> build.QueryVariable:
    return (
        build.QueryVariable(variable.name)
        .label(variable.title)
        .datasource(_reference())
        .query(f"label_values({variable.metric}, {variable.label})")
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(model.VariableOption(selected=True, text="All", value="$__all"))
    )


def _siblings() -> build.DashboardLink:
    return (
        build.DashboardLink("Dashboards")
        .type(model.DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .as_dropdown(True)
        .keep_time(True)
        .include_vars(False)
    )


def _panel(panel: Panel) -> Any:
    """The SDK's builder of a panel, complete but for its id."""
    made = _SHAPES[panel.kind](panel)
    made.title(panel.title).description(panel.description).unit(panel.unit).datasource(_reference())
    made.span(panel.span).height(panel.height).no_value("no data").thresholds(_thresholds(panel))
    made.color_scheme(build.FieldColor().mode(_colours(panel)))
    if panel.minimum is not None:
        made.min(panel.minimum)
    if panel.maximum is not None:
        made.max(panel.maximum)
    if panel.words:
        made.mappings([_mapping(panel)])
    for position, query in enumerate(panel.queries):
        made.with_target(_target(query, REF_IDS[position]))
    return made


def _lines(panel: Panel) -> timeseries.Panel:
    legend = common.VizLegendOptions().display_mode(kinds.LegendDisplayMode.LIST).show_legend(True)
    made = (
        timeseries.Panel()
        .line_width(1)
        .fill_opacity(30 if panel.stacked else 10)
        .show_points(kinds.VisibilityMode.NEVER)
        .legend(legend.placement(kinds.LegendPlacement.BOTTOM))
        .tooltip(common.VizTooltipOptions().mode(kinds.TooltipDisplayMode.MULTI).sort(kinds.SortOrder.DESCENDING))
    )
    if panel.stacked:
        made.stacking(common.StackingConfig().mode(kinds.StackingMode.NORMAL).group("A"))
    if panel.limits:
        mode = kinds.GraphThresholdsStyleMode.DASHED
        made.thresholds_style(common.GraphThresholdsStyleConfig().mode(mode))
    return made


def _stat(panel: Panel) -> stat.Panel:
    whole_period = all(query.instant for query in panel.queries)
    coloured = panel.limits or panel.words
    return (
        stat.Panel()
        .reduce_options(_last())
        .text_mode(kinds.BigValueTextMode.NAME if panel.names else kinds.BigValueTextMode.AUTO)
        .graph_mode(kinds.BigValueGraphMode.NONE if whole_period or panel.names else kinds.BigValueGraphMode.AREA)
        .color_mode(kinds.BigValueColorMode.VALUE if coloured else kinds.BigValueColorMode.NONE)
    )


def _bars(panel: Panel) -> bargauge.Panel:
    return (
        bargauge.Panel()
        .reduce_options(_last())
        .orientation(kinds.VizOrientation.HORIZONTAL)
        .display_mode(kinds.BarGaugeDisplayMode.BASIC)
    )


def _dial(panel: Panel) -> gauge.Panel:
    return gauge.Panel().reduce_options(_last()).show_threshold_markers(bool(panel.limits))


def _states(panel: Panel) -> statetimeline.Panel:
    return statetimeline.Panel().show_value(kinds.VisibilityMode.NEVER).merge_values(True).row_height(0.8)


_SHAPES = {"lines": _lines, "stat": _stat, "bars": _bars, "dial": _dial, "states": _states}


def _last() -> common.ReduceDataOptions:
    return common.ReduceDataOptions().calcs(["lastNotNull"]).values(False)


def _colours(panel: Panel) -> model.FieldColorModeId:
    """Lines are told apart by colour; elsewhere colour says how bad the value is."""
    lines = panel.kind == "lines"
    return model.FieldColorModeId.PALETTE_CLASSIC if lines else model.FieldColorModeId.THRESHOLDS


def _thresholds(panel: Panel) -> build.ThresholdsConfig:
    steps = [model.Threshold(value=None, color=panel.base)]
    steps += [model.Threshold(value=value, color=colour) for value, colour in panel.limits]
    return build.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(steps)


def _mapping(panel: Panel) -> model.ValueMap:
    return model.ValueMap(
        options={
            str(value): model.ValueMappingResult(text=word, color=colour, index=index)
            for index, (value, word, colour) in enumerate(panel.words)
        }
    )


def _target(query: Query, ref_id: str) -> prometheus.Dataquery:
    made = prometheus.Dataquery().expr(query.expr).legend_format(query.legend).ref_id(ref_id).datasource(_reference())
    return made.instant() if query.instant else made.range()
