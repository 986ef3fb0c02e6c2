# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Time as a dependency. Nothing in this collection sleeps or reads a clock except through this class, so that
tests run hours of waiting in no time. Internal: may change in any release."""

from __future__ import annotations

import time
from datetime import datetime, timezone


class Clock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """Wall clock, in UTC. For records only: durations come from :meth:`monotonic`."""
        return datetime.now(timezone.utc)

    def monotonic(self) -> float:
        """Seconds from an arbitrary start; never goes back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait for C(seconds)."""
        time.sleep(seconds)


def isoformat(moment: datetime) -> str:
    """C(moment) (aware) as ISO 8601 in UTC with milliseconds, for example 2026-11-21T19:33:00.123Z."""
    return moment.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_time(text: str) -> datetime:
    """The inverse of :func:`isoformat`; also reads Kubernetes' Time and MicroTime. Raises ValueError."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
