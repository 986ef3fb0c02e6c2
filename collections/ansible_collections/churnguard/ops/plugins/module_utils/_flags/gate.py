# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Flags for a rollout: a flag as the gate of a step, and flags that go off with a rollback. Internal: may change in any
release."""

from __future__ import annotations

from typing import Any

from .._common.errors import OperationError
from .api import FlagsApi
from .model import ENABLED, Document
from .plan import describe, disable
from .store import change


def gate_open(document: Document | None, flag: str) -> tuple[bool, str]:
    """Whether the gate is open, and why (a sentence). Pure.

    Open is a flag that is enabled and answers C(true) to everybody. A flag for some users only is closed, as are one
    that is absent, disabled, not boolean, or in a document that is absent (None).
    """
    found = ((document or {}).get("flags") or {}).get(flag)
    if not isinstance(found, dict):
        return False, f"Flag {flag} does not exist."
    if found.get("state") != ENABLED:
        return False, f"Flag {flag} is disabled."
    if found.get("targeting"):
        return False, f"Flag {flag} is not for everybody: {describe(found)}."
    value = (found.get("variants") or {}).get(found.get("defaultVariant"))
    if value is True:
        return True, f"Flag {flag} is on for everybody."
    if value is False:
        return False, f"Flag {flag} is off for everybody."
    return False, f"Flag {flag} is no boolean flag with a default variant, so that it cannot open a gate."


def check_flags(api: FlagsApi, flags: list[str]) -> None:
    """Raise OperationError unless every flag exists. For before a rollout: a wrong name must not be found out when
    the rollback needs it."""
    missing = sorted(set(flags) - set(api.read().document["flags"]))
    if missing:
        raise OperationError(
            f"use the flags of {api.place} in a rollout",
            f"it holds no flag {', '.join(missing)}.",
            "check the names, or create the flags first (module feature_flags).",
        )


def switch_off(api: FlagsApi, flags: list[str]) -> list[dict[str, Any]]:
    """Disable the flags; what was changed, as {name, action, detail}. Flags that are off or gone already are not in
    it, so that a second call after a crash returns an empty list and writes nothing. Raises OperationError."""
    _stored, plan = change(api, lambda document: disable(document, flags))
    return plan.changes
