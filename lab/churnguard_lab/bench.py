"""What the benchmarks have in common: measurements with a verdict, the machine they were taken on, and the table."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from churnguard_lab import journey

FOLDER = journey.REPOSITORY / "reports" / "bench"


def figure(
    name: str, value: float | None, unit: str, limit: float | None = None, at_least: bool = False
) -> dict[str, Any]:
    """One measurement in the envelope's form. It passes when it is at most its limit, or with `at_least` not below it;
    what could not be measured (None) fails where there is a limit."""
    if limit is None:
        verdict = "not_checked"
    elif value is None:
        verdict = "failed"
    else:
        verdict = "passed" if (value >= limit if at_least else value <= limit) else "failed"
    shown = None if value is None else round(value, 4)
    found = {"name": name, "value": shown, "unit": unit, "limit": limit, "verdict": verdict}
    return {**found, "at_least": True} if at_least else found


def conditions(**more: object) -> dict[str, Any]:
    """What the figures were measured on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "machine": f"{os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "rate_per_s": journey.RATE,
        **more,
        "at": journey.report_id(),
    }


def peak_mb() -> float:
    """The most memory that this process had in use, in MB. Not ru_maxrss: a process inherits that of its parent."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM:")).split()[1]) / 1024


def table(measurements: Sequence[dict[str, Any]]) -> str:
    """The measurements for people."""
    rows = [("measurement", "value", "unit", "limit", "verdict")]
    for m in measurements:
        sign = ">=" if m.get("at_least") else "<="
        limit = "" if m["limit"] is None else f"{sign} {m['limit']:g}"
        value = "none" if m["value"] is None else f"{m['value']:g}"
        rows.append((m["name"], value, m["unit"], limit, m["verdict"]))
    return columns(rows)


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Rows of equal length, the columns aligned."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def write(path: Path, document: dict[str, Any]) -> None:
    """Keep a benchmark's result."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".part")
    partial.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    partial.replace(path)


def any_failed(measurements: Sequence[dict[str, Any]]) -> bool:
    """Whether a limit is broken."""
    return any(m["verdict"] == "failed" for m in measurements)


def say(text: str) -> None:
    """Tell what is measured now."""
    print(f"--- {text}", flush=True)
