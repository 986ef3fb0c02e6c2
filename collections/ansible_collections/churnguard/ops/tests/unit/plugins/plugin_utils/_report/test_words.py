# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures as people read them."""

from __future__ import annotations

import pytest
from ansible_collections.churnguard.ops.plugins.plugin_utils._report import words


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0, "0"),
        (1234567, "1,234,567"),
        (12.0, "12"),
        (1.23456, "1.235"),
        (0.0004, "0.0004"),
        (True, "True"),
        ("v1", "v1"),
    ],
)
def test_number(value, text):
    assert words.number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (0, "0 s"),
        (0.0042, "4.2 ms"),
        (0.0994, "99.4 ms"),
        (0.1, "0.1 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min"),
        (78.6, "1 min 19 s"),
        (600, "10 min"),
        (3600, "1 h"),
        (7620, "2 h 07 min"),
    ],
)
def test_duration(seconds, text):
    assert words.duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, "–"), (0.00421, "4.21 ms"), (0.25, "250 ms"), (0.9996, "1 s"), (1.3, "1.3 s")]
)
def test_latency(seconds, text):
    assert words.latency(seconds) == text


@pytest.mark.parametrize(
    ("given", "text"), [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")]
)
def test_listing(given, text):
    assert words.listing(given) == text


def rollout(**parts):
    base = {
        "version": "v2",
        "strategy": "blue_green",
        "verdict": "passed",
        "duration_s": 12.5,
        "headline": "v2 is live",
    }
    return {**base, "requests": {"sent": 12345, "failed": 0, "reason": None}, **parts}


NOTHING_ELSE = {"gates": [], "drills": [], "backups": [], "reviews": [], "business": [], "alerts": None}


def test_the_table_is_aligned_and_says_why_a_figure_is_missing():
    unmeasured = rollout(version="v10", requests={"sent": None, "failed": None, "reason": "no load"})
    assert words.table({"rollouts": [rollout(), unmeasured], **NOTHING_ELSE}) == [
        "version  strategy    verdict  duration    sent  failed",
        "v2       blue_green  passed     12.5 s  12,345       0  v2 is live",
        "v10      blue_green  passed     12.5 s       –       –  v2 is live (no load)",
    ]


def test_a_table_of_nothing_says_so():
    assert words.table({"rollouts": [], **NOTHING_ELSE}) == ["no operation recorded"]


def test_other_operations_have_a_line_each_below_the_rollouts():
    goals = [
        {"name": "RTO", "value_s": 42.1, "limit_s": 1800},
        {"name": "RPO", "value_s": None, "limit_s": None},
    ]
    drill = {"verdict": "passed", "duration_s": 66.5, "headline": "Database loss: recovered", "objectives": goals}
    gate = {"verdict": "failed", "duration_s": 30.0, "headline": "shop is not good"}
    backups = {"verdict": "passed", "headline": "All 3 backups are ok"}
    review = {"verdict": "passed", "duration_s": 2.0, "headline": "Performance: CPU bad"}
    business = {"verdict": "failed", "duration_s": 1.5, "headline": "Business: Score not known"}
    fired = {"name": "RedisDown", "severity": "critical"}
    alerts = {"alerts": [{**fired, "over": None, "duration_s": None}, {**fired, "over": "x", "duration_s": 61.0}]}
    others = {"drills": [drill], "gates": [gate], "backups": [backups], "reviews": [review]}
    others = {**others, "business": [business], "alerts": alerts}
    lines = words.table({"rollouts": [rollout()], **others})
    assert lines[2:] == [
        "",
        "drill        passed    1 min 06 s  Database loss: recovered          RTO 42.1 s of 30 min  RPO –",
        "metric gate  failed          30 s  shop is not good",
        "backups      passed                All 3 backups are ok",
        "performance  passed           2 s  Performance: CPU bad",
        "business     failed         1.5 s  Business: Score not known",
        "alert        critical           –  RedisDown, not resolved yet",
        "alert        critical  1 min 01 s  RedisDown, over after 1 min 01 s",
    ]


@pytest.mark.parametrize(
    ("count", "text"), [(None, "–"), (0, "0 B"), (999, "999 B"), (612_334_112, "612 MB"), (1.2e12, "1.2 TB")]
)
def test_size(count, text):
    assert words.size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, "–"), (90, "1 min 30 s"), (7200, "2.0 h"), (109985, "30.6 h"), (400000, "4.6 d")]
)
def test_age(seconds, text):
    assert words.age(seconds) == text
