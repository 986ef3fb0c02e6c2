# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the module churnguard.ops.rollout and shows what it does while it does it."""

from __future__ import annotations

import json
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

display = Display()

_POLL_SECONDS = 0.5
# A wait says the same thing every second; a person wants to hear it less often.
_REPEAT_SECONDS = 5.0


class Narrator:
    """Turns the module's progress lines into lines for a terminal: every event, and a wait's state whenever it
    changes, else every few seconds."""

    def __init__(self, subject: str) -> None:
        self._subject = subject
        self._last = ""
        self._said = 0.0

    def lines(self, raw: str, now: float) -> Iterator[str]:
        """What to print for one JSON line read at C(now) (seconds)."""
        entry = json.loads(raw)
        clock, detail = entry["at"][11:19], entry["detail"]
        if entry["event"] != "progress":
            self._last = ""
            yield f"{clock}  {self._subject}  {entry['event']:<16} {detail}"
        elif detail != self._last and now - self._said >= 1.0 or now - self._said >= _REPEAT_SECONDS:
            self._last, self._said = detail, now
            far = f" ({entry['waited_s']:.0f} of {entry['limit_s']:.0f} s)" if "waited_s" in entry else ""
            yield f"{clock}  {self._subject}  {'':<16} {detail}{far}"


class Tail(threading.Thread):
    """Follows the progress file until told that the module has ended."""

    def __init__(self, path: str, narrator: Narrator) -> None:
        super().__init__(daemon=True)
        self._path = Path(path)
        self._narrator = narrator
        self._ended = threading.Event()

    def run(self) -> None:
        with self._path.open(encoding="utf-8") as stream:
            rest = ""
            while True:
                ended = self._ended.wait(_POLL_SECONDS)
                *complete, rest = (rest + stream.read()).split("\n")
                for raw in complete:
                    for line in self._narrator.lines(raw, time.monotonic()):
                        display.display(line)
                if ended:
                    return

    def end(self) -> None:
        self._ended.set()
        self.join()


class ActionModule(ActionBase):
    """The module does the work; this shows progress, live where the module runs on this machine."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        if arguments.get("progress_file") or self._play_context.check_mode or not self._is_local():
            return self._execute_module(module_args=arguments, task_vars=task_vars)
        handle, path = tempfile.mkstemp(prefix="churnguard-rollout-")
        os.close(handle)
        tail = Tail(path, Narrator(f"{arguments.get('name', '')} {arguments.get('version') or ''}".strip()))
        tail.start()
        try:
            return self._execute_module(module_args={**arguments, "progress_file": path}, task_vars=task_vars)
        finally:
            tail.end()
            Path(path).unlink()

    def _is_local(self) -> bool:
        return self._connection.transport == "local"
