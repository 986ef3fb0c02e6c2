"""A throwaway database for drills: a small ChurnGuard that may be destroyed, with its repository and a first backup.

`python -m churnguard_lab.drill_stage up --folder DIR --port PORT` makes it anew and prints {"settings", "secrets_file"}
for role dr_drill; `down` removes it, in whatever state a drill has left it. With `--synchronous` it acknowledges no
write before pg_receivewal has it too; the settings then say where the received WAL is, and that no write may be lost.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import psycopg2

from churnguard_lab import postgresql
from churnguard_lab.cluster import Cluster
from churnguard_lab.receiver import Receiver

DATABASE = Path(__file__).resolve().parents[1] / "database"
#: What the collection looks for before it breaks a cluster.
DRILLABLE = ".churnguard-drillable"
SECRETS = "secrets.json"


def cluster_in(folder: Path, port: int) -> Cluster:
    """The stage's cluster, made or not."""
    return Cluster(folder / "source", port=port, repository=folder / "repository")


def up(folder: Path, port: int, synchronous: bool = False) -> dict[str, Any]:
    """Make it anew; what the role needs to know. Raises postgresql.ClusterError."""
    down(folder, port)
    folder.mkdir(mode=0o700, parents=True)
    cluster = cluster_in(folder, port)
    cluster.create()
    cluster.start()
    furnish(cluster)
    more: dict[str, Any] = {}
    if synchronous:
        receiver = Receiver(cluster)
        receiver.start()
        more = {"received_wal": str(receiver.folder), "max_lost_writes": 0}
    secrets = folder / SECRETS
    descriptor = os.open(secrets, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        json.dump({"source_password": cluster.password}, file)
    return {"settings": {**settings_of(cluster), **more}, "secrets_file": str(secrets)}


def furnish(cluster: Cluster) -> None:
    """Seed a running cluster, say that it may be destroyed, and back it up."""
    with closing(psycopg2.connect(**cluster.dsn())) as session, session.cursor() as cursor:
        for name in ("schema.sql", "seed.sql"):
            cursor.execute((DATABASE / name).read_text(encoding="utf-8"))
        cursor.execute("CREATE EXTENSION amcheck")
        session.commit()
    (cluster.data_dir.parent / DRILLABLE).touch()
    cluster.pgbackrest("--type=full", "backup")


def settings_of(cluster: Cluster) -> dict[str, Any]:
    """A drill's settings that say where the cluster and its repository are."""
    return {
        "source": {"port": cluster.port, "data_dir": str(cluster.data_dir)},
        "pgbackrest": {"config": str(cluster.pgbackrest_config), "stanza": cluster.stanza},
    }


def down(folder: Path, port: int) -> bool:
    """End whatever works in the cluster, and delete it; whether there was anything."""
    cluster = cluster_in(folder, port)
    homes = [path for path in (cluster.folder, cluster.repository, folder) if path is not None]
    there = any(path.exists() for path in homes)
    _end(cluster.folder)
    cluster.delete()
    if folder.exists():
        shutil.rmtree(folder)
    return there


def _end(home: Path) -> None:
    """Kill the cluster's processes: they work in its data directory, wherever a drill has moved that."""
    found = [process for process in psutil.process_iter(["cwd"]) if _works_in(process, home)]
    for process in found:
        process.kill()
    psutil.wait_procs(found, timeout=10)


def _works_in(process: psutil.Process, home: Path) -> bool:
    place = process.info["cwd"]
    return bool(place) and process.pid != os.getpid() and Path(place).is_relative_to(home)


def main() -> int:
    """Command line; see the module's text."""
    parser = argparse.ArgumentParser(prog="python -m churnguard_lab.drill_stage", description=__doc__)
    parser.add_argument("command", choices=["up", "down"])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--synchronous", action="store_true", help="up: acknowledge only what pg_receivewal has, too")
    options = parser.parse_args()
    try:
        if options.command == "up":
            print(json.dumps(up(options.folder, options.port, options.synchronous)))
        else:
            print(json.dumps({"changed": down(options.folder, options.port)}))
    except (postgresql.ClusterError, psycopg2.Error, OSError) as error:
        print(f"the throwaway database: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
