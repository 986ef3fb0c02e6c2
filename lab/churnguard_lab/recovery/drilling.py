"""Runs drills for the benchmark: in this process, to be measured, or in one of its own, to be killed.

`python -m churnguard_lab.recovery.drilling` reads {"scenario", "settings", "secrets", "drills_dir"} from its input.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[3] / "collections"))

from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import Clock  # noqa: E402
from ansible_collections.churnguard.ops.plugins.module_utils._common.envelope import Recorder  # noqa: E402
from ansible_collections.churnguard.ops.plugins.module_utils._drill import engine  # noqa: E402
from ansible_collections.churnguard.ops.plugins.module_utils._drill import ledger as ledgers  # noqa: E402
from ansible_collections.churnguard.ops.plugins.module_utils._drill.catalogue import (  # noqa: E402
    scenario_of,
    settings_of,
)
from ansible_collections.churnguard.ops.plugins.module_utils._drill.model import Objectives  # noqa: E402

#: The operations guide's, in seconds.
OBJECTIVES = {
    "database_loss": Objectives(1800, 900),
    "backup_corruption": Objectives(1800, 900),
    "cache_failover": Objectives(300, 60),
}
Listener = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Drill:
    """One drill to be run."""

    scenario: str
    settings: Mapping[str, Any]
    secrets: Mapping[str, Any]
    drills_dir: Path

    def run(self, *listeners: Listener) -> Drilled:
        """Run it in this process. Raises RuntimeError when it does not pass."""
        scenario = scenario_of(self.scenario)
        options = {**settings_of(scenario, self.settings), **self.secrets}
        objectives = OBJECTIVES[self.scenario]
        request = engine.Request(scenario, scenario.subject(options, "lab"), objectives, self.drills_dir, options)
        outcome = engine.run(request, Clock(), Recorder(Clock(), "dr_drill", listeners=list(listeners)))
        if outcome.verdict != "passed":
            raise RuntimeError(f"a drill of {self.scenario} {outcome.verdict}: {' '.join(outcome.reasons)}")
        return Drilled(outcome.envelope, self.drills_dir)

    def as_json(self) -> str:
        """What `main` reads."""
        given = {"scenario": self.scenario, "settings": self.settings, "secrets": self.secrets}
        return json.dumps({**given, "drills_dir": str(self.drills_dir)})


@dataclass(frozen=True)
class Drilled:
    """What came of a drill."""

    envelope: dict[str, Any]
    drills_dir: Path

    def value(self, name: str) -> float:
        """A measurement."""
        return next(entry["value"] for entry in self.envelope["measurements"] if entry["name"] == name)

    def phases(self) -> dict[str, float]:
        """How long each phase took, in seconds."""
        return {entry["name"]: entry["seconds"] for entry in self.envelope["evidence"] if entry["kind"] == "phase"}

    def lost(self, survived: set[int]) -> int:
        """Acknowledged writes by the ledger's file that are not among those that somebody else saw. Raises RuntimeError
        when the file has none."""
        file = self.drills_dir / self.envelope["subject"]["drill_id"] / "ledger.jsonl"
        acks = ledgers.read(file)
        if not acks:
            raise RuntimeError(f"{file} has no acknowledged write")
        return len(ledgers.lost(acks, survived))


def main() -> int:
    given = json.load(sys.stdin)
    Drill(given["scenario"], given["settings"], given["secrets"], Path(given["drills_dir"])).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
