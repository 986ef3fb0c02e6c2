# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A drill of ElastiCache's failover through all that AWS tells, with botocore's Stubber and no waiting."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._common.envelope import Recorder
from ansible_collections.churnguard.ops.plugins.module_utils._drill import engine
from ansible_collections.churnguard.ops.plugins.module_utils._drill.catalogue import settings_of
from ansible_collections.churnguard.ops.plugins.module_utils._drill.model import Objectives
from ansible_collections.churnguard.ops.plugins.module_utils._drill.scenario import Refused
from ansible_collections.churnguard.ops.plugins.module_utils._drill.scenarios.elasticache_failover import build
from ansible_collections.churnguard.ops.tests.unit.support.clock import START
from ansible_collections.churnguard.ops.tests.unit.support.elasticache import NAME, Aws, described, event, script

ONE, TWO = f"{NAME}-001", f"{NAME}-002"
CALLED = event(1, NAME, "Test Failover API called for node group 0001")
PROMOTED = event(21, NAME, f"Failover from primary node {ONE} to replica node {TWO} completed")
RECOVERED = event(301, ONE, "Finished recovery for cache nodes 0001")


@pytest.fixture
def aws() -> Iterator[Aws]:
    with script() as running:
        yield running


def look(aws: Aws, answer: dict[str, Any], *events: dict[str, Any]) -> None:
    """One look of a wait: the group, then the events since a minute before the call."""
    aws.group(answer)
    asked = {"StartTime": START - timedelta(seconds=60)}
    aws.stub.add_response("describe_events", {"Events": list(reversed(events))}, asked)


def drill(aws: Aws, folder: Path, environment: str = "staging", confirm: str = "", **options: Any) -> engine.Outcome:
    scenario = build(lambda ctx: aws.api)
    given = settings_of(scenario, {"replication_group_id": NAME, **options})
    request = engine.Request(
        scenario,
        scenario.subject(given, environment),
        Objectives(300, 60),
        folder,
        given,
        confirm=confirm,
        allow_skipped=frozenset({"ledger"}),
    )
    return engine.run(request, aws.clock, Recorder(aws.clock, "dr_drill"))


def figures(outcome: engine.Outcome) -> dict[str, Any]:
    return {entry["name"]: entry["value"] for entry in outcome.envelope["measurements"]}


def test_the_end_is_read_from_the_events_in_their_order(aws: Aws, tmp_path: Path) -> None:
    aws.group(described())
    aws.group(described())
    aws.expect("test_failover", NodeGroupId="0001")
    early = event(-40, ONE, "Finished recovery for cache nodes 0001")
    look(aws, described(), early)
    look(aws, described("modifying"), early, CALLED)
    look(aws, described("modifying"), early, CALLED)
    look(aws, described("modifying"), early, CALLED, PROMOTED)
    look(aws, described("modifying", primary=2), early, CALLED, PROMOTED)
    look(aws, described(primary=2), early, CALLED, PROMOTED, RECOVERED)
    outcome = drill(aws, tmp_path)
    assert (outcome.verdict, outcome.reasons) == ("passed", [])
    told = {entry["kind"]: entry for entry in outcome.envelope["evidence"]}
    assert told["events"]["messages"] == [CALLED["Message"], PROMOTED["Message"], RECOVERED["Message"]]
    assert (told["ledger"]["verdict"], told["ledger"]["reason"]) == ("skipped", "no endpoint was given to write to")
    found = figures(outcome)
    assert (found["promotion_s"], found["old_primary_back_s"], found["rto_s"]) == (20, 300, 10)


def test_a_failover_that_does_not_come_is_a_failed_drill(aws: Aws, tmp_path: Path) -> None:
    aws.group(described())
    aws.group(described())
    aws.expect("test_failover", NodeGroupId="0001")
    for _look in range(3):
        look(aws, described(), event(-40, ONE, "Finished recovery for cache nodes 0001"))
    outcome = drill(aws, tmp_path, failover_timeout=10)
    assert outcome.verdict == "failed"
    assert "AWS' events do not tell that it was called yet after 10 s." in outcome.reasons[0]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (described("modifying"), "its status is modifying."),
        (described(AutomaticFailover="disabled"), "automatic failover is off."),
        (described(nodes=1), "shard 0001 has no replica."),
    ],
)
def test_a_group_that_cannot_fail_over_is_left_alone(
    aws: Aws, tmp_path: Path, answer: dict[str, Any], why: str
) -> None:
    aws.group(answer)
    outcome = drill(aws, tmp_path)
    assert (outcome.verdict, outcome.refused) == ("aborted", "steady_state")
    assert why in outcome.reasons[0]


def test_production_needs_the_exact_name(aws: Aws, tmp_path: Path) -> None:
    with pytest.raises(Refused) as refused:
        drill(aws, tmp_path, environment="production", confirm="churnguard")
    assert refused.value.interlock == "confirmation"
    assert list(tmp_path.iterdir()) == []
