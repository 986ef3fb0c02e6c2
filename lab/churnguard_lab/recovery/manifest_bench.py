"""How fast a manifest is captured and compared, beside COPY TO '/dev/null' of the same tables by as many workers.

    python -m churnguard_lab.recovery.manifest_bench --megabytes 400

The database is a throwaway one with ChurnGuard's tables. Both read tables in the same ranges; COPY gets whole tables
where that is quicker for it. Rounds alternate, so that a busy machine slows both alike, and the medians count.
"""

from __future__ import annotations

import argparse
import functools
import multiprocessing
import queue
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg2

from churnguard_lab import bench, journey
from churnguard_lab.bench import figure, say, table
from churnguard_lab.cluster import Cluster
from churnguard_lab.settings import LOOPBACK

sys.path.append(str(Path(__file__).resolve().parents[3] / "collections"))

from ansible_collections.churnguard.ops.plugins.module_utils._postgres import gather, hashing  # noqa: E402
from ansible_collections.churnguard.ops.plugins.module_utils._postgres import manifest_session as session  # noqa: E402
from ansible_collections.churnguard.ops.plugins.module_utils._postgres.model import Options, Table  # noqa: E402

WORKERS = 2
ROUNDS = 3
LEAST_RATIO = 0.8
MOST_MB = 200
#: The layers that read what COPY reads, and all that costs next to nothing; keys and amcheck read it again.
CHECKS = ("rows", "content", "sequences", "catalog", "roles", "settings", "extensions", "collations")
#: Bytes of a prediction on disk with its index entries left out, and how many there are to a customer.
_PREDICTION_BYTES, _PREDICTIONS_PER_CUSTOMER = 82, 8
_CUSTOMER_BYTES = 92
_FILL = """
INSERT INTO organizations (id, name, subscription_tier)
  SELECT n, 'Organization ' || n, 'starter' FROM generate_series(1, 1000) n;
INSERT INTO customers (id, organization_id, external_id, tenure_months, monthly_charges, support_tickets, created_at)
  SELECT n, 1 + n % 1000, 'C-' || lpad(n::text, 8, '0'), n * 31 % 72, 20 + n::bigint * 7919 % 10000 / 100.0, n % 9,
    timestamptz '2025-01-01' + n * interval '1 minute' FROM generate_series(1, {customers}) n;
INSERT INTO predictions (id, customer_id, churn_probability, risk_level, model_version, created_at)
  SELECT n, 1 + n % {customers}, (n::bigint * 7919 % 10000 / 10000.0)::numeric(5, 4),
    (ARRAY['low', 'medium', 'high'])[1 + n % 3], 'churn-' || n / 1000000 || '.0',
    timestamptz '2026-01-01' + n * interval '1 second' FROM generate_series(1, {predictions}) n;
SELECT setval('organizations_id_seq', 1000), setval('customers_id_seq', {customers}),
  setval('predictions_id_seq', {predictions});
"""

#: What fill() leaves out, because it takes longer than the rows.
INDEXES = (
    "CREATE INDEX predictions_customer_id_created_at_idx ON predictions (customer_id, created_at DESC)",
    "CREATE INDEX predictions_high_risk_idx ON predictions (created_at) WHERE risk_level = 'high'",
    "ALTER TABLE predictions ADD FOREIGN KEY (customer_id) REFERENCES customers (id) ON DELETE CASCADE",
)

Connect = Callable[[], Any]


def fill(connect: Connect, size_bytes: int) -> None:
    """ChurnGuard's tables with about that many bytes of rows (indexes come on top)."""
    customers = size_bytes // (_CUSTOMER_BYTES + _PREDICTIONS_PER_CUSTOMER * _PREDICTION_BYTES)
    database = connect()
    database.autocommit = True
    schema = (journey.REPOSITORY / "lab" / "database" / "schema.sql").read_text(encoding="utf-8")
    with database.cursor() as cursor:
        cursor.execute(schema)
        # Filling is no part of the measurement: without these it takes half as long.
        cursor.execute("DROP INDEX predictions_customer_id_created_at_idx, predictions_high_risk_idx")
        cursor.execute("ALTER TABLE predictions DROP CONSTRAINT predictions_customer_id_fkey")
        cursor.execute(_FILL.format(customers=customers, predictions=customers * _PREDICTIONS_PER_CUSTOMER))
        cursor.execute("VACUUM (FREEZE, ANALYZE)")
        cursor.execute("CHECKPOINT")
    database.close()


def copy_all(connect: Connect, tables: list[Table], workers: int) -> float:
    """Seconds that COPY takes for all tables, each range by the next worker that is free."""
    work: queue.SimpleQueue[str] = queue.SimpleQueue()
    total = sum(one.blocks for one in tables)
    for one in sorted(tables, key=lambda one: -one.blocks):
        for part in hashing.ranges(one, total, workers):
            name = hashing.relation(one)
            chosen = name if part == (0, None) else f"(SELECT * FROM ONLY {name} t{hashing.where(part)})"
            work.put(f"COPY {chosen} TO '/dev/null'")
    return _run(connect, work, workers)


