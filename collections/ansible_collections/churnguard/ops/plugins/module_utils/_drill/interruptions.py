# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signals that end a drill, and still let it clean up. Internal: may change in any release."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Any

from .scenario import Interrupted

_NUMBERS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Interruptions:
    """As a context manager: the first signal raises Interrupted in the main thread, unless it is held back.

    After C(hold) signals are only noted (C(name)): an undo under way must not be cut short by impatience. kill -9
    cannot be held back; the journal is for that.
    """

    def __init__(self) -> None:
        self.name = ""
        self._held = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interruptions:
        for number in _NUMBERS:
            self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def hold(self) -> None:
        """From now on, only note signals."""
        self._held = True

    def _handle(self, number: int, frame: FrameType | None) -> None:
        first = not self.name
        self.name = self.name or signal.Signals(number).name
        if first and not self._held:
            self._held = True
            raise Interrupted(self.name)
