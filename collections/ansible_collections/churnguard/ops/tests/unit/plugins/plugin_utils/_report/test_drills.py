# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a drill's envelope says, whatever is missing from it."""

from __future__ import annotations

import json

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.plugins.plugin_utils._report import (
    catalog,
    drill_files,
    envelopes,
    junit,
    markdown,
    model,
    page,
    plots,
    traffic,
)
from ansible_collections.churnguard.ops.plugins.plugin_utils._report.integrity import MOST_ROWS, integrity

SUBJECT = {"scenario": "database_loss", "drill_id": "database_loss-x", "component": "database"}


@pytest.fixture
def drill(envelope):
    def make(**parts):
        return envelope(**{"operation": "dr_drill", "subject": SUBJECT, **parts})

    return make


def build(*given, drills_dir=None):
    loaded = envelopes.load(list(given))
    measured = traffic.measure([], model.intervals(loaded))
    return model.build(loaded, measured, "lab", drills_dir=drills_dir)


def figure(name, value, limit=None, verdict="passed"):
    return {"name": name, "value": value, "unit": "s", "limit": limit, "verdict": verdict}


def test_a_drill_that_was_killed_at_once_makes_every_document(drill):
    made = build(drill(verdict="aborted"))
    (one,) = made["drills"]
    assert (one["headline"], one["tone"]) == ("Database loss: aborted", "warn")
    assert [goal["verdict"] for goal in one["objectives"]] == ["not_checked", "not_checked"]
    assert (one["ledger"], one["integrity"], one["backup"], one["resources"]) == (None, None, None, [])
    assert plots.plots(made) == {}
    assert "it was not measured" in page.page(made, {})
    assert "| RTO | – | – | not checked | it was not measured |" in markdown.markdown(made)
    assert 'skipped="2"' in junit.junit(made)


def test_evidence_that_is_no_evidence_breaks_nothing(drill):
    broken = [
        {"kind": "clock", "name": "t_fault", "at": "yesterday", "after_fault_s": "x"},
        {"kind": "clock", "name": "t_tea"},
        {"kind": "ledger", "lost_ids": "none", "acked": "many"},
        {"kind": "integrity", "checks": ["x", {"verdict": "?"}]},
        {"kind": "resource", "created": "now"},
        {"kind": "backup", "finished": 5, "age_s": float("inf")},
        {"kind": "preflight"},
        {"kind": "phase", "name": "recover", "seconds": None},
    ]
    made = build(drill(verdict="failed", evidence=broken, events=[(1, "step_started", "recover")]))
    (one,) = made["drills"]
    assert one["clocks"] == []
    assert one["phases"] == [{"name": "recover", "start_s": 1.0, "result": "unfinished", "seconds": 9.0}]
    assert one["resources_left"] == 1
    assert [row["verdict"] for row in one["integrity"]["checks"]] == ["not_checked"]
    page.page(made, plots.plots(made))
    markdown.markdown(made)
    junit.junit(made)


def test_without_a_limit_an_objective_is_never_met(drill):
    (one,) = build(drill(measurements=[figure("rto_s", 3.0), figure("rpo_s", 1.0, 2.0)]))["drills"]
    assert [(goal["verdict"], goal["used"]) for goal in one["objectives"]] == [("not_checked", None), ("passed", 0.5)]
    assert one["objectives"][0]["reason"] == "no limit is set"
    assert one["headline"] == "Database loss: recovered, RPO met"


def test_lost_writes_are_in_the_headline_even_where_the_objective_allows_them(drill):
    (one,) = build(drill(measurements=[figure("rpo_s", 1.0, 2.0), figure("lost_acked_writes", 1, 5)]))["drills"]
    assert one["headline"] == "Database loss: recovered, RPO met, 1 acknowledged write lost"
    assert one["lost_too_many"] is False


def test_the_bar_ends_with_the_acceptance_and_a_near_limit_is_drawn(drill, at):
    marks = [("t_fault", 1.0), ("t_detect", 2.0), ("t_accept", 4.0), ("t_verified", 7.0)]
    clocks = [{"kind": "clock", "name": name, "at": at(when), "after_fault_s": when - 1} for name, when in marks]
    made = build(drill(measurements=[figure("rto_s", 3.0, 8.0)], evidence=clocks))
    drawn = plots.plots(made)["drill_1_wide"]
    assert "RTO limit 8 s" in drawn
    assert "Steps: notice 1 s, accept 2 s. " in drawn
    assert "far beyond" not in page.page(made, plots.plots(made))
    far = build(drill(measurements=[figure("rto_s", 3.0, 8000.0)], evidence=clocks))
    assert "RTO limit" not in plots.plots(far)["drill_1_wide"]
    assert "The RTO limit, 2 h 13 min, lies far beyond the right edge." in page.page(far, plots.plots(far))


