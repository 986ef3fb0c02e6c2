"""kill -9 of a drill at a known moment, and its end from the journal alone."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import Clock
from ansible_collections.churnguard.ops.plugins.module_utils._drill import cleanup, history, journal, processes

DRIVER = Path(__file__).with_name("driver.py")


@dataclass(frozen=True)
class Strike:
    """The moment: C(after) seconds behind the first event of the drill's timeline of that name with C(detail) in its
    text. C(fault) says whether the drill breaks its source."""

    phase: str
    event: str
    detail: str
    after: float = 0.0
    fault: bool = True

    def __str__(self) -> str:
        return f"{self.phase}, {self.after:g} s after {self.event} {self.detail!r}"


#: Every phase of database_loss, where it is in the middle of its work.
DATABASE_LOSS = (
    Strike("preflight", "step_started", "preflight"),
    # Heartbeats are being written to a source that stays alive.
    Strike("prepare", "note", "heartbeats a second", 0.3, fault=False),
    # The server is dead, and its data directory still in its place; then moved away.
    Strike("fault", "clock", "t_fault"),
    Strike("fault", "step_done", "fault"),
    Strike("detect", "clock", "t_detect"),
    # pgBackRest copies; then the copy's server runs.
    Strike("recover", "clock", "t_infra_ready", 0.2, fault=False),
    Strike("recover", "clock", "t_consistent"),
    Strike("verify", "note", "acknowledged writes are lost"),
    Strike("accept", "step_started", "accept"),
    # Some of what the drill made is gone, some is not.
    Strike("cleanup", "removed", ""),
)


def strike(moment: Strike, scenario: str, settings: dict[str, Any], secrets: dict[str, Any], drills_dir: Path) -> Path:
    """Run a drill in a process of its own until it kills itself at that moment; the drill's folder."""
    options = {
        "scenario": scenario,
        "drills_dir": str(drills_dir),
        "settings": settings,
        "secrets": secrets,
        "strike": {"event": moment.event, "detail": moment.detail, "after": moment.after},
    }
    # No capture: what the drill has started would hold the pipes.
    ended = subprocess.run([sys.executable, DRIVER, json.dumps(options)], stdout=subprocess.DEVNULL, timeout=120)
    assert ended.returncode == -signal.SIGKILL, f"{moment}: the drill ended with {ended.returncode}"
    (folder,) = journal.drills(drills_dir)
    struck = journal.read(folder / journal.FILE)[-1].phase
    assert struck == moment.phase, f"{moment}: the journal ends in {struck}"
    return folder


def finish(folder: Path, secrets: dict[str, Any], scratch: Path) -> list[str]:
    """Clean up twice by the journal; what is wrong then, in words."""
    cleaned = cleanup.finish(folder, Clock(), secrets, lambda text: None)
    wrong = [f"the cleanup is {cleaned.state}: {cleaned.left}"] if cleaned.state != cleanup.CLEANED else []
    wrong += [f"left: {path}" for path in scratch.iterdir()]
    wrong += [f"left: {process.words()}" for process in processes.using(scratch)]
    before = {path: path.read_bytes() for path in folder.parent.rglob("*") if path.is_file()}
    again = cleanup.finish(folder, Clock(), secrets, lambda text: None).state
    if again != cleanup.NOTHING or before != {path: path.read_bytes() for path in before}:
        wrong.append(f"the second cleanup is {again}, or wrote something")
    told = [line["verdict"] for line in history.read(folder.parent)]
    report = json.loads((folder / journal.REPORT).read_text(encoding="utf-8"))
    if told != ["aborted"] or report["verdict"] != "aborted":
        wrong.append(f"the history says {told}, the report {report['verdict']}")
    if any(entry["kind"] == "resource" and not entry["removed"] for entry in report["evidence"]):
        wrong.append("the report has a resource that is still there")
    return wrong
