# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that the rollout modules share. Internal: may change in any release."""

from __future__ import annotations

from typing import Any

from .._common.errors import OperationError
from .model import Target


def target_argument_spec() -> dict[str, dict[str, Any]]:
    """Argument spec of the documentation fragment churnguard.ops.rollout."""
    router = {
        "kind": {"type": "str", "choices": ["HTTPRoute", "Service"], "default": "HTTPRoute"},
        "name": {"type": "str"},
    }
    return {
        "name": {"type": "str", "required": True},
        "namespace": {"type": "str", "required": True},
        "slots": {"type": "list", "elements": "str", "default": ["blue", "green"]},
        "router": {"type": "dict", "options": router},
    }


def target_of(params: dict[str, Any]) -> Target:
    """The target that a module's parameters name. Raises OperationError unless there are two different slots."""
    slots = params["slots"]
    if len(slots) != 2 or slots[0] == slots[1]:
        raise OperationError(
            f"use slots {slots}", "a rollout needs two different slots.", "give two names, such as [blue, green]."
        )
    router = params["router"] or {}
    return Target(
        name=params["name"],
        namespace=params["namespace"],
        slots=(slots[0], slots[1]),
        router_kind=router.get("kind") or "HTTPRoute",
        router_name=router.get("name") or params["name"],
    )
