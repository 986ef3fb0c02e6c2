# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changing the document while others change it too: read, decide, write if nobody was faster, else decide again.
Internal: may change in any release."""

from __future__ import annotations

from collections.abc import Callable

from .._common.errors import OperationError
from .._kubernetes.errors import Conflict
from .api import FlagsApi, Stored
from .model import Document
from .plan import Plan

#: Somebody who writes at each of our attempts is a loop, not a colleague.
ATTEMPTS = 8


def change(api: FlagsApi, decide: Callable[[Document], Plan], check_mode: bool = False) -> tuple[Stored, Plan]:
    """What was read last and the plan that was carried out (in check mode: would be). A document that is right
    already is not written. Raises OperationError."""
    tried: tuple[Stored, Plan] | None = None
    for _attempt in range(ATTEMPTS):
        stored = api.read()
        if tried and stored.document == tried[1].document:
            return tried  # the write had arrived, only its answer was lost
        plan = decide(stored.document)
        if check_mode or not plan.changes:
            return stored, plan
        try:
            api.write(stored, plan.document)
        except Conflict:
            tried = (stored, plan)
            continue
        return stored, plan
    raise OperationError(
        f"change the flags in {api.place}",
        f"somebody else wrote to it between each of {ATTEMPTS} reads and writes.",
        "find out who (kubectl get configmap -o yaml --show-managed-fields), then run again.",
    )
