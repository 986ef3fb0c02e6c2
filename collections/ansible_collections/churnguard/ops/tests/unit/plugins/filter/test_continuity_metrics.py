# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups and drills as metrics: from a catalog and a history as they are judged, to what Prometheus reads."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.churnguard.ops.plugins.filter.continuity_metrics import FilterModule
from ansible_collections.churnguard.ops.plugins.module_utils._backup import catalog
from ansible_collections.churnguard.ops.plugins.module_utils._backup.model import (
    BAD,
    GOOD,
    STATES,
    Backup,
    Look,
    Policy,
    Source,
)
from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import isoformat
from ansible_collections.churnguard.ops.plugins.module_utils._drill import history
from ansible_collections.churnguard.ops.plugins.plugin_utils._backup import exposition
from prometheus_client.parser import text_string_to_metric_families

continuity_metrics = FilterModule().filters()["continuity_metrics"]
NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
NOW_S = NOW.timestamp()
SUCCESS = "churnguard_backup_last_success_timestamp_seconds"
STATE = "churnguard_backup_state"
UPDATED = "churnguard_continuity_updated_timestamp_seconds"
LAST_RUN = "churnguard_drill_last_run_timestamp_seconds"
PASSED = "churnguard_drill_passed"


def source(component="database", location="east/shop", copy=False):
    return Source(component, "rds", location, copy)


def backup(at, age, outcome=GOOD, name="b"):
    return Backup(at, f"{name}{age}", "manual", outcome, NOW - timedelta(seconds=age), 5000, True)


def judged(*looks, policies=()):
    return catalog.judge(policies, looks, [], catalog.Moment(NOW))


def look(at, *ages, **changed):
    return Look(at, [backup(at, age) for age in ages], **changed)


def drill(scenario, days, verdict):
    started = isoformat(NOW - timedelta(days=days))
    return {"drill_id": f"{scenario}-{days}", "scenario": scenario, "started": started, "verdict": verdict}


def drilled(*drills, wanted=("database_loss",)):
    """What dr_drill_info returns: its history is the newest first."""
    ordered = sorted(drills, key=lambda one: one["started"], reverse=True)
    return {"drills": ordered, "scenarios": history.judge(ordered, wanted, NOW, None)}


def series(part, found, now=NOW_S):
    """The samples that a reader of the text gets: value by name and values of the labels."""
    read = text_string_to_metric_families(continuity_metrics(found, part, now))
    return {(one.name, *one.labels.values()): one.value for family in read for one in family.samples}


def test_a_moment_and_a_state_for_each_component():
    files = source("application_data")
    found = series("backups", judged(look(source(), 60, 4000), look(files, 90000), policies=[Policy("database")]))
    assert found[SUCCESS, "database", "false"] == NOW_S - 60
    assert found[SUCCESS, "application_data", "false"] == NOW_S - 90000
    assert {key[2]: value for key, value in found.items() if key[:2] == (STATE, "database")} == {
        **dict.fromkeys(STATES, 0),
        "ok": 1,
    }
    assert found[UPDATED, "backups"] == NOW_S


def test_the_states_are_those_of_the_catalog():
    assert set(exposition.STATES) == set(STATES)


def test_of_several_places_the_one_that_is_farthest_behind_counts_and_copies_count_apart():
    places = [look(source(location=name), age) for name, age in (("a", 60), ("b", 7000), ("c", 600))]
    copies = [look(source(location=name, copy=True), age) for name, age in (("d", 9000), ("e", 9500))]
    found = series("backups", judged(*places, *copies))
    assert found[SUCCESS, "database", "false"] == NOW_S - 7000
    assert found[SUCCESS, "database", "true"] == NOW_S - 9500


def test_only_a_backup_that_can_be_used_is_a_success():
    here = source()
    failed, tomorrow = backup(here, 10, BAD), backup(here, -86400)
    found = series("backups", judged(Look(here, [failed, tomorrow, backup(here, 7200), backup(here, 9000)])))
    assert found[SUCCESS, "database", "false"] == NOW_S - 7200
    assert found[STATE, "database", "failed"] == 1


