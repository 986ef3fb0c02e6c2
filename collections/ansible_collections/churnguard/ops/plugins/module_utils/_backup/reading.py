# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading what is there at each source. What cannot be read is said to be so, for that source alone: the others are
still judged. Internal: may change in any release."""

from __future__ import annotations

import glob
import json
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from .._common.clock import Clock
from .._common.errors import OperationError
from .._drill import history
from .._pgbackrest import api as pgbackrest
from .._pgbackrest.model import Place
from .._pgbackrest.runner import Runner
from . import providers
from .bucket_api import Bucket
from .bucket_plan import MANIFESTS
from .model import Backup, Drill, Look, Source
from .namespace_export import MANIFEST_SUFFIX, pattern
from .rds_api import RdsSnapshots

# A bucket may hold years of manifests; the newest ones decide.
NEWEST_MANIFESTS = 60

# Gives boto3's client of a service in a region.
Clients = Callable[[str, str], Any]


class CatalogReader:
    """Looks at sources: option dictionaries of backup_catalog_info. C(records) are verification records."""

    def __init__(self, clients: Clients, clock: Clock, records: list[dict[str, Any]]) -> None:
        self._clients = clients
        self._clock = clock
        self._records = records

    def look(self, entry: Mapping[str, Any]) -> Look:
        """What there is at one source."""
        source = source_of(entry)
        try:
            read = getattr(self, f"_read_{source.provider}")
            return Look(source, read(source, entry))
        except OperationError as error:
            return Look(source, trouble=str(error))

    def _read_pgbackrest(self, source: Source, entry: Mapping[str, Any]) -> list[Backup]:
        place = Place(entry["config"], entry["stanza"], entry.get("repo") or 0, entry.get("pgbackrest") or "pgbackrest")
        catalog = pgbackrest.info(place, Runner(entry.get("system_user") or "postgres"))
        return providers.from_pgbackrest(source, catalog, providers.verified_times(self._records, source))

    def _read_rds(self, source: Source, entry: Mapping[str, Any]) -> list[Backup]:
        region = entry["region"]
        snapshots = RdsSnapshots(self._clients("rds", region), region, self._clock)
        found = snapshots.list(entry["db_instance_identifier"])
        return providers.from_rds(source, found, providers.verified_times(self._records, source))

    def _read_namespace_export(self, source: Source, entry: Mapping[str, Any]) -> list[Backup]:
        if entry.get("bucket"):
            return self._from_bucket(source, entry, entry.get("prefix") or "", entry["namespace"])
        return _from_folder(source, Path(entry["path"]), entry["namespace"])

    def _read_bucket_sync(self, source: Source, entry: Mapping[str, Any]) -> list[Backup]:
        return self._from_bucket(source, entry, f"{entry.get('prefix') or ''}{MANIFESTS}", "")

    def _from_bucket(self, source: Source, entry: Mapping[str, Any], start: str, namespace: str) -> list[Backup]:
        bucket = Bucket(self._clients("s3", entry["region"]), entry["bucket"], self._clock)
        sizes = {one["Key"]: one["Size"] for one in bucket.list(start)}
        wanted = f"{glob.escape(start)}{pattern(namespace) if namespace else '*' + MANIFEST_SUFFIX}"
        names = sorted(name for name in sizes if fnmatchcase(name, wanted))[-NEWEST_MANIFESTS:]
        backups = []
        for name in names:
            manifest = _parse(bucket.read(name), f"s3://{entry['bucket']}/{name}")
            folder, _slash, base = name.rpartition("/")
            archive = "/".join(part for part in (folder, str(manifest.get("archive") or "")) if part)
            backups.append(
                providers.from_manifest(source, base.removesuffix(MANIFEST_SUFFIX), manifest, sizes.get(archive))
            )
        return backups


def source_of(entry: Mapping[str, Any]) -> Source:
    """A source from its options. Without a C(location) it is called by what finds it."""
    provider = entry["provider"]
    place = {
        "pgbackrest": lambda: f"{entry['stanza']}/repo{entry.get('repo') or 1}",
        "rds": lambda: f"{entry['region']}/{entry['db_instance_identifier']}",
        "namespace_export": lambda: f"s3://{entry['bucket']}" if entry.get("bucket") else str(entry["path"]),
        "bucket_sync": lambda: f"s3://{entry['bucket']}/{entry.get('prefix') or ''}".rstrip("/"),
    }[provider]
    return Source(entry["component"], provider, entry.get("location") or place(), bool(entry.get("copy")))


def read_records(folder: str | None) -> list[dict[str, Any]]:
    """Verification records: every C(*.json) of C(folder). Raises OperationError for one that cannot be read."""
    if not folder:
        return []
    return [_parse(_bytes(path), str(path)) for path in sorted(Path(folder).glob("*.json"))]


def read_drills(folder: str | None) -> list[Drill]:
    """The drills of C(drills_dir) that passed."""
    return providers.passed_drills(history.read(Path(folder))) if folder else []


def _from_folder(source: Source, folder: Path, namespace: str) -> list[Backup]:
    if not folder.is_dir():
        raise OperationError(f"list the backups in {folder}", "there is no such folder.", "check path.")
    backups = []
    for path in sorted(folder.glob(pattern(namespace))):
        manifest = _parse(_bytes(path), str(path))
        archive = folder / str(manifest.get("archive") or "")
        size = archive.stat().st_size if archive.is_file() else None
        backups.append(providers.from_manifest(source, path.name.removesuffix(MANIFEST_SUFFIX), manifest, size))
    return backups


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise OperationError(f"read {path}", f"{error.strerror}.", "check its owner and mode.") from error


def _parse(content: bytes, name: str) -> dict[str, Any]:
    try:
        document = json.loads(content)
    except ValueError as error:
        raise OperationError(f"read {name}", f"it is no JSON: {error}.", "restore or remove it.") from error
    if not isinstance(document, dict):
        raise OperationError(f"read {name}", "it is no JSON object.", "restore or remove it.")
    return document
