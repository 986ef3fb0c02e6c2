# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Removers of what a drill makes in AWS. Internal: may change in any release.

What is made there carries the tags of aws_kinds.py: an identifier alone is never trusted. C(id) of a resource is its
identifier, C(remove) holds its C(region) and, where it is not the environment's, C(endpoint_url). Credentials are those
of the environment.
"""

from __future__ import annotations

from typing import Any

from .._aws.calls import Caller
from .._aws.errors import AwsError
from .._aws.library import AMAZON_AWS_ERROR
from .._aws.tags import from_aws
from .._common.errors import OperationError
from .._common.waiting import DONE, PENDING, Finding, wait_until
from .aws_kinds import RDS_INSTANCE, RDS_SNAPSHOT, REPLICATION_GROUP, TAG_DRILL, Kind
from .model import Removal, Resource
from .removal import NotRemoved, Tools

try:
    import boto3
except ImportError:
    # The removal below says so.
    boto3 = None

_DELETE_S = 3600.0
_LOOK_S = 15.0


def rds_instance(resource: Resource, tools: Tools) -> Removal:
    """A DB instance."""
    return _removed(RDS_INSTANCE, resource, tools)


def rds_snapshot(resource: Resource, tools: Tools) -> Removal:
    """A DB snapshot."""
    return _removed(RDS_SNAPSHOT, resource, tools)


def replication_group(resource: Resource, tools: Tools) -> Removal:
    """An ElastiCache replication group with all its nodes."""
    return _removed(REPLICATION_GROUP, resource, tools)


def client_of(service: str, region: str, endpoint_url: str | None = None) -> Any:
    """boto3's client. Raises OperationError where a library is missing, or boto3 does not know the region."""
    if boto3 is None:
        raise OperationError(f"ask AWS in {region}", "the library boto3 is missing.", "pip install boto3.")
    if AMAZON_AWS_ERROR is not None:
        step = "ansible-galaxy collection install amazon.aws."
        raise OperationError(f"ask AWS in {region}", "the Ansible collection amazon.aws is missing.", step)
    try:
        return boto3.client(service, region_name=region, endpoint_url=endpoint_url)
    except ValueError as error:
        raise OperationError(f"ask AWS in {region}", f"{error}.", "correct the region or the endpoint.") from error


def _removed(kind: Kind, resource: Resource, tools: Tools) -> Removal:
    region = resource.remove["region"]
    try:
        client = client_of(kind.service, region, resource.remove.get("endpoint_url") or None)
    except OperationError as error:
        raise NotRemoved(resource, error.answer, kind.commands(region, resource.id)) from error
    return remove(client, kind, resource, tools)


def remove(client: Any, kind: Kind, resource: Resource, tools: Tools) -> Removal:
    """Protection off, deleted without a last snapshot, and waited for until it is listed no more."""
    caller, region = Caller(client, tools.clock), resource.remove["region"]
    try:
        found = describe(caller, kind, resource.id)
        if found is None:
            return Removal(False, f"{resource.id} is not listed")
        if tags(caller, found).get(TAG_DRILL) != tools.drill_id:
            look = [kind.look_command(region, resource.id)]
            raise NotRemoved(resource, f"its tag {TAG_DRILL} does not name this drill.", look)
        if found.get(kind.status) != "deleting":
            _delete(caller, kind, resource.id, bool(found.get("DeletionProtection")))
        ended, _waited = wait_until(
            lambda: _look_gone(caller, kind, resource.id),
            tools.clock,
            _DELETE_S,
            _LOOK_S,
            lambda pending, waited: tools.say(f"{pending.detail} after {waited:.0f} s"),
        )
    except NotRemoved:
        raise
    except OperationError as error:
        raise NotRemoved(resource, error.answer, kind.commands(region, resource.id)) from error
    if not ended.done:
        answer = f"{ended.detail} after {_DELETE_S:.0f} s."
        raise NotRemoved(resource, answer, kind.commands(region, resource.id))
    return Removal(True, f"{resource.id} is not listed any more")


def describe(caller: Caller, kind: Kind, identifier: str) -> dict[str, Any] | None:
    """The resource as its service has it, None when there is none. Raises AwsError."""
    try:
        answer = caller.read(f"look for {kind.noun} {identifier}", kind.describe, **{kind.argument: identifier})
    except AwsError as error:
        if error.code.startswith(kind.not_found):
            return None
        raise
    return next(iter(answer[kind.member]), None)


def tags(caller: Caller, found: dict[str, Any]) -> dict[str, str]:
    """Tags of a described resource; ElastiCache has to be asked for them. Raises AwsError."""
    if "TagList" in found or "ARN" not in found:
        return from_aws(found.get("TagList") or [])
    answer = caller.read(f"read the tags of {found['ARN']}", "list_tags_for_resource", ResourceName=found["ARN"])
    return from_aws(answer["TagList"])


def _delete(caller: Caller, kind: Kind, identifier: str, protected: bool) -> None:
    what, named = f"remove {kind.noun} {identifier}", {kind.argument: identifier}
    if protected:
        caller.write(what, "modify_db_instance", **named, DeletionProtection=False, ApplyImmediately=True)
    caller.write(what, kind.delete, **named, **kind.how)


def _look_gone(caller: Caller, kind: Kind, identifier: str) -> Finding:
    found = describe(caller, kind, identifier)
    if found is None:
        return Finding(DONE, f"{identifier} is not listed any more")
    return Finding(PENDING, f"{identifier} is {found.get(kind.status)}")
