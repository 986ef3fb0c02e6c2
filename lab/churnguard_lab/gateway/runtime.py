"""HAProxy's runtime API: what it answers, and the commands that lead from what is to what should be. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

from churnguard_lab.gateway.plan import Desired
from churnguard_lab.gateway.pools import DRAIN, UP, Slot
from churnguard_lab.gateway.render import DESCRIPTION_PREFIX, HANDOVER, MAP_FILE

#: Bit of srv_admin_state: forced maintenance (whoever else also asked for it).
_FORCED_MAINTENANCE = 0x01
Address = tuple[str, str]


class RuntimeAnswerError(Exception):
    """HAProxy answered something that this module does not understand."""


@dataclasses.dataclass(frozen=True)
class Server:
    """One server line as a worker has it now."""

    ip: str
    port: int
    weight: int
    is_maintenance: bool


@dataclasses.dataclass(frozen=True)
class Actual:
    """What one worker does now."""

    structure: str
    entries: Mapping[str, str]
    servers: Mapping[Address, Server]


@dataclasses.dataclass(frozen=True)
class Process:
    """A line of the master's `show proc`."""

    pid: int
    kind: str  # master or worker
    is_leaving: bool


def parse_processes(text: str) -> list[Process]:
    """The master and its workers, those that are leaving after a reload included."""
    processes: list[Process] = []
    is_leaving = False
    for line in text.splitlines():
        if line.startswith("# old workers"):
            is_leaving = True
        elif line.startswith("# programs"):
            break
        fields = line.split()
        if len(fields) >= 2 and fields[0].isdigit() and fields[1] in ("master", "worker"):
            processes.append(Process(int(fields[0]), fields[1], is_leaving))
    if not any(process.kind == "master" for process in processes):
        raise RuntimeAnswerError(f"'show proc' named no master: {text[:200]!r}")
    return processes


def parse_structure(text: str) -> str:
    """The structure that a worker runs, from `show info`; empty when it is none of ours."""
    for line in text.splitlines():
        name, _, value = line.partition(": ")
        if name == "description" and value.startswith(DESCRIPTION_PREFIX):
            return value.removeprefix(DESCRIPTION_PREFIX).strip()
    return ""


def parse_map(text: str) -> dict[str, str]:
    """The entries of `show map`."""
    entries: dict[str, str] = {}
    for line in text.splitlines():
        fields = line.split(maxsplit=2)
        if len(fields) >= 2 and fields[0].startswith("0x"):
            entries[fields[1]] = fields[2] if len(fields) == 3 else ""
    return entries


def parse_servers(text: str) -> dict[Address, Server]:
    """The servers of `show servers state`, by backend and server name."""
    header: list[str] = []
    servers: dict[Address, Server] = {}
    for line in text.splitlines():
        fields = line.split()
        if line.startswith("# "):
            header = fields[1:]
        elif header and len(fields) == len(header):
            row = dict(zip(header, fields, strict=True))
            servers[row["be_name"], row["srv_name"]] = Server(
                ip=row["srv_addr"],
                port=int(row["srv_port"]),
                weight=int(row["srv_uweight"]),
                is_maintenance=bool(int(row["srv_admin_state"]) & _FORCED_MAINTENANCE),
            )
    return servers


def commands(desired: Desired, actual: Actual) -> list[str]:
    """Runtime commands that bring the current worker to `desired`.

    In this order: servers that start taking requests, pools that are filled, splits, pools that are empty, servers that
    stop. At no moment does a weight point to a pool that is not filled yet or is emptied already.
    """
    entries = [
        f"{'set' if key in actual.entries else 'add'} map {MAP_FILE} {key} {value}"
        for key, value in sorted(desired.entries.items(), key=lambda entry: _turn(desired, *entry))
        if actual.entries.get(key) != value
    ]
    starting: list[str] = []
    stopping: list[str] = []
    for address, slot in _slots(desired):
        server = actual.servers.get(address)
        if server is None:
            continue
        target = starting if slot and slot.state == UP else stopping
        target += _server_commands("/".join(address), slot, server)
    return starting + entries + stopping


def _turn(desired: Desired, key: str, value: str) -> tuple[int, str]:
    if key not in desired.pools:
        return 1, key
    return (0 if value == "1" else 2), key


def handover_commands(actual: Actual) -> list[str]:
    """Runtime commands for a worker that a reload has replaced: it hands requests on to its successor."""
    return [] if actual.entries.get(HANDOVER) == "1" else [f"set map {MAP_FILE} {HANDOVER} 1"]


def differences(desired: Desired, actual: Actual) -> list[str]:
    """What a worker lacks of `desired`, for people; empty when it does all of it."""
    lacking = [
        f"map entry {key} is {actual.entries.get(key)}, not {value}"
        for key, value in sorted(desired.entries.items())
        if actual.entries.get(key) != value
    ]
    for address, slot in _slots(desired):
        server = actual.servers.get(address)
        if server is None:
            lacking.append(f"server {'/'.join(address)} does not exist")
        elif _server_commands("", slot, server):
            lacking.append(f"server {'/'.join(address)} is {server}, not {slot}")
    return lacking


def _slots(desired: Desired) -> Iterable[tuple[Address, Slot | None]]:
    for name, pool in sorted(desired.pools.items()):
        for number, slot in enumerate(pool, start=1):
            yield (name, f"s{number}"), slot


def _server_commands(path: str, slot: Slot | None, server: Server) -> list[str]:
    if slot is None:
        return [] if server.is_maintenance else [f"set server {path} state maint"]
    found = []
    weight = 0 if slot.state == DRAIN else 1
    if (server.ip, server.port) != (slot.ip, slot.port):
        found.append(f"set server {path} addr {slot.ip} port {slot.port}")
    if server.weight != weight:
        found.append(f"set server {path} weight {weight}")
    if server.is_maintenance:
        found.append(f"set server {path} state ready")
    return found
