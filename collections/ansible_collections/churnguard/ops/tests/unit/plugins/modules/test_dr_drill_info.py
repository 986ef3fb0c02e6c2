# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""dr_drill_info on a folder that the journal and the history of drills have written."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import Clock, isoformat
from ansible_collections.churnguard.ops.plugins.module_utils._drill import history, journal
from ansible_collections.churnguard.ops.plugins.module_utils._drill.catalogue import SCENARIOS
from ansible_collections.churnguard.ops.plugins.modules import dr_drill_info

RAN = ("database_loss-20261120t030000Z-0001", "database_loss-20261121t030000Z-0002")
UNFINISHED = "cache_failover-20261121t040000Z-0003"
RUNNING = "backup_corruption-20261121t050000Z-0004"


@pytest.fixture
def look(tmp_path, capsys):
    """Runs the module on C(tmp_path): its result."""

    def call(check=False, **options):
        given = {"drills_dir": str(tmp_path), **options, "_ansible_check_mode": check}
        with patch_module_args(given), pytest.raises(SystemExit):
            dr_drill_info.main()
        return json.loads(capsys.readouterr().out)

    return call


def ended(folder, drill_id: str, days: float, verdict: str = "passed") -> None:
    """Write a drill that ended C(days) ago, as the engine does."""
    at = isoformat(datetime.now(UTC) - timedelta(days=days))
    scenario = drill_id.split("-", 1)[0]
    subject = {"drill_id": drill_id, "scenario": scenario, "component": "database", "environment": "lab"}
    envelope = {"subject": subject, "started": at, "finished": at, "verdict": verdict}
    figures = [{"name": "rto_s", "value": 12.3, "limit": 1800}]
    evidence = [{"kind": "backup", "label": "20261120-030001F"}]
    with_journal(folder, drill_id, finished=True).close()
    history.append(folder, history.line({**envelope, "measurements": figures, "evidence": evidence}))


def with_journal(folder, drill_id: str, finished: bool = False) -> journal.Journal:
    """The open journal of a drill that has announced a folder; the folder is gone if it is C(finished)."""
    written = journal.Journal(folder / drill_id, Clock())
    written.open()
    written.append(journal.STARTED, {"subject": {"drill_id": drill_id}})
    written.append(journal.PLANNED, {"kind": "folder", "id": "/srv/copy", "remove": {}})
    if finished:
        written.append(journal.REMOVED, {"kind": "folder", "id": "/srv/copy", "proof": "gone", "acted": True})
        written.append(journal.FINISHED, {"verdict": "passed"})
    return written


def states(found):
    return {item["scenario"]: item["state"] for item in found["scenarios"]}


def test_without_any_drill_every_scenario_is_a_problem(look):
    found = look(check=True)
    assert (found["changed"], found["drills"], found["running"], found["unfinished"]) == (False, [], [], [])
    assert states(found) == dict.fromkeys(SCENARIOS, "never_run")
    assert len(found["problems"]) == len(SCENARIOS)


def test_the_history_is_told_newest_first_and_judged(look, tmp_path):
    ended(tmp_path, RAN[0], 9, "failed")
    ended(tmp_path, RAN[1], 8)
    found = look(scenarios=["database_loss"], max_age=7 * 86400)
    assert [line["drill_id"] for line in found["drills"]] == [RAN[1], RAN[0]]
    assert (found["drills"][0]["backup"], found["drills"][0]["rto_s"]) == ("20261120-030001F", 12.3)
    assert states(found) == {"database_loss": "stale"}
    assert "more than 7 d" in found["problems"][0]
    assert states(look(scenarios=["database_loss"], max_age=9 * 86400)) == {"database_loss": "ok"}
    assert states(look(scenarios=["database_loss"])) == {"database_loss": "not_checked"}
    assert len(look(limit=1)["drills"]) == 1


def test_running_and_unfinished_drills_are_told_apart(look, tmp_path):
    ended(tmp_path, RAN[1], 1)
    with_journal(tmp_path, UNFINISHED).close()
    running = with_journal(tmp_path, RUNNING)
    try:
        found = look(scenarios=["database_loss"])
    finally:
        running.close()
    assert found["running"] == [RUNNING]
    assert found["unfinished"] == [{"drill_id": UNFINISHED, "resources": ["folder /srv/copy"]}]
    assert found["problems"] == [f"{UNFINISHED} did not end; playbooks/dr_cleanup.yml finishes it."]


@pytest.mark.parametrize("fail_on", ["never_run", "failing", "stale", "unfinished"])
def test_it_fails_for_the_states_that_are_named_alone(look, tmp_path, fail_on):
    ended(tmp_path, RAN[1], 1, "failed")
    with_journal(tmp_path, UNFINISHED).close()
    found = look(scenarios=["database_loss"], fail_on=[fail_on], check=True)
    assert bool(found.get("failed")) == (fail_on in ("failing", "unfinished"))
    assert len(found["problems"]) == 2
    if found.get("failed"):
        assert "has failed" in found["msg"] and "dr_cleanup.yml" in found["msg"]


def test_it_writes_nothing(look, tmp_path):
    ended(tmp_path, RAN[1], 1)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    look()
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_history_that_cannot_be_read_is_an_error_in_words(look, tmp_path):
    (tmp_path / history.FILE).write_text("nonsense\n")
    refused = look()
    assert refused["failed"]
    assert "line 1 is no drill" in refused["msg"] and "correct or remove that line" in refused["msg"]
