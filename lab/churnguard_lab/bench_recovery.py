"""The figures of backups, restores and drills, in one run or part by part, side by side.

    make bench-recovery                                             # everything
    CHURNGUARD_BENCH_GB=0.3 make bench-recovery                     # a smaller database
    python -m churnguard_lab.bench_recovery --only manifest --only restore

Prints a table and writes reports/bench/recovery.json; the parts that are not run keep what they had there. Every part
makes what it measures and deletes it: the lab need not be up. Exits 1 when a limit is broken.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from churnguard_lab import bench, journey, postgresql

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


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; the exit status."""
    options = _parser().parse_args(arguments)

    def measure(part: str, _before: bench.Kept | None) -> bench.Measured:
        found = _parts(int(options.gigabytes * 2**30))[part]()
        return found, _facts(part, options.gigabytes)

    stops = (journey.JourneyError, postgresql.ClusterError, RuntimeError)
    return bench.run_parts(RESULT, PARTS, options.only, measure, stops)


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


if __name__ == "__main__":
    sys.exit(main())
