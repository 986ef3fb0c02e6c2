# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One record of a group's release, made of its services'. No I/O. Internal: may change in any release."""

from __future__ import annotations

from typing import Any

from .._common.clock import Clock
from .._common.envelope import Recorder

# What is the end, or the beginning, of one service is neither for the group: who listens would tell it too often.
_OF_ONE = {
    "planned": "service_planned",
    "completed": "service_completed",
    "rollback_started": "service_rollback_started",
    "rolled_back": "service_rolled_back",
    "locked": "service_locked",
}


class ServiceRecorder(Recorder):
    """Records for one service and passes everything on to the group's recorder, with the service's name."""

    def __init__(self, clock: Clock, group: Recorder, service: str) -> None:
        super().__init__(clock, "rollout")
        self._group = group
        self._service = service

    def event(self, event: str, detail: str, data: dict[str, Any] | None = None) -> None:
        super().event(event, detail, data)
        if event == "locked":
            return
        told = {**(data or {}), "service": self._service}
        # A share is one slot's of one service: nobody can read it as the group's.
        if "weights" in told:
            told["split"] = told.pop("weights")
        self._group.event(_OF_ONE.get(event, event), f"{self._service}: {detail}", told)

    def progress(self, detail: str, waited: float | None = None, limit: float | None = None) -> None:
        self._group.progress(f"{self._service}: {detail}", waited, limit)

    def measure(
        self, name: str, value: float | None, unit: str, limit: float | None = None, verdict: str = "", reason: str = ""
    ) -> None:
        self._group.measure(f"{self._service}.{name}", value, unit, limit, verdict, reason)

    def hand_over(self) -> None:
        """Give the group the evidence gathered since the last time."""
        self._group.evidence += [{**item, "service": self._service} for item in self.evidence]
        self.evidence.clear()
