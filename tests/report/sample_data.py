"""Sample envelopes and a load ledger for tests of the report, and for looking at the page without a cluster.

    python tests/report/sample_data.py FOLDER [--rate 200] [--failures 0] [--canary | --drills] [--render]

writes FOLDER/envelopes/*.json and FOLDER/load/sample.jsonl, and with --render also report.json, index.html, report.md
and junit.xml. In it v1 is installed, the load starts, v2 is shipped blue-green, v3 never becomes ready and is refused;
with --canary it is the two canaries of canary_data instead, with --drills the drills of drill_data. The same arguments
give the same bytes.
"""

from __future__ import annotations

import argparse
import importlib
import json
import random
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

START = datetime(2026, 11, 21, 19, 33, 0, tzinfo=UTC).timestamp()
NAMESPACE = "churnguard-lab"
V1 = (2.0, 14.4)
V2 = (40.0, 118.6)
V3 = (125.0, 158.2)
LOAD = (20.0, 168.0)
SWITCH = 51.9
INSTALL_STEPS = [
    ("start blue", 2.3, 3.1),
    ("ready blue", 3.1, 7.6),
    ("smoke blue", 7.6, 8.4),
    ("route blue", 8.4, 8.6),
    ("confirm blue", 8.6, 11.9),
]
SWITCH_STEPS = [
    ("start green", 40.4, 41.2),
    ("ready green", 41.2, 47.3),
    ("smoke green", 47.3, 48.9),
    ("route green", 48.9, 50.8),
    ("confirm green", 50.8, 54.6),
    ("bake green", 54.6, 104.6),
    ("drain blue", 104.6, 114.9),
    ("retire blue", 114.9, 118.4),
]
REFUSAL = (
    "slot blue was not ready within 30 s: 0/3 ready; pod churnguard-api-blue-7c9d8b5f6-x2x4q runs but is not ready: "
    '"Readiness probe failed: HTTP probe failed with statuscode: 503 <model not loaded>"'
)


