# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Undoing what drills do to a cache. Internal: may change in any release.

The C(remove) of each holds the group as C(_redis.group.Group.as_data) gives it.
"""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from .._common.errors import OperationError
from .._common.waiting import DONE, PENDING, Finding, wait_until
from .._redis import api
from .._redis import group as groups
from .._redis.model import parse_address
from . import processes
from .model import Removal, Resource
from .removal import NotRemoved, Tools

_SECONDS = 120.0
#: For a failover that is coming to be over.
_FAILOVER_S = 60.0


def node(resource: Resource, tools: Tools) -> Removal:
    """A Redis (C(id), its address) that was killed: started by C(remove.start), a command, unless it answers; done when
    it follows the primary that the Sentinels name, or is it."""
    address, group = parse_address(resource.id), groups.from_data(resource.remove["group"])
    command = [str(part) for part in resource.remove["start"]]
    was_there = group.node(address) is not None
    if not was_there:
        # While the Sentinels still take it for the primary, they are about to replace it. Started as a replica before
        # they have, it keeps them from it: there is no primary then, and no replica of one that they could promote.
        wait_until(lambda: group.look_for_primary(other_than=address), tools.clock, _FAILOVER_S, 0.2)
        _run(resource, command)
    found, _seen = wait_until(lambda: group.look_for_follower(address), tools.clock, _SECONDS, 0.5)
    if not found.done:
        raise NotRemoved(resource, f"{found.detail}.", [" ".join(command)])
    return Removal(not was_there, found.detail)


def _run(resource: Resource, command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotRemoved(resource, f"{error}.", [" ".join(command)]) from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-500:]
        raise NotRemoved(resource, f"it ended with {done.returncode}: {said}.", [" ".join(command)])


def route(resource: Resource, tools: Tools) -> Removal:
    """A replica (C(id)) that was let follow its primary through a proxy: it follows the primary itself again."""
    address, group = parse_address(resource.id), groups.from_data(resource.remove["group"])
    found = group.look_for_follower(address)
    if found.done:
        return Removal(False, found.detail)
    steered = False

    def look() -> Finding:
        nonlocal steered
        primary, replica = group.primary(), group.node(address)
        if primary and replica and primary != address and replica.primary != primary:
            api.follow(address, primary, group.access)
            steered = True
        return group.look_for_follower(address)

    found, _seen = wait_until(look, tools.clock, _SECONDS, 0.5)
    if not found.done:
        raise NotRemoved(resource, f"{found.detail}.", [_by_hand(address, "REPLICAOF <host> <port of the primary>")])
    return Removal(steered, found.detail)


def keys(resource: Resource, tools: Tools) -> Removal:
    """The list C(id) that a ledger wrote into the primary."""
    group = groups.from_data(resource.remove["group"])
    found, _seen = wait_until(group.look_for_primary, tools.clock, _SECONDS, 0.5)
    primary = group.primary() if found.done else None
    if primary is None:
        raise NotRemoved(resource, f"{found.detail}.", [f"DEL {resource.id}, at the primary"])
    try:
        was_there = api.forget(primary, resource.id, group.access)
        left = api.exists(primary, resource.id, group.access)
    except OperationError as error:
        raise NotRemoved(resource, error.answer, [_by_hand(primary, f"DEL {resource.id}")]) from error
    if left:
        raise NotRemoved(resource, "it is still there.", [_by_hand(primary, f"DEL {resource.id}")])
    return Removal(was_there, f"{primary} has no key {resource.id}")


def primary(resource: Resource, tools: Tools) -> Removal:
    """The role of the primary, which C(id) had before the drill: given back by planned failovers."""
    address, group = parse_address(resource.id), groups.from_data(resource.remove["group"])
    asked = False

    def look() -> Finding:
        nonlocal asked
        now = group.primary()
        if now == address:
            return group.look_for_primary()
        if now is not None and group.look_for_steady().done:
            asked = asked or group.fail_over().done
        return Finding(PENDING, f"the primary is {now}")

    found, _seen = wait_until(look, tools.clock, _SECONDS, 1.0)
    if not found.done:
        command = _by_hand(group.sentinels[0], f"SENTINEL FAILOVER {group.name}")
        raise NotRemoved(resource, f"{found.detail}.", [command])
    steady, _seen = wait_until(group.look_for_steady, tools.clock, _SECONDS, 0.5)
    if not steady.done:
        raise NotRemoved(
            resource, f"{steady.detail}.", [_by_hand(group.sentinels[0], f"SENTINEL CKQUORUM {group.name}")]
        )
    return Removal(asked, found.detail)


def paused_process(resource: Resource, tools: Tools) -> Removal:
    """A process that was stopped (SIGSTOP): C(remove) has its C(pid) and when it C(started). It goes on."""
    pid, started = int(resource.remove["pid"]), str(resource.remove["started"])
    process = processes.find(pid)
    if process is None or process.started != started:
        return Removal(False, f"there is no process {pid} of that start any more")
    os.kill(pid, signal.SIGCONT)

    def look() -> Finding:
        state = _state(pid)
        return Finding(PENDING if state == "T" else DONE, f"process {pid} is in state {state or 'gone'}")

    found, _seen = wait_until(look, tools.clock, 5.0, 0.1)
    if not found.done:
        raise NotRemoved(resource, f"{found.detail}.", [f"kill -CONT {pid}"])
    return Removal(True, found.detail)


def _state(pid: int) -> str:
    """The kernel's letter for a process: T is stopped (proc(5)); empty when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return ""


def _by_hand(address: object, command: str) -> str:
    host, _colon, port = str(address).rpartition(":")
    return f"redis-cli -h {host} -p {port} {command}"
