# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which backups there are against what was asked for: every check on both sides of its threshold, and every doubt."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._backup.catalog import Moment, judge, span, worst
from ansible_collections.churnguard.ops.plugins.module_utils._backup.model import (
    BAD,
    GOOD,
    RUNNING,
    Backup,
    Drill,
    Look,
    Policy,
    Source,
)

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
HERE = Source("database", "rds", "east/shop")
THERE = Source("database", "rds", "west/shop", copy=True)
ALL = Policy(
    "database",
    encrypted=True,
    cross_region=True,
    max_age=5400,
    copy_max_age=10800,
    verify_within=86400,
    drill_within=691200,
    min_count=2,
    min_size=1000,
)


def backup(name="b1", age=60.0, source=HERE, **changed):
    """A good, encrypted, verified backup that ended C(age) seconds ago."""
    finished = NOW - timedelta(seconds=age)
    made = Backup(source, name, "manual", GOOD, finished, 5000, True, finished)
    return replace(made, **changed)


def look(*backups, source=HERE, trouble=""):
    return Look(source, list(backups), trouble)


def catalog(policy, *looks, drills=(), skew=60.0):
    return judge([policy] if policy else [], looks, drills, Moment(NOW, skew))


def check(found, name):
    """The check C(name) of the first source of the first component, else of the component."""
    component = found["components"][0]
    places = [source["checks"] for source in component["sources"][:1]] + [component["checks"]]
    return next(one for checks in places for one in checks if one["name"] == name)


def states(found):
    return [(row["id"], row["state"]) for row in found["backups"]]


def healthy():
    good = [look(backup("b1"), backup("b2", 4000)), look(*(backup(n, 90, THERE) for n in ("c1", "c2")), source=THERE)]
    return good, [Drill("database", NOW - timedelta(days=2), "b1")]


def test_all_is_well_when_every_check_passes():
    looks, drills = healthy()
    found = catalog(ALL, *looks, drills=drills)
    assert found["problems"] == []
    assert [one["state"] for one in found["components"]] == ["ok"]
    verdicts = {one["verdict"] for source in found["components"][0]["sources"] for one in source["checks"]}
    assert verdicts == {"passed"}
    assert states(found) == [("b1", "ok"), ("b2", "ok"), ("c1", "ok"), ("c2", "ok")]
    assert found["backups"][0]["drill_passed_at"] == "2026-11-20T12:00:00.000Z"
    assert found["backups"][0]["age_s"] == 60.0


def test_a_threshold_that_is_not_set_reads_not_checked_and_never_passed():
    found = catalog(Policy("database"), look(backup(age=10**9, encrypted=False, verified_at=None)))
    assert found["components"][0]["state"] == "ok"
    for name in ("freshness", "encryption", "count", "size", "verification", "drill"):
        assert check(found, name)["verdict"] == "not_checked", name
    assert check(found, "freshness")["value"] == 10**9


def test_a_component_without_a_policy_is_listed_and_not_checked():
    found = catalog(None, look(backup()))
    assert [(one["component"], one["state"]) for one in found["components"]] == [("database", "ok")]
    assert check(found, "freshness")["verdict"] == "not_checked"


@pytest.mark.parametrize(
    ("changed", "name", "state"),
    [
        ({"finished": NOW - timedelta(seconds=5401)}, "freshness", "stale"),
        ({"encrypted": False}, "encryption", "failed"),
        ({"encrypted": None}, "encryption", "unverified"),
        ({"size_bytes": 999}, "size", "failed"),
        ({"size_bytes": None}, "size", "unverified"),
        ({"verified_at": None}, "verification", "unverified"),
        ({"verified_at": NOW - timedelta(seconds=86401)}, "verification", "unverified"),
        ({"verified_at": NOW + timedelta(seconds=61)}, "verification", "unverified"),
        ({"outcome": BAD}, "existence", "missing"),
        ({"outcome": RUNNING}, "existence", "missing"),
        ({"finished": None}, "existence", "missing"),
    ],
)
def test_each_fault_is_found_by_its_check_alone(changed, name, state):
    policy = replace(ALL, cross_region=False, drill_within=None, min_count=None)
    found = catalog(policy, look(backup(**changed)))
    assert name in [problem["name"] for problem in found["problems"]]
    assert check(found, name)["verdict"] == "failed"
    assert found["components"][0]["state"] == state
    others = {problem["name"] for problem in found["problems"]} - {name}
    assert others <= {"last_attempt", "clock"}


