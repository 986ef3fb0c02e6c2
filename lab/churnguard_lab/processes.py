"""Who holds a port, and which processes belong to a lab: read from the process table."""

from __future__ import annotations

import dataclasses
import errno
import os
import signal
import socket
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import psutil

from churnguard_lab.settings import LOOPBACK, MARKER_ENVIRONMENT

#: PostgreSQL takes SIGTERM as "wait until every client has left"; SIGINT ends it at once and in order.
STOP_SIGNALS = {"postgres": signal.SIGINT}


@dataclasses.dataclass(frozen=True)
class Conflict:
    """A port that a part of the lab needs and something else holds."""

    port: int
    name: str
    part: str
    holder: str

    def __str__(self) -> str:
        return f"port {self.port} ({self.name}, needed by {self.part}) is taken by {self.holder}"


def taken(port: int) -> bool:
    """Whether a listener on loopback could not take `port` now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return True
            raise
    return False


def listeners() -> dict[int, int | None]:
    """Listening TCP ports of this machine -> process id (None where this user may not see it)."""
    found: dict[int, int | None] = {}
    for connection in psutil.net_connections(kind="tcp"):
        if connection.status == psutil.CONN_LISTEN:
            found[connection.laddr.port] = found.get(connection.laddr.port) or connection.pid
    return found


def describe(pid: int | None) -> str:
    """A process in words: id, user and the start of its command line."""
    if pid is None:
        return "a process that this user may not see"
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            command = " ".join(process.cmdline()) or process.name()
            return f"process {pid} of {process.username()}: {command[:120]}"
    except psutil.Error:
        return f"process {pid}"


def marked(process: psutil.Process, state_dir: Path) -> bool:
    """Whether `process` was started by the lab of `state_dir`."""
    try:
        return process.environ().get(MARKER_ENVIRONMENT) == str(state_dir)
    except (psutil.Error, OSError):
        return False


def supervises(process: psutil.Process) -> bool:
    """Whether this is the lab's supervisor itself."""
    try:
        return "supervisor.supervisord" in process.cmdline()
    except psutil.Error:
        return False


def of_lab(state_dir: Path) -> list[psutil.Process]:
    """Every process of the lab of `state_dir`, except this one and those it runs under.

    A daemon that rewrites its title (PostgreSQL's workers, Redis) may have overwritten the environment the kernel
    shows; such a process counts when its parent does, or when it works in the lab's data folders.
    """
    spared = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found: dict[int, psutil.Process] = {}
    rest: list[psutil.Process] = []
    for process in psutil.process_iter():
        if process.pid not in spared:
            if marked(process, state_dir):
                found[process.pid] = process
            else:
                rest.append(process)
    for process in rest:
        if _parent(process) in found or _works_in_data(process, state_dir):
            found[process.pid] = process
    return list(found.values())


def conflicts(ports: Mapping[str, tuple[str, int]], own: Iterable[int]) -> list[Conflict]:
    """Ports that cannot be taken. `ports`: listener name -> (part, port); `own`: process ids that do not count."""
    blocked = {name: (part, port) for name, (part, port) in ports.items() if taken(port)}
    if not blocked:
        return []
    holders, spared = listeners(), set(own)
    return [
        Conflict(port, name, part, describe(holders.get(port)))
        for name, (part, port) in blocked.items()
        if holders.get(port) not in spared
    ]


def end(processes: list[psutil.Process], grace_s: float) -> list[str]:
    """Ask processes to stop, kill those left after `grace_s` seconds; returns them in words.

    Raises RuntimeError when one outlives even that.
    """
    names = [describe(process.pid) for process in processes]
    for process in processes:
        try:
            process.send_signal(STOP_SIGNALS.get(process.name(), signal.SIGTERM))
        except psutil.Error:
            continue  # it has ended meanwhile, or is named below
    _, alive = psutil.wait_procs(processes, timeout=grace_s)
    for process in alive:
        try:
            process.kill()
        except psutil.Error:
            continue
    _, alive = psutil.wait_procs(alive, timeout=5)
    alive = [process for process in alive if _runs(process)]
    if alive:
        raise RuntimeError("these processes do not end: " + "; ".join(describe(left.pid) for left in alive))
    return names


def end_all(state_dir: Path, grace_s: float = 10, deadline_s: float = 60) -> list[str]:
    """End every process of the lab of `state_dir`, also those started meanwhile; returns them in words."""
    ended: list[str] = []
    give_up = time.monotonic() + deadline_s
    while processes := [process for process in of_lab(state_dir) if _runs(process)]:
        if time.monotonic() > give_up:
            raise RuntimeError(
                f"processes of the lab keep coming back after {deadline_s:.0f} s: "
                + "; ".join(describe(process.pid) for process in processes)
            )
        ended += end(processes, grace_s)
    return ended


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _parent(process: psutil.Process) -> int | None:
    try:
        return process.ppid()
    except psutil.Error:
        return None


def _works_in_data(process: psutil.Process, state_dir: Path) -> bool:
    """Only the daemons that hide their environment: a person's shell in that folder is not the lab's."""
    try:
        if process.name() not in ("postgres", "redis-server"):
            return False
        return Path(process.cwd()).is_relative_to(state_dir.resolve()) or Path(process.cwd()).is_relative_to(
            (state_dir / "postgresql").resolve()
        )
    except (psutil.Error, OSError):
        return False
