# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a long module and shows what it does while it does it. Internal: may change in any release."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from .narrator import BAD, CARE, FAINT, GOOD, Line, Narrator, read
from .table import closing

display = Display()

_POLL_SECONDS = 0.5
# The words of Ansible's own settings, so that COLOR_OK and the like hold here, too.
_COLOURS = {GOOD: "COLOR_OK", BAD: "COLOR_ERROR", CARE: "COLOR_CHANGED", FAINT: "COLOR_DEBUG"}


def show(lines: Iterable[Line]) -> None:
    """Print lines as Ansible prints its own: coloured where it colours, plain where it does not."""
    for line in lines:
        name = _COLOURS.get(line.tone)
        display.display(line.text, color=getattr(constants, name, None) if name else None)


class Tail(threading.Thread):
    """Follows the progress file until told that the module has ended. C(timeline) are the events seen."""

    def __init__(self, path: str, narrator: Narrator, out: Callable[[Iterable[Line]], None] = show) -> None:
        super().__init__(daemon=True)
        self.timeline: list[dict[str, Any]] = []
        self._path = Path(path)
        self._narrator = narrator
        self._out = out
        self._ended = threading.Event()

    def run(self) -> None:
        with self._path.open(encoding="utf-8", errors="replace") as stream:
            rest = ""
            while True:
                ended = self._ended.wait(_POLL_SECONDS)
                *complete, rest = (rest + stream.read()).split("\n")
                for raw in complete:
                    self._show(raw)
                if ended:
                    return

    def end(self) -> None:
        """Show what is left, and return when it is shown."""
        self._ended.set()
        self.join()

    def _show(self, raw: str) -> None:
        entry = read(raw)
        if entry is None:
            return
        if entry["event"] != "progress":
            self.timeline.append(entry)
        self._out(self._narrator.lines(entry, time.monotonic()))


class LiveAction(ActionBase):
    """Live where the module runs on this machine; elsewhere the same lines once it has ended.

    A subclass names the module and says what its run is about.
    """

    MODULE = ""

    def subject(self, arguments: Mapping[str, Any]) -> str:
        """What stands on each line, from the task's arguments."""
        return str(arguments.get("name", ""))

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        if arguments.get("progress_file") or self._play_context.check_mode or self._task.async_val:
            return self._execute_module(module_args=arguments, task_vars=task_vars)
        subject = self.subject(arguments)
        if self._connection.transport != "local":
            return self._afterwards(arguments, task_vars, subject)
        handle, path = tempfile.mkstemp(prefix="churnguard-progress-")
        os.close(handle)
        tail = Tail(path, Narrator(subject))
        tail.start()
        try:
            result = self._execute_module(module_args={**arguments, "progress_file": path}, task_vars=task_vars)
        finally:
            tail.end()
            Path(path).unlink()
        show(closing(tail.timeline, subject, verdict_of(result)))
        return result

    def _afterwards(self, arguments: dict[str, Any], task_vars: dict[str, Any] | None, subject: str) -> dict[str, Any]:
        """On another machine the progress file is out of reach: say so, and show the events from the result."""
        where = getattr(self._play_context, "remote_addr", None) or "another machine"
        note = (
            f"{self.MODULE} runs on {where} over {self._connection.transport}: its events and samples are shown when "
            "it has ended; while it runs, use playbooks/status.yml. How its waits went is not shown."
        )
        show(Narrator(subject).note(note))
        result = self._execute_module(module_args=arguments, task_vars=task_vars)
        timeline = (result.get("envelope") or {}).get("timeline") or []
        narrator = Narrator(subject)
        for entry in timeline:
            show(narrator.lines(entry, 0.0))
        show(closing(timeline, subject, verdict_of(result)))
        return result


def verdict_of(result: Mapping[str, Any]) -> str:
    """The outcome that a module's result holds, in a word."""
    envelope = result.get("envelope")
    if isinstance(envelope, Mapping) and envelope.get("verdict"):
        return str(envelope["verdict"])
    return "failed" if result.get("failed") else "passed"
