# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal in the cluster: read once, then written before every act. Internal: may change in any release."""

from __future__ import annotations

from typing import Any

from .._kubernetes.errors import Conflict
from . import journal as codec
from .api import RolloutApi
from .lock import LockLost
from .model import Journal, Observed, Target


def observe(api: RolloutApi, target: Target, journal: Journal | None = None) -> Observed:
    """Everything a decision depends on, as it is now; the journal too, unless it is given."""
    return Observed(
        journal=codec.read(api.get_journal(), target) if journal is None else journal,
        deployments={slot: api.get_deployment(slot) for slot in target.slots},
        services={slot: api.get_service(slot) for slot in target.slots},
        router=api.get_router(),
    )


class JournalStore:
    """Reads and writes the journal's ConfigMap; a write that somebody else's write crossed means a lost lock."""

    def __init__(self, api: RolloutApi, target: Target, form: Any = codec) -> None:
        """C(form) reads and writes the ConfigMap: the module journal, or one with the same two functions."""
        self._api = api
        self._target = target
        self._form = form
        self._live: dict[str, Any] | None = None

    def load(self) -> Any:
        """The journal as it is in the cluster now."""
        self._live = self._api.get_journal()
        return self._form.read(self._live, self._target)

    def save(self, journal: Any) -> None:
        """Write C(journal) as a successor of what was last read or written. Raises LockLost."""
        body = self._form.write(journal, self._target)
        try:
            if self._live is None:
                self._live = self._api.create_journal(body)
                return
            body["metadata"]["resourceVersion"] = self._live["metadata"]["resourceVersion"]
            self._live = self._api.replace_journal(body)
        except Conflict as error:
            # Our own write may have arrived although its answer was lost.
            current = self._api.get_journal()
            if current is None or current.get("data") != body["data"]:
                raise LockLost(self._target, "") from error
            self._live = current
