# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A command that runs beside a drill. Internal: may change in any release."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .._common.errors import OperationError
from .processes import MARKER


class Load:
    """The user's load generator: started before the fault and ended (SIGTERM, then SIGKILL) after the verification."""

    def __init__(self, command: Sequence[str], drill_id: str, log: Path) -> None:
        self._command, self._drill_id, self._log = list(command), drill_id, log
        self._process: Any = None

    def start(self) -> None:
        """Raises OperationError when it cannot be started."""
        try:
            with open(os.open(self._log, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as log:
                self._process = subprocess.Popen(
                    self._command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env={**os.environ, MARKER: self._drill_id},
                )
        except OSError as error:
            raise OperationError(f"start {self._command[0]}", f"{error}.", "correct load_command.") from error

    def stop(self) -> None:
        """May be called again."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
