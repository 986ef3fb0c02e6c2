# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters as a playbook meets them."""

from __future__ import annotations

import json

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.churnguard.ops.plugins.filter import (
    report_junit,
    report_markdown,
    report_model,
    report_page,
    report_plots,
    report_table,
)

FILTERS = {
    name: function
    for plugin in (report_junit, report_markdown, report_model, report_page, report_plots, report_table)
    for name, function in plugin.FilterModule().filters().items()
}
ENVELOPE = {
    "operation": "rollout",
    "subject": {"version": "v2", "previous_version": "v1", "strategy": "blue_green", "slot": "green"},
    "started": "2026-11-21T12:00:00.000Z",
    "finished": "2026-11-21T12:00:10.000Z",
    "verdict": "passed",
    "changed": True,
    "timeline": [{"at": "2026-11-21T12:00:05.000Z", "event": "step_started", "detail": "ready green"}],
}


def test_each_filter_is_in_the_file_of_its_name():
    names = ["junit", "markdown", "model", "page", "plots", "table"]
    assert sorted(FILTERS) == [f"report_{name}" for name in names]


def test_from_envelopes_to_page(tmp_path):
    path = tmp_path / "envelope.json"
    path.write_text(json.dumps(ENVELOPE), encoding="utf-8")
    model = FILTERS["report_model"]([str(path)], environment="lab", ledgers=str(tmp_path / "*.jsonl"))
    assert model["generated"] == ENVELOPE["finished"]
    svgs = FILTERS["report_plots"](model)
    assert "<svg" in FILTERS["report_page"](model, plots=svgs)
    assert "<svg" not in FILTERS["report_page"](model)
    assert FILTERS["report_table"](model)[1].startswith("v2 ")


def test_the_given_time_is_the_reports_time():
    assert FILTERS["report_model"]([ENVELOPE], "lab", generated="2026-12-01T00:00:00Z")["generated"][:7] == "2026-12"


@pytest.mark.parametrize(
    ("given", "ledgers", "says"),
    [
        (ENVELOPE, [], "the input is dict, not a list of envelopes"),
        ([{**ENVELOPE, "verdict": "good"}], [], "'verdict' is 'good'"),
        ([ENVELOPE], ["/nowhere/load.jsonl"], "there is no such file"),
    ],
)
def test_a_users_mistake_is_an_error_in_words(given, ledgers, says):
    with pytest.raises(AnsibleFilterError) as caught:
        FILTERS["report_model"](given, "lab", ledgers)
    assert says in str(caught.value)


@pytest.mark.parametrize("name", sorted(FILTERS.keys() - {"report_model"}))
@pytest.mark.parametrize("given", [{}, None, {"rollouts": [{}]}, "model"])
def test_what_is_no_model_is_refused(name, given):
    with pytest.raises(AnsibleFilterError, match="is not a report model"):
        FILTERS[name](given)