def copy_whole(connect: Connect, tables: list[Table], workers: int) -> float:
    """Seconds that COPY takes with one statement for each table."""
    work: queue.SimpleQueue[str] = queue.SimpleQueue()
    for one in sorted(tables, key=lambda one: -one.blocks):
        work.put(f"COPY {hashing.relation(one)} TO '/dev/null'")
    return _run(connect, work, workers)


def _run(connect: Connect, work: queue.SimpleQueue[str], workers: int) -> float:
    errors: list[BaseException] = []

    def attend() -> None:
        try:
            database = connect()
            with database.cursor() as cursor:
                while True:
                    cursor.execute(work.get_nowait())
        except queue.Empty:
            database.close()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=attend) for _ in range(workers)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return time.monotonic() - began


def timed(action: Callable[[], Any]) -> float:
    began = time.monotonic()
    action()
    return time.monotonic() - began


def peak_mb(dsn: dict[str, Any], options: Options) -> float:
    """Most memory that a process takes which captures a manifest and compares with it, in MB."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_capture_and_compare, (dsn, options))


def _capture_and_compare(dsn: dict[str, Any], options: Options) -> float:
    connect = functools.partial(psycopg2.connect, **dsn)
    result = session.compare(connect, session.capture(connect, options), options)
    if result["verdict"] != "passed":
        raise RuntimeError(f"a database that nobody changed is not as its manifest says: {wrong(result)}")
    return bench.peak_mb()


def wrong(result: dict[str, Any]) -> list[str]:
    """What a comparison found."""
    return [f"{one['name']} of {one['subject']}: {one['reason']}" for one in result["checks"] if one["reason"]]


def measure(size_bytes: int, workers: int = WORKERS, rounds: int = ROUNDS) -> list[dict[str, Any]]:
    """Build a database of about C(size_bytes), measure, and delete it; measurements in the envelope's form."""
    with socket.create_server((LOOPBACK, 0)) as probe:
        port = probe.getsockname()[1]
    with (
        tempfile.TemporaryDirectory(prefix="churnguard-bench-") as folder,
        Cluster(Path(folder), port=port, settings={"shared_buffers": "256MB", "max_wal_size": "8GB"}) as cluster,
    ):
        connect = functools.partial(psycopg2.connect, **cluster.dsn())
        say(f"filling a database with {size_bytes / 2**20:.0f} MB of rows")
        fill(connect, size_bytes)
        return [*_ratios(connect, workers, rounds), _peak(cluster.dsn(), workers)]


def _peak(dsn: dict[str, Any], workers: int) -> dict[str, Any]:
    options = Options(workers=workers, checks=CHECKS)
    return figure("manifest_peak_mb", peak_mb(dsn, options), "MB", MOST_MB)


def _ratios(connect: Connect, workers: int, rounds: int) -> list[dict[str, Any]]:
    """manifest_speed_ratio_vs_copy is that of the slower one of capture and compare, hash record."""
    database = connect()
    tables = gather.read_tables(database)
    database.close()
    read_bytes = sum(one.blocks for one in tables) * hashing.BLOCK
    by_mode = {mode: Options(workers=workers, hash=mode, checks=CHECKS) for mode in ("record", "text")}
    manifests = {mode: session.capture(connect, options) for mode, options in by_mode.items()}
    actions: dict[str, Callable[[], Any]] = {
        "copy": lambda: copy_all(connect, tables, workers),
        "copy_whole": lambda: copy_whole(connect, tables, workers),
    }
    for mode, options in by_mode.items():
        actions[f"capture_{mode}"] = functools.partial(session.capture, connect, options)
        actions[f"compare_{mode}"] = functools.partial(session.compare, connect, manifests[mode], options)
    taken: dict[str, list[float]] = {name: [] for name in actions}
    for number in range(rounds):
        for name, action in actions.items():
            taken[name].append(timed(action))
        say(f"round {number + 1}: " + ", ".join(f"{name} {seconds[-1]:.2f} s" for name, seconds in taken.items()))
    middle = {name: statistics.median(seconds) for name, seconds in taken.items()}
    copy_s = min(middle["copy"], middle["copy_whole"])
    ratios = {mode: copy_s / max(middle[f"capture_{mode}"], middle[f"compare_{mode}"]) for mode in by_mode}
    return [
        figure("manifest_speed_ratio_vs_copy", ratios["record"], "ratio", LEAST_RATIO, at_least=True),
        figure("manifest_speed_ratio_vs_copy_text", ratios["text"], "ratio"),
        figure("manifest_database_mb", read_bytes / 2**20, "MB"),
        figure("manifest_copy_mb_per_s", read_bytes / 2**20 / copy_s, "MB/s"),
        figure("manifest_capture_mb_per_s", read_bytes / 2**20 / middle["capture_record"], "MB/s"),
        figure("manifest_compare_mb_per_s", read_bytes / 2**20 / middle["compare_record"], "MB/s"),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m churnguard_lab.recovery.manifest_bench", description=__doc__)
    parser.add_argument("--megabytes", type=int, default=5120, help="size of the tables (default: 5120)")
    parser.add_argument("--workers", type=int, default=WORKERS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args()
    measurements = measure(options.megabytes * 2**20, options.workers, options.rounds)
    print(table(measurements))
    return int(any(one["verdict"] == "failed" for one in measurements))


if __name__ == "__main__":
    sys.exit(main())
