# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting with a deadline and a defined outcome. Internal: may change in any release."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .clock import Clock

DONE = "done"
FAILED = "failed"
PENDING = "pending"


@dataclass(frozen=True)
class Finding:
    """What one look at the world says: C(state) is done, failed (waiting longer cannot help) or pending."""

    state: str
    detail: str

    @property
    def done(self) -> bool:
        return self.state == DONE

    @property
    def failed(self) -> bool:
        return self.state == FAILED


def wait_until(
    look: Callable[[], Finding],
    clock: Clock,
    timeout: float,
    interval: float = 1.0,
    on_pending: Callable[[Finding, float], None] | None = None,
) -> tuple[Finding, float]:
    """Look every C(interval) seconds until the finding is done or failed, or C(timeout) seconds have passed.

    Returns the last finding and the seconds waited; a finding that is still pending then means a time-out.
    There is always at least one look. C(on_pending) is called after each pending look with the finding and
    the seconds so far: it renews locks and tells the user.
    """
    begin = clock.monotonic()
    while True:
        finding = look()
        waited = clock.monotonic() - begin
        if finding.state != PENDING or waited >= timeout:
            return finding, waited
        if on_pending is not None:
            on_pending(finding, waited)
        clock.sleep(min(interval, max(timeout - waited, 0.01)))
