# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""RDS's snapshot API in one region, one call for each method. Internal: may change in any release."""

from __future__ import annotations

from typing import Any

from .._aws.calls import Caller
from .._aws.errors import AwsError
from .._aws.tags import to_aws
from .._common.clock import Clock
from .._common.errors import OperationError

NOT_FOUND = ("DBSnapshotNotFound", "DBSnapshotNotFoundFault")
EXISTS = ("DBSnapshotAlreadyExists", "DBSnapshotAlreadyExistsFault")


class RdsSnapshots:
    """The snapshots of C(region); C(client) is boto3's for rds there. Methods raise AwsError."""

    def __init__(self, client: Any, region: str, clock: Clock) -> None:
        self._caller = Caller(client, clock)
        self.region = region

    def get(self, name: str) -> dict[str, Any] | None:
        """The snapshot by identifier or ARN, as RDS describes it; None if it does not exist."""
        try:
            answer = self._caller.read(
                f"look up the DB snapshot {name} in {self.region}", "describe_db_snapshots", DBSnapshotIdentifier=name
            )
        except AwsError as error:
            if error.code in NOT_FOUND:
                return None
            raise
        return answer["DBSnapshots"][0] if answer["DBSnapshots"] else None

    def list(self, instance: str) -> list[dict[str, Any]]:
        """Every snapshot of a DB instance, RDS's own and others."""
        attempted = f"list the DB snapshots of {instance} in {self.region}"
        return self._caller.read_all(attempted, "describe_db_snapshots", "DBSnapshots", DBInstanceIdentifier=instance)

    def copy(self, source: str, target: str, source_region: str, tags: dict[str, str], key: str) -> dict[str, Any]:
        """Start a copy of the ARN C(source) into this region; boto3 signs the request to the source region.

        Tags are given in full: as soon as any are given, RDS ignores CopyTags."""
        attempted = f"copy the DB snapshot {source} to {target} in {self.region}"
        try:
            return self._caller.write(
                attempted,
                "copy_db_snapshot",
                SourceDBSnapshotIdentifier=source,
                TargetDBSnapshotIdentifier=target,
                SourceRegion=source_region,
                Tags=to_aws(tags),
                **({"KmsKeyId": key} if key else {}),
            )["DBSnapshot"]
        except AwsError as error:
            if not error.code.startswith("KMS"):
                raise
            help_ = f"use a KMS key of {self.region} that is enabled, and let these credentials use it for RDS."
            raise OperationError(attempted, error.answer, help_) from error

    def add_tags(self, arn: str, tags: dict[str, str]) -> None:
        """Set these tags; others stay."""
        self._caller.write(f"tag {arn}", "add_tags_to_resource", ResourceName=arn, Tags=to_aws(tags))

    def delete(self, name: str) -> None:
        """Delete a manual snapshot; one that is gone already is as good."""
        attempted = f"delete the DB snapshot {name} in {self.region}"
        try:
            self._caller.write(attempted, "delete_db_snapshot", DBSnapshotIdentifier=name)
        except AwsError as error:
            if error.code not in NOT_FOUND:
                raise
