# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a drill can make in AWS, and the tags by which it is known there. No I/O. Internal: may change in any
release."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# The drill's id; when its leftovers may be taken (ISO 8601); and the identifier of the resource that was tagged: AWS
# copies tags on to snapshots and to what is restored from them, which may be somebody's new production database.
TAG_DRILL = "churnguard.ops/drill"
TAG_EXPIRES = "churnguard.ops/drill-expires"
TAG_RESOURCE = "churnguard.ops/drill-resource"


def drill_tags(drill_id: str, expires_at: str, identifier: str) -> dict[str, str]:
    """The tags that a drill gives to what it makes."""
    return {TAG_DRILL: drill_id, TAG_EXPIRES: expires_at, TAG_RESOURCE: identifier}


@dataclass(frozen=True)
class Kind:
    """One kind of resource: C(name) in journals, C(arn) as the beginning of its ARNs, and the names that its service
    has for the requests, their arguments, the parts of their answers and the commands."""

    name: str
    noun: str
    arn: str
    describe: str
    member: str
    argument: str
    status: str
    not_found: str
    delete: str
    option: str
    how: Mapping[str, Any] = field(default_factory=dict)
    flags: str = ""

    @property
    def service(self) -> str:
        """The service's name for boto3 and the commands."""
        return self.arn.partition(":")[0]

    def place(self, region: str, identifier: str) -> str:
        """The part of a command that says which one."""
        return f"--region {region} {self.option} {identifier}"

    def look_command(self, region: str, identifier: str) -> str:
        """Shows it."""
        return f"aws {self.service} {self.describe.replace('_', '-')} {self.place(region, identifier)}"

    def commands(self, region: str, identifier: str) -> list[str]:
        """Remove it by hand, protected or not."""
        delete = f"aws {self.service} {self.delete.replace('_', '-')} {self.place(region, identifier)}"
        deletion = f"{delete} {self.flags}".rstrip()
        if self is not RDS_INSTANCE:
            return [deletion]
        unprotect = f"aws rds modify-db-instance {self.place(region, identifier)}"
        return [f"{unprotect} --no-deletion-protection --apply-immediately", deletion]


RDS_INSTANCE = Kind(
    name="rds_instance",
    noun="DB instance",
    arn="rds:db",
    describe="describe_db_instances",
    member="DBInstances",
    argument="DBInstanceIdentifier",
    status="DBInstanceStatus",
    not_found="DBInstanceNotFound",
    delete="delete_db_instance",
    option="--db-instance-identifier",
    how={"SkipFinalSnapshot": True, "DeleteAutomatedBackups": True},
    flags="--skip-final-snapshot --delete-automated-backups",
)
RDS_SNAPSHOT = Kind(
    name="rds_snapshot",
    noun="DB snapshot",
    arn="rds:snapshot",
    describe="describe_db_snapshots",
    member="DBSnapshots",
    argument="DBSnapshotIdentifier",
    status="Status",
    not_found="DBSnapshotNotFound",
    delete="delete_db_snapshot",
    option="--db-snapshot-identifier",
)
REPLICATION_GROUP = Kind(
    name="elasticache_replication_group",
    noun="replication group",
    arn="elasticache:replicationgroup",
    describe="describe_replication_groups",
    member="ReplicationGroups",
    argument="ReplicationGroupId",
    status="Status",
    not_found="ReplicationGroupNotFound",
    delete="delete_replication_group",
    option="--replication-group-id",
    how={"RetainPrimaryCluster": False},
    flags="--no-retain-primary-cluster",
)
KINDS = {kind.name: kind for kind in (RDS_INSTANCE, RDS_SNAPSHOT, REPLICATION_GROUP)}


def named(arn: str) -> tuple[Kind | None, str]:
    """Kind and identifier of C(arn:<partition>:<service>:<region>:<account>:<type>:<identifier>); no kind where it is
    none of those here."""
    parts = arn.split(":", 6)
    if len(parts) != 7:
        return None, arn
    found = [kind for kind in KINDS.values() if kind.arn == f"{parts[2]}:{parts[5]}"]
    return (found[0], parts[6]) if found else (None, arn)
