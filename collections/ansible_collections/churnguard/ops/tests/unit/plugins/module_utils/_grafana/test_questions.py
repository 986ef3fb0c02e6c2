# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the dashboards ask, in words that Prometheus itself understands."""

from __future__ import annotations

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._grafana import document, questions
from ansible_collections.churnguard.ops.plugins.module_utils._grafana.catalogue import BOARDS
from ansible_collections.churnguard.ops.plugins.module_utils._grafana.model import or_zero, share


def test_every_query_is_listed_with_its_panel():
    documents = [document.document(board, document.Style()) for board in BOARDS.values()]
    listed = questions.questions(documents)
    assert len(listed) == sum(len(panel.queries) for board in BOARDS.values() for panel in board.panels)
    assert len({(one.dashboard, one.panel_id, one.ref_id) for one in listed}) == len(listed)
    first = listed[0]
    assert (first.dashboard, first.panel_id, first.panel, first.ref_id) == (
        "churnguard-application",
        2,
        "Request rate",
        "A",
    )
    assert first.as_dict()["sources"] == ["application"]
    assert all(one.sources for one in listed)


@pytest.mark.parametrize(
    ("expr", "values", "promql"),
    [
        ('up{job=~"$job"}', {}, 'up{job=~".*"}'),
        ('up{job=~"${job:regex}", a="${b}"}', {"job": "x"}, 'up{job=~"x", a=".*"}'),
        ("rate(a[$__rate_interval])", {}, "rate(a[1m])"),
        ("increase(a[$__range])", {"__range": "10m"}, "increase(a[10m])"),
        ("rate(a[${__interval}])", {}, "rate(a[15s])"),
    ],
)
def test_variables_are_put_in(expr, values, promql):
    assert questions.without_variables(expr, values) == promql


@pytest.mark.parametrize(
    ("expr", "sources"),
    [
        ("churnguard_requests_total", ("application",)),
        ("churnguard_rollout_state == 1", ("rollouts",)),
        ("min by (component) (churnguard_backup_last_success_timestamp_seconds)", ("backups",)),
        ("max(churnguard_drill_last_run_timestamp_seconds)", ("drills",)),
        ("pg_up or on() redis_up", ("postgres_exporter", "redis_exporter")),
        ('sum by (node_name) (kube_pod_info{x="node_load1"})', ("kube-state-metrics",)),
        ("container_memory_rss / node_memory_MemTotal_bytes", ("cadvisor", "node_exporter")),
        ("time()", ()),
    ],
)
def test_sources_are_known_by_the_metrics(expr, sources):
    assert questions.sources(expr) == sources


def test_shares_and_zeros_are_promql_that_has_a_value_while_a_part_is_missing():
    assert share("a", "b") == "((a) or 0 * (b)) / (b)"
    assert or_zero("a", "up") == "(a) or on() 0 * max(up)"
