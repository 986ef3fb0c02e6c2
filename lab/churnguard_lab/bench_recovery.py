"""The figures of backups, restores and drills, in one run or part by part, side by side.

    make bench-recovery                                             # everything
    CHURNGUARD_BENCH_GB=0.3 make bench-recovery                     # a smaller database
    python -m churnguard_lab.bench_recovery --only manifest --only restore

Prints a table and writes reports/bench/recovery.json; the parts that are not run keep what they had there. Every part
makes what it measures and deletes it: the lab need not be up. Exits 1 when a limit is broken.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from churnguard_lab import bench, journey, postgresql
from churnguard_lab.bench import say

RESULT = bench.FOLDER / "recovery.json"
GIGABYTES = float(os.environ.get("CHURNGUARD_BENCH_GB", "5"))
Measurements = list[dict[str, Any]]


def _parts(size_bytes: int) -> dict[str, Callable[[], Measurements]]:
    """Each part, in the order of the table."""
    # Imported here: they take seconds, and --help needs none.
    from churnguard_lab import bench_elasticache
    from churnguard_lab.recovery import cache_bench, database_bench, interrupted_bench, manifest_bench, restore_bench

    return {
        "manifest": lambda: manifest_bench.measure(size_bytes),
        "restore": lambda: restore_bench.measure(size_bytes),
        "database": database_bench.database_loss,
        "cache": cache_bench.cache_failover,
        "broken": database_bench.broken_backups,
        "interrupted": interrupted_bench.interrupted_drills,
        "elasticache": bench_elasticache.measurements,
    }


PARTS = ("manifest", "restore", "database", "cache", "broken", "interrupted", "elasticache")


def _facts(part: str, gigabytes: float) -> dict[str, Any]:
    """What the figures of a part depend on."""
    from churnguard_lab.recovery import manifest_bench, restore_bench

    if part == "manifest":
        return {"database_gb": gigabytes, "workers": manifest_bench.WORKERS, "rounds": manifest_bench.ROUNDS}
    if part == "restore":
        return {"database_gb": gigabytes, "workers": manifest_bench.WORKERS, **restore_bench.CONDITIONS}
    return {}


class Bench:
    """What was measured so far, kept in the result file after every part."""

    def __init__(self, gigabytes: float) -> None:
        self._gigabytes = gigabytes
        self._parts: dict[str, Any] = _read().get("parts", {}) if RESULT.exists() else {}

    def run(self, part: str) -> None:
        """One part anew. Raises RuntimeError when something does not work that has to."""
        self._parts.pop(part, None)
        begin = _load()
        found = _parts(int(self._gigabytes * 2**30))[part]()
        taken = bench.conditions(load_1min_at_begin=begin, load_1min_at_end=_load(), **_facts(part, self._gigabytes))
        self._parts[part] = {"conditions": taken, "measurements": found}
        self.save()

    def save(self) -> Measurements:
        """Write what there is; the measurements."""
        parts = {part: self._parts[part] for part in PARTS if part in self._parts}
        found = [one for part in parts.values() for one in part["measurements"]]
        conditions = bench.conditions(parts={name: part["conditions"] for name, part in parts.items()})
        bench.write(RESULT, {"conditions": conditions, "measurements": found, "parts": parts})
        return found


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; the exit status."""
    options = _parser().parse_args(arguments)
    done = Bench(options.gigabytes)
    try:
        for part in PARTS:
            if part in (options.only or PARTS):
                say(part)
                done.run(part)
    except (journey.JourneyError, postgresql.ClusterError, RuntimeError) as error:
        print(f"\nThe benchmark stopped: {error}\nThe parts before are kept: --only takes the others.", file=sys.stderr)
        return 1
    found = done.save()
    print(bench.table(found))
    print(f"\nWritten to {RESULT.relative_to(journey.REPOSITORY)}")
    return 1 if bench.any_failed(found) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="churnguard_lab.bench_recovery", description="Figures of recovery.")
    parser.add_argument("--only", action="append", choices=PARTS, help="this part alone; may be given again")
    parser.add_argument(
        "--gigabytes",
        type=float,
        default=GIGABYTES,
        help="size of the databases of manifest and restore (CHURNGUARD_BENCH_GB, else 5)",
    )
    return parser


def _read() -> dict[str, Any]:
    return dict(json.loads(RESULT.read_text(encoding="utf-8")))


def _load() -> float:
    return os.getloadavg()[0]


if __name__ == "__main__":
    sys.exit(main())
