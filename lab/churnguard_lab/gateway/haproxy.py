"""The HAProxy process and its runtime API: the edge towards the data plane.

HAProxy runs in master-worker mode and in a session of its own, so that it outlives a controller that is killed; the
next controller finds it by its master socket. That socket is bound and reached by a short relative name, since a
socket's address holds about a hundred characters and the state folder's path may be longer.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

from churnguard_lab.gateway.render import MAP_FILE, Rendered
from churnguard_lab.gateway.runtime import (
    Actual,
    Process,
    RuntimeAnswerError,
    parse_map,
    parse_processes,
    parse_servers,
    parse_structure,
)
from churnguard_lab.settings import MARKER_ENVIRONMENT

CONFIG_FILE = "haproxy.cfg"
_SOCKET = "master.sock"
_PID_FILE = "haproxy.pid"
_COMMAND_TIMEOUT_S = 5.0
_START_TIMEOUT_S = 15.0
_STOP_TIMEOUT_S = 10.0
#: HAProxy reads a line of at most 16 KiB.
_COMMANDS_PER_LINE = 80


class HAProxyError(Exception):
    """HAProxy could not be started, reloaded, asked or told; the message says what was tried and what came back."""


class HAProxy:
    """One HAProxy in `directory` (its configuration and map live there), logging to `log_file`."""

    def __init__(self, directory: Path, log_file: Path, state_dir: Path, binary: str = "/usr/sbin/haproxy") -> None:
        self._directory = directory
        self._log_file = log_file
        self._state_dir = state_dir
        self._binary = binary
        self._child: subprocess.Popen[bytes] | None = None

    # -- process -----------------------------------------------------------------------------------------------------

    def processes(self) -> list[Process]:
        """The running master and workers; empty when HAProxy does not run. Raises HAProxyError when it hangs."""
        if self._child is not None and self._child.poll() is not None:
            self._child = None  # reaped
        try:
            return parse_processes(self._ask("show proc"))
        except ConnectionRefusedError:
            return []
        except RuntimeAnswerError as error:
            raise HAProxyError(str(error)) from error

    def _has_master(self) -> bool:
        """Whether the process in the pid file is our master (and no other that got its number)."""
        try:
            pid = self._master_from_file()
            return Path(f"/proc/{pid}/cwd").samefile(self._directory) and _is_running(pid)
        except (OSError, ValueError):
            return False

    def _master_from_file(self) -> int:
        return int((self._directory / _PID_FILE).read_text(encoding="utf-8"))

    def start(self, structure: str | None) -> None:
        """Start HAProxy on the written configuration; returns when its worker runs `structure` (None: any)."""
        environment = {**os.environ, MARKER_ENVIRONMENT: str(self._state_dir)}
        command = [self._binary, "-W", "-S", f"unix@{_SOCKET},mode,600", "-p", _PID_FILE, "-f", CONFIG_FILE]
        self._log_file.parent.mkdir(parents=True, exist_ok=True)
        with open(self._log_file, "ab") as log:
            try:
                self._child = subprocess.Popen(
                    command,
                    cwd=self._directory,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            except OSError as error:
                raise HAProxyError(
                    f"cannot start {self._binary}: {error.strerror}; is the package haproxy installed?"
                ) from error
        self._await_structure(structure, "start")

    def reload(self, structure: str) -> None:
        """Have the master replace its worker; returns when the new one runs `structure`. Listening sockets and
        requests in flight stay: the old worker finishes what it has."""
        os.kill(self._master(), signal.SIGUSR2)
        self._await_structure(structure, "reload")

    def stop(self) -> None:
        """End HAProxy, its workers included; does nothing when it does not run."""
        try:
            pids = [process.pid for process in self.processes()]  # the master comes first
        except HAProxyError:
            # It runs but does not answer: without their master the workers end too.
            pids = [self._master_from_file()] if self._has_master() else []
        if not pids:
            return
        os.kill(pids[0], signal.SIGTERM)
        deadline = time.monotonic() + _STOP_TIMEOUT_S
        while any(_is_running(pid) for pid in pids):
            if self._child is not None:
                self._child.poll()
            if time.monotonic() > deadline:
                for pid in pids:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)
        self._child = None

    def _master(self) -> int:
        for process in self.processes():
            if process.kind == "master":
                return process.pid
        raise HAProxyError("HAProxy does not run")

    def _await_structure(self, structure: str | None, action: str) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_S
        problem = "no answer"
        while time.monotonic() < deadline:
            if self._child is not None and self._child.poll() is not None:
                raise HAProxyError(
                    f"HAProxy ended with status {self._child.returncode} at {action}; end of {self._log_file}:\n"
                    + _tail(self._log_file)
                )
            try:
                workers = self.workers()
                found = self.actual(workers[0]).structure if workers else "no worker"
                if workers and structure in (None, found):
                    return
                problem = f"found {found!r}"
            except (HAProxyError, OSError) as error:
                problem = str(error)
            time.sleep(0.05)
        raise HAProxyError(
            f"HAProxy did not take structure {structure or '(any)'} within {_START_TIMEOUT_S:.0f} s of {action} "
            f"({problem}); end of {self._log_file}:\n{_tail(self._log_file)}"
        )

    # -- files -------------------------------------------------------------------------------------------------------

    def check(self, rendered: Rendered) -> None:
        """Have HAProxy check configuration and map together. Raises HAProxyError with its complaint."""
        candidate = self._directory / "candidate"
        _write(candidate, rendered)
        try:
            done = subprocess.run(
                [self._binary, "-c", "-f", CONFIG_FILE],
                cwd=candidate,
                capture_output=True,
                text=True,
                timeout=_START_TIMEOUT_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise HAProxyError(f"cannot check a configuration with {self._binary}: {error}") from error
        if done.returncode:
            raise HAProxyError(f"HAProxy refuses {candidate / CONFIG_FILE}:\n{done.stderr.strip()}")

    def write(self, rendered: Rendered) -> None:
        """Write configuration and map, each atomically, so that whatever starts next finds the newest state."""
        _write(self._directory, rendered)

    # -- runtime API -------------------------------------------------------------------------------------------------

    def workers(self) -> list[int]:
        """Process ids of the workers, the current one first, then those that are leaving after a reload."""
        workers = [process for process in self.processes() if process.kind == "worker"]
        return [process.pid for process in sorted(workers, key=lambda process: process.is_leaving)]

    def actual(self, worker: int) -> Actual:
        """What one worker does now."""
        return Actual(
            structure=parse_structure(self._tell(worker, "show info")),
            entries=parse_map(self._tell(worker, f"show map {MAP_FILE}")),
            servers=parse_servers(self._tell(worker, "show servers state")),
        )

    def apply(self, worker: int, commands: Iterable[str]) -> None:
        """Run commands in order on one worker. Their effect is read back by the caller, not believed."""
        pending = list(commands)
        for start in range(0, len(pending), _COMMANDS_PER_LINE):
            batch = pending[start : start + _COMMANDS_PER_LINE]
            self._ask(";".join(f"@!{worker} {command}" for command in batch))

    def _tell(self, worker: int, command: str) -> str:
        return self._ask(f"@!{worker} {command}")

    def _ask(self, line: str) -> str:
        """The master's answer. Raises ConnectionRefusedError when HAProxy does not run, HAProxyError otherwise."""
        deadline = time.monotonic() + _COMMAND_TIMEOUT_S
        while True:
            try:
                return self._ask_once(line)
            except (ConnectionRefusedError, FileNotFoundError) as error:
                # While it reloads, the master lives without a socket.
                if not self._has_master():
                    raise ConnectionRefusedError(str(error)) from error
                if time.monotonic() > deadline:
                    raise HAProxyError(
                        f"HAProxy's master runs, but its socket has refused for long: {error}"
                    ) from error
                time.sleep(0.02)
            except OSError as error:
                raise HAProxyError(f"HAProxy's runtime API did not answer {line[:80]!r}: {error}") from error

    def _ask_once(self, line: str) -> str:
        folder = os.open(self._directory, os.O_PATH | os.O_DIRECTORY)
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(_COMMAND_TIMEOUT_S)
                connection.connect(f"/proc/self/fd/{folder}/{_SOCKET}")
                connection.sendall(line.encode() + b"\n")
                connection.shutdown(socket.SHUT_WR)
                return b"".join(iter(lambda: connection.recv(65536), b"")).decode()
        finally:
            os.close(folder)


def _write(directory: Path, rendered: Rendered) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in ((MAP_FILE, rendered.entries), (CONFIG_FILE, rendered.config)):
        partial = directory / f"{name}.part"
        partial.write_text(text, encoding="utf-8")
        partial.replace(directory / name)


def _is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return False
    return state != "Z"


def _tail(path: Path, lines: int = 8) -> str:
    try:
        return "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
    except OSError as error:
        return f"(cannot be read: {error.strerror})"
