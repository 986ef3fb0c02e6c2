"""What the benchmarks have in common: measurements with a verdict, the machine they were taken on, their parts, and the
table."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from churnguard_lab import journey

FOLDER = journey.REPOSITORY / "reports" / "bench"
#: Figures of a part, and what they depend on beside the machine.
Measured = tuple[list[dict[str, Any]], dict[str, Any]]
#: What a part left in the result file: its `conditions` and `measurements`.
Kept = dict[str, Any]


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


class Parts:
    """The parts of a benchmark in its result file, which is written after each; those that are not run keep what they
    had there."""

    def __init__(self, result: Path, names: Sequence[str]) -> None:
        self._result, self._names = result, names
        self._kept: dict[str, Kept] = {}
        if result.exists():
            self._kept = json.loads(result.read_text(encoding="utf-8")).get("parts", {})

    def run(self, part: str, measure: Callable[[str, Kept | None], Measured]) -> None:
        """One part anew; `measure` gets its name and what it left before. Raises what `measure` raises."""
        before = self._kept.pop(part, None)
        begin = os.getloadavg()[0]
        found, facts = measure(part, before)
        taken = conditions(load_1min_at_begin=begin, load_1min_at_end=os.getloadavg()[0])
        self._kept[part] = {"conditions": {**facts, **taken}, "measurements": found}
        self.save()

    def save(self) -> list[dict[str, Any]]:
        """Write what there is; the measurements."""
        parts = {part: self._kept[part] for part in self._names if part in self._kept}
        found = [one for part in parts.values() for one in part["measurements"]]
        taken = conditions(parts={name: part["conditions"] for name, part in parts.items()})
        write(self._result, {"conditions": taken, "measurements": found, "parts": parts})
        return found


def run_parts(
    result: Path,
    names: Sequence[str],
    only: Sequence[str] | None,
    measure: Callable[[str, Kept | None], Measured],
    stopped_by: tuple[type[Exception], ...],
) -> int:
    """Measure the parts, or `only` some, and print the table; the exit status. Exceptions of `stopped_by` are told."""
    done = Parts(result, names)
    try:
        for part in names:
            if part in (only or names):
                say(part)
                done.run(part, measure)
    except stopped_by as error:
        print(f"\nThe benchmark stopped: {error}\nThe parts before are kept: --only takes the others.", file=sys.stderr)
        return 1
    return conclude(done.save(), result)


def conclude(measurements: Sequence[dict[str, Any]], result: Path) -> int:
    """Print the table and where the result is; the exit status."""
    print(table(measurements))
    print(f"\nWritten to {result.relative_to(journey.REPOSITORY)}")
    return 1 if any_failed(measurements) else 0
