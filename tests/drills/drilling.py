"""Runs a scenario in this process, and reads what came of it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import Clock
from ansible_collections.churnguard.ops.plugins.module_utils._common.envelope import Recorder
from ansible_collections.churnguard.ops.plugins.module_utils._drill import engine
from ansible_collections.churnguard.ops.plugins.module_utils._drill.catalogue import SCENARIOS, settings_of
from ansible_collections.churnguard.ops.plugins.module_utils._drill.model import Objectives

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lab"))
from ports import free_ports  # noqa: E402

__all__ = ["drill", "failed_checks", "figures", "free_ports", "of_kind"]


def drill(
    name: str,
    settings: dict[str, Any],
    secrets: dict[str, Any],
    drills_dir: Path,
    environment: str = "lab",
    rto: float = 120,
) -> engine.Outcome:
    """One drill with objectives that a busy machine can meet."""
    scenario = SCENARIOS[name]
    options = {**settings_of(scenario, settings), **secrets}
    request = engine.Request(
        scenario=scenario,
        subject=scenario.subject(options, environment),
        objectives=Objectives(rto, 60),
        drills_dir=drills_dir,
        options=options,
    )
    return engine.run(request, Clock(), Recorder(Clock(), "dr_drill"))


def figures(envelope: dict[str, Any]) -> dict[str, Any]:
    """The measurements' values by name."""
    return {figure["name"]: figure["value"] for figure in envelope["measurements"]}


def of_kind(envelope: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    """The evidence of one kind."""
    return [entry for entry in envelope["evidence"] if entry["kind"] == kind]


def failed_checks(outcome: engine.Outcome) -> list[dict[str, Any]]:
    """The lines of the integrity matrix that did not pass."""
    matrix = of_kind(outcome.envelope, "integrity")
    return [check for entry in matrix for check in entry["checks"] if check["verdict"] != "passed"]
