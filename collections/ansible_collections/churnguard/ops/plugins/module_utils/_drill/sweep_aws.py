# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Leftovers of drills in AWS, found by their tags, whether or not a journal knows them. Internal: may change in any
release.

AWS' index of tags runs behind: it can still list what is gone, or tags that were changed, so each resource is looked at
before anything is done about it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from .._aws.calls import Caller
from .._aws.tags import from_aws
from .._common.clock import parse_time
from .._common.errors import OperationError
from . import remove_aws
from .aws_kinds import TAG_DRILL, TAG_EXPIRES, TAG_RESOURCE, Kind, named
from .model import Resource, is_drill_id
from .removal import NotRemoved, Tools
from .removers import remover_of

_SERVICE = "resourcegroupstaggingapi"


@dataclass(frozen=True)
class Tagged:
    """A resource with a drill's tag. Without C(kind) nothing here removes it, and C(id) is its ARN."""

    region: str
    arn: str
    kind: Kind | None
    id: str
    tags: Mapping[str, str]

    @property
    def shown(self) -> dict[str, str]:
        """As it is reported."""
        word = self.kind.name if self.kind else "unknown"
        return {"drill_id": self.tags.get(TAG_DRILL, ""), "kind": word, "id": self.id, "region": self.region}


@dataclass(frozen=True)
class Judged:
    """What became of a resource: C(word) is removed, left or kept; C(entry) is how it is reported."""

    word: str
    entry: dict[str, Any]


def sweep_region(
    region: str, tools: Tools, held: Collection[str], lift_protection: bool = False, act: bool = True
) -> list[Judged]:
    """Remove what has expired in a region; without C(act) only say what would be removed. C(held) are drills whose
    journal is not finished, which see to their own. C(tools) is of no drill; each resource gets those of its own."""
    try:
        found = tagged(Caller(remove_aws.client_of(_SERVICE, region), tools.clock), region)
    except OperationError as error:
        entry = {
            "drill_id": "",
            "id": f"what drills left in {region}",
            "error": str(error),
            "commands": [_find(region)],
        }
        return [Judged("left", entry)]
    judged = (_one(one, tools, held, lift_protection, act) for one in found)
    return [one for one in judged if one is not None]


def tagged(caller: Caller, region: str) -> list[Tagged]:
    """Everything with a drill's tag in a region. Raises AwsError."""
    found, token = [], ""
    while True:
        page = caller.read(
            f"look for what drills left in {region}",
            "get_resources",
            TagFilters=[{"Key": TAG_DRILL}],
            **({"PaginationToken": token} if token else {}),
        )
        for entry in page["ResourceTagMappingList"]:
            kind, identifier = named(entry["ResourceARN"])
            found.append(Tagged(region, entry["ResourceARN"], kind, identifier, from_aws(entry["Tags"])))
        token = page.get("PaginationToken") or ""
        if not token:
            return found


def why_kept(one: Tagged, now: datetime, held: Collection[str]) -> str:
    """Why a resource must not be taken; empty when it may."""
    drill, expires = one.tags.get(TAG_DRILL, ""), one.tags.get(TAG_EXPIRES, "")
    if not is_drill_id(drill):
        return f"its tag {TAG_DRILL} names no drill"
    if drill in held:
        return "its drill has a journal that is not finished; playbooks/dr_cleanup.yml finishes it"
    if one.kind is not None and one.tags.get(TAG_RESOURCE) != one.id:
        return f"its tag {TAG_RESOURCE} does not name it: the tags may be a copy of another resource's"
    try:
        expired = now >= parse_time(expires)
    except ValueError:
        return f"its tag {TAG_EXPIRES} is no time"
    return "" if expired else f"it has not expired yet ({expires})"


def _one(one: Tagged, tools: Tools, held: Collection[str], lift: bool, act: bool) -> Judged | None:
    """None for what is only listed because the index runs behind."""
    kept = why_kept(one, tools.clock.now(), held)
    if kept:
        return Judged("kept", {**one.shown, "reason": kept})
    if one.kind is None:
        answer = f"remove {one.arn}: nothing here removes resources of that kind."
        look = f"aws {_SERVICE} get-resources --region {one.region} --resource-arn-list {one.arn}"
        return _left(one, answer, [look])
    resource = Resource(one.kind.name, one.id, {"region": one.region})
    own = Tools(one.tags[TAG_DRILL], tools.clock, tools.options, tools.say)
    try:
        caller = Caller(remove_aws.client_of(one.kind.service, one.region), tools.clock)
        seen = remove_aws.describe(caller, one.kind, one.id)
        if seen is None:
            return None
        kept = why_kept(replace(one, tags=remove_aws.tags(caller, seen)), tools.clock.now(), held)
        if kept:
            return Judged("kept", {**one.shown, "reason": kept})
        if seen.get("DeletionProtection") and not lift:
            by_hand = one.kind.commands(one.region, one.id)
            raise NotRemoved(resource, "it is protected from deletion, which the sweep leaves as it is.", by_hand)
        if not act:
            return Judged("removed", one.shown)
        return Judged("removed", {**one.shown, "proof": remover_of(one.kind.name)(resource, own).proof})
    except NotRemoved as error:
        return _left(one, str(error), list(error.commands))
    except OperationError as error:
        return _left(one, str(error), one.kind.commands(one.region, one.id))


def _left(one: Tagged, error: str, commands: list[str]) -> Judged:
    return Judged("left", {**one.shown, "error": error, "commands": commands})


def _find(region: str) -> str:
    """The command that lists them."""
    return f"aws {_SERVICE} get-resources --region {region} --tag-filters Key={TAG_DRILL}"
