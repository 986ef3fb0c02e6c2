# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules share: one operation's way to AWS, its clock and its deadline. Internal: may change in any
release."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible.module_utils.common.dict_transformations import camel_dict_to_snake_dict

from .._common.clock import Clock
from .._common.errors import OperationError
from .._common.waiting import PENDING, Finding, wait_until
from . import wait
from .api import ElastiCacheApi
from .model import AVAILABLE, Group, read_group


@dataclass(frozen=True)
class Waiting:
    """Whether to wait for the end of what was begun, for how many seconds in all, and seconds between looks."""

    wanted: bool = True
    timeout: float = 3600.0
    interval: float = 15.0


@dataclass
class Outcome:
    """What an operation did, or in check mode would do."""

    changed: bool
    msg: str
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    not_compared: list[str] = field(default_factory=list)
    more: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Sight:
    """A group as AWS described it, and as the plan reads it."""

    described: dict[str, Any]
    member: dict[str, Any] | None
    group: Group

    def plain(self) -> dict[str, Any]:
        """The group for people and playbooks: AWS' names in snake_case, a member's details, tags as they are."""
        return {
            **camel_dict_to_snake_dict(self.described),
            "member": None if self.member is None else camel_dict_to_snake_dict(self.member),
            "tags": dict(self.group.tags),
        }


class Desk:
    """Looks at one group and waits for it. All waits of an operation together have one deadline."""

    def __init__(
        self,
        api: ElastiCacheApi,
        clock: Clock,
        group_id: str,
        waiting: Waiting,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self.api = api
        self.clock = clock
        # AWS keeps names in lower case.
        self.group_id = group_id.lower()
        self.waiting = waiting
        self._say = say
        self._begin = clock.monotonic()

    @property
    def name(self) -> str:
        return f"replication group {self.group_id}"

    def see(self, described: Mapping[str, Any] | None, tags: Mapping[str, str] | None = None) -> Sight | None:
        """A description with what only a member tells, at one request; without C(tags) these are asked for, too."""
        if described is None:
            return None
        members = described.get("MemberClusters") or []
        member = self.api.member(members[0]) if members else None
        if tags is None:
            tags = self.api.tags(described["ARN"]) if described.get("ARN") else {}
        return Sight(dict(described), member, read_group(described, member, tags))

    def need_available(self, described: dict[str, Any], before_what: str) -> dict[str, Any]:
        """The description of the group once it is available. Raises OperationError when it will not be, or when it is
        not now and nobody wants to wait."""
        if described.get("Status") == AVAILABLE:
            return described
        seen = {"described": described}

        def look() -> Finding:
            seen["described"] = self.api.group(self.group_id)
            return wait.available(_status(seen["described"]))

        first = wait.available(_status(described))
        if first.failed or not self.waiting.wanted:
            raise OperationError(
                f"{before_what} {self.name}",
                f"{first.detail}.",
                "delete it with state=absent, then create it again."
                if first.failed
                else "run again when it is available, or with wait=true.",
            )
        self.wait(look, f"{before_what} {self.name}")
        return seen["described"]

    def wait(self, look: Callable[[], Finding], attempted: str) -> Finding:
        """Look until done. Raises OperationError when it failed, or is pending at the deadline."""
        left = max(self.waiting.timeout - (self.clock.monotonic() - self._begin), 0.0)
        finding, waited = wait_until(look, self.clock, left, self.waiting.interval, self._tell)
        if finding.failed:
            raise OperationError(
                attempted,
                f"{finding.detail}.",
                "see the events of the group (aws elasticache describe-events) for AWS' reason; correct it, then run "
                "again.",
            )
        if finding.state == PENDING:
            raise OperationError(
                attempted,
                f"not done {waited:.0f} s later: {finding.detail}.",
                "see the events of the group (aws elasticache describe-events); run again to go on waiting: nothing is "
                "done twice. A greater wait_timeout waits longer.",
            )
        return finding

    def _tell(self, finding: Finding, waited: float) -> None:
        if self._say is not None:
            self._say(f"{self.name}: {finding.detail} ({waited:.0f} s)")


def _status(described: Mapping[str, Any] | None) -> str | None:
    return None if described is None else described.get("Status") or ""
