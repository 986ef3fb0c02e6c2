# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a module's parameters to an engine that can run. Internal: may change in any release."""

from __future__ import annotations

from typing import Any

from .._common.clock import Clock
from .._common.envelope import Recorder
from .._kubernetes.connection import Connection
from .analysis import Analysis
from .api import RolloutApi
from .engine import Engine
from .lock import Lock
from .model import Target
from .probe import Endpoint
from .settings import Settings
from .steps import Steps


def data_plane_argument_spec() -> dict[str, dict[str, Any]]:
    """Argument spec of the documentation fragment churnguard.ops.data_plane."""
    endpoint = {
        "url": {"type": "str", "required": True},
        "headers": {"type": "dict", "default": {}},
        "slot_header": {"type": "str", "default": "x-churnguard-slot"},
        "slot_url": {"type": "str"},
        "version_header": {"type": "str", "default": "X-ChurnGuard-Version"},
        "slot_reply_header": {"type": "str", "default": "X-ChurnGuard-Slot"},
        "path": {"type": "str", "default": "/health"},
        "timeout": {"type": "float", "default": 5},
        "validate_certs": {"type": "bool", "default": True},
    }
    drain = {
        "quiet_period": {"type": "int", "default": 10},
        "timeout": {"type": "int", "default": 120},
        "prometheus_url": {"type": "str"},
    }
    return {
        "endpoint": {"type": "dict", "options": endpoint},
        "ready_timeout": {"type": "int", "default": 600},
        "confirm_timeout": {"type": "int", "default": 60},
        "confirm_requests": {"type": "int", "default": 20},
        "drain": {"type": "dict", "options": drain},
        "lease_duration": {"type": "int", "default": 60},
        "api_patience": {"type": "int", "default": 60},
    }


def data_plane_settings(params: dict[str, Any]) -> dict[str, Any]:
    """Those members of Settings that data_plane_argument_spec gives."""
    drain = params["drain"] or {}
    return {
        "endpoint": Endpoint(**params["endpoint"]) if params["endpoint"] else None,
        "ready_timeout": params["ready_timeout"],
        "confirm_timeout": params["confirm_timeout"],
        "confirm_requests": params["confirm_requests"],
        "drain_quiet": drain.get("quiet_period", 10),
        "drain_timeout": drain.get("timeout", 120),
        "prometheus_url": drain.get("prometheus_url") or "",
    }


def build_engine(
    connection: Connection,
    target: Target,
    settings: Settings,
    lease_duration: int,
    clock: Clock,
    recorder: Recorder,
    analysis: Analysis | None = None,
    lock: Lock | None = None,
) -> Engine:
    """An engine for C(target) with a lock of its own, not yet taken, unless one is given."""
    api = RolloutApi(connection, target)
    lock = lock or Lock(api, target, clock, lease_duration)
    steps = Steps(api, lock, clock, recorder, target, settings, analysis)
    return Engine(api, lock, steps, clock, recorder, target)
