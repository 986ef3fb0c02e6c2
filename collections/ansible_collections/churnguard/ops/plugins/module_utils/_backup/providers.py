# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what each provider says to backups of the catalog. Pure. Internal: may change in any release."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from .model import BAD, GOOD, RUNNING, Backup, Drill, Source
from .policy import moment
from .rds_plan import AVAILABLE, UNDER_WAY, data_time, tags_of

_GIB = 1024**3


def from_pgbackrest(source: Source, catalog: Any, verified: Mapping[str, datetime]) -> list[Backup]:
    """The backups of a C(_pgbackrest) catalog. C(verified) is when each label was last verified."""
    return [
        Backup(
            source,
            one.label,
            one.type,
            GOOD if one.good else BAD,
            moment(one.finished),
            one.repository_size,
            catalog.encrypted,
            verified.get(one.label),
            detail="" if one.good else "page checksums are wrong",
        )
        for one in catalog.backups
    ]


def from_rds(source: Source, snapshots: Iterable[Mapping[str, Any]], verified: Mapping[str, datetime]) -> list[Backup]:
    """The backups that are RDS snapshots. Their time is that of the data, not that of a copy's creation; their size is
    what the DB instance had allocated, the only one that RDS tells."""
    backups = []
    for snapshot in snapshots:
        status = snapshot.get("Status", "")
        outcome = GOOD if status == AVAILABLE else RUNNING if status in UNDER_WAY else BAD
        name, allocated = snapshot["DBSnapshotIdentifier"], snapshot.get("AllocatedStorage")
        backups.append(
            Backup(
                source,
                name,
                snapshot.get("SnapshotType") or "manual",
                outcome,
                data_time(dict(snapshot)),
                None if allocated is None else int(allocated) * _GIB,
                snapshot.get("Encrypted"),
                _latest(verified.get(name), moment(tags_of(dict(snapshot)).get("verified_at"))),
                detail="" if outcome == GOOD else f"RDS says {status or 'nothing'}",
            )
        )
    return backups


def from_manifest(source: Source, name: str, manifest: Mapping[str, Any], size: int | None) -> Backup:
    """One namespace export or bucket sync, by its manifest. C(size) is what is there now, None if nothing is: another
    size than the manifest's is a backup that is damaged."""
    expected = manifest.get("archive_bytes")
    outcome, detail = GOOD, ""
    if manifest.get("error"):
        outcome, detail = BAD, str(manifest["error"])
    elif expected is not None and size != expected:
        outcome, detail = BAD, f"{'is missing' if size is None else f'has {size} bytes'}, the manifest says {expected}"
    return Backup(
        source,
        name,
        str(manifest.get("type") or "full"),
        outcome,
        moment(manifest.get("finished_at")),
        size if expected is not None else manifest.get("bytes"),
        manifest.get("encrypted"),
        moment(manifest.get("verified_at")),
        detail=detail,
    )


def passed_drills(history: Iterable[Mapping[str, Any]]) -> list[Drill]:
    """The drills that passed, from the lines of their history, each with the backup that it restored."""
    drills = []
    for line in history:
        started = moment(line.get("started"))
        if line.get("verdict") == "passed" and started is not None:
            drills.append(Drill(str(line.get("component") or ""), started, str(line.get("backup") or "")))
    return drills


def verified_times(records: Iterable[Mapping[str, Any]], source: Source) -> dict[str, datetime]:
    """When each backup of C(source) was last found good, from verification records: C(component), C(provider),
    C(location), C(ids), C(verified_at), C(passed)."""
    found: dict[str, datetime] = {}
    for record in records:
        place = (record.get("component"), record.get("provider"), record.get("location"))
        when = moment(record.get("verified_at"))
        if place != (source.component, source.provider, source.location) or when is None or not record.get("passed"):
            continue
        for name in record.get("ids") or []:
            found[str(name)] = max(found.get(str(name), when), when)
    return found


def _latest(*moments: datetime | None) -> datetime | None:
    return max((one for one in moments if one is not None), default=None)
