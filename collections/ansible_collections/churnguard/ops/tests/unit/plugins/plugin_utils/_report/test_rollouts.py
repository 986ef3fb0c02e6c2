# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an envelope says about its rollout."""

from __future__ import annotations

import pytest
from ansible_collections.churnguard.ops.plugins.plugin_utils._report import rollouts

V2_GETS_20 = (3, "weights", "20 %", {"weights": {"blue": 80, "green": 20}})
V2_GETS_NONE = (3, "weights", "0 %", {"weights": {"blue": 1, "green": 0}})


@pytest.mark.parametrize(
    ("operation", "subject", "expected"),
    [
        ("rollout", {}, True),
        ("rollback", {}, True),
        ("ship", {"strategy": "canary"}, True),
        ("backup", {"database": "x"}, False),
    ],
)
def test_what_is_a_rollout(envelope, operation, subject, expected):
    assert rollouts.is_rollout(envelope(operation=operation, subject=subject)) is expected


def test_steps_with_their_times_and_how_they_ended(envelope, at):
    found = rollouts.steps(
        envelope(
            end=20,
            events=[
                (1, "step_started", "start the slot", {"step": "start"}),
                (3, "step_done", "started", {"step": "start"}),
                (3, "step_started", "ready", {"step": "ready"}),
                (9.5, "failed", "crashes"),
                (10, "rollback_started", "back"),
                (12, "rolled_back", "done"),
                (13, "step_started", "clean up"),
            ],
        )
    )
    assert [(s["name"], s["started"], s["finished"], s["result"], s["duration_s"]) for s in found] == [
        ("start", at(1), at(3), "done", 2),
        ("ready", at(3), at(9.5), "failed", 6.5),
        ("roll back", at(10), at(12), "done", 2),
        ("clean up", at(13), at(20), "unfinished", 7),
    ]


def test_a_step_that_ends_without_having_begun_is_not_made_up(envelope):
    assert rollouts.steps(envelope(events=[(1, "step_done", "ready")])) == []


def test_weights_become_shares_and_nonsense_is_left_out(envelope, at):
    found = rollouts.weights(
        envelope(
            events=[
                V2_GETS_20,
                (4, "weights", "no data"),
                (5, "weights", "all zero", {"weights": {"blue": 0, "green": 0}}),
                (6, "weights", "words", {"weights": {"blue": "all"}}),
            ]
        )
    )
    assert found == [{"at": at(3), "shares": {"blue": 0.8, "green": 0.2}}]


@pytest.mark.parametrize(
    ("verdict", "changed", "events", "by_version", "outcome", "headline"),
    [
        ("passed", True, [V2_GETS_20], {}, "shipped", "v2 replaced v1"),
        ("passed", False, [], {}, "unchanged", "v2 was live already, nothing to do"),
        ("rolled_back", True, [], {"v1": 9}, "refused", "v2 refused, v1 kept"),
        ("rolled_back", True, [V2_GETS_NONE], {}, "refused", "v2 refused, v1 kept"),
        ("rolled_back", True, [V2_GETS_20], {}, "rolled_back", "v2 rolled back, v1 serves again"),
        ("rolled_back", True, [], {"v2": 1}, "rolled_back", "v2 rolled back, v1 serves again"),
        ("rolled_back", True, [(3, "weights", "?")], {}, "rolled_back", "v2 rolled back, v1 serves again"),
        ("aborted", True, [], {}, "aborted", "v2 aborted"),
        ("failed", True, [], {}, "failed", "v2 failed"),
    ],
)
def test_how_it_ended(envelope, verdict, changed, events, by_version, outcome, headline):
    given = envelope(verdict=verdict, changed=changed, events=events)
    assert rollouts.outcome(given, by_version) == outcome
    assert rollouts.headline(given, outcome) == headline


def test_a_first_version_replaces_nothing_and_leaves_nothing(envelope):
    given = envelope(subject={"version": "v1", "previous_version": None, "slot": "blue"})
    assert rollouts.headline(given, "shipped") == "v1 is live"
    assert rollouts.headline(given, "refused") == "v1 refused, nothing was live before"


def test_the_same_version_again_is_not_told_by_who_answered(envelope):
    given = envelope(verdict="rolled_back", subject={"version": "v1", "previous_version": "v1", "slot": "green"})
    assert rollouts.outcome(given, {"v1": 100}) == "refused"


def test_only_shipping_without_failed_requests_looks_good():
    assert [ended for ended in rollouts.TONES if rollouts.tone(ended, 0) == "good"] == ["shipped"]
    assert rollouts.tone("shipped", None) == "good"
    assert rollouts.tone("shipped", 1) == "bad"


def test_errors_are_given_in_full_and_once(envelope, at):
    text = "Could not start: " + "x" * 5000
    given = envelope(events=[(2, "failed", text), (3, "failed", "")], msg=text, error="other")
    assert rollouts.errors(given) == [{"at": at(2), "text": text}, {"at": at(10), "text": "other"}]