@pytest.mark.parametrize(
    ("seconds", "verdict"), [(0, "passed"), (5399.5, "passed"), (5400, "passed"), (5400.5, "failed"), (10**8, "failed")]
)
def test_the_age_limit_itself_is_young_enough(seconds, verdict):
    assert (
        check(catalog(Policy("database", max_age=5400), look(backup(age=seconds))), "freshness")["verdict"] == verdict
    )


def test_only_the_newest_usable_backup_can_be_stale():
    policy = Policy("database", max_age=5400)
    assert states(catalog(policy, look(backup("new", 60), backup("old", 99999)))) == [("new", "ok"), ("old", "ok")]
    assert states(catalog(policy, look(backup("a", 9000), backup("b", 99999)))) == [("a", "stale"), ("b", "ok")]


def test_none_at_all_is_missing_and_has_a_row():
    found = catalog(ALL, look())
    assert (found["components"][0]["state"], states(found)) == ("missing", [(None, "missing")])
    assert check(found, "freshness")["verdict"] == "not_checked"


def test_a_source_that_cannot_be_read_is_missing_and_says_why():
    found = catalog(Policy("database"), look(trouble="AWS answered AccessDenied."))
    assert found["components"][0]["state"] == "missing"
    assert "AccessDenied" in found["problems"][0]["detail"]
    assert found["backups"][0]["detail"] == "AWS answered AccessDenied."


def test_no_source_for_a_policy_is_missing():
    found = catalog(Policy("database", max_age=60))
    assert [problem["name"] for problem in found["problems"]] == ["sources"]
    assert found["components"][0]["state"] == "missing"


def test_a_second_region_that_nobody_configured_is_missing():
    found = catalog(Policy("database", cross_region=True), look(backup()))
    assert [(one["name"], one["state"]) for one in found["problems"]] == [("cross_region", "missing")]
    assert found["components"][0]["state"] == "missing"


def test_the_second_region_has_a_limit_of_its_own():
    policy = Policy("database", cross_region=True, max_age=5400, copy_max_age=10800)
    looks = [look(backup("b", 60)), look(backup("c", 9000, THERE), source=THERE)]
    assert catalog(policy, *looks)["problems"] == []
    looks[1] = look(backup("c", 10801, THERE), source=THERE)
    (problem,) = catalog(policy, *looks)["problems"]
    assert (problem["location"], problem["name"], problem["limit"]) == ("west/shop", "freshness", 10800)


class TestFailedAttempts:
    def test_a_failure_after_the_newest_good_one_counts(self):
        broken = backup("b2", 30, outcome=BAD, detail="RDS says failed")
        found = catalog(Policy("database", max_age=5400), look(backup("b1", 60), broken))
        assert found["components"][0]["state"] == "failed"
        assert found["problems"][0]["detail"] == "b2 failed: RDS says failed"
        assert states(found) == [("b2", "failed"), ("b1", "ok")]

    def test_a_failure_before_it_is_history(self):
        found = catalog(Policy("database", max_age=5400), look(backup("b1", 60), backup("b0", 90, outcome=BAD)))
        assert found["components"][0]["state"] == "ok"
        assert states(found) == [("b1", "ok"), ("b0", "failed")]

    def test_a_failure_of_unknown_time_counts_as_the_newest(self):
        found = catalog(Policy("database"), look(backup("b1", 60), backup("b0", outcome=BAD, finished=None)))
        assert found["components"][0]["state"] == "failed"

    def test_one_under_way_is_neither(self):
        found = catalog(Policy("database", max_age=5400), look(backup("b1", 60), backup("b2", 0, outcome=RUNNING)))
        assert found["components"][0]["state"] == "ok"
        assert ("b2", "unverified") in states(found)