def test_the_newest_one_counts_also_when_it_is_too_old_or_not_encrypted():
    plain = Backup(source(), "b", "manual", GOOD, NOW - timedelta(days=3), 5000, False)
    policy = Policy("database", encrypted=True, max_age=60)
    found = series("backups", judged(Look(source(), [plain]), policies=[policy]))
    assert found[SUCCESS, "database", "false"] == NOW_S - 3 * 86400
    assert found[STATE, "database", "failed"] == 1


def test_without_any_there_is_a_state_and_no_moment():
    found = series("backups", judged(look(source(), trouble="no answer"), policies=[Policy("database")]))
    assert [key for key in found if key[0] == SUCCESS] == []
    assert found[STATE, "database", "missing"] == 1


def test_the_last_drill_that_ended_by_itself_counts():
    ran = [
        drill("database_loss", 9, "passed"),
        drill("database_loss", 2, "failed"),
        drill("database_loss", 1, "aborted"),
    ]
    found = series("drills", drilled(*ran))
    assert found == {
        (LAST_RUN, "database_loss"): NOW_S - 2 * 86400,
        (PASSED, "database_loss"): 0,
        (UPDATED, "drills"): NOW_S,
    }


def test_a_scenario_that_was_never_drilled_is_told_and_one_that_nobody_asks_for_too():
    ran = [drill("region_loss", 30, "failed"), drill("region_loss", 3, "passed"), drill("database_loss", 1, "aborted")]
    found = series("drills", drilled(*ran))
    assert found[LAST_RUN, "database_loss"] == 0
    assert (PASSED, "database_loss") not in found
    assert found[LAST_RUN, "region_loss"] == NOW_S - 3 * 86400
    assert found[PASSED, "region_loss"] == 1


def test_labels_are_escaped():
    odd = 'a "quoted"\\name\nin two lines'
    found = series("backups", judged(look(source(odd), 60)))
    assert found[SUCCESS, odd, "false"] == NOW_S - 60
    assert '\\"quoted\\"\\\\name\\n' in continuity_metrics(judged(look(source(odd), 60)), "backups", NOW_S)


@pytest.mark.parametrize(
    ("part", "found"),
    [("backups", judged(look(source(), 60))), ("drills", drilled(drill("database_loss", 1, "passed")))],
)
def test_every_metric_says_what_it_is_and_ends_with_a_line(part, found):
    text = continuity_metrics(found, part, NOW_S)
    names = {line.split("{")[0] for line in text.splitlines() if not line.startswith("#")}
    for word in ("HELP", "TYPE"):
        assert {line.split(" ")[2] for line in text.splitlines() if line.startswith(f"# {word} ")} == names
    assert text.endswith("\n")
    assert len(names) == 3


@pytest.mark.parametrize(
    ("part", "found", "told"),
    [
        ("weather", {}, "part has to be one of backups, drills, not 'weather'"),
        ("backups", {}, "the input is not a backup catalog of backup_catalog_info (KeyError('components'))"),
        ("backups", None, "the input is not a backup catalog"),
        ("backups", {"components": [{"component": "a", "state": "ok", "sources": [{"checks": []}]}], "backups": []},
         "KeyError('freshness')"),
        ("drills", {"scenarios": [], "drills": [{"verdict": "passed", "scenario": "a", "started": "yesterday"}]},
         "the input is not a history of dr_drill_info (ValueError"),
        ("drills", {"scenarios": [], "drills": [drill("a", 1, "passed") | {"started": "2026-11-22T12:00:00"}]},
         "has no time zone"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_without_a_traceback(part, found, told):
    with pytest.raises(AnsibleFilterError) as caught:
        continuity_metrics(found, part, NOW_S)
    assert told in str(caught.value)
