"""Pods of a live application are killed while requests come in; the cluster brings them back, and the drill says how
long its users waited."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import Clock
from ansible_collections.churnguard.ops.plugins.module_utils._common.envelope import Recorder
from ansible_collections.churnguard.ops.plugins.module_utils._drill import engine, ledger, processes
from ansible_collections.churnguard.ops.plugins.module_utils._drill.catalogue import settings_of
from ansible_collections.churnguard.ops.plugins.module_utils._drill.model import Objectives
from ansible_collections.churnguard.ops.plugins.module_utils._drill.scenarios.application_failover import (
    APPLICATION_FAILOVER,
)
from world import APP, World


def drill(world: World, folder: Path, **options: Any) -> engine.Outcome:
    given = {
        "kubeconfig": str(world.lab.kubeconfig),
        "namespace": world.namespace,
        "application": APP,
        "url": f"http://127.0.0.1:{world.lab.ports.gateway}/api/v1/version",
        "headers": {"Host": world.host},
        "container_variable": "CHURNGUARD_CONTAINER",
        "load_command": ["sleep", "600"],
        "steady_seconds": 1.0,
        **options,
    }
    settings = settings_of(APPLICATION_FAILOVER, given)
    subject = APPLICATION_FAILOVER.subject(settings, "lab")
    request = engine.Request(APPLICATION_FAILOVER, subject, Objectives(900, 300), folder, settings)
    return engine.run(request, Clock(), Recorder(Clock(), "dr_drill"))


@pytest.mark.lab
def test_killed_pods_come_back_and_the_ledger_tells_the_outage(world: World, tmp_path: Path) -> None:
    world.deploy("v1", deployment=world.deployment("v1", replicas=2))
    outcome = drill(world, tmp_path)
    assert (outcome.verdict, outcome.reasons) == ("passed", [])
    identifier = outcome.envelope["subject"]["drill_id"]
    figures = {entry["name"]: entry["value"] for entry in outcome.envelope["measurements"]}
    told = {entry["kind"]: entry for entry in outcome.envelope["evidence"]}
    assert (told["fault"]["pods"], told["fault"]["of"]) == (2, 2)
    # Every pod was killed, so there were requests that nobody could answer, and none of them is called answered.
    answered = {ack.seq for ack in ledger.read(tmp_path / identifier / "ledger.jsonl")}
    assert figures["failed_requests"] == told["requests"]["sent"] - len(answered) > 0
    assert 0 < figures["outage_s"] <= figures["rto_s"]
    restarts = [
        status.restart_count
        for pod in world.core.list_namespaced_pod(world.namespace).items
        for status in pod.status.container_statuses
    ]
    assert restarts == [1, 1]
    assert processes.marked(identifier) == []
