# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Time that passes only when somebody sleeps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import Clock

START = datetime(2026, 11, 21, 19, 0, 0, tzinfo=UTC)


class FakeClock(Clock):
    """Starts at C(START); a sleep takes no real time."""

    def __init__(self) -> None:
        self.elapsed = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.elapsed)

    def monotonic(self) -> float:
        return 1000.0 + self.elapsed

    def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            raise ValueError(f"a wait of {seconds} s would never end")
        self.elapsed += seconds
