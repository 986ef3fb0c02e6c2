"""Module runs as processes; see module_driver.py."""

from __future__ import annotations

import atexit
import functools
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

DRIVER = Path(__file__).with_name("module_driver.py")
PRELOADED = ("churnguard.ops.rollout", "churnguard.ops.rollout_info")


class ModuleProcess:
    """A module that runs as a process; it is used as a subprocess.Popen is. Its output is read at its end."""

    def __init__(self, module: str, arguments: dict[str, Any]) -> None:
        self.returncode: int | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="module-")
        self._output, self._errors = (Path(self._folder.name) / name for name in ("output", "errors"))
        self._connection = socket.socket(socket.AF_UNIX)
        self._connection.connect(_server())
        self._told = b""
        files = {"output": str(self._output), "errors": str(self._errors)}
        request = json.dumps({"module": module, "arguments": arguments, **files})
        self._connection.sendall(request.encode() + b"\n")
        self.pid = self._number(60)

    def poll(self) -> int | None:
        """The exit code, None while it runs."""
        try:
            return self.wait(0.001)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, negative after a signal. Raises subprocess.TimeoutExpired."""
        if self.returncode is None:
            try:
                self.returncode = self._number(timeout)
            except TimeoutError:
                raise subprocess.TimeoutExpired(f"module process {self.pid}", timeout or 0) from None
            self._connection.close()
        return self.returncode

    def _number(self, timeout: float | None) -> int:
        """The next line that the driver writes."""
        self._connection.settimeout(timeout)
        while b"\n" not in self._told:
            part = self._connection.recv(64)
            if not part:
                raise AssertionError("the driver of the modules has ended")
            self._told += part
        line, _newline, self._told = self._told.partition(b"\n")
        return int(line)

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Its standard output and standard error, after its end."""
        self.wait(timeout)
        return self._output.read_text(encoding="utf-8"), self._errors.read_text(encoding="utf-8")

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


@functools.cache
def _server() -> str:
    """The socket of this session's driver, which is started now and ends with the session."""
    folder = tempfile.mkdtemp(prefix="modules-")
    path = f"{folder}/socket"
    command = [sys.executable, str(DRIVER), path, *PRELOADED]
    driver = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def end() -> None:
        for pipe in (driver.stdin, driver.stdout):
            if pipe is not None:
                pipe.close()
        driver.wait(10)
        Path(path).unlink(missing_ok=True)
        Path(folder).rmdir()

    atexit.register(end)
    if driver.stdout is None or driver.stdout.readline() != "ready\n":
        raise AssertionError(f"the driver of the modules did not start: {' '.join(command)}")
    return path
