"""How much longer a restore takes when its rows are verified: a database goes from the repository into a scratch copy
by the module's own restore session, and the copy is held against the manifest.

    python -m churnguard_lab.recovery.restore_bench --megabytes 400

The database is ChurnGuard's, with all its indexes and constraints, of that size on the disk. Counted as the restore are
files, start and replay; the manifest's capture is not counted, because it belongs to the backup.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2

from churnguard_lab.bench import figure, say, table
from churnguard_lab.cluster import Cluster
from churnguard_lab.recovery import manifest_bench
from churnguard_lab.recovery.manifest_bench import CHECKS, Connect
from churnguard_lab.settings import LOOPBACK

sys.path.append(str(Path(__file__).resolve().parents[3] / "collections"))

from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import Clock  # noqa: E402
from ansible_collections.churnguard.ops.plugins.module_utils._pgbackrest.model import Place  # noqa: E402
from ansible_collections.churnguard.ops.plugins.module_utils._pgbackrest.runner import Runner  # noqa: E402
from ansible_collections.churnguard.ops.plugins.module_utils._postgres import manifest_session  # noqa: E402
from ansible_collections.churnguard.ops.plugins.module_utils._postgres.connection import connector  # noqa: E402
from ansible_collections.churnguard.ops.plugins.module_utils._postgres.model import Options  # noqa: E402
from ansible_collections.churnguard.ops.plugins.module_utils._restore import scratch, server  # noqa: E402
from ansible_collections.churnguard.ops.plugins.module_utils._restore.model import Point, Request, Target  # noqa: E402
from ansible_collections.churnguard.ops.plugins.module_utils._restore.session import Session  # noqa: E402

MOST_SHARE = 0.15
TIMEOUT_S = 3600.0
#: Of a database of ChurnGuard's tables with all their indexes, so much is rows.
_SHARE_OF_ROWS = 0.565
#: Predictions written after the backup, for replay to have something to do: one in a hundred.
_AFTER_THE_BACKUP = """
INSERT INTO predictions (customer_id, churn_probability, risk_level, model_version)
  SELECT customer_id, churn_probability, risk_level, 'churn-next' FROM predictions WHERE id % 100 = 0;
"""
#: What the figures depend on.
CONDITIONS = {
    "repository": "on the same disk, lz4, AES-256, process-max 1",
    "replayed": "predictions written after the backup, one to a hundred that there were",
    "verify_s": "rows, content, sequences, catalog, roles, settings, extensions, collations",
    "verify_all_layers_s": "also foreign keys and amcheck, which read all of it again",
}
_SETTINGS = {"shared_buffers": "256MB", "max_wal_size": "8GB", "maintenance_work_mem": "512MB"}


def measure(size_bytes: int, workers: int = manifest_bench.WORKERS) -> list[dict[str, Any]]:
    """Build a database of about C(size_bytes) with its backup, restore it, verify the copy and delete everything;
    measurements in the envelope's form. Raises RuntimeError when the copy is not as the source was."""
    with _built(size_bytes) as (cluster, connect, home):
        options = Options(workers=workers, ignore_settings=tuple(server.isolation(_target(home, 0), {}, 99)))
        say("taking the manifest of the source")
        manifest = manifest_session.capture(connect, options)
        size = _asked(connect, "SELECT sum(pg_database_size(oid)) FROM pg_database")
        cluster.stop()
        session = _restore(cluster, home)
        try:
            return _measured(session, manifest, options, float(size))
        finally:
            scratch.remove(session.request.target, Clock())


