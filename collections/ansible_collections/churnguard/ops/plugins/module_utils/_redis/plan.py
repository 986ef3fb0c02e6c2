# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the state of a Redis group means. Pure. Internal: may change in any release."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from .model import PRIMARY, REPLICA, Address, Node, Watch

#: A replica acknowledges once a second, so a healthy one is 0 or 1 behind.
MOST_LAG_S = 1


def agreed(watches: Sequence[Watch], sentinels: int) -> Address | None:
    """The primary that more than half of all C(sentinels) name; None while they do not agree."""
    if not watches:
        return None
    address, votes = Counter(watch.primary for watch in watches).most_common(1)[0]
    return address if votes * 2 > sentinels else None


def steady_checks(watches: Sequence[Watch], sentinels: int, primary: Node | None) -> list[tuple[str, str]]:
    """What has to be so before a failover is tried, as (name of the check, what is wrong or an empty text)."""
    quorum = [f"Sentinel {watch.sentinel} says: {watch.quorum}" for watch in watches if watch.quorum]
    unwell = [f"{watch.sentinel} sees {sorted(watch.flags)}" for watch in watches if watch.flags != {"master"}]
    missing = f"{sentinels - len(watches)} of {sentinels} Sentinels do not answer" if len(watches) < sentinels else ""
    common = agreed(watches, sentinels)
    apart = {str(watch.primary) for watch in watches if watch.primary != common}
    return [
        ("sentinels_answer", missing),
        ("sentinels_agree", f"some name {', '.join(sorted(apart))}, most {common}" if apart or not common else ""),
        ("quorum", "; ".join(quorum)),
        ("no_failover_under_way", "; ".join(unwell)),
        ("replicas", _replicas(primary)),
        ("sentinels_know_replicas", _unknown(watches, primary)),
    ]


def _replicas(primary: Node | None) -> str:
    if primary is None:
        return "the primary does not answer"
    if primary.role != PRIMARY:
        return f"{primary.address} is called the primary and is a {primary.role}"
    if not primary.followers:
        return f"{primary.address} has no replica, so nothing can take over"
    behind = [
        f"{follower.address} is {'' if follower.online else 'not '}online with a lag of {follower.lag} s"
        for follower in primary.followers
        if not follower.online or follower.lag > MOST_LAG_S
    ]
    return "; ".join(behind)


def _unknown(watches: Sequence[Watch], primary: Node | None) -> str:
    """A Sentinel asks for the replicas every ten seconds; with one that it does not know yet it does not fail over."""
    there = {follower.address for follower in primary.followers} if primary else set()
    missing = [(watch.sentinel, sorted(map(str, there - set(watch.replicas)))) for watch in watches]
    return "; ".join(f"{sentinel} does not know {', '.join(names)}" for sentinel, names in missing if names)


def follows(node: Node, primary: Address) -> str:
    """Why C(node) does not follow C(primary) yet; empty when it does."""
    if node.role != REPLICA:
        return f"{node.address} is a {node.role}"
    if node.primary != primary:
        return f"{node.address} follows {node.primary}, not {primary}"
    return "" if node.link_up else f"{node.address} does not hear from {primary} yet"


def unacknowledged_bytes(primary: Node) -> int:
    """Bytes that the most advanced replica has not acknowledged. An upper bound of what a failover loses: replicas
    acknowledge once a second, so a healthy one looks a second behind."""
    return primary.offset - max((follower.offset for follower in primary.followers), default=0)
