# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every dashboard is one that a present-day Grafana shows, and every expression in it is PromQL."""

from __future__ import annotations

import itertools
import json
import re

import promql_parser
import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._grafana import document, library, questions
from ansible_collections.churnguard.ops.plugins.module_utils._grafana.catalogue import BOARDS
from ansible_collections.churnguard.ops.plugins.module_utils._grafana.model import KINDS

STYLE = document.Style()
TYPES = {"row", "timeseries", "stat", "bargauge", "gauge", "state-timeline"}
#: Counters are read by their growth: one that is not followed by a range is a figure since some restart.
BARE_COUNTER = re.compile(r"\w+_(?:total|bucket)(?:\{[^}]*\})?(?![\w{\[])")
GUIDE = [
    "Request rate",
    "Response time",
    "Error rate",
    "Active users",
    "Predictions",
    "GDPR requests",
    "Database connections",
    "Infrastructure",
]


@pytest.fixture(scope="module")
def documents():
    return {name: document.document(board, STYLE) for name, board in BOARDS.items()}


@pytest.fixture(params=BOARDS)
def made(request, documents):
    return documents[request.param]


def _panels(made):
    return [panel for panel in made["panels"] if panel["type"] != "row"]


def test_the_applications_dashboard_is_the_eight_panels(documents):
    assert [panel["title"] for panel in _panels(documents["application"])] == GUIDE


def test_names_titles_and_uids_differ(documents):
    assert list(documents) == ["application", "database", "redis", "kubernetes", "rollout", "business"]
    for member in ("uid", "title", "description"):
        assert len({made[member] for made in documents.values()}) == len(documents)
    assert all(8 <= len(made["uid"]) <= 40 for made in documents.values())


def test_the_schema_is_one_without_angular_panels(made):
    assert made["schemaVersion"] >= library.OLDEST_SCHEMA
    assert {panel["type"] for panel in made["panels"]} <= TYPES
    assert made["editable"] is False


def test_ids_and_ref_ids_are_unique(made):
    ids = [panel["id"] for panel in made["panels"]]
    assert sorted(ids) == list(range(1, len(ids) + 1))
    for panel in _panels(made):
        letters = [target["refId"] for target in panel["targets"]]
        assert letters == sorted(set(letters)) and all(letters)


def test_every_panel_says_what_it_shows_and_in_which_unit(made):
    for panel in _panels(made):
        assert panel["title"] and panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["targets"], panel["title"]
        assert all(target["legendFormat"] for target in panel["targets"]), panel["title"]
    titles = [panel["title"] for panel in _panels(made)]
    assert len(titles) == len(set(titles))


def test_every_query_asks_the_data_source_that_is_chosen_at_the_top(made):
    chosen = {"type": "prometheus", "uid": "${datasource}"}
    for panel in _panels(made):
        assert [panel["datasource"], *(target["datasource"] for target in panel["targets"])] == [chosen] * (
            1 + len(panel["targets"])
        )
    first, *others = made["templating"]["list"]
    assert (first["name"], first["type"], first["query"]) == ("datasource", "datasource", "prometheus")
    assert others
    assert all(one["type"] == "query" and one["datasource"] == chosen for one in others)


def test_every_variable_that_is_used_is_offered_and_the_other_way_round(made):
    offered = {variable["name"] for variable in made["templating"]["list"]} - {"datasource"}
    expressions = " ".join(target["expr"] for panel in _panels(made) for target in panel["targets"])
    assert set(re.findall(r"\$(\w+)", expressions)) - set(questions.TIMES) == offered


def test_panels_lie_beside_and_below_each_other_but_not_on_each_other(made):
    taken = set()
    for place in (panel["gridPos"] for panel in made["panels"]):
        cells = set(
            itertools.product(range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"]))
        )
        assert cells and not cells & taken
        assert place["x"] + place["w"] <= 24
        taken |= cells


def test_the_base_colour_has_no_lower_end(made):
    for panel in _panels(made):
        first, *rest = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
        assert first["value"] is None
        values = [step["value"] for step in rest]
        assert values == sorted(values)


def test_every_expression_is_promql(made):
    for question in questions.questions([made]):
        assert "$" not in question.promql
        assert promql_parser.parse(question.promql)


def test_rates_look_back_as_far_as_grafana_deems_right(made):
    for question in questions.questions([made]):
        windows = re.findall(r"\[([^\]]*)\]", question.expr)
        assert set(windows) <= {"$__rate_interval", "$__range"}, question.panel
        assert not BARE_COUNTER.findall(question.expr), question.panel
        if "histogram_quantile" in question.expr:
            assert re.search(r"by \([^)]*\ble\b[^)]*\) \(rate\(", question.expr), question.panel


def test_the_pattern_for_bare_counters_finds_them():
    assert BARE_COUNTER.findall("sum (a_total)") and BARE_COUNTER.findall('a_total{b="c"} > 1')
    assert not BARE_COUNTER.findall('rate(a_total{b="c"}[5m])') and not BARE_COUNTER.findall("rate(a_total[5m])")


def test_what_is_asked_once_is_what_spans_the_period(made):
    for panel in _panels(made):
        for target in panel["targets"]:
            assert (target["instant"], target["range"]) == (
                ("$__range" in target["expr"]),
                "$__range" not in target["expr"],
            )


def test_a_second_generation_is_the_same_bytes(documents):
    for name, board in BOARDS.items():
        first = document.text(documents[name])
        assert document.text(document.document(board, STYLE)) == first
        assert json.loads(first) == documents[name]
        assert first.endswith("}\n")


def test_style_is_taken_over():
    style = document.Style("staging", "Staging", "/prom-.*/", "1m", ("team-a",))
    made = document.document(BOARDS["redis"], style)
    assert (made["uid"], made["title"], made["refresh"]) == ("staging-redis", "Staging cache", "1m")
    assert made["tags"] == ["churnguard", "churnguard.ops/redis", "team-a"]
    assert made["templating"]["list"][0]["regex"] == "/prom-.*/"


def test_every_kind_of_panel_is_in_use():
    assert {panel.kind for board in BOARDS.values() for panel in board.panels} == set(KINDS)


def test_an_older_schema_is_refused_with_the_exact_requirement():
    assert library.too_old(library.OLDEST_SCHEMA) is None
    said = library.too_old(36)
    assert "schema 36" in said and "'grafana-foundation-sdk==1769699379!11.6.0'" in said
