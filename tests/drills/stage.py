"""A small ChurnGuard database that may be destroyed, with its repository and a first backup."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg2
from ansible_collections.churnguard.ops.plugins.module_utils._drill.scenarios.database import DRILLABLE
from churnguard_lab.cluster import Cluster

DATABASE = Path(__file__).resolve().parents[2] / "lab" / "database"


@contextmanager
def stage(folder: Path, port: int) -> Iterator[Cluster]:
    """The cluster, seeded and backed up; at the end nothing of it is left."""
    with Cluster(folder / "source", port=port, repository=folder / "repository") as cluster:
        execute(cluster, (DATABASE / "schema.sql").read_text(), (DATABASE / "seed.sql").read_text())
        execute(cluster, "CREATE EXTENSION amcheck")
        (cluster.data_dir.parent / DRILLABLE).touch()
        cluster.pgbackrest("--type=full", "backup")
        yield cluster


def execute(cluster: Cluster, *statements: str) -> list[tuple[Any, ...]]:
    """Run statements on the source; the rows of the last one."""
    with closing(psycopg2.connect(**cluster.dsn())) as session:
        session.autocommit = True
        with session.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []


def settings_of(cluster: Cluster, target: Path, port: int, **more: Any) -> dict[str, Any]:
    """Settings of a drill on this cluster."""
    return {
        "source": {"port": cluster.port, "data_dir": str(cluster.data_dir)},
        "pgbackrest": {"config": str(cluster.pgbackrest_config), "stanza": cluster.stanza},
        "target": {"directory": str(target), "port": port},
        "ledger": {"seconds": 2, "rate": 20},
        "timeout": 120,
        "accept": {
            "read": ["SELECT id FROM customers WHERE organization_id = 1 LIMIT 1"],
            "write": [
                "INSERT INTO predictions (customer_id, churn_probability, risk_level, model_version) "
                "SELECT min(id), 0.5, 'medium', 'drill' FROM customers"
            ],
        },
        **more,
    }
