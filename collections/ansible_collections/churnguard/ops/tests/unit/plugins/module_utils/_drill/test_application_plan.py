# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is taken for a loss, an outage and a whole application."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._drill import application_plan as plan
from ansible_collections.churnguard.ops.plugins.module_utils._drill.ledger import Ack


def acks(*numbers: int) -> list[Ack]:
    """Answers of requests that are sent ten times a second and take 10 ms."""
    return [Ack(number, number / 10, number / 10 + 0.01) for number in numbers]


def deployment(wanted: int, ready: int, generation: int = 3, seen: int = 3) -> dict[str, Any]:
    return {
        "metadata": {"name": "api-green", "generation": generation},
        "spec": {"replicas": wanted, "selector": {"matchLabels": {"slot": "green", "app": "api"}}},
        "status": {
            "observedGeneration": seen,
            "updatedReplicas": wanted,
            "readyReplicas": ready,
            "availableReplicas": ready,
        },
    }


def pod(name: str, container: str, state: str) -> dict[str, Any]:
    status = {"containerID": container, "state": {state: {}}}
    return {"metadata": {"name": name}, "status": {"containerStatuses": [status]}}


def test_a_slot_without_pods_does_not_serve() -> None:
    assert plan.serving([deployment(0, 0), deployment(3, 3)]) == [plan.Workload("api-green", 3, "app=api,slot=green")]


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (deployment(3, 3), ""),
        (deployment(3, 2), "api-green has 2 of 3 readyReplicas"),
        (deployment(3, 3, generation=4), "api-green: its newest state was not looked at yet"),
    ],
)
def test_whole_means_every_replica_of_the_newest_state(found: dict[str, Any], why: str) -> None:
    assert plan.unready(found) == why


def test_a_lost_container_is_noticed_when_nobody_says_that_it_runs() -> None:
    before, after = pod("a", "lab://1", "running"), pod("a", "lab://2", "running")
    assert plan.containers([before, pod("b", "lab://3", "waiting")]) == {"lab://1": "a"}
    assert plan.renewed([before], ["lab://1"]) == "1 lost containers are still said to run"
    assert plan.renewed([after], ["lab://1"]) == ""


def test_gaps_are_the_numbers_that_are_missing() -> None:
    found = plan.gaps(acks(1, 2, 6, 7), 7)
    assert [(gap.failed, round(gap.begin, 2), round(gap.end, 2)) for gap in found] == [(3, 0.21, 0.61)]
    assert plan.gaps(acks(1, 2), 2) == []


def test_the_outage_ends_with_the_answer_after_the_last_failure() -> None:
    found = plan.gaps(acks(1, 2, 5, 6, 9), 9)
    assert plan.outage(found, fault=0.25) == pytest.approx(0.91 - 0.25)
    assert plan.outage(plan.gaps(acks(1, 2, 3), 3), fault=0.25) == 0.0


def test_an_outage_that_has_not_ended_has_no_length() -> None:
    found = plan.gaps(acks(1, 2), 5)
    assert [gap.failed for gap in found] == [3]
    assert plan.outage(found, fault=0.25) is None


def test_answers_in_a_row_are_counted_from_the_end() -> None:
    assert plan.in_a_row(acks(1, 2, 4, 5, 6), since=0.0) == 3
    assert plan.in_a_row(acks(1, 2, 4, 5, 6), since=0.55) == 1
    assert plan.in_a_row([], since=0.0) == 0
