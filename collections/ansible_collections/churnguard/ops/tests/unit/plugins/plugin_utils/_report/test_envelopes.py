# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An envelope that is wrong is named with the field that is wrong."""

from __future__ import annotations

import json

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.plugins.plugin_utils._report.envelopes import check, load


def test_envelopes_come_oldest_first_from_data_and_from_files(envelope, tmp_path):
    path = tmp_path / "late.json"
    path.write_text(json.dumps(envelope(start=50, end=60)), encoding="utf-8")
    found = load([str(path), envelope(start=0), envelope(start=20, end=30)])
    assert [one["started"][14:19] for one in found] == ["00:00", "00:20", "00:50"]


def test_what_is_missing_and_may_be_is_filled_in(envelope):
    given = envelope()
    for key in ("timeline", "measurements", "evidence", "subject"):
        del given[key]
    given["started"] = "2026-11-21T13:00:00+01:00"
    found = check(given, "x")
    assert found["started"] == "2026-11-21T12:00:00.000Z"
    assert (found["timeline"], found["measurements"], found["evidence"], found["subject"]) == ([], [], [], {})


def test_a_measurement_without_a_verdict_was_not_checked(envelope):
    found = check(envelope(measurements=[{"name": "n"}]), "x")
    assert found["measurements"] == [
        {"name": "n", "verdict": "not_checked", "value": None, "unit": "", "limit": None, "reason": ""}
    ]


def test_the_given_data_is_left_as_it_was(envelope):
    given = envelope(measurements=[{"name": "n"}])
    before = json.dumps(given)
    check(given, "x")
    assert json.dumps(given) == before


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"operation": ""}, "no 'operation'"),
        ({"verdict": "fine"}, "'verdict' is 'fine', not one of passed, failed"),
        ({"started": None}, "'started' is None"),
        ({"finished": "tomorrow"}, "'finished' is 'tomorrow'"),
        ({"finished": "2026-11-21T12:00:00"}, "not a time such as"),
        ({"finished": "2026-11-21T11:00:00Z"}, "before it started"),
        ({"subject": "api"}, "'subject' is str, not dict"),
        ({"timeline": {"a": 1}}, "'timeline' is dict, not list"),
        ({"timeline": ["ready"]}, "entry 1 of 'timeline' is str"),
        ({"timeline": [{"event": "ready"}]}, "'at' of timeline entry 1"),
        ({"measurements": [{"value": 1}]}, "measurement 1 has no 'name'"),
        ({"measurements": [{"name": "n", "verdict": "good"}]}, "'n' has verdict 'good'"),
    ],
)
def test_a_wrong_field_is_named(envelope, change, says):
    with pytest.raises(OperationError, match="envelope 1") as caught:
        load([envelope(**change)])
    assert says in str(caught.value)


@pytest.mark.parametrize(("content", "says"), [("{", "not JSON"), ("[]", "it is list"), (None, "No such file")])
def test_a_file_that_is_no_envelope_is_named(tmp_path, content, says):
    path = tmp_path / "e.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(OperationError, match="e.json") as caught:
        load([str(path)])
    assert says in str(caught.value)
