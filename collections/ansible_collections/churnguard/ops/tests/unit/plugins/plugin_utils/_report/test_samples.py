# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest
from ansible_collections.churnguard.ops.plugins.plugin_utils._report import samples as evidence


def iso(seconds):
    return f"2026-11-21T12:00:{seconds:06.3f}Z"


ERRORS = {
    "name": "error_ratio",
    "kind": "ratio",
    "verdict": "bad",
    "value": 0.2,
    "limit": 0.01,
    "n": 300,
    "p_value": 1e-9,
}


def sample(at, verdict="good", results=(), **data):
    given = {"step": "hold", "weight": 10, "verdict": verdict, "results": list(results), **data}
    return (at, "sample", f"hold green at 10 % {verdict}", given)


def weights(at, green):
    return (at, "weights", "", {"weights": {"green": green, "blue": 100 - green}})


BACK = [
    weights(1, 10),
    sample(2),
    sample(3, "bad", [ERRORS], reason="errors"),
    (3.1, "frozen", "hold green at 10 %: errors", {"cause": "bad"}),
    sample(4, "bad", [ERRORS], reason="errors again", decisive=True),
    (4.2, "failed", "errors again"),
    (4.3, "rollback_started", "errors again"),
    weights(5.5, 0),
    (8, "rolled_back", "v2 was refused"),
]


def test_samples_are_counted_by_verdict(envelope):
    taken = evidence.samples(envelope(events=[*BACK, sample(9, "unheard of"), (9, "sample", "without data")]))
    assert evidence.counts(taken) == {"total": 4, "good": 1, "bad": 2, "unknown": 1}
    assert evidence.metric_names(taken) == ["error_ratio"]


def test_the_sample_before_the_way_back_decided_and_the_traffic_left_after_it(envelope):
    decided = evidence.decision(envelope(events=BACK), "rolled_back")
    assert (decided["at"], decided["decisive"], decided["reason"]) == (iso(4), True, "errors again")
    assert decided["traffic_off_s"] == 1.5
    assert decided["results"][0] == {
        "name": "error_ratio",
        "verdict": "bad",
        "kind": "ratio",
        "query": "",
        "reason": "",
        "window_s": None,
        "n": 300,
        "n_stable": None,
        "value": 0.2,
        "stable_value": None,
        "limit": 0.01,
        "p_value": 1e-9,
    }


def test_a_version_that_was_shipped_has_its_last_sample(envelope):
    decided = evidence.decision(envelope(events=[sample(2), sample(3, reason="all good")]), "shipped")
    assert (decided["at"], decided["reason"], decided["traffic_off_s"]) == (iso(3), "all good", None)


@pytest.mark.parametrize(
    ("events", "ended"),
    [
        ([], "shipped"),
        ([(3, "rollback_started", "not ready")], "refused"),
        ([sample(2), (3, "rollback_started", "aborted by ada")], "aborted"),
        ([sample(2)], "failed"),
    ],
    ids=["no sample", "never sampled", "good when aborted", "stopped"],
)
def test_where_no_sample_decided_none_is_named(envelope, events, ended):
    assert evidence.decision(envelope(events=events), ended) is None


def test_the_largest_share(envelope):
    assert evidence.max_share(envelope(events=BACK)) == 0.1
    assert evidence.max_share(envelope()) is None


@pytest.mark.parametrize(
    ("end", "at"),
    [(sample(5), 5), (weights(6, 0), 6), ((7, "rollback_started", ""), 7), ((99, "note", ""), 10)],
    ids=["thawed", "moved", "taken back", "never"],
)
def test_a_freeze_lasts_until_something_ends_it(envelope, end, at):
    frozen = [(2, "frozen", "errors", {"cause": "bad"}), sample(3, "unknown"), (4, "frozen", "errors"), end]
    assert evidence.freezes(envelope(events=frozen)) == [
        {"start": iso(2), "end": iso(at), "cause": "bad", "reason": "errors"}
    ]


def test_gates_know_who_opened_them(envelope):
    events = [
        (1, "gate", "waiting up to 60 s", {"before": "50"}),
        (3, "control", "approve", {"command": "approve", "by": "ada", "effect": "given"}),
        (4, "gate", "gate green at 25 %", {"held_s": 0, "waited_s": 3}),
        (5, "gate", "waiting up to 60 s", {"before": "100"}),
        (6, "gate", "opened by flag go", {"flag": "go"}),
        (7, "gate", "waiting up to 60 s", {"before": "bake"}),
    ]
    assert evidence.gates(envelope(events=events)) == [
        {"start": iso(1), "end": iso(4), "before": "50", "by": "ada"},
        {"start": iso(5), "end": iso(6), "before": "100", "by": "flag go"},
        {"start": iso(7), "end": iso(10), "before": "bake", "by": ""},
    ]


def test_commands_and_the_pauses_they_make(envelope):
    def asked(at, command):
        return (at, "control", command, {"command": command, "by": "ada", "effect": "done"})

    given = envelope(
        events=[asked(1, "pause"), asked(2, "pause"), asked(3, "resume"), asked(5, "pause"), (6, "control", "x")]
    )
    assert [one["command"] for one in evidence.commands(given)] == ["pause", "pause", "resume", "pause"]
    assert evidence.pauses(given) == [{"start": iso(1), "end": iso(3)}, {"start": iso(5), "end": iso(10)}]


def test_whatever_a_sample_holds_it_becomes_plain_and_finite(envelope):
    wild = {"name": None, "value": float("nan"), "limit": float("inf"), "n": True, "p_value": "x", "verdict": 3}
    given = envelope(events=[sample(1, "bad", [wild, "no result"], weight="x"), sample(2, "bad", results=())])
    given["timeline"][1]["data"]["results"] = "none"
    taken = evidence.samples(given)
    assert "NaN" not in json.dumps(taken)
    (result,) = taken[0]["results"]
    assert (result["name"], result["value"], result["n"], result["verdict"]) == ("metric", None, None, "unknown")
    assert taken[0]["weight"] is None
    assert taken[1]["results"] == []