@contextlib.contextmanager
def _built(size_bytes: int) -> Iterator[tuple[Cluster, Connect, Path]]:
    """A cluster with its backup and some WAL behind it, what opens sessions, and a folder for the copy."""
    with (
        tempfile.TemporaryDirectory(prefix="churnguard-bench-") as folder,
        Cluster(Path(folder) / "source", port=_port(), settings=_SETTINGS, repository=Path(folder) / "repo") as cluster,
    ):
        connect = functools.partial(psycopg2.connect, **cluster.dsn())
        say(f"filling a database of {size_bytes / 2**20:.0f} MB with its indexes")
        # What was written before the backup is never read again: it is not archived.
        _execute(connect, "ALTER SYSTEM SET archive_command = '/bin/true'", "SELECT pg_reload_conf()")
        manifest_bench.fill(connect, int(size_bytes * _SHARE_OF_ROWS))
        _execute(connect, *manifest_bench.INDEXES, "VACUUM (FREEZE, ANALYZE)", "CREATE EXTENSION amcheck")
        _execute(connect, "ALTER SYSTEM RESET archive_command", "SELECT pg_reload_conf()")
        say("a full backup, and some WAL behind it")
        cluster.pgbackrest("--type=full", "backup", timeout_s=TIMEOUT_S)
        _execute(connect, _AFTER_THE_BACKUP, "SELECT pg_switch_wal()")
        home = cluster.folder.with_name(f"{cluster.folder.name}-copy")
        home.mkdir(mode=0o700)
        Runner().own(str(home))
        try:
            yield cluster, connect, home
        finally:
            home.rmdir()


def _restore(cluster: Cluster, home: Path) -> Session:
    """The copy, recovered to the end of the archive."""
    target = _target(home, _port())
    request = Request(
        place=Place(str(cluster.pgbackrest_config), cluster.stanza),
        target=target,
        point=Point(),
        confirm=str(target.data_dir),
        verify=False,
        timeout=TIMEOUT_S,
    )
    session = Session(request, Runner(), Clock())
    say("restoring it")
    session.prepare()
    session.files()
    session.start()
    session.replay()
    return session


def _measured(session: Session, manifest: dict[str, Any], options: Options, size_bytes: float) -> list[dict[str, Any]]:
    """The copy compared, first with the layers that read what a restore writes, then with all of them."""
    target = session.request.target
    to_copy = connector(
        {
            "login_unix_socket": str(target.data_dir),
            "login_port": target.port,
            "login_user": Cluster.user,
            "login_db": "postgres",
        }
    )
    restored = session.durations
    restore_s = restored["files_s"] + restored["start_s"] + restored["replay_s"]
    rows_s = _compared(to_copy, manifest, _only(options, CHECKS))
    all_s = _compared(to_copy, manifest, options)
    say(f"{restored}, rows compared in {rows_s:.1f} s, all layers in {all_s:.1f} s")
    return [
        figure("verify_share_of_restore", rows_s / restore_s, "ratio", MOST_SHARE),
        figure("verify_share_of_restore_all_layers", all_s / restore_s, "ratio"),
        figure("restore_database_mb", size_bytes / 2**20, "MB"),
        *(figure(f"restore_{name}", seconds, "s") for name, seconds in restored.items()),
        figure("restore_s", restore_s, "s"),
        figure("verify_s", rows_s, "s"),
        figure("verify_all_layers_s", all_s, "s"),
    ]


def _only(options: Options, checks: tuple[str, ...]) -> Options:
    return Options(workers=options.workers, ignore_settings=options.ignore_settings, checks=checks)


def _compared(connect: Connect, manifest: dict[str, Any], options: Options) -> float:
    """Seconds of a comparison that passes. Raises RuntimeError when it does not."""
    began = time.monotonic()
    found = manifest_session.compare(connect, manifest, options)
    seconds = time.monotonic() - began
    if found["verdict"] != "passed":
        raise RuntimeError(f"the copy is not as the manifest says: {manifest_bench.wrong(found)}")
    return seconds


def _target(home: Path, port: int) -> Target:
    return Target(home / "data", port, "bench-recovery")


def _execute(connect: Connect, *statements: str) -> None:
    session = connect()
    session.autocommit = True
    with session.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
    session.close()


def _asked(connect: Connect, sql: str) -> Any:
    session = connect()
    with session.cursor() as cursor:
        cursor.execute(sql)
        value = cursor.fetchone()[0]
    session.close()
    return value


def _port() -> int:
    with socket.create_server((LOOPBACK, 0)) as probe:
        return int(probe.getsockname()[1])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m churnguard_lab.recovery.restore_bench", description=__doc__)
    parser.add_argument("--megabytes", type=int, default=5120, help="size of the database (default: 5120)")
    parser.add_argument("--workers", type=int, default=manifest_bench.WORKERS)
    options = parser.parse_args()
    measurements = measure(options.megabytes * 2**20, options.workers)
    print(table(measurements))
    return int(any(one["verdict"] == "failed" for one in measurements))


if __name__ == "__main__":
    sys.exit(main())
