# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Removers of what a drill makes on its own machine. Internal: may change in any release."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

from .._common.waiting import DONE, PENDING, Finding, wait_until
from . import processes
from .model import Removal, Resource
from .removal import NotRemoved, Tools

# A folder with this file in it belongs to a drill and to nobody else: {"drill_id", "expires_at"}.
MARKER = ".churnguard-drill"
_LOOPBACK = "127.0.0.1"
_STOP_S = 20.0


def make_directory(folder: Path, drill_id: str, expires_at: str, mode: int = 0o700) -> None:
    """Make C(folder) the drill's: it appears with its marker in it, or not at all. Raises FileExistsError."""
    aside = folder.with_name(f".{folder.name}.{drill_id}")
    aside.mkdir(mode=mode, parents=True, exist_ok=True)
    marker = {"drill_id": drill_id, "expires_at": expires_at}
    (aside / MARKER).write_text(json.dumps(marker) + "\n", encoding="utf-8")
    if folder.exists():
        shutil.rmtree(aside)
        raise FileExistsError(str(folder))
    aside.rename(folder)


def directory(resource: Resource, tools: Tools) -> Removal:
    """C(id) is the path. C(remove) may hold C(marker), another marker file's name, for example one of a restore."""
    folder = Path(resource.id)
    aside = folder.with_name(f".{folder.name}.{tools.drill_id}")
    found = [path for path in (aside, folder) if path.exists() or path.is_symlink()]
    if not found:
        return Removal(False, f"{folder} does not exist")
    for path in found:
        _remove_folder(resource, path, tools, path == aside)
    return Removal(True, f"{folder} does not exist any more")


def _remove_folder(resource: Resource, folder: Path, tools: Tools, own_name: bool) -> None:
    commands = [f"rm -r -- {folder}"]
    if folder.is_symlink() or not folder.is_dir():
        raise NotRemoved(resource, f"{folder} is not a folder, so somebody else put it there.", [f"ls -ld {folder}"])
    marker = folder / str(resource.remove.get("marker") or MARKER)
    if not own_name and any(folder.iterdir()) and not _is_ours(marker, tools.drill_id):
        raise NotRemoved(
            resource, f"{marker} does not name this drill, so the folder may be somebody else's.", [f"ls -la {folder}"]
        )
    busy = processes.using(folder)
    if busy:
        words = "; ".join(process.words() for process in busy)
        raise NotRemoved(resource, f"processes still work in it: {words}.", [f"kill {busy[0].pid}", *commands])
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise NotRemoved(resource, f"{error}.", commands) from error
    if folder.exists():
        raise NotRemoved(resource, "it is still there.", commands)


def _is_ours(marker: Path, drill_id: str) -> bool:
    try:
        return drill_id in marker.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False


def moved_directory(resource: Resource, tools: Tools) -> Removal:
    """Undo of a data directory moved away: C(id) is where it belongs, C(remove.moved_to) where it went.

    Back by rename if its place is free; nothing to do if it never left.
    """
    home, moved = Path(resource.id), Path(str(resource.remove["moved_to"]))
    if not moved.exists():
        if home.exists():
            return Removal(False, f"{home} is in its place")
        raise NotRemoved(resource, f"neither {home} nor {moved} exists.", [f"ls -ld {home.parent} {moved.parent}"])
    if home.exists():
        raise NotRemoved(
            resource,
            f"both {home} and {moved} exist.",
            [f"compare them, then mv {moved} {home} or rm -r -- {moved}"],
        )
    moved.rename(home)
    return Removal(True, f"{home} is back in its place, {moved} does not exist any more")


def process(resource: Resource, tools: Tools) -> Removal:
    """Processes that carry the drill's id in their environment, C(CHURNGUARD_DRILL); C(id) is only their name.

    C(remove.environment) may hold another value to look for, where one drill starts several kinds of processes.
    """
    wanted = str(resource.remove.get("environment") or tools.drill_id)
    found = processes.marked(wanted)
    if not found:
        return Removal(False, f"no process has {processes.MARKER}={wanted}")
    _end(resource, found, lambda: processes.marked(wanted), signal.SIGTERM, tools)
    return Removal(True, f"no process has {processes.MARKER}={wanted} any more")


def mount(resource: Resource, tools: Tools) -> Removal:
    """A file system that was mounted at C(id)."""
    if not os.path.ismount(resource.id):
        return Removal(False, f"nothing is mounted at {resource.id}")
    done = subprocess.run(["umount", resource.id], capture_output=True, text=True, timeout=30, check=False)
    if done.returncode or os.path.ismount(resource.id):
        raise NotRemoved(resource, f"{done.stderr.strip()}.", [f"umount {resource.id}"])
    return Removal(True, f"nothing is mounted at {resource.id} any more")


def postgresql(resource: Resource, tools: Tools) -> Removal:
    """A server started on the data directory C(id), on port C(remove.port) of loopback: ended at once (nobody needs its
    data), children included. Whether the folder goes, too, is a resource of its own."""
    folder, port = Path(resource.id), resource.remove.get("port")
    found = processes.using(folder)
    if found:
        # SIGQUIT is PostgreSQL's immediate shutdown; what is left after it is killed.
        _end(resource, found, lambda: processes.using(folder), signal.SIGQUIT, tools)
    if port and found and _listening(int(port)):
        raise NotRemoved(
            resource, f"port {port} still answers although no process works in {folder}.", [f"ss -ltnp sport = :{port}"]
        )
    proof = f"no process works in {folder}" + (f", nobody listens on port {port}" if port and found else "")
    return Removal(bool(found), proof)


def _end(resource: Resource, found, again, first: signal.Signals, tools: Tools) -> None:
    """Ask, wait, kill, wait. C(again) looks anew, because servers have children. Raises NotRemoved for what is left."""
    for number, seconds in ((first, _STOP_S), (signal.SIGKILL, 5.0)):
        for item in found:
            item.signal(number)

        def look() -> Finding:
            left = again()
            return Finding(PENDING if left else DONE, f"{len(left)} processes are still there")

        wait_until(look, tools.clock, seconds, 0.1)
        found = again()
        if not found:
            return
    raise NotRemoved(
        resource,
        "these processes do not end: " + "; ".join(item.words() for item in found),
        [f"kill -9 {' '.join(str(item.pid) for item in found)}"],
    )


def _listening(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((_LOOPBACK, port)) == 0