def test_a_big_matrix_is_cut_after_its_worst_rows():
    checks = [{"name": "rows", "subject": f"t{number:03d}", "verdict": "passed"} for number in range(MOST_ROWS + 5)]
    checks.append({"name": "rows", "subject": "z", "verdict": "failed"})
    found = integrity([{"checks": checks}])
    assert found["verdict"] == "failed"
    assert found["matrix"]["rows"][0]["subject"] == "z"
    assert (len(found["matrix"]["rows"]), found["matrix"]["left_out"]) == (MOST_ROWS, 6)


# -- the drills' folder ------------------------------------------------------------------------------------------------


def history_line(number, **more):
    entry = {"drill_id": f"d{number}", "scenario": "s", "component": "c", "started": f"2026-11-{number:02d}T00:00:00Z"}
    return json.dumps({**entry, "verdict": "passed", "rto_s": float(number), "rto_limit_s": 60, **more})


def test_lines_of_the_history_that_are_none_are_counted_and_said(tmp_path, drill):
    lines = [history_line(2), "{torn", history_line(1), '{"drill_id": "x"}', history_line(3, rto_s=None)]
    (tmp_path / "history.jsonl").write_text("\n".join(lines) + "\n")
    found = drill_files.history(str(tmp_path))
    assert (found["total"], found["unreadable"]) == (3, 2)
    assert [one["drill_id"] for one in found["newest"]] == ["d3", "d2", "d1"]
    assert found["scenarios"][0]["rto_s"] == {"best": 1.0, "median": 1.5, "worst": 2.0, "last": 2.0}
    made = build(drill(), drills_dir=str(tmp_path))
    assert "history.jsonl: 2 lines could not be read." in made["summary"]["notes"]


def test_a_folder_without_a_history_has_none(tmp_path):
    assert drill_files.history(str(tmp_path)) is None
    assert drill_files.writes(str(tmp_path), "nobody", [], None) is None
    assert drill_files.writes(str(tmp_path), "../tmp", [], None) is None


def test_a_history_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "history.jsonl").mkdir()
    with pytest.raises(OperationError, match=r"history\.jsonl"):
        drill_files.history(str(tmp_path))


def test_writes_are_counted_in_columns_that_can_be_seen(tmp_path):
    (tmp_path / "d").mkdir()
    lines = [json.dumps({"seq": seq, "acked_at": 1000.0 + seq}) for seq in range(400)] + ["{torn"]
    (tmp_path / "d" / "ledger.jsonl").write_text("\n".join(lines))
    found = drill_files.writes(str(tmp_path), "d", [390, 391], 5)
    assert (found["step_s"], sum(found["acked"])) == (5, 400)
    assert len(found["acked"]) <= drill_files.MOST_COLUMNS
    assert (found["lost_from"][-10:-1], found["lost_to"][-10:-1]) == ("23:10.000", "23:14.000")


# -- backups -----------------------------------------------------------------------------------------------------------


def listed(envelope, *backups, verdict="passed"):
    evidence = [{"kind": "backup_catalog", "backups": list(backups), "problems": []}]
    return catalog.catalog(0, envelope(operation="backup_catalog_info", verdict=verdict, evidence=evidence))


@pytest.mark.parametrize(
    ("states", "headline"),
    [
        ([], "No backup is on record"),
        (["ok"], "The one backup is ok"),
        (["ok", "ok"], "All 2 backups are ok"),
        (["ok", "stale", "odd"], "2 of 3 backups not ok: 1 stale, 1 not checked"),
    ],
)
def test_the_catalogs_headline(envelope, states, headline):
    assert listed(envelope, *({"state": state} for state in states))["headline"] == headline


def test_a_backup_is_told_with_its_detail_and_whether_it_is_a_copy(envelope):
    found = listed(envelope, {"state": "failed", "copy": True, "detail": "half of it"}, {"state": "ok"})["backups"]
    assert [(one["copy"], one["detail"]) for one in found] == [(True, "half of it"), (False, "")]


def test_the_worst_backups_are_kept_where_a_table_is_cut(envelope):
    backups = [{"state": "ok", "id": str(number)} for number in range(60)] + [{"state": "missing", "id": None}]
    found = listed(envelope, *backups, verdict="failed")
    assert (found["backups"][0]["state"], len(found["backups"]), found["left_out"]) == ("missing", 40, 21)
