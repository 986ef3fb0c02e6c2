"""A source with a backup, heartbeats in the WAL behind it, and repositories to break."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

HERE = Path(__file__).resolve().parent
for place in (HERE, HERE.parents[1] / "lab", HERE.parent / "lab"):
    sys.path.insert(0, str(place))

import ports  # noqa: E402
from churnguard_lab.cluster import Cluster  # noqa: E402
from scratch_world import BEATS_EACH, MODULES, SEGMENTS, Call, Repository, Source, archived, own, query  # noqa: E402


@pytest.fixture(scope="session")
def source(tmp_path_factory) -> Iterator[Source]:
    folder = tmp_path_factory.mktemp("restore")
    (port,) = ports.free_ports(1)
    with Cluster(folder / "source", port=port, repository=folder / "repository") as cluster:
        query(cluster, "CREATE TABLE customers AS SELECT id, md5(id::text) AS name FROM generate_series(1, 20000) id")
        query(cluster, "CREATE TABLE heartbeat (seq int PRIMARY KEY, at timestamptz DEFAULT clock_timestamp())")
        cluster.pgbackrest("--type=full", "--annotation=why=test", "backup")
        label = json.loads(cluster.pgbackrest("--output=json", "--log-level-console=off", "info").stdout)[0]["backup"][
            0
        ]["label"]
        # The catalog keeps whole seconds: the first heartbeat comes in a later one than the end of the backup.
        time.sleep(1.1)
        made = Source(cluster, label, [], [], [])
        for number in range(SEGMENTS):
            first = number * BEATS_EACH
            for beat in range(first, first + BEATS_EACH):
                query(cluster, f"INSERT INTO heartbeat (seq) VALUES ({beat})")
            lsn, at, segment = query(
                cluster,
                "SELECT pg_current_wal_lsn()::text, to_char(clock_timestamp() AT TIME ZONE 'UTC', "
                '\'YYYY-MM-DD"T"HH24:MI:SS.US"Z"\'), pg_walfile_name(pg_current_wal_lsn())',
            )[0]
            made.lsns.append(lsn)
            made.times.append(at)
            made.segments.append(segment)
            query(cluster, f"SELECT pg_create_restore_point('after_{number}')")
            query(cluster, "SELECT pg_switch_wal()")
        archived(cluster, made.segments[-1])
        cluster.stop()
        yield made


@pytest.fixture
def repository(source) -> Iterator[Repository]:
    base = source.cluster.folder / f"case-{secrets.token_hex(4)}"
    folder = base / "repository"
    base.mkdir(mode=0o700)
    # Links instead of copies of a thousand files; who breaks one replaces it.
    shutil.copytree(source.cluster.repository, folder, copy_function=os.link)
    config = base / "pgbackrest.conf"
    text = source.cluster.pgbackrest_config.read_text(encoding="utf-8")
    # Without the second try that comes after 15 seconds.
    text = text.replace("[global]", "[global]\njob-retry=0")
    config.write_text(text.replace(f"repo1-path={source.cluster.repository}", f"repo1-path={folder}"), encoding="utf-8")
    config.chmod(0o600)
    own(base, source.cluster)
    (port,) = ports.free_ports(1)
    made = Repository(source, folder, config, base / "t", port)
    yield made
    server = made.target / "postmaster.pid"
    if server.exists():
        source.cluster.run(["/usr/lib/postgresql/15/bin/pg_ctl", "stop", "-D", str(made.target), "-m", "immediate"])
    shutil.rmtree(base)


@pytest.fixture
def call(capfd) -> Call:
    """Runs a module of the collection as Ansible does: arguments in, its JSON out."""

    def run(module: str, arguments: dict[str, Any], check: bool = False) -> dict[str, Any]:
        capfd.readouterr()
        with (
            patch_module_args({**arguments, "_ansible_check_mode": check, "_ansible_diff": True}),
            pytest.raises(SystemExit),
        ):
            MODULES[module].main()
        return json.loads(capfd.readouterr().out)

    return run
