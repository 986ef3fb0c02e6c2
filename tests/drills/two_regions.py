"""Two regions of the smallest kind: a PostgreSQL and an endpoint each, and an HAProxy before both endpoints."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg2
from ansible_collections.churnguard.ops.plugins.module_utils._drill import pod_processes, processes
from churnguard_lab.cluster import PROGRAMS, Cluster
from churnguard_lab.second_region import FRONT_DOOR, HAPROXY
from drilling import free_ports
from endpoint import REGION, serve

SLOT = "pair"


class TwoRegions:
    """The second region follows the first one through a slot that both keep."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        ports = free_ports(6)
        self.databases, self.endpoints, (self.door, self.admin) = ports[:2], ports[2:4], ports[4:]
        self.cluster = Cluster(folder / "cluster", port=self.databases[0])
        self.data_dirs = [self.cluster.data_dir, self.cluster.folder / "second"]
        self.value = str(folder)
        self.passwords = {"postgres": self.cluster.password, "app": "application-only"}
        self._haproxy: Any = None

    def make(self) -> None:
        self.cluster.create()
        for user, password in self.passwords.items():
            path = self.folder / user
            path.touch(mode=0o600)
            path.write_text(password)
        self._run(self.start(0))
        with self.session(0) as cursor:
            cursor.execute(f"SELECT pg_create_physical_replication_slot('{SLOT}', true)")
            cursor.execute(f"CREATE ROLE app LOGIN PASSWORD '{self.passwords['app']}'")
            cursor.execute("CREATE TABLE items AS SELECT id, 0 AS n FROM generate_series(1, 1000) id")
            cursor.execute("GRANT SELECT, UPDATE ON items TO app")
        login = f"host=127.0.0.1 port={self.databases[0]} user=postgres password={self.cluster.password}"
        copy = [str(PROGRAMS / "pg_basebackup"), f"--dbname={login}", f"--pgdata={self.data_dirs[1]}"]
        self.cluster.run([*copy, f"--slot={SLOT}", "--write-recovery-conf", "--checkpoint=fast", "--no-sync"])
        self._run(self.start(1))
        for port in self.endpoints:
            serve(port, self.value if port == self.endpoints[0] else f"{self.value}/second")
        configuration = self.folder / "haproxy.cfg"
        ports = {"door": self.door, "admin": self.admin, "first": self.endpoints[0], "second": self.endpoints[1]}
        configuration.write_text(FRONT_DOOR.format(host="127.0.0.1", **ports))
        self._haproxy = subprocess.Popen([HAPROXY, "-db", "-f", str(configuration)], stderr=subprocess.DEVNULL)

    def delete(self) -> None:
        if self._haproxy is not None:
            self._haproxy.kill()
            self._haproxy.wait()
        found = [process for folder in self.data_dirs for process in processes.working_in(folder)]
        for value in (self.value, f"{self.value}/second"):
            found += pod_processes.having(REGION, value)
        for process in found:
            process.signal(signal.SIGKILL)
        while any(map(processes.alive, found)):
            time.sleep(0.05)
        self.cluster.delete()

    def start(self, number: int) -> list[str]:
        port, data_dir = self.databases[number], self.data_dirs[number]
        options = f"-p {port}"
        log = self.cluster.folder / f"{number}.log"
        return [*self._control(data_dir), "-l", str(log), "-o", options, "start"]

    def stop(self, number: int) -> list[str]:
        return [*self._control(self.data_dirs[number]), "-m", "fast", "stop"]

    def _control(self, data_dir: Path) -> list[str]:
        user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        return [*user, str(PROGRAMS / "pg_ctl"), "-D", str(data_dir), "-w", "-s"]

    def _run(self, command: list[str]) -> None:
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, cwd="/")

    @contextmanager
    def session(self, number: int) -> Iterator[Any]:
        """A cursor on a region's database."""
        dsn = {**self.cluster.dsn(), "port": self.databases[number]}
        with closing(psycopg2.connect(**dsn)) as session:
            session.autocommit = True
            yield session.cursor()

    def settings(self, **more: Any) -> dict[str, Any]:
        """What the scenario is told."""

        def region(number: int) -> dict[str, Any]:
            return {
                "name": ("first", "second")[number],
                "server": ("a", "b")[number],
                "url": f"http://127.0.0.1:{self.endpoints[number]}/",
                "port": self.databases[number],
                "data_dir": str(self.data_dirs[number]),
                "start_database": self.start(number),
                "stop_database": self.stop(number),
            }

        endpoint = [sys.executable, str(Path(__file__).with_name("endpoint.py")), str(self.endpoints[0]), self.value]
        lost = {"start": endpoint, "process_variable": REGION, "process_value": self.value}
        database = {"name": "postgres", "slot": SLOT, "password_file": str(self.folder / "postgres")}
        return {
            "first": {**region(0), **lost},
            "second": region(1),
            "database": {
                **database,
                "application_user": "app",
                "application_password_file": str(self.folder / "app"),
            },
            "front_door": {
                "url": f"http://127.0.0.1:{self.door}/",
                "region_header": "X-ChurnGuard-Region",
                "admin": f"127.0.0.1:{self.admin}",
                "backend": "region",
            },
            "write": ["UPDATE items SET n = n + 1 WHERE id = 1"],
            "ledger_seconds": 1.0,
            **more,
        }


@contextmanager
def two_regions(folder: Path) -> Iterator[TwoRegions]:
    """Made, and deleted whatever happens."""
    regions = TwoRegions(folder)
    try:
        regions.make()
        yield regions
    finally:
        regions.delete()
        shutil.rmtree(folder, ignore_errors=True)
