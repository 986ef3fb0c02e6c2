"""Sample envelopes and a load ledger for tests of the report, and for looking at the page without a cluster.

    python tests/report/sample_data.py FOLDER [--rate 200] [--failures 0]

writes FOLDER/envelopes/*.json and FOLDER/load/sample.jsonl: v1 is installed, the load starts, v2 is shipped
blue-green, v3 never becomes ready and is refused. The same arguments give the same bytes.
"""

from __future__ import annotations

import argparse
import json
import random
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
    ("start", 2.3, 3.1),
    ("ready", 3.1, 7.6),
    ("smoke", 7.6, 8.4),
    ("switch", 8.4, 11.9),
    ("bake", 11.9, 14.2),
]
SWITCH_STEPS = [
    ("start", 40.4, 41.2),
    ("ready", 41.2, 47.3),
    ("smoke", 47.3, 48.9),
    ("switch", 48.9, 54.6),
    ("bake", 54.6, 104.6),
    ("retire", 104.6, 118.4),
]
REFUSAL = (
    "Could not bring churnguard-lab/churnguard-api-blue to 3 ready pods: after 30.0 s 0 of 3 are ready; pod "
    'churnguard-api-blue-7c9d8b5f6-x2x4q is Running, container api is not ready: "Readiness probe failed: HTTP '
    "probe failed with statuscode: 503 <model not loaded>\". Next: read the pod's log in the evidence below."
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
        events.append(event(begin, "step_started", name, step=name))
        events.append(event(end, "step_done", name, step=name))
    return events


def timeline(*events: dict[str, Any]) -> list[dict[str, Any]]:
    """Events in the order of time."""
    return sorted(events, key=lambda entry: entry["at"])


def installed() -> dict[str, Any]:
    """v1 on an empty namespace."""
    return rollout(
        "v1", None, "blue", V1, "passed",
        timeline=timeline(
            event(2.0, "planned", "install v1 in blue"),
            event(2.2, "locked", "lease churnguard-api-rollout"),
            *step_events(INSTALL_STEPS),
            event(7.6, "ready", "3 of 3 pods ready"),
            event(8.4, "smoke", "3 of 3 smoke tests passed"),
            event(8.5, "weights", "blue 100 %, green 0 %", weights={"blue": 100, "green": 0}),
            event(11.9, "confirmed", "20 of 20 probes answered by v1"),
            event(14.4, "completed", "v1 is live in blue"),
        ),
        measurements=[
            measurement("ready_s", 4.5, "s", 600, "passed"),
            measurement("smoke_failed", 0, "requests", 0, "passed"),
            measurement("drain_s", None, "s", 120, "skipped", "there was no earlier version to drain"),
        ],
        evidence=[{"kind": "probe", "path": "/health", "answered_by": {"v1": 20}}],
    )  # fmt: skip


def shipped() -> dict[str, Any]:
    """v2 beside v1, switched, v1 drained and retired."""
    return rollout(
        "v2", "v1", "green", V2, "passed",
        timeline=timeline(
            event(40.0, "planned", "blue_green: v2 in green, v1 stays in blue until the end"),
            event(40.3, "locked", "lease churnguard-api-rollout"),
            *step_events(SWITCH_STEPS),
            event(47.3, "ready", "3 of 3 pods ready"),
            event(48.9, "smoke", "3 of 3 smoke tests passed"),
            event(50.7, "weights", "green 100 %, blue 0 %", weights={"blue": 0, "green": 100}),
            event(54.6, "confirmed", "20 of 20 probes answered by v2"),
            event(54.6, "bake", "watch v2 for 50 s before v1 is retired"),
            event(114.9, "drained", "blue answered nothing for 10 s (Prometheus, 3 pods)"),
            event(118.4, "retired", "churnguard-api-blue scaled to 0"),
            event(118.6, "completed", "v2 is live in green"),
        ),
        measurements=[
            measurement("ready_s", 6.1, "s", 600, "passed"),
            measurement("smoke_failed", 0, "requests", 0, "passed"),
            measurement("confirm_s", 3.9, "s", 60, "passed"),
            measurement("drain_s", 10.3, "s", 120, "passed"),
            measurement("error_ratio", 0.0004, "", None, "not_checked", "no limit is set for this environment"),
        ],
        evidence=[
            {"kind": "probe", "path": "/health", "host": "churnguard.lab", "requests": 20, "answered_by": {"v2": 20}},
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
            event(125.0, "planned", "blue_green: v3 in blue, v2 stays in green until the end"),
            event(125.2, "locked", "lease churnguard-api-rollout"),
            event(125.3, "step_started", "start", step="start"),
            event(126.0, "step_done", "start", step="start"),
            event(126.0, "step_started", "ready", step="ready"),
            event(156.0, "failed", REFUSAL),
            event(156.1, "rollback_started", "v2 keeps all traffic; scale churnguard-api-blue to 0"),
            event(158.1, "rolled_back", "churnguard-api-blue scaled to 0, v2 is live in green"),
        ),
        measurements=[
            measurement("ready_s", 30.0, "s", 30, "failed", "0 of 3 pods ready"),
            measurement("smoke_failed", None, "requests", 0, "skipped", "no pod became ready"),
            measurement("drain_s", None, "s", 120, "skipped", "no traffic had moved"),
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


def write(folder: Path, rate: float = 200.0, failures: int = 0) -> None:
    """Write the sample below C(folder)."""
    for part in ("envelopes", "load"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for envelope in envelopes():
        name = f"{envelope['started'].replace(':', '').replace('-', '')}-{envelope['operation']}.json"
        (folder / "envelopes" / name).write_text(json.dumps(envelope, indent=1), encoding="utf-8")
    with open(folder / "load" / "sample.jsonl", "w", encoding="utf-8") as stream:
        for line in ledger(rate, failures):
            stream.write(line + "\n")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="write sample envelopes and a load ledger")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rate", type=float, default=200.0, help="requests per second (default 200)")
    parser.add_argument("--failures", type=int, default=0, help="requests reset at the switch (default 0)")
    arguments = parser.parse_args()
    write(arguments.folder, arguments.rate, arguments.failures)


if __name__ == "__main__":
    main()
