# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The history of drills, and whether it is good enough. Internal: may change in any release.

C(<drills_dir>/history.jsonl) holds one JSON object for each drill that has ended, the aborted ones included.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from .._common.clock import parse_time
from .._common.envelope import NOT_CHECKED, PASSED
from .._common.errors import OperationError

FILE = "history.jsonl"


def line(envelope: Mapping[str, Any]) -> dict[str, Any]:
    """The history's line about a drill, from its envelope."""
    figures = {figure["name"]: figure for figure in envelope["measurements"]}

    def of(name: str, key: str) -> Any:
        return figures.get(name, {}).get(key)

    restored = [item.get("label") for item in envelope["evidence"] if item["kind"] == "backup"]
    return {
        "drill_id": envelope["subject"]["drill_id"],
        "scenario": envelope["subject"]["scenario"],
        "component": envelope["subject"]["component"],
        "environment": envelope["subject"]["environment"],
        "started": envelope["started"],
        "finished": envelope["finished"],
        "verdict": envelope["verdict"],
        "backup": restored[0] if restored else None,
        "rto_s": of("rto_s", "value"),
        "rpo_s": of("rpo_s", "value"),
        "lost_acked_writes": of("lost_acked_writes", "value"),
        "rto_limit_s": of("rto_s", "limit"),
        "rpo_limit_s": of("rpo_s", "limit"),
    }


def append(drills_dir: Path, entry: Mapping[str, Any]) -> bool:
    """Add a drill, unless it is in the history already; whether it was added."""
    handle = os.open(drills_dir / FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with open(handle, "r+b") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        content = stream.read()
        whole = content[: content.rfind(b"\n") + 1]
        if any(known["drill_id"] == entry["drill_id"] for known in _parse(whole, drills_dir / FILE)):
            return False
        stream.seek(len(whole))
        stream.truncate()
        stream.write((json.dumps(dict(entry), sort_keys=True) + "\n").encode())
        stream.flush()
        os.fsync(stream.fileno())
    return True


def read(drills_dir: Path) -> list[dict[str, Any]]:
    """All drills that have ended, the oldest first."""
    path = drills_dir / FILE
    content = path.read_bytes() if path.exists() else b""
    return sorted(_parse(content[: content.rfind(b"\n") + 1], path), key=lambda entry: entry["started"])


def _parse(content: bytes, path: Path) -> list[dict[str, Any]]:
    entries = []
    for number, raw in enumerate(content.splitlines(), 1):
        try:
            entry = json.loads(raw)
            entries.append({**entry, "drill_id": entry["drill_id"], "started": entry["started"]})
        except (ValueError, KeyError, TypeError) as error:
            raise OperationError(
                f"read the history {path}",
                f"line {number} is no drill ({type(error).__name__}).",
                "correct or remove that line; the drill's own folder has its report.",
            ) from error
    return entries


def judge(
    history: Iterable[Mapping[str, Any]], scenarios: Iterable[str], now: datetime, max_age_s: float | None
) -> list[dict[str, Any]]:
    """For each scenario its last drill and a verdict: C(state) is ok, never_run, failing, stale or not_checked.

    What counts is the last drill that ended by itself. An aborted one proves nothing, so it does not make a scenario
    younger. A C(max_age_s) of None reads not_checked, never ok.
    """
    lines = sorted(history, key=lambda entry: entry["started"])
    found = []
    for scenario in scenarios:
        ran = [entry for entry in lines if entry["scenario"] == scenario]
        ended = [entry for entry in ran if entry["verdict"] in (PASSED, "failed")]
        passed = [entry for entry in ended if entry["verdict"] == PASSED]
        last = ended[-1] if ended else None
        age = None if last is None else (now - parse_time(last["started"])).total_seconds()
        state, reason = _state(last, age, max_age_s, len(ran) - len(ended))
        found.append(
            {
                "scenario": scenario,
                "state": state,
                "reason": reason,
                "last": last,
                "age_s": None if age is None else round(age),
                "last_passed": passed[-1]["started"] if passed else None,
                "runs": len(ran),
            }
        )
    return found


def _state(last: Mapping[str, Any] | None, age: float | None, max_age_s: float | None, aborted: int) -> tuple[str, str]:
    if last is None or age is None:
        tried = f" {aborted} were aborted." if aborted else ""
        return "never_run", f"No drill of it has ended yet.{tried}"
    days = f"{age / 86400:.1f} d ago"
    if last["verdict"] != PASSED:
        return "failing", f"The last drill, {last['drill_id']}, {days}, has failed."
    if max_age_s is None:
        return NOT_CHECKED, f"The last drill passed {days}; how old it may be is not set."
    if age > max_age_s:
        return "stale", f"The last drill passed {days}, more than {max_age_s / 86400:g} d."
    return "ok", f"The last drill passed {days}."
