"""A source of backups, repositories to break, and what the tests ask of both."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg2

REPOSITORY = Path(__file__).resolve().parents[2]
for place in (REPOSITORY / "collections", REPOSITORY / "lab"):
    sys.path.insert(0, str(place))

from ansible_collections.churnguard.ops.plugins.modules import (  # noqa: E402
    pgbackrest_backup,
    pgbackrest_info,
    pgbackrest_stanza,
    restore,
)
from churnguard_lab.cluster import STANZA, Cluster  # noqa: E402

MODULES = {
    "pgbackrest_backup": pgbackrest_backup,
    "pgbackrest_info": pgbackrest_info,
    "pgbackrest_stanza": pgbackrest_stanza,
    "restore": restore,
}
SEGMENTS = 6
BEATS_EACH = 16
Call = Callable[..., dict[str, Any]]


def query(cluster_or_dsn: Cluster | dict[str, Any], sql: str) -> list[tuple[Any, ...]]:
    """The rows of one statement, outside a transaction."""
    dsn = cluster_or_dsn.dsn() if isinstance(cluster_or_dsn, Cluster) else cluster_or_dsn
    connection = psycopg2.connect(**dsn)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def copy_of(restored: dict[str, Any]) -> dict[str, Any]:
    """How to reach a scratch copy: by its socket, without a password."""
    return {"host": restored["socket_dir"], "port": restored["port"], "user": "postgres", "dbname": "postgres"}


def tree_hash(folder: Path) -> str:
    """A digest of everything below a folder: names, contents, links."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        digest.update(str(path.relative_to(folder)).encode())
        if path.is_symlink():
            digest.update(str(path.readlink()).encode())
        elif path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()


def flip(path: Path, offset: int) -> None:
    """Change one byte, in a file of its own: other names of the old one keep what they had."""
    status = path.stat()
    content = bytearray(path.read_bytes())
    content[offset] ^= 0xFF
    path.unlink()
    path.write_bytes(content)
    path.chmod(status.st_mode)
    os.chown(path, status.st_uid, status.st_gid)


@dataclasses.dataclass
class Source:
    """The source: stopped, with a full backup and then a heartbeat table that grew over six archived segments."""

    cluster: Cluster
    label: str
    segments: list[str]
    lsns: list[str]
    times: list[str]


@dataclasses.dataclass
class Repository:
    """A copy of the source's repository that a test may break, and a scratch target."""

    source: Source
    folder: Path
    config: Path
    target: Path
    port: int

    @property
    def backup_files(self) -> Path:
        return self.folder / "backup" / STANZA / self.source.label

    def segment_file(self, name: str) -> Path:
        """The file that holds a segment."""
        return next((self.folder / "archive" / STANZA).rglob(f"{name}-*"))

    def pgbackrest(self, *arguments: str) -> str:
        """Run pgBackRest on this repository."""
        command = ["pgbackrest", f"--config={self.config}", f"--stanza={STANZA}", *arguments]
        return self.source.cluster.run(command).stdout

    def replace_segment(self, name: str, change: Callable[[bytearray], bytes | bytearray]) -> None:
        """Put a changed segment into the archive as pgBackRest itself would: its checksums fit the wrong content."""
        cluster = self.source.cluster
        aside = self.target.with_name(f"{self.target.name}-{name}") / name
        aside.parent.mkdir(mode=0o700)
        own(aside.parent, cluster)
        self.pgbackrest("archive-get", name, str(aside))
        aside.write_bytes(change(bytearray(aside.read_bytes())))
        self.segment_file(name).unlink()
        self.pgbackrest("archive-push", str(aside))
        shutil.rmtree(aside.parent)

    def options(self, **more: Any) -> dict[str, Any]:
        """Arguments of a restore into the scratch target."""
        target = {"data_dir": str(self.target), "port": self.port, **more.pop("target", {})}
        base = {"stanza": STANZA, "config": str(self.config), "target": target, "confirm": str(self.target)}
        return {**base, "system_user": "postgres", "timeout": 120, **more}


@contextlib.contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[None]:
    """A file system of that size on C(folder). What still works in it at the end keeps it busy, but not in the way."""
    assert os.geteuid() == 0, "only root can mount a small file system: run this test as root"
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def own(folder: Path, cluster: Cluster) -> None:
    """Give a tree to the cluster's user."""
    if cluster.account is None:
        return
    for path in (folder, *folder.rglob("*")):
        os.chown(path, cluster.account.pw_uid, cluster.account.pw_gid, follow_symlinks=False)


def archived(cluster: Cluster, segment: str) -> None:
    """Wait until a segment is in the archive."""
    give_up = time.monotonic() + 180
    while query(cluster, "SELECT coalesce(last_archived_wal, '') FROM pg_stat_archiver")[0][0] < segment:
        assert time.monotonic() < give_up, f"{segment} was not archived: {cluster.log_tail()}"
        time.sleep(0.05)
