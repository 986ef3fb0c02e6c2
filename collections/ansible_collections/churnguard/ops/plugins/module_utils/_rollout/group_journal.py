# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal of a group's releases as a ConfigMap. No I/O. Internal: may change in any release."""

from __future__ import annotations

import json
from typing import Any

from .._common.errors import OperationError
from .group import Entry, GroupJournal, GroupRelease
from .model import Target

_STATE = "state.json"


def read(config_map: dict[str, Any] | None, target: Target) -> GroupJournal:
    """The journal in C(config_map); an empty one if that is None. Raises OperationError if it cannot be read."""
    if config_map is None:
        return GroupJournal()
    try:
        state = json.loads((config_map.get("data") or {})[_STATE])
        if state["schema"] != 1:
            raise ValueError(f"schema {state['schema']} is newer than this collection knows")
        release = state["release"]
        if release:
            release = GroupRelease(**{**release, "services": [Entry(**entry) for entry in release["services"]]})
        return GroupJournal(release or None, state["history"])
    except (KeyError, TypeError, ValueError) as error:
        raise OperationError(
            f"read the journal of {target}",
            f"ConfigMap {target.namespace}/{target.journal} does not hold a valid one ({error}).",
            "restore it; or, while no release of the group runs, delete it and end what is left of its services' "
            "rollouts one by one (rollout_info names them).",
        ) from error


def write(journal: GroupJournal, target: Target) -> dict[str, Any]:
    """The ConfigMap for C(journal), without a resourceVersion."""
    labels = {"app": target.name, "app.kubernetes.io/managed-by": "churnguard.ops"}
    metadata = {"name": target.journal, "namespace": target.namespace, "labels": labels}
    data = {_STATE: json.dumps(journal.state(), indent=1)}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
