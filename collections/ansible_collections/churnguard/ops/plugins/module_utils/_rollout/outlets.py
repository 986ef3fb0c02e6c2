# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everyone outside whom a run tells what it does. Internal: may change in any release."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._common.clock import Clock
from .._common.envelope import Recorder
from . import exposition, notify


def argument_spec() -> dict[str, dict[str, Any]]:
    """Argument spec of the documentation fragments churnguard.ops.notifications and churnguard.ops.metrics_export."""
    return {"notifications": notify.options(), "metrics_export": exposition.options()}


class Outlets:
    """Notifications and metrics, as far as the parameters ask for them; nothing in check mode.

    Raises OperationError for an option that cannot work, before anything is told.
    """

    def __init__(self, params: Mapping[str, Any], recorder: Recorder, clock: Clock, check_mode: bool = False) -> None:
        self._notifier = self._exporter = None
        if not check_mode:
            self._exporter = exposition.start(params.get("metrics_export"), recorder, clock)
            self._notifier = notify.start(params.get("notifications"), recorder)

    def finish(self, verdict: str) -> None:
        """The run is over with C(verdict). Call it once, before the envelope is made: it records how the telling
        went."""
        if self._exporter is not None:
            self._exporter.finish(verdict)
        if self._notifier is not None:
            self._notifier.finish()
