# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Feature flags that belong to a rollout: one may open a gate, and some go off when it is taken back. Internal: may
change in any release."""

from __future__ import annotations

from typing import Any

from .._common.errors import OperationError
from .._flags.api import FlagsApi
from .._flags.gate import check_flags, gate_open, switch_off
from .api import RolloutApi
from .context import Context, StepHalted


def flags_api(api: RolloutApi, namespace: str, place: dict[str, Any]) -> FlagsApi:
    """The document of flags that C(place) names by config_map and key."""
    return FlagsApi(api.connection, namespace, place["config_map"], place["key"])


class FlagSteps:
    """Runs FLAGS_OFF, and answers for gates."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def check(self, flags: dict[str, Any], gates: list[str]) -> None:
        """Before anything starts: raises OperationError for a flag that does not exist."""
        if flags:
            check_flags(flags_api(self._context.api, self._context.target.namespace, flags), [*gates, *_off(flags)])

    def is_open(self, flag: str) -> tuple[bool, str]:
        """Whether the gate that C(flag) opens is open, and why. Flags that cannot be read keep it closed."""
        try:
            document = self._api().read().document
        except OperationError as error:
            return False, str(error)
        return gate_open(document, flag)

    def flags_off(self) -> None:
        """The flags of the rollout are off. Raises StepHalted if they cannot be switched."""
        context = self._context
        try:
            changes = switch_off(self._api(), _off(context.rollout.flags))
        except OperationError as error:
            raise StepHalted(f"feature flags were not switched off: {error}") from error
        names = ", ".join(change["name"] for change in changes) or "none was on"
        context.recorder.event("flags_off", f"feature flags switched off: {names}", {"changes": changes})

    def _api(self) -> FlagsApi:
        context = self._context
        return flags_api(context.api, context.target.namespace, context.rollout.flags)


def _off(flags: dict[str, Any]) -> list[str]:
    return list(flags.get("switch_off") or [])
