# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A link that can be stalled: a proxy process that a drill starts. Internal: may change in any release.

The proxy is the user's program: it gets C(--target host:port) and C(--lifetime seconds), prints a JSON line with
C(listening), the port it takes connections on, and obeys the lines C(stall) and C(pass) on its standard input. It ends
with its input, and so with the drill. The lab's is C(churnguard_lab.stall).
"""

from __future__ import annotations

import json
import os
import select
import subprocess
from collections.abc import Sequence
from typing import Any

from .._common.errors import OperationError
from .processes import MARKER

_ANSWER_S = 15.0


class Link:
    """One proxy process; C(port) is where it listens on loopback."""

    def __init__(self, command: Sequence[str], target: str, lifetime_s: float, drill_id: str) -> None:
        self._command = [*command, "--target", target, "--lifetime", f"{lifetime_s:.0f}"]
        self._drill_id = drill_id
        self._process: Any = None
        self.port = 0

    def start(self) -> None:
        """Start the proxy. Raises OperationError when it does not listen."""
        try:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, MARKER: self._drill_id},
                bufsize=0,
            )
        except OSError as error:
            raise self._error("start", f"{error}.") from error
        self.port = int(self._answer("listening"))

    def stall(self) -> None:
        """Pass nothing on from now on. Raises OperationError when the proxy does not confirm it."""
        self._order("stall", "stalled")

    def resume(self) -> None:
        """Pass everything on again. Raises OperationError when the proxy does not confirm it."""
        self._order("pass", "passing")

    def stop(self) -> None:
        """End it, by the end of its input; killed when it does not. May be called again."""
        if self._process is None:
            return
        self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._process = None

    def _order(self, command: str, state: str) -> None:
        try:
            self._process.stdin.write(command.encode() + b"\n")
        except OSError as error:
            raise self._error(command, "it has ended.") from error
        if self._answer("state") != state:
            raise self._error(command, f"it does not say {state}.")

    def _answer(self, key: str) -> Any:
        ready = select.select([self._process.stdout], [], [], _ANSWER_S)[0]
        line = self._process.stdout.readline() if ready else b""
        try:
            return json.loads(line)[key]
        except (ValueError, KeyError, TypeError) as error:
            said = line.decode(errors="replace").strip() or f"nothing within {_ANSWER_S:.0f} s"
            raise self._error("understand", f"it said: {said}.") from error

    def _error(self, act: str, answer: str) -> OperationError:
        return OperationError(f"{act} the proxy {' '.join(self._command)}", answer, "run it by hand and look.")
