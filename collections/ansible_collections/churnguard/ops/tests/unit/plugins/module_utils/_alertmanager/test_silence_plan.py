# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done about the silences, without a server."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._alertmanager.model import (
    ACTIVE,
    EXPIRED,
    PENDING,
    Matcher,
    Silence,
    Wanted,
    parse_duration,
    parse_moment,
    read_silence,
    tagged,
    valid_name,
    write_silence,
)
from ansible_collections.churnguard.ops.plugins.module_utils._alertmanager.plan import (
    CREATE,
    EXPIRE,
    UPDATE,
    after,
    plan_absent,
    plan_present,
    problem,
)

NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
A, B = (Matcher("namespace", "a"), Matcher("alertname", "Pod.*", is_regex=True)), (Matcher("namespace", "b"),)


def silence(number="1", name="deploy", matchers=A, starts=-5, ends=30, state=ACTIVE, comment="why") -> Silence:
    """A silence; times are minutes from now."""
    return Silence(number, name, matchers, NOW + starts * MINUTE, NOW + ends * MINUTE, "x", comment, state)


def wanted(ends=30.0, starts=0.0, matchers=A, exact=False, comment="why") -> Wanted:
    return Wanted("deploy", matchers, NOW + starts * MINUTE, NOW + ends * MINUTE, "x", comment, exact)


def kinds(plan) -> list[tuple[str, str]]:
    return [(step.kind, step.silence.id) for step in plan.steps]


@pytest.mark.parametrize(
    ("there", "asked", "action", "steps"),
    [
        ([], wanted(), "created", [(CREATE, "")]),
        ([silence()], wanted(), "unchanged", []),
        ([silence(matchers=A[::-1])], wanted(), "unchanged", []),
        ([silence(ends=29.5)], wanted(), "unchanged", []),
        ([silence(ends=28)], wanted(), "extended", [(UPDATE, "1")]),
        ([silence(ends=29.99)], wanted(exact=True), "extended", [(UPDATE, "1")]),
        ([silence(ends=90)], wanted(), "unchanged", []),
        ([silence(ends=90)], wanted(exact=True), "unchanged", []),
        ([silence(comment="old")], wanted(), "changed", [(UPDATE, "1")]),
        ([silence(matchers=B)], wanted(), "replaced", [(CREATE, ""), (EXPIRE, "1")]),
        ([silence(state=EXPIRED)], wanted(), "created", [(CREATE, "")]),
        ([silence(name="other")], wanted(), "created", [(CREATE, "")]),
        ([silence(name=None)], wanted(), "created", [(CREATE, "")]),
        ([silence("1"), silence("2", ends=60)], wanted(), "replaced", [(EXPIRE, "1")]),
        ([silence("2"), silence("1")], wanted(), "replaced", [(EXPIRE, "2")]),
        ([silence("2"), silence("1")], wanted(60), "extended", [(UPDATE, "1"), (EXPIRE, "2")]),
        # One for tomorrow does not silence now.
        ([silence(starts=600, ends=660, state=PENDING)], wanted(), "replaced", [(CREATE, ""), (EXPIRE, "1")]),
        ([silence(starts=600, ends=660, state=PENDING)], wanted(660, 600), "unchanged", []),
        ([silence(starts=600, ends=660, state=PENDING)], wanted(700, 600), "extended", [(UPDATE, "1")]),
    ],
)
def test_what_is_done(there, asked, action, steps):
    plan = plan_present(there, asked)
    assert (plan.action, kinds(plan)) == (action, steps)


def test_whatever_is_there_one_silence_of_the_name_remains_and_others_are_untouched():
    choices = [
        silence("1"),
        silence("2", matchers=B),
        silence("3", ends=5),
        silence("4", starts=60, ends=90, state=PENDING),
        silence("5", state=EXPIRED),
        silence("6", name=None),
        silence("7", name="other"),
    ]
    for size in range(len(choices) + 1):
        for there in itertools.combinations(choices, size):
            plan = plan_present(there, wanted())
            left = after(there, plan)
            (mine,) = [one for one in left if one.name == "deploy"]
            assert mine.same_matchers(A) and mine.starts <= NOW and mine.ends >= NOW + 30 * MINUTE
            assert {one for one in left if one.name != "deploy"} == {one for one in there if one.name != "deploy"}
            # What silences is made before what silenced is taken away.
            order = [step.kind for step in plan.steps]
            assert order == sorted(order, key=lambda kind: kind == EXPIRE)
            assert not plan_present(left, wanted()).changed


def test_a_pending_silence_that_starts_later_is_made_now():
    plan = plan_present([silence(starts=60, ends=90, state=PENDING)], wanted())
    assert plan.kept.starts == NOW


def test_absent_ends_every_live_silence_of_the_name_and_no_other():
    there = [
        silence("1"),
        silence("2", matchers=B, state=PENDING),
        silence("3", state=EXPIRED),
        silence("4", name="other"),
        silence("5", name=None),
    ]
    assert kinds(plan_absent(there, "deploy")) == [(EXPIRE, "1"), (EXPIRE, "2")]
    assert kinds(plan_absent(there, silence_id="5")) == [(EXPIRE, "5")]
    assert [one.id for one in after(there, plan_absent(there, "deploy"))] == ["4", "5"]
    assert plan_absent(there, "nobody").action == "unchanged"


def test_times_that_cannot_be():
    assert problem(wanted(), NOW) is None
    assert "in the past" in problem(wanted(-1, -2), NOW)[0]
    assert "in the past" in problem(wanted(), NOW + 31 * MINUTE)[0], "the server's clock is ahead"
    assert "before its start" in problem(wanted(10, 20), NOW)[0]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("30m", 1800), ("1h30m", 5400), ("2d", 172800), ("1w", 604800), (" 5m ", 300)],
)
def test_durations(text, seconds):
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "0", "-5m", "5 m", "m", "1.5h", "30m1h", "367d", "soon"])
def test_what_is_no_duration(text):
    assert parse_duration(text) is None


def test_moments():
    assert parse_moment("2026-11-22T09:00:00+01:00") == NOW
    assert parse_moment("2026-11-22T08:00:00.123456789Z") == NOW + timedelta(microseconds=123456)
    assert parse_moment("2026-11-22T08:00:00.1Z") == NOW + timedelta(microseconds=100000)
    assert parse_moment("2026-11-22T08:00:00") is None
    assert parse_moment("tomorrow") is None


@pytest.mark.parametrize("comment", ["", "why", "two\nlines", "[x] y"])
def test_the_name_survives_the_comment(comment):
    document = {**write_silence(silence(comment=comment)), "id": "7", "status": {"state": ACTIVE}}
    assert document["comment"] == tagged("deploy", comment)
    assert read_silence(document) == silence("7", comment=comment)


def test_names_that_would_not_survive_are_refused():
    assert all(valid_name(name) for name in ("a", "deploy churnguard-api", "x" * 128))
    assert not any(valid_name(name) for name in ("", " a", "a ", "a]b", "[a", "a\nb", "x" * 129))


def test_matchers_in_words():
    operators = [Matcher("a", "b", regex, equal) for regex in (False, True) for equal in (True, False)]
    assert [str(one) for one in operators] == ['a="b"', 'a!="b"', 'a=~"b"', 'a!~"b"']
