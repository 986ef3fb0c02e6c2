# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a rollout reads what people ask of it, and writes what became of that. Internal: may change in any release."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

from .._common.clock import Clock, isoformat
from .._common.envelope import Recorder
from . import control
from .api import RolloutApi
from .control import Request
from .model import Rollout


class StepAborted(Exception):
    """Somebody asked for the rollout to be taken back."""

    def __init__(self, request: Request) -> None:
        super().__init__(f"aborted by {request.by}" + (f": {request.reason}" if request.reason else ""))


class Desk:
    """Hands out requests that are not handled yet; looks at most every C(interval) seconds."""

    def __init__(self, api: RolloutApi, clock: Clock, recorder: Recorder, interval: float) -> None:
        self._api = api
        self._clock = clock
        self._recorder = recorder
        self._interval = interval
        self._looked: float | None = None

    def requests(self, rollout: Rollout) -> list[Request]:
        """Requests for C(rollout) that nobody has answered, oldest first."""
        now = self._clock.monotonic()
        if self._looked is not None and now - self._looked < self._interval:
            return []
        self._looked = now
        return control.pending(control.read(self._api.get_control()), rollout)

    def settle(self, rollout: Rollout, request: Request, effect: str) -> None:
        """Keep in the journal what became of C(request); the caller saves it."""
        sample = json.dumps(rollout.analysis, sort_keys=True)
        weight = next((s.args["weight"] for s in rollout.steps[rollout.cursor :: -1] if "weight" in s.args), None)
        rollout.audit.append(
            {
                "id": request.id,
                "command": request.command,
                "by": request.by,
                "at": request.at,
                "handled_at": isoformat(self._api.server_now()),
                "step": rollout.cursor + 1,
                "weight": weight,
                "reason": request.reason,
                "evidence": hashlib.sha256(sample.encode()).hexdigest(),
                "effect": effect,
            }
        )
        data = {"command": request.command, "by": request.by, "effect": effect}
        self._recorder.event("control", f"{request}: {effect}", data)

    def hear_abort(self, rollout: Rollout, too_late: bool, save: Callable[[], None]) -> None:
        """Raise StepAborted on a request to abort; C(too_late) once the old slot is on its way out."""
        for request in self.requests(rollout):
            if request.command != control.ABORT:
                continue
            if too_late:
                self.settle(rollout, request, "too late: the new version has proved itself; use playbooks/rollback.yml")
                save()
                continue
            self.settle(rollout, request, "taking back")
            raise StepAborted(request)
