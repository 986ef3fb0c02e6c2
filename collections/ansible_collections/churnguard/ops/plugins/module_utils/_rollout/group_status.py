# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a group's release stands, for somebody who looks from elsewhere. No I/O. Internal: may change in any
release."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from .group import GroupJournal, GroupTarget, is_past, standing
from .model import Journal
from .status import lease_state


def describe(
    book: GroupJournal,
    journals: Mapping[str, Journal],
    lease: dict[str, Any] | None,
    now: datetime,
    target: GroupTarget,
) -> dict[str, Any]:
    """The state of C(target) as plain data; C(journals) are those of its services, C(now) is the API server's time."""
    release = book.release
    tag = release.tag(target.name) if release else ""
    stands = {entry.name: standing(journals[entry.name], tag) for entry in release.services} if release else {}
    return {
        "phase": release.phase if release else "none",
        "unfinished": bool(release and release.unfinished),
        "release": tag or None,
        "services": [
            {
                "name": entry.name,
                "version": entry.version,
                "state": entry.state,
                "stands": stands[entry.name],
                "reason": entry.reason,
            }
            for entry in (release.services if release else [])
        ],
        "reversible_until": release.reversible_until or None if release else None,
        "irreversible": bool(release and is_past(release, stands)),
        "reason": release.reason if release else "",
        "started": release.started if release else None,
        "finished": release.finished or None if release else None,
        "lease": lease_state(lease, now),
        "history": book.history,
    }
