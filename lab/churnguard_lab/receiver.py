"""A synchronous archive of WAL beside a throwaway cluster: pg_receivewal with a replication slot of its own, which the
cluster waits for before it acknowledges a write. Its folder lies beside the data directory, and outlives it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from types import TracebackType
from typing import Any

import psycopg2

from churnguard_lab import postgresql
from churnguard_lab.cluster import Cluster

#: Its replication slot, and its name in synchronous_standby_names.
NAME = "received_wal"
TIMEOUT_S = 30.0


class Receiver:
    """pg_receivewal of a running cluster. As a context manager it is started, and stopped at the end."""

    def __init__(self, cluster: Cluster) -> None:
        self.folder = cluster.folder / "received"
        self._cluster = cluster
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Receiver:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Receive from now on, and have the cluster wait for it. Raises postgresql.ClusterError."""
        cluster = self._cluster
        self.folder.mkdir(mode=0o700, exist_ok=True)
        if cluster.account:
            os.chown(self.folder, cluster.account.pw_uid, cluster.account.pw_gid)
        program = [
            str(cluster.programs / "pg_receivewal"),
            f"--directory={self.folder}",
            f"--slot={NAME}",
            f"--dbname=application_name={NAME}",
            f"--host={cluster.socket_dir}",
            f"--port={cluster.port}",
            f"--username={cluster.user}",
            "--no-password",
        ]
        cluster.run([*program, "--create-slot", "--if-not-exists"])
        with (cluster.folder / "received.log").open("ab") as log:
            # It works in its folder, so that whoever ends all that works in the cluster's folder finds it.
            self._process = subprocess.Popen(
                [*program, "--synchronous"],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **cluster.identity(),
            )
        self._await("state = 'streaming'")
        self._execute(f"ALTER SYSTEM SET synchronous_standby_names = '{NAME}'", "SELECT pg_reload_conf()")
        self._await("sync_state = 'sync'")

    def stop(self) -> None:
        """End it; a cluster that still runs waits for it no longer, and keeps no WAL for it."""
        if self._cluster.running:
            with contextlib.suppress(psycopg2.OperationalError):
                self._execute("ALTER SYSTEM RESET synchronous_standby_names", "SELECT pg_reload_conf()")
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        if self._cluster.running:
            self._await("true", there=False)
            self._execute(f"SELECT pg_drop_replication_slot('{NAME}')")

    def _await(self, condition: str, there: bool = True) -> None:
        give_up = time.monotonic() + TIMEOUT_S
        sql = f"SELECT count(*) FROM pg_stat_replication WHERE application_name = '{NAME}' AND {condition}"
        while bool(self._execute(sql)[0][0]) != there:
            if time.monotonic() > give_up:
                log = self._cluster.folder / "received.log"
                said = log.read_text(encoding="utf-8", errors="replace")[-500:].strip()
                raise postgresql.ClusterError(f"pg_receivewal: not ({condition}) after {TIMEOUT_S:.0f} s: {said}")
            time.sleep(0.05)

    def _execute(self, *statements: str) -> list[tuple[Any, ...]]:
        with contextlib.closing(psycopg2.connect(**self._cluster.dsn())) as session:
            session.autocommit = True
            with session.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
                return cursor.fetchall() if cursor.description else []
