# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One primary, its replicas and the Sentinels that watch them. Internal: may change in any release."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .._common.errors import OperationError
from .._common.waiting import DONE, FAILED, PENDING, Finding
from . import api, plan
from .model import PRIMARY, Address, Node, Watch, parse_address
from .writer import Writer


@dataclass(frozen=True)
class Group:
    """C(name) is what the Sentinels call the primary; C(password_file) is read anew whenever it is needed."""

    sentinels: tuple[Address, ...]
    name: str
    password_file: str = ""
    username: str | None = None

    @property
    def access(self) -> api.Access:
        """How its members are reached. Raises OperationError when the password cannot be read."""
        password = api.read_password(self.password_file) if self.password_file else None
        return api.Access(password=password, username=self.username)

    def as_data(self) -> dict[str, Any]:
        """What from_data needs, without secrets."""
        return {
            "sentinels": [str(address) for address in self.sentinels],
            "name": self.name,
            "password_file": self.password_file,
            "username": self.username,
        }

    def watches(self, with_quorum: bool = False) -> list[Watch]:
        """What those Sentinels say that answer."""
        access, found = self.access, []
        for sentinel in self.sentinels:
            try:
                found.append(api.watch(sentinel, self.name, access, with_quorum))
            except OperationError:
                continue  # how many are missing is the caller's to judge
        return found

    def primary(self) -> Address | None:
        """Whom most Sentinels call the primary."""
        return plan.agreed(self.watches(), len(self.sentinels))

    def node(self, address: Address) -> Node | None:
        """What the Redis there says about itself; None when it does not answer."""
        try:
            return api.node(address, self.access)
        except OperationError:
            return None

    def look_for_primary(self, other_than: Address | None = None) -> Finding:
        """Done when most Sentinels name one, not C(other_than), and it calls itself the primary."""
        address = self.primary()
        if address is None or address == other_than:
            return Finding(PENDING, f"the Sentinels name {address or 'no common primary'}")
        node = self.node(address)
        if node is None or node.role != PRIMARY:
            return Finding(PENDING, f"{address} {'is still a replica' if node else 'does not answer'}")
        return Finding(DONE, f"{address} is the primary")

    def look_for_follower(self, address: Address) -> Finding:
        """Done when the Redis there follows the primary that the Sentinels name, and hears from it."""
        primary = self.primary()
        if primary == address:
            return self.look_for_primary()
        node = self.node(address)
        if primary is None or node is None:
            return Finding(PENDING, f"{address} does not answer" if primary else "the Sentinels name no common primary")
        why = plan.follows(node, primary)
        return Finding(PENDING, why) if why else Finding(DONE, f"{address} follows {primary}")

    def look_for_steady(self) -> Finding:
        """Done when nothing speaks against a failover."""
        problems = [f"{name}: {problem}" for name, problem in self.checks() if problem]
        return Finding(PENDING, "; ".join(problems)) if problems else Finding(DONE, "steady")

    def checks(self) -> list[tuple[str, str]]:
        """See plan.steady_checks."""
        watches = self.watches(with_quorum=True)
        address = plan.agreed(watches, len(self.sentinels))
        return plan.steady_checks(watches, len(self.sentinels), self.node(address) if address else None)

    def fail_over(self) -> Finding:
        """Ask the first Sentinel that answers for a planned failover."""
        for sentinel in self.sentinels:
            try:
                refusal = api.fail_over(sentinel, self.name, self.access)
            except OperationError:
                continue
            return (
                Finding(PENDING, f"{sentinel} says: {refusal}") if refusal else Finding(DONE, f"{sentinel} has begun")
            )
        return Finding(FAILED, "no Sentinel answers")

    def writer(self, key: str, replicas: int, wait_ms: int) -> Writer:
        """Writes to whichever Redis is the primary."""
        client = api.connect_primary(list(self.sentinels), self.name, self.access)
        return Writer(client, key, replicas, wait_ms)


def from_data(data: Mapping[str, Any]) -> Group:
    """The inverse of Group.as_data; also reads a drill's options. Raises ValueError for a wrong address."""
    return Group(
        sentinels=tuple(parse_address(text) for text in data["sentinels"]),
        name=data["name"],
        password_file=data.get("password_file") or "",
        username=data.get("username") or None,
    )
