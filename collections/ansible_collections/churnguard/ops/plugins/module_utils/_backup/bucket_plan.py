# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a synchronisation of two buckets does, and what proves that it worked. Pure. Internal: may change in any
release."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

# Below the target's prefix: the files, and what proves them.
OBJECTS = "objects/"
MANIFESTS = "manifests/"


@dataclass(frozen=True)
class Kept:
    """One file in the target: its size and ETag in the source, and ETag, version and encryption of its copy. The two
    ETags differ where a file was uploaded in parts or is encrypted with another key, so both are kept."""

    size: int
    source_etag: str
    etag: str
    version: str
    encryption: str

    def plain(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class SyncPlan:
    """Keys to copy, keys to remove from the target, and what is there already."""

    copy: list[str]
    remove: list[str]
    unchanged: dict[str, Kept]


def read_kept(document: Mapping[str, Any]) -> dict[str, Kept]:
    """The files of an earlier manifest of keys. Raises KeyError, TypeError for another document."""
    return {key: Kept(**entry) for key, entry in document["keys"].items()}


def plan_sync(
    source: Iterable[Mapping[str, Any]],
    target: Iterable[Mapping[str, Any]],
    before: Mapping[str, Kept],
    prefix: str,
    purge: bool,
) -> SyncPlan:
    """C(source) and C(target) are listings; keys of the target begin with C(prefix). A file is unchanged when the last
    run copied this very ETag and its copy is still the one that was made."""
    there = {one["Key"].removeprefix(prefix): one for one in target}
    wanted = {one["Key"]: one for one in source}
    unchanged = {
        key: before[key]
        for key, one in wanted.items()
        if key in before
        and (before[key].source_etag, before[key].size) == (one["ETag"], one["Size"])
        and key in there
        and (there[key]["ETag"], there[key]["Size"]) == (before[key].etag, before[key].size)
    }
    remove = sorted(set(there) - set(wanted)) if purge else []
    return SyncPlan(sorted(set(wanted) - set(unchanged)), remove, unchanged)


def prove(
    kept: Mapping[str, Kept], removed: Iterable[str], target: Iterable[Mapping[str, Any]], prefix: str
) -> list[str]:
    """What a fresh listing of the target does not confirm, as sentences; empty is the proof."""
    there = {one["Key"].removeprefix(prefix): one for one in target}
    wrong = []
    for key, one in sorted(kept.items()):
        found = there.get(key)
        if found is None:
            wrong.append(f"{key} is not there")
        elif found["Size"] != one.size:
            wrong.append(f"{key} has {found['Size']} bytes instead of {one.size}")
        elif found["ETag"] != one.etag:
            wrong.append(f"{key} has the ETag {found['ETag']} instead of {one.etag}")
    return wrong + [f"{key} was removed and is still there" for key in removed if key in there]
