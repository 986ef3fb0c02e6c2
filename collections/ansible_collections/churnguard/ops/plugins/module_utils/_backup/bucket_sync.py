# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One synchronisation of a bucket into another, and its proof. Internal: may change in any release."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .._aws.errors import AwsError
from .._common.clock import Clock, isoformat
from .._common.errors import OperationError
from . import bucket_plan
from .bucket_api import Bucket
from .bucket_plan import MANIFESTS, OBJECTS, Kept, SyncPlan

KEYS_SUFFIX = ".keys.json"
MANIFEST_SUFFIX = ".manifest.json"
# The largest object that S3 copies in one request; see CopyObject in its API reference.
LARGEST_COPY = 5 * 1024**3
# S3 answers these when the object changed, or went, between its listing and its copy.
_MOVED = ("PreconditionFailed", "412", "NoSuchKey", "404")
WORKERS = 8


@dataclass(frozen=True)
class SyncWish:
    """Which files (C(source_prefix)) go where (C(prefix)), with which key, and whether files that are gone from the
    source get a delete marker."""

    source_prefix: str
    prefix: str
    key: str
    purge: bool


@dataclass(frozen=True)
class Synced:
    """The summary that the catalog reads, what was done, and what is wrong (empty: proven)."""

    manifest: dict[str, Any]
    copied: list[str]
    removed: list[str]
    wrong: list[str]


class SyncSession:
    """Copies from one bucket into another and proves it; nothing is ever removed for good."""

    def __init__(self, source: Bucket, target: Bucket, wish: SyncWish, clock: Clock, check_mode: bool) -> None:
        self._source = source
        self._target = target
        self._wish = wish
        self._clock = clock
        self._check_mode = check_mode

    def run(self) -> Synced:
        """Bring the target in line and write the proof. Raises OperationError."""
        began = self._clock.now()
        self._check_target()
        plan = self._plan()
        if self._check_mode:
            return Synced({}, plan.copy, plan.remove, [])
        kept, missed = self._copy_all(plan)
        for key in plan.remove:
            self._target.remove(self._place(key))
        wrong = missed + bucket_plan.prove(kept, plan.remove, self._list_target(), self._objects)
        manifest = self._write_proof(began, kept, plan, wrong)
        return Synced(manifest, sorted(set(kept) - set(plan.unchanged)), plan.remove, wrong)

    @property
    def _objects(self) -> str:
        return f"{self._wish.prefix}{OBJECTS}"

    def _place(self, key: str) -> str:
        return f"{self._objects}{key}"

    def _list_target(self) -> list[dict[str, Any]]:
        return self._target.list(self._objects)

    def _check_target(self) -> None:
        attempted = f"keep copies of s3://{self._source.name} in s3://{self._target.name}"
        if self._source.name == self._target.name:
            raise OperationError(attempted, "they are the same bucket.", "give another one, in another region.")
        status = self._target.versioning()
        if status != "Enabled":
            raise OperationError(
                attempted,
                f"its versioning is {status or 'off'}: a file overwritten in the source would be lost here, too.",
                "enable versioning on it (role object_storage does), then run again.",
            )

    def _plan(self) -> SyncPlan:
        listed = self._source.list(self._wish.source_prefix)
        folders = [one["Key"] for one in listed if one["Key"].endswith("/") and not one["Size"]]
        files = [one for one in listed if one["Key"] not in folders]
        return bucket_plan.plan_sync(files, self._list_target(), self._last(), self._objects, self._wish.purge)

    def _last(self) -> dict[str, Kept]:
        """What the last run kept; nothing if there was none or its record is unreadable, which only costs copies."""
        names = [one["Key"] for one in self._target.list(f"{self._wish.prefix}{MANIFESTS}")]
        records = sorted(name for name in names if name.endswith(KEYS_SUFFIX))
        if not records:
            return {}
        try:
            return bucket_plan.read_kept(json.loads(self._target.read(records[-1])))
        except (ValueError, KeyError, TypeError):
            return {}

    def _copy_all(self, plan: SyncPlan) -> tuple[dict[str, Kept], list[str]]:
        kept, missed = dict(plan.unchanged), []
        with ThreadPoolExecutor(WORKERS) as pool:
            for key, result in pool.map(lambda key: (key, self._copy_one(key)), plan.copy):
                if isinstance(result, Kept):
                    kept[key] = result
                elif result:
                    missed.append(result)
        return kept, missed

    def _copy_one(self, key: str) -> Kept | str:
        """The copy of one file as it is now, or what is wrong; empty if it is gone from the source by now."""
        for _attempt in range(3):
            # Looked at again: what was listed may have changed by the time it is this file's turn.
            now = self._source.head(key)
            if now is None:
                return ""
            if now["ContentLength"] > LARGEST_COPY:
                return f"{key} has {now['ContentLength']} bytes, more than S3 copies at once"
            try:
                made = self._target.copy_from(
                    self._source.name, key, now["ETag"], self._place(key), encryption_of(self._wish.key)
                )
            except AwsError as error:
                if error.code not in _MOVED:
                    raise
                continue
            etag, version = made["CopyObjectResult"]["ETag"], made.get("VersionId") or ""
            return Kept(now["ContentLength"], now["ETag"], etag, version, made.get("ServerSideEncryption") or "")
        return f"{key} changed each of the three times that it was copied"

    def _write_proof(self, began: datetime, kept: dict[str, Kept], plan: SyncPlan, wrong: list[str]) -> dict[str, Any]:
        """Keys first, summary last: a record without a summary is no backup."""
        # To the millisecond: the record of a run in the same second must not hide behind the next one's.
        base = f"{self._wish.prefix}{MANIFESTS}{isoformat(began).replace('-', '').replace(':', '')}"
        finished = isoformat(self._clock.now())
        manifest = {
            "format": 1,
            "type": "incremental" if plan.unchanged else "full",
            "source": f"s3://{self._source.name}/{self._wish.source_prefix}",
            "taken_at": isoformat(began),
            "finished_at": finished,
            "objects": len(kept),
            "bytes": sum(one.size for one in kept.values()),
            "copied": len(kept) - len(plan.unchanged),
            "unchanged": len(plan.unchanged),
            "removed": len(plan.remove),
            "encrypted": all(one.encryption for one in kept.values()),
            "verified_at": None if wrong else finished,
            "error": "; ".join(wrong[:5]),
        }
        keys = {"format": 1, "keys": {key: one.plain() for key, one in sorted(kept.items())}}
        encryption = encryption_of(self._wish.key)
        self._target.write(f"{base}{KEYS_SUFFIX}", _json(keys), encryption)
        self._target.write(f"{base}{MANIFEST_SUFFIX}", _json(manifest), encryption)
        return manifest


def encryption_of(key: str) -> dict[str, Any]:
    """What S3 is told about encryption: with a KMS key, or else with its own."""
    if not key:
        return {"ServerSideEncryption": "AES256"}
    return {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key, "BucketKeyEnabled": True}


def _json(document: dict[str, Any]) -> bytes:
    return (json.dumps(document, indent=1, sort_keys=True) + "\n").encode()
