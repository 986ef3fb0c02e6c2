# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Replication of S3 buckets: the wish as S3 writes it, its comparison, and the calls. Internal: may change in any
release."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .._aws.calls import Caller
from .._aws.errors import AwsError
from .._common.clock import Clock
from .._common.errors import OperationError


@dataclass(frozen=True)
class Wish:
    """One rule: every new version of C(bucket) is copied to C(destination), encrypted there with C(key)."""

    bucket: str
    role: str
    destination: str
    key: str
    rule: str
    storage_class: str = ""
    deletions: bool = False


def configuration(wish: Wish, current: Mapping[str, Any] | None) -> dict[str, Any]:
    """The configuration with the wish's rule in it. Pure. Rules of other names stay as they are, before it."""
    others = [rule for rule in (current or {}).get("Rules", []) if rule.get("ID") != wish.rule]
    destination: dict[str, Any] = {"Bucket": f"arn:aws:s3:::{wish.destination}"}
    if wish.storage_class:
        destination["StorageClass"] = wish.storage_class
    rule: dict[str, Any] = {
        "ID": wish.rule,
        "Priority": 1 + max((int(other.get("Priority") or 0) for other in others), default=0),
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "DeleteMarkerReplication": {"Status": "Enabled" if wish.deletions else "Disabled"},
        "Destination": destination,
    }
    if wish.key:
        destination["EncryptionConfiguration"] = {"ReplicaKmsKeyID": wish.key}
        rule["SourceSelectionCriteria"] = {"SseKmsEncryptedObjects": {"Status": "Enabled"}}
    return {"Role": wish.role, "Rules": [*others, rule]}


def in_line(current: Mapping[str, Any] | None, wish: Wish) -> bool:
    """Does C(current) hold the wish's rule. Pure.

    The priority is whatever it is. SourceSelectionCriteria is not compared: S3 takes a key for the copies only together
    with it, and not every server that speaks S3 shows it."""
    return _essence(current, wish.rule) == _essence(configuration(wish, current), wish.rule)


def _essence(settings: Mapping[str, Any] | None, name: str) -> dict[str, Any]:
    """The role and what matters of the rule C(name), in one form."""
    rule = next((rule for rule in (settings or {}).get("Rules", []) if rule.get("ID") == name), {})
    destination = rule.get("Destination") or {}
    return {
        "role": (settings or {}).get("Role"),
        "status": rule.get("Status"),
        "filter": {key: value for key, value in (rule.get("Filter") or {}).items() if value},
        "deletions": (rule.get("DeleteMarkerReplication") or {}).get("Status", "Disabled"),
        "bucket": destination.get("Bucket"),
        "storage_class": destination.get("StorageClass"),
        "key": (destination.get("EncryptionConfiguration") or {}).get("ReplicaKmsKeyID"),
    }


class Replication:
    """The replication of one bucket; C(client) is boto3's for s3 in the bucket's region. Methods raise AwsError."""

    def __init__(self, client: Any, bucket: str, clock: Clock) -> None:
        self._caller = Caller(client, clock)
        self._bucket = bucket

    def get(self) -> dict[str, Any] | None:
        """The configuration; None if there is none, or no bucket."""
        attempted = f"read the replication of bucket {self._bucket}"
        try:
            answer = self._caller.read(attempted, "get_bucket_replication", Bucket=self._bucket)
        except AwsError as error:
            if error.code in ("ReplicationConfigurationNotFoundError", "NoSuchBucket"):
                return None
            raise
        return answer["ReplicationConfiguration"]

    def put(self, settings: Mapping[str, Any]) -> None:
        """Replace the configuration."""
        attempted = f"set the replication of bucket {self._bucket}"
        self._caller.write(attempted, "put_bucket_replication", Bucket=self._bucket, ReplicationConfiguration=settings)


def ensure(replication: Replication, wish: Wish, check_mode: bool) -> tuple[bool, dict[str, Any], dict[str, Any]]:
    """Bring the bucket's replication in line: was something changed, and the configuration before and after.

    Raises OperationError when S3 takes the request and does not keep it."""
    before = replication.get()
    if in_line(before, wish):
        return False, before or {}, before or {}
    after = configuration(wish, before)
    if not check_mode:
        replication.put(after)
        kept = replication.get()
        if not in_line(kept, wish):
            raise OperationError(
                f"set the replication of bucket {wish.bucket}",
                f"S3 took it, yet shows {kept}.",
                "compare this with what was asked for; run again.",
            )
    return True, before or {}, after