class TestClocks:
    @pytest.mark.parametrize(("ahead", "age"), [(1, 0.0), (60, 0.0), (-1, 1.0)])
    def test_a_little_ahead_is_now(self, ahead, age):
        found = catalog(Policy("database", max_age=5400), look(backup(age=-ahead)))
        assert found["problems"] == []
        assert found["backups"][0]["age_s"] == age

    def test_far_ahead_is_no_proof_of_freshness(self):
        found = catalog(Policy("database", max_age=5400), look(backup("b1", 9000), backup("b2", -3600)))
        assert {problem["name"]: problem["state"] for problem in found["problems"]} == {
            "freshness": "stale",
            "clock": "unverified",
        }
        doubt = next(problem for problem in found["problems"] if problem["name"] == "clock")
        assert "b2 ends 3600 s in the future (tolerance 60 s)" in doubt["detail"]
        assert [(row["id"], row["age_s"], row["state"]) for row in found["backups"]] == [
            ("b2", None, "unverified"),
            ("b1", 9000.0, "stale"),
        ]

    def test_the_tolerance_can_be_set(self):
        assert catalog(Policy("database"), look(backup(age=-3600)), skew=3600)["problems"] == []
        assert catalog(Policy("database"), look(backup(age=-61)), skew=0)["components"][0]["state"] == "missing"

    def test_an_unknown_time_is_said(self):
        found = catalog(Policy("database", max_age=5400), look(backup("b1"), backup("b2", finished=None)))
        assert found["components"][0]["state"] == "unverified"
        assert "b2 has no time that can be read" in found["problems"][0]["detail"]
        assert states(found)[-1] == ("b2", "unverified")

    @pytest.mark.parametrize("hours", [-11, -3.5, 0, 5.75, 13])
    def test_the_time_zone_does_not_matter(self, hours):
        zone = timezone(timedelta(hours=hours))
        there = (NOW - timedelta(seconds=5400)).astimezone(zone)
        found = catalog(Policy("database", max_age=5400), look(backup(finished=there)))
        assert (check(found, "freshness")["verdict"], found["backups"][0]["age_s"]) == ("passed", 5400.0)
        assert found["backups"][0]["finished"] == "2026-11-22T10:30:00.000Z"


class TestDrills:
    POLICY = Policy("database", drill_within=7 * 86400)

    def test_none_ever_is_unverified(self):
        found = catalog(self.POLICY, look(backup()))
        assert (found["components"][0]["state"], found["problems"][0]["name"]) == ("unverified", "drill")

    @pytest.mark.parametrize(("days", "verdict"), [(1, "passed"), (7, "passed"), (7.01, "failed")])
    def test_the_newest_one_counts(self, days, verdict):
        drills = [Drill("database", NOW - timedelta(days=90)), Drill("database", NOW - timedelta(days=days))]
        assert check(catalog(self.POLICY, look(backup()), drills=drills), "drill")["verdict"] == verdict

    def test_another_component_s_or_a_future_one_does_not(self):
        drills = [Drill("cache", NOW), Drill("database", NOW + timedelta(hours=1))]
        assert check(catalog(self.POLICY, look(backup()), drills=drills), "drill")["verdict"] == "failed"

    def test_a_drill_is_ascribed_to_the_backup_it_names_and_to_no_other(self):
        drills = [Drill("database", NOW - timedelta(days=1), "b2"), Drill("database", NOW, "")]
        found = catalog(self.POLICY, look(backup("b1"), backup("b2", 90)), drills=drills)
        assert [row["drill_passed_at"] for row in found["backups"]] == [None, "2026-11-21T12:00:00.000Z"]

    def test_restoring_a_backup_verifies_it(self):
        policy = Policy("database", verify_within=2 * 86400)
        never = backup("b1", verified_at=None)
        assert check(catalog(policy, look(never)), "verification")["verdict"] == "failed"
        drills = [Drill("database", NOW - timedelta(days=1), "b1")]
        assert check(catalog(policy, look(never), drills=drills), "verification")["verdict"] == "passed"


def test_problems_come_worst_first():
    looks = [look(backup("b1", 9000, verified_at=None)), look(source=THERE)]
    found = catalog(replace(ALL, min_count=None), *looks)
    assert [problem["state"] for problem in found["problems"]] == ["missing", "stale", "unverified", "unverified"]


def test_too_few_are_missing():
    found = catalog(Policy("database", min_count=3), look(backup("b1"), backup("b2")))
    assert (check(found, "count")["value"], check(found, "count")["limit"]) == (2, 3)
    assert found["components"][0]["state"] == "missing"


def test_the_worst_state_wins():
    assert worst([]) == "ok"
    assert worst(["ok", "unverified", "stale"]) == "stale"
    assert worst(["failed", "missing", "ok"]) == "missing"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (119, "119 s"), (120, "2.0 min"), (7200, "2.0 h"), (172800, "2.0 d")]
)
def test_spans_are_readable(seconds, text):
    assert span(seconds) == text
