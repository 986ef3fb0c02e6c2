# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a drill of the cache is told, and what the figures of one mean. No I/O. Internal: may change in any release."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .._common.envelope import FAILED, PASSED
from .._redis.group import Group, from_data
from .ledger import Ack
from .scenario import Refused

KILL, LINK_STALL, PROCESS_PAUSE = "kill", "link_stall", "process_pause"
#: What is done before the kill. Only a stalled link keeps data from the replica: what was sent to a stopped process
#: waits in its sockets, and it reads that as soon as it goes on.
PARTITIONS = {KILL: False, LINK_STALL: True, PROCESS_PAUSE: False}
FAULTS = tuple(PARTITIONS)


@dataclass(frozen=True)
class CacheSettings:
    """The options of the scenario; times are seconds.

    C(start_commands) start a Redis again, by its address. C(wait_replicas): a write counts as acknowledged only when
    that many replicas have confirmed it within C(wait_ms) milliseconds. C(failback): the primary of before is the
    primary after.
    """

    group: Group
    fault: str = KILL
    fault_seconds: float = 3.0
    wait_replicas: int = 0
    wait_ms: int = 100
    write_rate: float = 100.0
    steady_seconds: float = 3.0
    settle_seconds: float = 1.0
    failover_timeout: float = 60.0
    rejoin_timeout: float = 120.0
    failback: bool = True
    stall_command: tuple[str, ...] = ()
    start_commands: Mapping[str, Sequence[str]] = field(default_factory=dict)
    accept_urls: Sequence[str] = ()
    accept_headers: Mapping[str, str] = field(default_factory=dict)


def settings(options: Mapping[str, Any]) -> CacheSettings:
    """The drill's options. Raises Refused for one that is missing or wrong."""
    attempted = "read the options of cache_failover"
    given = {name: value for name, value in options.items() if name in CacheSettings.__dataclass_fields__}
    try:
        group = from_data({"name": options["primary_name"], **options})
    except KeyError as error:
        raise Refused("options", attempted, f"{error.args[0]} is missing.", "give it.") from error
    except ValueError as error:
        raise Refused("options", attempted, f"sentinels: {error}.", "correct it.") from error
    found = CacheSettings(group=group, **{**given, "stall_command": tuple(given.get("stall_command") or ())})
    if found.fault not in FAULTS:
        raise Refused("options", attempted, f"fault is {found.fault!r}.", f"give one of {', '.join(FAULTS)}.")
    if found.fault == LINK_STALL and not found.stall_command:
        raise Refused("options", attempted, "link_stall needs stall_command.", "give the command of a proxy.")
    if not 0 <= found.fault_seconds <= 60 or not 0 < found.write_rate <= 2000:
        raise Refused("options", attempted, "fault_seconds or write_rate is out of bounds.", "0 to 60 s, 1 to 2000/s.")
    return found


def last_possible_ack(acks: Iterable[Ack], fault: float) -> float:
    """The moment up to which the old primary's acknowledgements were read (monotonic): one that was sent before it died
    is read a little later."""
    return max([fault, *(ack.acked for ack in acks if ack.sent <= fault)])


def first_taken(
    acks: Iterable[Ack], unconfirmed: Iterable[tuple[int, float, float]], begin: float
) -> tuple[int, float, float] | None:
    """The first write after C(begin) that a primary took, whether replicas confirmed it or not: its number, and when it
    was sent and answered (monotonic). None when there is none."""
    return min(
        (entry for entry in (*acks, *unconfirmed) if entry[1] >= begin), key=lambda entry: entry[2], default=None
    )


def check(name: str, subject: str, problem: str, expected: Any = None, actual: Any = None) -> dict[str, Any]:
    """One row of an integrity matrix; an empty C(problem) is a passed one."""
    return {
        "name": name,
        "subject": subject,
        "verdict": FAILED if problem else PASSED,
        "reason": problem,
        "expected": expected,
        "actual": actual,
        "differences": [],
    }


def matrix(checks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Checks as one piece of evidence."""
    failed = [str(entry["name"]) for entry in checks if entry["verdict"] == FAILED]
    return {
        "kind": "integrity",
        "checks": list(checks),
        "verdict": FAILED if failed else PASSED,
        "reason": f"failed: {', '.join(failed)}" if failed else "",
    }
