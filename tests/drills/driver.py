"""Runs toy drills in processes of their own: python driver.py '{"drills_dir", "work", ...}' prints the outcome.

A list of such objects runs in forks, four at a time, and prints their exit codes (negative: the signal).
With `die_at` the process kills itself at its n-th look at the wall clock; with `strike` (`event`, `detail`, `after`),
so many seconds after such an event. With `scenario` it is one of the collection's, with `settings` and `secrets`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2] / "collections"), str(Path(__file__).parent)]

from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import Clock  # noqa: E402
from ansible_collections.churnguard.ops.plugins.module_utils._common.envelope import Recorder  # noqa: E402
from ansible_collections.churnguard.ops.plugins.module_utils._drill import catalogue, engine  # noqa: E402
from ansible_collections.churnguard.ops.plugins.module_utils._drill.model import Objectives  # noqa: E402
from ansible_collections.churnguard.ops.plugins.module_utils._drill.scenario import Refused  # noqa: E402
from toy import TOY, DyingClock  # noqa: E402


def drill(options: dict) -> dict:
    """The outcome as plain data."""
    clock = DyingClock(options["die_at"]) if options.get("die_at") else Clock()
    scenario, given = TOY, options
    if options.get("scenario"):
        scenario = catalogue.SCENARIOS[options["scenario"]]
        given = {**catalogue.settings_of(scenario, options["settings"]), **options["secrets"]}

    def sink(line: str) -> None:
        entry, wanted = json.loads(line), options.get("strike")
        if not wanted or entry["event"] != wanted["event"] or wanted["detail"] not in (entry["detail"] or ""):
            return
        if not wanted["after"]:
            os.kill(os.getpid(), signal.SIGKILL)
        threading.Timer(wanted["after"], os.kill, (os.getpid(), signal.SIGKILL)).start()

    request = engine.Request(
        scenario=scenario,
        subject=scenario.subject(given, options.get("environment", "lab")),
        objectives=Objectives(options.get("rto", 30), options.get("rpo", 30)),
        drills_dir=Path(options["drills_dir"]),
        options=given,
        confirm=options.get("confirm", ""),
        alerts=options.get("alerts"),
        allow_skipped=frozenset(options.get("allow_skipped", [])),
    )
    try:
        outcome = engine.run(request, clock, Recorder(clock, "dr_drill", sink))
    except Refused as error:
        return {"refused": error.interlock, "message": str(error)}
    return {
        "verdict": outcome.verdict,
        "reasons": outcome.reasons,
        "envelope": outcome.envelope,
        "refused": outcome.refused,
    }


def forked(options: dict) -> int:
    """Process id of a drill in a fork: importing takes longer than drilling."""
    pid = os.fork()
    if pid == 0:
        drill(options)
        os._exit(0)
    return pid


def all_forked(wanted: list[dict], width: int = 4) -> list[int]:
    """Exit codes of drills, so many at a time: each waits more than it works."""
    codes = []
    for first in range(0, len(wanted), width):
        pids = [forked(options) for options in wanted[first : first + width]]
        codes += [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    return codes


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    print(json.dumps(all_forked(given) if isinstance(given, list) else drill(given)))
