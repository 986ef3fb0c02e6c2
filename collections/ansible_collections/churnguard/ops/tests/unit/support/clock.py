# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Time that passes only when somebody sleeps."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import Clock

START = datetime(2026, 11, 21, 19, 0, 0, tzinfo=UTC)


class FakeClock(Clock):
    """Starts at C(START); a sleep takes no real time."""

    def __init__(self) -> None:
        self.elapsed = 0.0
        self._planned: list[tuple[float, Callable[[], None]]] = []

    def after(self, seconds: float, happens: Callable[[], None]) -> None:
        """Let something happen in the world once C(seconds) have passed."""
        self._planned.append((self.elapsed + seconds, happens))

    def now(self) -> datetime:
        return START + timedelta(seconds=self.elapsed)

    def monotonic(self) -> float:
        return 1000.0 + self.elapsed

    def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            raise ValueError(f"a wait of {seconds} s would never end")
        self.elapsed += seconds
        due = [happens for moment, happens in self._planned if moment <= self.elapsed]
        self._planned = [(moment, happens) for moment, happens in self._planned if moment > self.elapsed]
        for happens in due:
            happens()