def iso(offset: float, start: float = START) -> str:
    """Time at C(offset) seconds after the sample's start."""
    moment = datetime.fromtimestamp(start + offset, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def event(at: float, name: str, detail: str, **data: Any) -> dict[str, Any]:
    """One timeline entry."""
    return {"at": iso(at), "event": name, "detail": detail, **({"data": data} if data else {})}


def measurement(
    name: str, value: float | None, unit: str, limit: float | None, verdict: str, reason: str = ""
) -> dict[str, Any]:
    """One measurement."""
    entry = {"name": name, "value": value, "unit": unit, "limit": limit, "verdict": verdict}
    return {**entry, "reason": reason} if reason else entry


def rollout(
    version: str, previous: str | None, slot: str, span: tuple[float, float], verdict: str, **parts: list[Any]
) -> dict[str, Any]:
    """An envelope of the operation rollout."""
    subject = {
        "app": "churnguard-api",
        "namespace": NAMESPACE,
        "version": version,
        "previous_version": previous,
    }
    return {
        "operation": "rollout",
        "subject": {**subject, "strategy": "blue_green", "slot": slot},
        "started": iso(span[0]),
        "finished": iso(span[1]),
        "verdict": verdict,
        "changed": True,
        **parts,
    }


def step_events(steps: list[tuple[str, float, float]]) -> list[dict[str, Any]]:
    """Start and end of each step."""
    events = []
    for name, begin, end in steps:
        events.append(event(begin, "step_started", name))
        events.append(event(end, "step_done", name))
    return events


def timeline(*events: dict[str, Any]) -> list[dict[str, Any]]:
    """Events in the order of time."""
    return sorted(events, key=lambda entry: entry["at"])


def installed() -> dict[str, Any]:
    """v1 on an empty namespace."""
    return rollout(
        "v1", None, "blue", V1, "passed",
        timeline=timeline(
            event(2.0, "planned", "install v1 in slot blue"),
            event(2.2, "locked", "by controller-1"),
            *step_events(INSTALL_STEPS),
            event(7.6, "ready", "slot blue: 3/3 ready after 4.5 s"),
            event(8.4, "smoke", "slot blue passed alive, ready with database and cache, each 3 times"),
            event(8.5, "weights", "blue 100 %, green 0 %", weights={"blue": 100, "green": 0}),
            event(11.9, "confirmed", "20 probes in a row were answered by slot blue"),
            event(12.4, "completed", "v1 is live in slot blue."),
        ),
        measurements=[
            measurement("ready_blue_s", 4.5, "s", 600, "passed"),
            measurement("smoke_tests", 2, "tests", None, "passed"),
            measurement("confirmed_s", 3.3, "s", 60, "passed"),
        ],
        evidence=[{"kind": "probe", "slot": "blue", "consecutive": 20, "seconds": 3.31}],
    )  # fmt: skip


def shipped() -> dict[str, Any]:
    """v2 beside v1, switched, v1 drained and retired."""
    return rollout(
        "v2", "v1", "green", V2, "passed",
        timeline=timeline(
            event(40.0, "planned", "ship v2 in slot green beside v1 in slot blue"),
            event(40.3, "locked", "by controller-1"),
            *step_events(SWITCH_STEPS),
            event(47.3, "ready", "slot green: 3/3 ready after 6.1 s"),
            event(48.9, "smoke", "slot green passed alive, ready with database and cache, each 3 times"),
            event(50.7, "weights", "green 100 %, blue 0 %", weights={"blue": 0, "green": 100}),
            event(54.6, "confirmed", "20 probes in a row were answered by slot green"),
            event(104.6, "bake", "slot green stayed well for 50 s"),
            event(114.9, "drained", "slot blue answered nothing for 10 s, by its own counters"),
            event(118.4, "retired", "slot blue is scaled to 0, no pod left"),
            event(118.6, "completed", "v2 is live in slot green; v1 in slot blue is retired."),
        ),
        measurements=[
            measurement("ready_green_s", 6.1, "s", 600, "passed"),
            measurement("smoke_tests", 2, "tests", None, "passed"),
            measurement("confirmed_s", 3.9, "s", 60, "passed"),
            measurement("bake_s", 50.0, "s", None, "passed"),
            measurement("drain_s", 10.3, "s", 120, "passed", "by its own counters"),
            measurement("retire_blue_s", 3.5, "s", 35, "passed"),
            measurement("error_ratio", 0.0004, "", None, "not_checked", "no limit is set for this environment"),
        ],
        evidence=[
            {"kind": "probe", "slot": "green", "consecutive": 20, "seconds": 3.87, "answered_by": {"v2": 20}},
            {
                "kind": "query",
                "query": 'sum(increase(churnguard_requests_total{namespace="churnguard-lab",slot="blue"}[10s]))',
                "value": 0,
                "samples": 30,
            },
        ],
    )  # fmt: skip


def refused() -> dict[str, Any]:
    """v3 that never becomes ready."""
    return rollout(
        "v3", "v2", "blue", V3, "rolled_back",
        timeline=timeline(
            event(125.0, "planned", "ship v3 in slot blue beside v2 in slot green"),
            event(125.2, "locked", "by controller-1"),
            event(125.3, "step_started", "start blue"),
            event(126.0, "step_done", "start blue"),
            event(126.0, "step_started", "ready blue"),
            event(156.0, "failed", f"ready blue: {REFUSAL}"),
            event(156.1, "rollback_started", REFUSAL),
            event(156.2, "step_started", "retire blue"),
            event(158.0, "retired", "slot blue is scaled to 0, no pod left"),
            event(158.1, "step_done", "retire blue"),
            event(158.2, "rolled_back", "v3 was refused. Slot green with v2 kept all traffic."),
        ),
        measurements=[
            measurement("ready_blue_s", 30.0, "s", 30, "failed"),
            measurement("smoke_tests", None, "tests", None, "skipped", "no pod became ready"),
            measurement("retire_blue_s", 1.8, "s", 35, "passed"),
        ],
        evidence=[
            {
                "kind": "pod",
                "name": "churnguard-api-blue-7c9d8b5f6-x2x4q",
                "phase": "Running",
                "restarts": 0,
                "log": "model: loading\nready: 503 <model not loaded>\nready: 503 <model not loaded>",
            },
            {"kind": "event", "reason": "Unhealthy", "count": 14, "message": "Readiness probe failed: HTTP 503"},
        ],
    )  # fmt: skip


def envelopes() -> list[dict[str, Any]]:
    """The three operations, oldest first."""
    return [installed(), shipped(), refused()]


def ledger(rate: float = 200.0, failures: int = 0, seed: int = 7) -> Iterator[str]:
    """Lines of the ledger, in the order in which the requests ended. C(failures) requests are reset at the switch."""
    rng = random.Random(seed)
    header = {"ledger": 1, "started": START + LOAD[0], "rate": rate, "target": "http://127.0.0.1:18080"}
    yield json.dumps({**header, "host": "churnguard.lab"})
    lines = []
    left = failures
    for index in range(int((LOAD[1] - LOAD[0]) * rate)):
        due = LOAD[0] + index / rate
        # The gateway's workers take over one after the other.
        new = due > SWITCH + rng.random() * 0.6
        slow = rng.random() < 0.03
        busy = 2.5 if 41.2 < due < 47.3 or 126.0 < due < 131.0 else 1.0
        latency = rng.lognormvariate(-5.35, 0.35) * busy * (0.85 if new else 1.0) + (1.0 if slow else 0.0)
        if rng.random() < 0.004:
            latency += rng.random() * 0.06
        entry = {
            "t": round(START + due, 4),
            "lat": round(latency, 5),
            "outcome": "ok",
            "status": 200,
            "version": "v2" if new else "v1",
            "slot": "green" if new else "blue",
            "conn": "keepalive" if index % 2 else "fresh",
            "slow": slow,
        }
        if left and due > SWITCH and index % 3 == 0:
            left -= 1
            entry.update(outcome="reset", status=None, version=None, slot=None)
        lines.append((due + latency, json.dumps(entry)))
    for _ended, line in sorted(lines):
        yield line


def write(folder: Path, rate: float = 200.0, failures: int = 0, canary: bool = False, drills: bool = False) -> None:
    """Write the sample below C(folder)."""
    # They build on this module.
    data = importlib.import_module("canary_data") if canary else None
    drilled = importlib.import_module("drill_data") if drills else None
    for part in ("envelopes", "load"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for envelope in (drilled or data).envelopes() if drilled or data else envelopes():
        name = f"{envelope['started'].replace(':', '').replace('-', '')}-{envelope['operation']}.json"
        (folder / "envelopes" / name).write_text(json.dumps(envelope, indent=1), encoding="utf-8")
    if drilled:
        drilled.write(folder / "drills")
        return
    with open(folder / "load" / "sample.jsonl", "w", encoding="utf-8") as stream:
        for line in data.ledger(rate) if data else ledger(rate, failures):
            stream.write(line + "\n")


def render(folder: Path) -> None:
    """Render what is below C(folder), with the filters that role report uses."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "collections"))
    filters = "ansible_collections.churnguard.ops.plugins.filter"
    names = ("report_model", "report_plots", "report_page", "report_markdown", "report_junit")
    made = [importlib.import_module(f"{filters}.{name}").FilterModule().filters()[name] for name in names]
    model_of, plots_of, page_of, markdown_of, junit_of = made
    paths = sorted(str(path) for path in (folder / "envelopes").glob("*.json"))
    model = model_of(paths, environment="sample", ledgers=[f"{folder}/load/*.jsonl"], drills_dir=folder / "drills")
    (folder / "report.json").write_text(json.dumps(model, indent=1), encoding="utf-8")
    (folder / "index.html").write_text(page_of(model, plots=plots_of(model)), encoding="utf-8")
    (folder / "report.md").write_text(markdown_of(model), encoding="utf-8")
    (folder / "junit.xml").write_text(junit_of(model), encoding="utf-8")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="write sample envelopes and a load ledger")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rate", type=float, default=200.0, help="requests per second (default 200)")
    parser.add_argument("--failures", type=int, default=0, help="requests reset at the switch (default 0)")
    parser.add_argument("--canary", action="store_true", help="two canaries instead")
    parser.add_argument("--drills", action="store_true", help="drills, their history and backups instead")
    parser.add_argument("--render", action="store_true", help="make the page, too")
    arguments = parser.parse_args()
    write(arguments.folder, arguments.rate, arguments.failures, arguments.canary, arguments.drills)
    if arguments.render:
        render(arguments.folder)


if __name__ == "__main__":
    main()
