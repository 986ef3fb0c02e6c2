"""Processes of containers: start, recognise after a restart of the agent, signal, end."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

BOOT_ID_FILE = Path("/proc/sys/kernel/random/boot_id")
#: What is reported for a run whose end nobody could see; the kubelet uses the same pair.
UNKNOWN_EXIT_CODE, UNKNOWN_REASON = 137, "ContainerStatusUnknown"


class StartError(Exception):
    """A container's command cannot be started; the message is the system's."""


@dataclasses.dataclass(frozen=True)
class Identity:
    """Which process: a process id alone may be given to another one later."""

    pid: int
    started: int
    boot: str


@dataclasses.dataclass
class Running:
    """A container's main process, the leader of its own session and process group.

    `child` is None for a process that an earlier agent started: its exit can be seen, its exit code cannot.
    `watch` is a pidfd, readable from the process's end on.
    """

    identity: Identity
    watch: int
    child: subprocess.Popen[bytes] | None = None

    def exit_code(self) -> int | None:
        """The exit code (128 + signal number for a signal) or None while it runs."""
        if self.child is None:
            return None if is_alive(self.identity) else UNKNOWN_EXIT_CODE
        code = self.child.poll()
        if code is None:
            return None
        return 128 - code if code < 0 else code

    def close(self) -> None:
        """Give the pidfd back."""
        with contextlib.suppress(OSError):
            os.close(self.watch)


def start(arguments: Sequence[str], environment: Mapping[str, str], folder: Path, log: Path) -> Running:
    """Start a container's command in `folder`, with stdout and stderr appended to `log`. Raises StartError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "ab") as output:
            child = subprocess.Popen(
                list(arguments),
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise StartError(f'cannot start "{arguments[0] if arguments else ""}": {reason}') from error
    identity = Identity(child.pid, start_ticks(child.pid) or 0, boot_id())
    return Running(identity, os.pidfd_open(child.pid), child)


def adopt(identity: Identity) -> Running | None:
    """Take over a process that an earlier agent started; None when it has ended."""
    try:
        watch = os.pidfd_open(identity.pid)
    except OSError:
        return None
    # The check follows the open: from here on the pidfd stands for the very process that was checked.
    if not is_alive(identity):
        os.close(watch)
        return None
    return Running(identity, watch)


def is_alive(identity: Identity) -> bool:
    """Whether that very process still runs; one that has ended and waits to be reaped does not."""
    return identity.boot == boot_id() and start_ticks(identity.pid) == identity.started


def start_ticks(pid: int) -> int | None:
    """Clock ticks from boot to the process's start; None when it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, UnicodeDecodeError):
        return None
    return None if fields[0] in ("Z", "X") else int(fields[19])


def boot_id() -> str:
    """Which boot of the machine this is."""
    return BOOT_ID_FILE.read_text().strip()


def signal_group(pid: int, number: int) -> None:
    """Send a signal to a container's whole process group; one that is gone is no error."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, number)


def marked(name: str, value: str) -> list[int]:
    """The processes that were started with this environment variable, this one left out."""
    pids = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return [pid for pid in pids if pid != os.getpid() and variable(pid, name) == value]


def variable(pid: int, name: str) -> str | None:
    """An environment variable that a process was started with; None without it, or when it has ended."""
    try:
        content = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return None
    prefix = f"{name}=".encode()
    for entry in content.split(b"\0"):
        if entry.startswith(prefix):
            return entry[len(prefix) :].decode(errors="replace")
    return None


def end(pids: Sequence[int], grace: float) -> list[int]:
    """SIGTERM, then SIGKILL after `grace` seconds; the processes that had to be killed. Waits at most grace + 2 s."""
    for pid in pids:
        _send(pid, signal.SIGTERM)
    left = _wait_gone(pids, grace)
    for pid in left:
        _send(pid, signal.SIGKILL)
    _wait_gone(left, 2.0)
    return left


def _wait_gone(pids: Sequence[int], seconds: float) -> list[int]:
    deadline = time.monotonic() + seconds
    left = [pid for pid in pids if start_ticks(pid) is not None]
    while left and time.monotonic() < deadline:
        time.sleep(0.05)
        left = [pid for pid in left if start_ticks(pid) is not None]
    return left


def _send(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
