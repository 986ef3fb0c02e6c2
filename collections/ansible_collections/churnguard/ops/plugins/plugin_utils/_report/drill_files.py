# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What drills leave beside their envelopes: the history of all of them, and each one's ledger of writes over time.
Internal: may change in any release."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import isoformat, parse_time
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError

HISTORY = "history.jsonl"
LEDGER = "ledger.jsonl"
# More columns than this would show the noise of single writes.
MOST_COLUMNS = 150
STEPS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600)
# Drills of each scenario that are drawn, and drills that are listed, newest of all.
MOST_DRAWN = 60
MOST_LISTED = 20
FIGURES = ("rto_s", "rpo_s", "lost_acked_writes", "rto_limit_s", "rpo_limit_s")


def history(folder: str) -> dict[str, Any] | None:
    """All finished drills in C(folder), by scenario (the last drilled first) and the newest as a list; None where no
    drill has finished.

    Raises OperationError for a history that cannot be read; single lines that are none are counted.
    """
    path = Path(folder) / HISTORY
    drills, unreadable = [], 0
    for entry in _lines(path):
        one = _drill(entry)
        if one is None:
            unreadable += 1
        else:
            drills.append(one)
    if not drills and not unreadable:
        return None
    drills.sort(key=lambda one: one["started"])
    names = dict.fromkeys(one["scenario"] for one in reversed(drills))
    return {
        "file": path.name,
        "total": len(drills),
        "unreadable": unreadable,
        "scenarios": [_scenario(name, [one for one in drills if one["scenario"] == name]) for name in names],
        "newest": drills[::-1][:MOST_LISTED],
    }


def _scenario(name: str, drills: list[dict[str, Any]]) -> dict[str, Any]:
    """Counts and the trend of one scenario, oldest first."""
    verdicts = [one["verdict"] for one in drills]
    return {
        "name": name,
        "component": drills[-1]["component"],
        "total": len(drills),
        "passed": verdicts.count("passed"),
        "failed": verdicts.count("failed"),
        "aborted": verdicts.count("aborted"),
        "last": drills[-1]["started"],
        "rto_s": _spread([one["rto_s"] for one in drills]),
        "rpo_s": _spread([one["rpo_s"] for one in drills]),
        "lost_acked_writes": sum(one["lost_acked_writes"] or 0 for one in drills),
        "drills": drills[-MOST_DRAWN:],
    }


def _spread(values: list[float | None]) -> dict[str, float] | None:
    known = [value for value in values if value is not None]
    if not known:
        return None
    return {"best": min(known), "median": round(statistics.median(known), 3), "worst": max(known), "last": known[-1]}


def _drill(entry: Any) -> dict[str, Any] | None:
    """A line of the history with finite figures; None for what is none."""
    if not isinstance(entry, dict) or not entry.get("drill_id") or not entry.get("scenario"):
        return None
    try:
        started = isoformat(parse_time(str(entry.get("started"))))
    except ValueError:
        return None
    texts = {key: str(entry.get(key) or "") for key in ("drill_id", "scenario", "component")}
    verdict = entry.get("verdict") if entry.get("verdict") in ("passed", "failed", "aborted") else "failed"
    figures = {key: _finite(entry.get(key)) for key in FIGURES}
    return {**texts, "started": started, "verdict": verdict, **figures}


def writes(folder: str, drill_id: str, lost_ids: list[int], lost: int | None) -> dict[str, Any] | None:
    """Acknowledged writes over time from a drill's ledger: C(start) (ISO), C(step_s), C(acked) for each step, and the
    C(lost_from) and C(lost_to) of acknowledged writes that did not survive. None where there is no ledger.

    Only the first lost numbers are on record; where more were lost, the last is taken to lie C(lost) - 1 writes on.
    """
    path = Path(folder) / drill_id / LEDGER
    if not drill_id or "/" in drill_id or not path.is_file():
        return None
    acked: list[tuple[int, float]] = []
    for entry in _lines(path):
        moment = _finite(entry.get("acked_at")) if isinstance(entry, dict) else None
        if moment is not None:
            acked.append((int(entry.get("seq") or 0), moment))
    if not acked:
        return None
    times = [moment for _seq, moment in acked]
    first, end = min(times), max(times)
    longest = (end - first) / MOST_COLUMNS
    step = next((step for step in STEPS_S if step >= longest), math.ceil(longest))
    start = math.floor(first / step) * step
    counts = [0] * (int((end - start) // step) + 1)
    for moment in times:
        counts[int((moment - start) // step)] += 1
    return {"start": _iso(start), "step_s": step, "acked": counts, **_window(acked, lost_ids, lost)}


def _window(acked: list[tuple[int, float]], lost_ids: list[int], lost: int | None) -> dict[str, Any]:
    """When the first and the last lost write were acknowledged."""
    if not lost_ids:
        return {"lost_from": None, "lost_to": None}
    last = lost_ids[-1] + max((lost or 0) - len(lost_ids), 0)
    among = [moment for seq, moment in acked if lost_ids[0] <= seq <= last]
    if not among:
        return {"lost_from": None, "lost_to": None}
    return {"lost_from": _iso(min(among)), "lost_to": _iso(max(among))}


def _lines(path: Path) -> Iterator[Any]:
    """Each line of a JSON-lines file as data, None for a torn one; none of a file that is not there."""
    try:
        with path.open(encoding="utf-8", errors="replace") as stream:
            for line in stream:
                try:
                    yield json.loads(line) if line.strip() else None
                except ValueError:
                    yield None
    except FileNotFoundError:
        return
    except OSError as error:
        raise OperationError(f"read {path}", f"{error.strerror}.", "check its owner and mode.") from error


def _iso(moment: float) -> str:
    return isoformat(datetime.fromtimestamp(moment, timezone.utc))


def _finite(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return value
