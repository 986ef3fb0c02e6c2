"""A disaster small enough for tests, on real parts: a service that is a process writing into a folder of its own.

The fault kills the process; the recovery starts another one beside it. It is run by driver.py as a process of its own.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import Clock
from ansible_collections.churnguard.ops.plugins.module_utils._common.waiting import DONE, PENDING, Finding
from ansible_collections.churnguard.ops.plugins.module_utils._drill import ledger as ledgers
from ansible_collections.churnguard.ops.plugins.module_utils._drill.model import Subject
from ansible_collections.churnguard.ops.plugins.module_utils._drill.processes import MARKER
from ansible_collections.churnguard.ops.plugins.module_utils._drill.remove_local import make_directory
from ansible_collections.churnguard.ops.plugins.module_utils._drill.scenario import DrillContext, Refused, Scenario

#: Does nothing; it is there to be found and ended.
SERVICE = 'touch "$0"; exec sleep 120'


def subject(options: Mapping[str, Any], environment: str) -> Subject:
    return Subject("toy", "service", f"service in {options['work']}", str(Path(options["work"]) / "spare"), environment)


def start_service(ctx: DrillContext, folder: Path) -> subprocess.Popen[bytes]:
    """A service with its folder, both announced before they are there."""
    ctx.record_resource("directory", str(folder))
    make_directory(folder, ctx.drill_id, ctx.expires_at)
    ctx.record_resource("process", f"service of {folder.name}", {"environment": f"{ctx.drill_id}/{folder.name}"})
    return subprocess.Popen(
        ["sh", "-c", SERVICE, str(folder / "ready")],
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, MARKER: f"{ctx.drill_id}/{folder.name}"},
    )


def await_service(ctx: DrillContext, folder: Path) -> None:
    def look() -> Finding:
        ready = (folder / "ready").exists()
        return Finding(DONE if ready else PENDING, f"{folder.name} is {'ready' if ready else 'not ready yet'}")

    ctx.wait(look, 20, f"start the service of {folder}", interval=0.02)


def preflight(ctx: DrillContext) -> list[dict[str, Any]]:
    if ctx.options.get("refuse"):
        raise Refused("disk", f"use {ctx.options['work']}", "there is no room.", "make room.")
    return [{"kind": "preflight", "name": "disk", "verdict": "passed", "reason": "there is room"}]


def prepare(ctx: DrillContext) -> list[dict[str, Any]]:
    home = Path(ctx.options["work"]) / "service"
    ctx.state["service"] = start_service(ctx, home)
    await_service(ctx, home)

    def write(seq: int) -> None:
        if ctx.state["service"].poll() is not None:
            raise ConnectionError("the service is gone")
        with (home / "rows").open("a") as stream:
            stream.write(f"{seq}\n")

    ctx.start_ledger(write, rate=100)
    time.sleep(0.05)
    return []


def fault(ctx: DrillContext) -> list[dict[str, Any]]:
    ctx.say("killing the service")
    ctx.state["service"].send_signal(signal.SIGKILL)
    ctx.state["service"].wait()
    ctx.mark("t_fault")
    return []


def detect(ctx: DrillContext) -> list[dict[str, Any]]:
    ctx.mark("t_detect")
    ctx.mark("t_declare")
    return []


def recover(ctx: DrillContext) -> list[dict[str, Any]]:
    if ctx.options.get("broken"):
        raise RuntimeError("the spare service is broken")
    spare = Path(ctx.options["work"]) / "spare"
    ctx.clock.sleep(float(ctx.options.get("recovery_s", 0.05)))
    ctx.state["spare"] = start_service(ctx, spare)
    await_service(ctx, spare)
    ctx.mark("t_infra_ready")
    kept = (Path(ctx.options["work"]) / "service" / "rows").read_text()
    (spare / "rows").write_text(kept)
    ctx.mark("t_files")
    return []


def verify(ctx: DrillContext) -> list[dict[str, Any]]:
    rows = (Path(ctx.options["work"]) / "spare" / "rows").read_text().split()
    ctx.ledger.stop()
    survived = {int(row) for row in rows}
    fault_at = ctx.marks["t_fault"].monotonic
    ctx.measure("rpo_s", ledgers.recovery_point(ctx.ledger.acks(), survived, fault_at), "s", ctx.objectives.rpo_s)
    found = ledgers.evidence(ctx.ledger.acks(), survived, fault_at, ctx.ledger.written)
    ctx.measure("lost_acked_writes", found["lost"], "writes", 0)
    ctx.mark("t_verified")
    integrity = {"kind": "integrity", "verdict": ctx.options.get("integrity", "passed"), "checks": []}
    return [found, integrity]


def accept(ctx: DrillContext) -> list[dict[str, Any]]:
    spare = Path(ctx.options["work"]) / "spare"
    (spare / "rows").read_text()
    (spare / "rows").write_text("accepted\n")
    ctx.mark("t_accept")
    return []


TOY = Scenario(
    name="toy",
    component="service",
    phases={
        "preflight": preflight,
        "prepare": prepare,
        "fault": fault,
        "detect": detect,
        "recover": recover,
        "verify": verify,
        "accept": accept,
    },
    subject=subject,
    plan=lambda options: ["start a service", "kill it", "start another"],
    needs=frozenset({"ledger", "integrity"}),
    measures=frozenset({"rto_s", "rpo_s"}),
)


class DyingClock(Clock):
    """Kills its own process, as kill -9 from outside would, at the C(last)th look at the wall clock.

    The journal looks at it for each line, just before writing: so the process dies between any two lines.
    """

    def __init__(self, last: int) -> None:
        self._left = last

    def now(self):
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().now()
