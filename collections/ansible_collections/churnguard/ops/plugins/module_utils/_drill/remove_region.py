# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Undoing what the drill of a region's loss makes and does. Internal: may change in any release."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.error import HTTPError

from .._common.background import reason
from .._common.errors import OperationError
from .._common.http import send
from .._common.waiting import DONE, PENDING, Finding, wait_until
from . import database_node as nodes
from . import front_door, homecoming, processes, remove_local
from .model import Removal, Resource
from .removal import NotRemoved, Tools

_ANSWER_S = 180.0
_INACTIVE_S = 60.0
_DOWN_S = 180.0
_CLEANUP = "ansible-playbook playbooks/dr_cleanup.yml"


def region(resource: Resource, tools: Tools) -> Removal:
    """The first region (C(id)) serves again: its database is the primary, and its own endpoint answers.

    C(remove) holds the pair of databases, C(start), the command that starts all but the database, and C(url) and
    C(headers) of its endpoint; without C(goes) the second region stays, and has to follow. What a killed drill was
    doing is ended first.
    """
    data = resource.remove
    pair = homecoming.from_data(data["pair"])
    remove_local.process(Resource("process", "commands of the drill"), tools)
    _end_copying(resource, pair, tools)
    acted = False

    def ready() -> None:
        found, _seen = wait_until(lambda: answers(data["url"], data["headers"]), tools.clock, _ANSWER_S, 0.5)
        if not found.done:
            raise OperationError(f"get {data['url']}", f"{found.detail}.", "look at the region's pods.")

    way = homecoming.Homecoming(pair, tools.clock, tools.say, ready)
    try:
        if not answers(data["url"], data["headers"]).done:
            acted = True
            nodes.run_command(data["start"], f"start {resource.id}", {})
        state = way.run()
        ready()
        if not data.get("goes"):
            _see_following(pair, tools)
    except OperationError as error:
        raise NotRemoved(resource, f"{error}", [" ".join(data["start"]), _CLEANUP]) from error
    acted = acted or bool(way.steps)
    return Removal(acted, f"{pair.home.address} is the primary, timeline {state.timeline}, and {data['url']} answers")


def _see_following(pair: homecoming.Pair, tools: Tools) -> None:
    """A second region that stays has to follow again."""

    def look() -> Finding:
        found = nodes.lag(pair.home, pair.slot)
        streams = found is not None and found[0] == "streaming"
        return Finding(DONE if streams else PENDING, f"nobody streams through {pair.slot}")

    found, _seen = wait_until(look, tools.clock, _ANSWER_S, 0.5)
    if not found.done:
        raise OperationError(f"see {pair.away.address} follow", f"{found.detail}.", "read its log.")


def _end_copying(resource: Resource, pair: homecoming.Pair, tools: Tools) -> None:
    """A killed drill leaves its pg_rewind or pg_basebackup running."""
    names = ("pg_rewind", "pg_basebackup")

    def left() -> list[processes.Process]:
        places = (pair.home.home, pair.home.home.with_name(f"{pair.home.home.name}.churnguard-drill"))
        found = [process for place in places for process in processes.mentioning(place)]
        return [process for process in found if Path(process.command.split(" ", 1)[0]).name in names]

    for process in left():
        process.signal(signal.SIGKILL)
    found, _seen = wait_until(lambda: Finding(PENDING if left() else DONE, "it still copies"), tools.clock, 10, 0.1)
    if not found.done:
        raise NotRemoved(resource, f"{left()[0].words()} does not end.", [f"kill -9 {left()[0].pid}"])


def answers(url: str, headers: Mapping[str, str]) -> Finding:
    """Whether the endpoint answers a request with success."""
    try:
        with send("GET", url, headers=dict(headers), timeout=5) as answer:
            return Finding(DONE, f"HTTP {answer.status}")
    except HTTPError as error:
        return Finding(PENDING, f"HTTP {error.code}")
    except OSError as error:
        return Finding(PENDING, f"it {reason(error)}")


def traffic(resource: Resource, tools: Tools) -> Removal:
    """The front door sends all traffic to the first region's server again, C(remove.to)."""
    door, wanted = front_door.from_data(resource.remove["door"]), str(resource.remove["to"])
    try:
        before = door.serving()
        if before != {wanted}:
            door.move(wanted)
    except OperationError as error:
        command = f"set server {door.backend}/{wanted} state ready"
        raise NotRemoved(resource, f"{error}", [f"at {door.admin}: {command}"]) from error
    return Removal(before != {wanted}, f"{door.admin} serves {wanted} alone")


def slot(resource: Resource, tools: Tools) -> Removal:
    """A replication slot, C(remove.slot) on C(remove.node). A server that C(remove.goes) with its region takes the slot
    with it."""
    node, name = nodes.from_data(resource.remove["node"]), str(resource.remove["slot"])
    by_hand = [f"psql -c \"SELECT pg_drop_replication_slot('{name}')\"  # on {node.address}"]
    try:
        if not nodes.running(node):
            if resource.remove.get("goes"):
                return Removal(False, f"{node.address} does not run; the slot goes with it")
            raise NotRemoved(resource, f"{node.address} does not run.", by_hand)
        if not nodes.has_slot(node, name):
            return Removal(False, f"{node.address} has no slot {name}")
        found, _seen = wait_until(lambda: _unused(node, name), tools.clock, _INACTIVE_S, 0.5)
        if not found.done:
            raise NotRemoved(resource, f"{found.detail}.", by_hand)
        node.do("SELECT pg_drop_replication_slot(%s)", (name,))
        if nodes.has_slot(node, name):
            raise NotRemoved(resource, "it is still there.", by_hand)
    except OperationError as error:
        if isinstance(error, NotRemoved):
            raise
        raise NotRemoved(resource, f"{error}", by_hand) from error
    return Removal(True, f"{node.address} has no slot {name} any more")


def _unused(node: nodes.Node, name: str) -> Finding:
    sql = "SELECT active FROM pg_replication_slots WHERE slot_name = %s"
    active = any(row[0] for row in node.ask(sql, (name,)))
    return Finding(PENDING if active else DONE, f"somebody streams through {name}")


def second_region(resource: Resource, tools: Tools) -> Removal:
    """A region that was made for the drill: C(remove.down) is the command that takes it away, C(remove.folders) and
    C(remove.addresses) are what must not be there any more."""
    command = [str(word) for word in resource.remove["down"]]
    folders = [Path(folder) for folder in resource.remove["folders"]]
    before = any(folder.exists() for folder in folders)
    look = _gone_by(folders, resource.remove["addresses"])
    try:
        nodes.run_command(command, f"remove {resource.id}", {}, _DOWN_S)
    except OperationError as error:
        raise NotRemoved(resource, f"{error}", [" ".join(command)]) from error
    found, _seen = wait_until(look, tools.clock, 10, 0.2)
    if not found.done:
        raise NotRemoved(resource, f"{found.detail}.", [" ".join(command)])
    return Removal(before, found.detail)


def _gone_by(folders: list[Path], addresses: list[str]) -> Callable[[], Finding]:
    def look() -> Finding:
        left = [f"{folder} exists" for folder in folders if folder.exists()]
        left += [f"{address} answers" for address in addresses if _listens(address)]
        if left:
            return Finding(PENDING, "; ".join(left))
        where = ", ".join(map(str, folders))
        return Finding(DONE, f"{where} does not exist, and nobody listens on {', '.join(addresses)}")

    return look


def _listens(address: str) -> bool:
    host, _colon, port = address.rpartition(":")
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((host, int(port))) == 0
