"""Drills of a lost database and of broken backups, on a throwaway cluster with ChurnGuard's seed."""

from __future__ import annotations

import contextlib
import random
import shutil
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2

from churnguard_lab import drill_stage
from churnguard_lab.bench import figure, say
from churnguard_lab.cluster import Cluster
from churnguard_lab.receiver import Receiver
from churnguard_lab.recovery.drilling import OBJECTIVES, Drill, Drilled
from churnguard_lab.settings import LOOPBACK

#: Below the range from which the kernel takes ports for outgoing connections.
_PORTS = range(10000, 18000)
_ACCEPT = {
    "read": ["SELECT id, monthly_charges FROM customers WHERE organization_id = 1 ORDER BY id LIMIT 20"],
    "write": [
        "INSERT INTO predictions (customer_id, churn_probability, risk_level, model_version) "
        "SELECT min(id), 0.5, 'medium', 'drill' FROM customers"
    ],
}


@dataclass(frozen=True)
class Stage:
    """A source that may be destroyed, a scratch folder for copies of it, and where its drills keep their journals."""

    cluster: Cluster
    scratch: Path
    scratch_port: int
    drills_dir: Path

    @property
    def secrets(self) -> dict[str, str]:
        return {"source_password": self.cluster.password}

    def drill(self, scenario: str, **more: Any) -> Drill:
        """A drill of this source."""
        target = {"directory": str(self.scratch), "port": self.scratch_port}
        settings = {**drill_stage.settings_of(self.cluster), "target": target, "timeout": 300, **more}
        return Drill(scenario, settings, self.secrets, self.drills_dir)

    def loss(self, **more: Any) -> Drill:
        """The source is killed, and its data directory moved away."""
        return self.drill("database_loss", inject_fault=True, accept=_ACCEPT, **more)

    def mend(self) -> None:
        """Start the source again if a drill has killed it, and drop the ledger, which such a drill leaves in it."""
        if not self.cluster.running:
            self.cluster.start()
        self.ask("DROP SCHEMA IF EXISTS churnguard_drill CASCADE")

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of a statement on the source."""
        return _rows(self.cluster.dsn(), sql)


@contextlib.contextmanager
def stage() -> Iterator[Stage]:
    """A new stage; at the end nothing of it is left."""
    ports = free_ports(2)
    with tempfile.TemporaryDirectory(prefix="churnguard-bench-") as place:
        folder = Path(place)
        with Cluster(folder / "source", port=ports[0], repository=folder / "repository") as cluster:
            drill_stage.furnish(cluster)
            # PostgreSQL's user has to reach it.
            scratch = Path(tempfile.mkdtemp(prefix="churnguard-bench-", dir="/var/tmp"))
            scratch.chmod(0o711)
            try:
                yield Stage(cluster, scratch, ports[1], folder / "drills")
            finally:
                shutil.rmtree(scratch)


def free_ports(count: int) -> list[int]:
    """That many ports of loopback that nobody listens on."""
    with contextlib.ExitStack() as held:
        ports: list[int] = []
        for port in random.sample(_PORTS, len(_PORTS)):
            if len(ports) == count:
                break
            with contextlib.suppress(OSError):
                held.enter_context(socket.create_server((LOOPBACK, port)))
                ports.append(port)
        return ports


def database_loss() -> list[dict[str, Any]]:
    """Two drills, with the archive alone and with received WAL. Raises RuntimeError when one does not pass."""
    objectives = OBJECTIVES["database_loss"]
    with stage() as scene:
        say("database_loss, with the archive alone")
        drilled, seen = _lose(scene)
        with Receiver(scene.cluster) as receiver:
            say("database_loss, every acknowledged write received")
            waited, seen_waited = _lose(scene, received_wal=str(receiver.folder), max_lost_writes=0)
        lost, lost_waited = drilled.value("lost_acked_writes"), waited.value("lost_acked_writes")
        strayed = abs(lost - drilled.lost(seen)) + abs(lost_waited - waited.lost(seen_waited))
    unaccounted = max(one.value("unaccounted_s") for one in (drilled, waited))
    return [
        figure("database_loss_rto_s", drilled.value("rto_s"), "s", objectives.rto_s),
        figure("database_loss_rpo_s", drilled.value("rpo_s"), "s", objectives.rpo_s),
        figure("database_loss_lost_acked_writes", lost, "writes"),
        figure("database_loss_lost_acked_writes_synchronous", lost_waited, "writes", 0),
        figure("database_loss_rto_s_synchronous", waited.value("rto_s"), "s", objectives.rto_s),
        figure("database_loss_rpo_s_synchronous", waited.value("rpo_s"), "s", objectives.rpo_s),
        figure("database_loss_strayed_from_ledger", strayed, "writes", 0),
        figure("database_loss_unaccounted_s", unaccounted, "s", 0.1),
    ]


def _lose(scene: Stage, **more: Any) -> tuple[Drilled, set[int]]:
    """A drill, and the heartbeats that somebody else found in the copy when it had been promoted."""
    seen: set[int] = set()

    def look(event: dict[str, Any]) -> None:
        if (event["event"], event["detail"]) == ("clock", "t_promoted"):
            (home,) = scene.scratch.iterdir()
            dsn = {"host": str(home / "data"), "port": scene.scratch_port, "user": "postgres", "dbname": "postgres"}
            ((table,),) = _rows(dsn, "SELECT tablename FROM pg_tables WHERE schemaname = 'churnguard_drill'")
            seen.update(row[0] for row in _rows(dsn, f"SELECT seq FROM churnguard_drill.{table}"))

    try:
        return scene.loss(**more).run(look), seen
    finally:
        scene.mend()


def broken_backups() -> list[dict[str, Any]]:
    """One drill with every kind of broken backup. Raises RuntimeError when it does not pass."""
    with stage() as scene:
        say("backup_corruption")
        drilled = scene.drill("backup_corruption").run()
    caught, total = drilled.value("broken_backups_caught"), drilled.value("broken_backups_total")
    return [
        figure("broken_backups_caught", caught, "backups", total, at_least=True),
        figure("broken_backups_total", total, "backups"),
    ]


def _rows(dsn: dict[str, Any], sql: str) -> list[tuple[Any, ...]]:
    with contextlib.closing(psycopg2.connect(**dsn)) as session:
        session.autocommit = True
        with session.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall() if cursor.description else []
