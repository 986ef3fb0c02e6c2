# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.drain import Activity, Silence, activity_queries

IDLE = Activity(served=100.0, in_flight=0.0, age=0.0)


def run(silence: Silence, looks: list[tuple[float, bool, Activity | None]]) -> list[bool]:
    """Whether each look (time, probe hit, counters) found silence."""
    return [silence.look(*look).done for look in looks]


def test_silence_is_proved_after_a_quiet_period():
    assert run(Silence(10, True, 0), [(0, False, IDLE), (9.9, False, IDLE), (10, False, IDLE)]) == [False, False, True]


def test_without_a_quiet_period_one_good_look_is_enough():
    assert run(Silence(0, True, 5), [(5, False, IDLE)]) == [True]


@pytest.mark.parametrize(
    ("hit", "activity", "text"),
    [
        (True, IDLE, "a probe was still answered by it"),
        (False, Activity(100, 2, 0), "2 requests still in flight"),
        (False, Activity(104, 0, 0), "it served 4 more requests"),
        (False, Activity(40, 0, 0), "its counters went back"),
        (False, None, "its metrics cannot be read"),
        (False, Activity(100, None, 0), "its metrics cannot be read"),
        (False, Activity(100, 0, None), "its metrics cannot be read"),
    ],
    ids=["probe", "in flight", "growth", "reset", "no answer", "no gauge", "no age"],
)
def test_any_stir_begins_the_quiet_period_anew(hit, activity, text):
    silence = Silence(10, True, 0)
    assert not silence.look(0, False, IDLE).done
    finding = silence.look(6, hit, activity)
    assert not finding.done
    assert finding.detail.startswith(text)
    after = IDLE if activity is None else Activity(activity.served, 0.0, 0.0)
    assert run(silence, [(15.9, False, after), (16, False, after)]) == [False, True]


def test_a_counter_reset_does_not_hide_later_growth():
    silence = Silence(10, True, 0)
    looks = [(0, False, IDLE), (5, False, Activity(0, 0, 0)), (9, False, Activity(3, 0, 0))]
    assert run(silence, looks) == [False] * 3
    assert silence.look(15, False, Activity(3, 0, 0)).done is False
    assert silence.look(19, False, Activity(3, 0, 0)).done is True


def test_unreadable_metrics_never_count_as_silence():
    assert not any(run(Silence(10, True, 0), [(float(t), False, None) for t in range(0, 1000, 10)]))


def test_a_slot_that_never_served_has_no_counter_and_can_still_be_silent():
    never = Activity(None, 0.0, 0.0)
    assert run(Silence(10, True, 0), [(0, False, never), (10, False, never)]) == [False, True]


@pytest.mark.parametrize(("age", "when"), [(0.0, 10), (5.0, 15), (300.0, 310)])
def test_a_stale_sample_proves_nothing_about_the_time_since(age, when):
    old = Activity(100.0, 0.0, age)
    assert run(Silence(10, True, 0), [(0, False, old), (when - 0.1, False, old), (when, False, old)])[1:] == [
        False,
        True,
    ]


def test_a_sample_that_grows_older_as_time_passes_is_never_proof():
    silence = Silence(10, True, 0)
    assert not any(silence.look(float(t), False, Activity(100.0, 0.0, float(t))).done for t in range(0, 500, 5))


def test_without_counters_only_the_probes_speak():
    silence = Silence(10, False, 0)
    assert run(silence, [(5, True, None), (14, False, None), (15, False, None)]) == [False, False, True]


def test_progress_is_told():
    assert Silence(10, True, 0).look(4, False, Activity(1, 0, 1)).detail == "silent for 3 s of 10 s"


def test_every_query_is_pinned_to_namespace_app_and_slot():
    queries = activity_queries("ns", "app", "blue")
    assert set(queries) == set(Activity.__dataclass_fields__)
    for query in queries.values():
        assert '{namespace="ns",app="app",slot="blue"}' in query
