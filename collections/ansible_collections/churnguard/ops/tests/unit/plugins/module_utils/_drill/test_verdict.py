# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clocks and verdict: durations add up, and nothing unproven passes."""

from __future__ import annotations

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._drill import clocks, verdict
from ansible_collections.churnguard.ops.plugins.module_utils._drill.clocks import Timed
from ansible_collections.churnguard.ops.plugins.module_utils._drill.model import Mark

MOMENTS = {
    "t_fault": 100.0,
    "t_detect": 101.0,
    "t_declare": 101.5,
    "t_files": 104.0,
    "t_promoted": 106.0,
    "t_verified": 108.0,
    "t_accept": 109.0,
}
MARKS = {name: Mark(f"at {moment}", moment) for name, moment in MOMENTS.items()}


def test_the_recovery_time_runs_from_the_fault_to_acceptance():
    assert clocks.rto(MARKS) == 9.0
    assert clocks.technical_rto(MARKS) == 7.5
    assert clocks.rto({name: mark for name, mark in MARKS.items() if name != "t_accept"}) is None


def test_phases_count_as_far_as_they_lie_in_the_recovery():
    phases = [
        Timed("prepare", 90, 99),
        Timed("fault", 99, 100.2),
        Timed("detect", 100.2, 102),
        Timed("recover", 102, 106),
        Timed("verify", 106, 108),
        Timed("accept", 108, 109.5),
        Timed("cleanup", 109.5, 120),
    ]
    shares = clocks.in_recovery(phases, MARKS)
    assert [name for name, _seconds in shares] == ["fault", "detect", "recover", "verify", "accept"]
    assert sum(seconds for _name, seconds in shares) == pytest.approx(9.0)


def test_time_that_no_phase_accounts_for_shows():
    shares = clocks.in_recovery([Timed("detect", 100, 102), Timed("accept", 108, 109)], MARKS)
    assert sum(seconds for _name, seconds in shares) == pytest.approx(3.0)


def test_the_steps_follow_the_order_of_time_and_not_of_the_names():
    cache = {"t_fault": Mark("", 10.0), "t_verified": Mark("", 14.0), "t_accept": Mark("", 12.0)}
    assert clocks.steps(cache) == [("accept", 2.0), ("verify", 2.0)]
    assert sum(seconds for _name, seconds in clocks.steps(MARKS)) == 9.0
    assert clocks.steps({}) == []


def figure(name: str, value: float | None, word: str = "passed", limit: float | None = 10.0) -> dict:
    return {"name": name, "value": value, "unit": "s", "limit": limit, "verdict": word}


PROOF = [{"kind": "integrity", "verdict": "passed"}, {"kind": "ledger"}]
FIGURES = [figure("rto_s", 5.0), figure("rpo_s", 1.0)]


def why(figures=None, evidence=None, failures=(), left=(), allowed=()) -> list[str]:
    figures, evidence = FIGURES if figures is None else figures, PROOF if evidence is None else evidence
    return verdict.reasons(figures, evidence, failures, left, {"integrity", "ledger"}, {"rto_s", "rpo_s"}, allowed)


def test_what_is_proven_and_within_its_limits_passes():
    assert why() == []
    assert verdict.verdict(False, []) == "passed"


def test_over_the_target_is_failed():
    found = why([figure("rto_s", 12.0, "failed"), figure("rpo_s", 1.0)])
    assert found == ["rto_s is 12.0 s, over its limit of 10 s."]
    assert verdict.verdict(False, found) == "failed"


def test_a_limit_that_is_not_set_is_not_a_failure_but_a_missing_figure_is():
    assert why([figure("rto_s", 5.0, "not_checked", None), figure("rpo_s", 1.0)]) == []
    assert why([figure("rto_s", None, "not_checked"), figure("rpo_s", 1.0)]) == ["rto_s could not be measured."]
    assert why([figure("rpo_s", 1.0)]) == ["rto_s could not be measured."]


@pytest.mark.parametrize(("word", "passes"), [("passed", True), ("failed", False), ("skipped", False)])
def test_only_evidence_that_passed_passes(word, passes):
    evidence = [{"kind": "integrity", "verdict": word, "reason": "why"}, {"kind": "ledger"}]
    assert (why(evidence=evidence) == []) is passes


def test_a_skip_that_is_allowed_does_not_fail_and_a_failure_is_never_allowed():
    skipped = [{"kind": "broken_backup", "name": "full_disk", "verdict": "skipped"}, *PROOF]
    assert len(why(evidence=skipped)) == 1
    assert why(evidence=skipped, allowed={"full_disk"}) == []
    failed = [{"kind": "broken_backup", "name": "full_disk", "verdict": "failed"}, *PROOF]
    assert len(why(evidence=failed, allowed={"full_disk"})) == 1


def test_without_the_evidence_it_needs_nothing_passes():
    assert why(evidence=[{"kind": "ledger"}]) == ["There is no evidence of integrity."]


def test_what_is_left_behind_fails():
    assert why(left=["directory x"]) == ["directory x could not be removed."]


def test_an_interrupted_drill_is_aborted_whatever_else():
    assert verdict.verdict(True, []) == "aborted"
