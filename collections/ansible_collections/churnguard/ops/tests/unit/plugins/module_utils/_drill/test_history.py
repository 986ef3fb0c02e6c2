# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The history, and whether it is good enough: never run, failing, stale, not checked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import isoformat
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.plugins.module_utils._drill import history

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
WEEK = 7 * 86400.0


def drilled(days: float, verdict: str = "passed", scenario: str = "database_loss") -> dict:
    started = isoformat(NOW - timedelta(days=days))
    return {"drill_id": f"{scenario}-{days}", "scenario": scenario, "started": started, "verdict": verdict}


@pytest.mark.parametrize(
    ("lines", "limit", "state"),
    [
        ([], WEEK, "never_run"),
        ([drilled(1)], WEEK, "ok"),
        ([drilled(8)], WEEK, "stale"),
        ([drilled(8)], None, "not_checked"),
        ([], None, "never_run"),
        ([drilled(3), drilled(1, "failed")], WEEK, "failing"),
        ([drilled(3, "failed"), drilled(1)], WEEK, "ok"),
        ([drilled(1, "failed")], None, "failing"),
        ([drilled(1, "aborted")], WEEK, "never_run"),
        ([drilled(8), drilled(1, "aborted")], WEEK, "stale"),
        ([drilled(1, scenario="cache_failover")], WEEK, "never_run"),
    ],
)
def test_the_state_of_a_scenario(lines, limit, state):
    found = history.judge(lines, ["database_loss"], NOW, limit)
    assert [item["state"] for item in found] == [state]
    assert found[0]["reason"]


def test_the_last_passed_drill_is_named_also_when_a_later_one_failed():
    found = history.judge([drilled(3), drilled(1, "failed")], ["database_loss"], NOW, WEEK)[0]
    assert found["last_passed"] == drilled(3)["started"]
    assert (found["last"]["verdict"], found["runs"]) == ("failed", 2)


def test_a_drill_is_in_the_history_once(tmp_path):
    assert history.append(tmp_path, drilled(1)) is True
    assert history.append(tmp_path, drilled(1)) is False
    assert history.append(tmp_path, drilled(2)) is True
    assert [line["drill_id"] for line in history.read(tmp_path)] == ["database_loss-2", "database_loss-1"]


def test_a_line_that_was_cut_off_is_written_anew(tmp_path):
    history.append(tmp_path, drilled(2))
    with (tmp_path / history.FILE).open("a") as stream:
        stream.write('{"drill_id": "database_loss-1", "sta')
    assert len(history.read(tmp_path)) == 1
    assert history.append(tmp_path, drilled(1)) is True
    assert len(history.read(tmp_path)) == 2


def test_a_line_that_is_no_drill_is_named(tmp_path):
    (tmp_path / history.FILE).write_text("nonsense\n")
    with pytest.raises(OperationError, match="line 1 is no drill"):
        history.read(tmp_path)


def test_no_history_is_empty(tmp_path):
    assert history.read(tmp_path) == []
