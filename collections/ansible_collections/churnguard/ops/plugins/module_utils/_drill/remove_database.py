# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Removers of what a drill makes in databases and restores. Internal: may change in any release."""

from __future__ import annotations

import signal
from pathlib import Path

from .._common.errors import OperationError
from .._postgres.connection import connector
from .._restore import scratch
from .._restore.model import Target
from . import processes
from .heartbeat import SCHEMA, Heartbeat
from .model import Removal, Resource
from .removal import NotRemoved, Tools


def restore_target(resource: Resource, tools: Tools) -> Removal:
    """A scratch copy with its server: C(id) is its data directory, C(remove) has C(port) and C(marker)."""
    data_dir = Path(resource.id)
    target = Target(data_dir, int(resource.remove["port"]), str(resource.remove["marker"]))
    by_hand = [f"rm -r -- {data_dir} {target.tablespaces} {target.log_file} {target.marker_file}"]
    _end_writers(resource, data_dir, tools)
    if not data_dir.parent.exists():
        return Removal(False, f"{data_dir.parent} does not exist")
    try:
        gone = scratch.remove(target, tools.clock)
    except OperationError as error:
        raise NotRemoved(resource, error.answer, by_hand) from error
    left = processes.using(data_dir)
    if left or data_dir.exists():
        raise NotRemoved(resource, "it is still there.", by_hand)
    return Removal(bool(gone), f"{data_dir} does not exist, and no process works in it")


def _end_writers(resource: Resource, data_dir: Path, tools: Tools) -> None:
    """A killed drill leaves its restore running; it would go on writing into what is removed."""
    for process in _writers(data_dir):
        process.signal(signal.SIGKILL)
    give_up = tools.clock.monotonic() + 10
    while left := _writers(data_dir):
        if tools.clock.monotonic() > give_up:
            words = "; ".join(process.words() for process in left)
            raise NotRemoved(resource, f"these do not end: {words}.", [f"kill -9 {left[0].pid}"])
        tools.clock.sleep(0.1)


def _writers(data_dir: Path) -> list[processes.Process]:
    """The server itself is not among them: it is ended more gently."""
    found = processes.mentioning(data_dir)
    return [process for process in found if Path(process.command.split(" ", 1)[0]).name in ("pgbackrest", "pg_ctl")]


def heartbeat_table(resource: Resource, tools: Tools) -> Removal:
    """The ledger's table in a source that lives on: C(id) names it for people, C(remove.login) is how to reach the
    server (the password, where one is needed, is the user's: C(tools.options), or in C(remove.password_file))."""
    login = {**resource.remove["login"], "login_password": _password(resource, tools)}
    heartbeat = Heartbeat(connector(login), tools.drill_id)
    try:
        was_there = heartbeat.drop()
    except Exception as error:
        text = " ".join(str(error).split())
        drop = f"psql -c 'DROP TABLE {SCHEMA}.{heartbeat.table}'"
        raise NotRemoved(resource, f"the server answered: {text}.", [drop]) from error
    finally:
        heartbeat.close()
    return Removal(was_there, f"{SCHEMA}.{heartbeat.table} does not exist")


def _password(resource: Resource, tools: Tools) -> str | None:
    path = resource.remove.get("password_file")
    return Path(path).read_text(encoding="utf-8").strip() if path else tools.options.get("source_password")
