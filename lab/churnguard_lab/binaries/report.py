"""Progress for steps that take minutes: lines with the elapsed time, and a sign of life while nothing else happens."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from churnguard_lab.binaries.catalogue import BinariesError

HEARTBEAT_S = 5.0
KEPT_LINES = 25


class Report:
    """Writes "[  12 s] text" lines, counted from its creation."""

    def __init__(self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream if stream is not None else sys.stderr
        self._clock = clock
        self._started = clock()
        self._last = float("-inf")

    def say(self, text: str) -> None:
        """Write a line now."""
        self._last = self._clock()
        print(f"[{self._last - self._started:4.0f} s] {text}", file=self._stream, flush=True)

    def pulse(self, text: str) -> None:
        """Write a line unless one was written in the last HEARTBEAT_S seconds."""
        if self._clock() - self._last >= HEARTBEAT_S:
            self.say(text)


def run(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    folder: Path,
    deadline_s: float,
    on_line: Callable[[str], None],
    on_tick: Callable[[], None],
) -> str:
    """Run a command to its end; returns its standard output.

    `on_line` gets each line of its standard error, `on_tick` is called about once a second. Raises BinariesError
    with the last lines when it fails or takes longer than `deadline_s`; the command does not outlive this call.
    """
    try:
        # A group of its own: what the command started ends with it.
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=dict(environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        raise BinariesError(f"cannot run {command[0]}: {error.strerror}") from error
    lines: queue.Queue[str] = queue.Queue()
    output: list[str] = []
    readers = [
        threading.Thread(target=lambda: [lines.put(line.rstrip("\n")) for line in process.stderr], daemon=True),
        threading.Thread(target=lambda: output.extend(process.stdout), daemon=True),
    ]
    for reader in readers:
        reader.start()
    last: deque[str] = deque(maxlen=KEPT_LINES)
    give_up = time.monotonic() + deadline_s
    try:
        while process.poll() is None or readers[0].is_alive() or not lines.empty():
            if time.monotonic() > give_up:
                raise BinariesError(_failure(command, f"did not end within {deadline_s:.0f} s", last))
            on_tick()
            try:
                line = lines.get(timeout=1)
            except queue.Empty:
                continue
            last.append(line)
            on_line(line)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    readers[1].join(timeout=5)
    if process.returncode:
        raise BinariesError(_failure(command, f"ended with {process.returncode}", last))
    return "".join(output)


def _failure(command: Sequence[str], what: str, last: Sequence[str]) -> str:
    return "\n".join([f"{' '.join(command)} {what}. Its last lines:", *(f"  {line}" for line in last)])
