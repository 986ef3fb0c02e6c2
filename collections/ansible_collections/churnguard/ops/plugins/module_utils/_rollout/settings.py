# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How patient a rollout is and what it checks. No I/O. Internal: may change in any release."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .probe import Endpoint


@dataclass(frozen=True)
class Settings:
    """Times are seconds. Without an C(endpoint) the data plane is not probed and the envelope says so.

    C(interval) is how often a wait looks at the cluster, C(analysis_interval) how often a sample is judged, C(max_hold)
    how long a rollout may be frozen by samples that are not good, C(pause_timeout) how long it may be paused.
    """

    endpoint: Endpoint | None = None
    smoke_tests: list[dict[str, Any]] = field(default_factory=list)
    ready_timeout: float = 600.0
    confirm_timeout: float = 60.0
    confirm_requests: int = 20
    share_requests: int = 200
    drain_quiet: float = 10.0
    drain_timeout: float = 120.0
    prometheus_url: str = ""
    interval: float = 1.0
    analysis_interval: float = 30.0
    max_hold: float = 600.0
    pause_timeout: float = 3600.0
    probe_path: str = "/"
    probe_requests: int = 20
    on_drift: str = "halt"
