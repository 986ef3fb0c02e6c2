"""The figures of observability, in one run or part by part, side by side.

    make bench-observability                                        # everything; the lab must be up
    python -m churnguard_lab.bench_observability --only cases --only rules
    python -m churnguard_lab.bench_observability --only faults --fault redis_down

Prints a table and writes reports/bench/observability.json; the parts that are not run keep what they had there.
The part `faults` breaks the running lab and repairs it, also after a run that was killed. Exits 1 when a limit is
broken.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any

from churnguard_lab import bench, journey, settings

RESULT = bench.FOLDER / "observability.json"


def _parts(faults: Sequence[str]) -> dict[str, Callable[[], bench.Measured]]:
    """Each part, in the order of the table."""
    # Imported here: they take seconds, and --help needs none.
    from churnguard_lab.observability import cases_bench, fault_bench, panels, rules_bench

    return {
        "cases": cases_bench.measure,
        "rules": rules_bench.measure,
        "panels": panels.measure,
        "faults": lambda: fault_bench.measure(faults),
    }


PARTS = ("cases", "rules", "panels", "faults")
FAULTS = ("pod_crash_loop", "error_burst", "redis_down", "replication_broken", "disk_full")


def _beside(before: bench.Kept, found: list[dict[str, Any]], facts: dict[str, Any]) -> bench.Measured:
    """Some faults anew, the others as they were measured before."""
    anew = {one["name"] for one in found}
    kept = [one for one in before["measurements"] if one["name"] not in anew]
    return [*kept, *found], {**before["conditions"], **facts}


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; the exit status."""
    options = _parser().parse_args(arguments)
    faults = options.fault or ()

    def measure(part: str, before: bench.Kept | None) -> bench.Measured:
        found, facts = _parts(faults)[part]()
        return _beside(before, found, facts) if part == "faults" and faults and before else (found, facts)

    stops = (journey.JourneyError, settings.SettingsError, RuntimeError)
    return bench.run_parts(RESULT, PARTS, options.only, measure, stops)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="churnguard_lab.bench_observability", description="Figures of observability.")
    parser.add_argument("--only", action="append", choices=PARTS, help="this part alone; may be given again")
    parser.add_argument("--fault", action="append", choices=FAULTS, help="of faults this one alone; may be given again")
    return parser


if __name__ == "__main__":
    sys.exit(main())
