# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the parts of this area share. No I/O. Internal: may change in any release."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

PRIMARY = "master"
REPLICA = "slave"


class Address(NamedTuple):
    """Where a Redis or a Sentinel listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """C(host:port) as an Address. Raises ValueError."""
    host, _colon, port = text.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"{text!r} is not host:port")
    return Address(host.strip("[]"), int(port))


@dataclass(frozen=True)
class Follower:
    """A replica as its primary lists it; C(lag) are whole seconds since its last acknowledgement, C(offset) bytes."""

    address: Address
    online: bool
    lag: int
    offset: int


@dataclass(frozen=True)
class Node:
    """What one Redis says about itself; C(primary) is whom it follows, and C(link_up) whether it hears from it."""

    address: Address
    role: str
    run_id: str
    pid: int
    offset: int
    followers: tuple[Follower, ...] = ()
    primary: Address | None = None
    link_up: bool = False


@dataclass(frozen=True)
class Watch:
    """What one Sentinel says about the primary it watches; C(quorum) is what CKQUORUM complains of, if it does."""

    sentinel: Address
    primary: Address
    flags: frozenset[str]
    replicas: tuple[Address, ...]
    quorum: str = ""

    @property
    def down(self) -> bool:
        """Whether the Sentinels agree that it is down."""
        return "o_down" in self.flags

    @property
    def busy(self) -> bool:
        """Whether a failover is under way."""
        return "failover_in_progress" in self.flags
