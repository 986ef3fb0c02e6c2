# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a backup, a place that holds backups, and a policy for them are. Internal: may change in any release."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

# States, worst first. They are what backup_catalog_info returns and what its option fail_on takes.
MISSING = "missing"
FAILED = "failed"
STALE = "stale"
UNVERIFIED = "unverified"
OK = "ok"
STATES = (MISSING, FAILED, STALE, UNVERIFIED, OK)

# How an attempt at a backup ended, as its provider says.
GOOD = "good"
BAD = "bad"
RUNNING = "running"


@dataclass(frozen=True)
class Policy:
    """What is asked of the backups of one component. A threshold that is None is not checked, and says so."""

    component: str
    frequency: str = ""
    retention_days: int | None = None
    encrypted: bool = False
    cross_region: bool = False
    max_age: float | None = None
    copy_max_age: float | None = None
    verify_within: float | None = None
    drill_within: float | None = None
    min_count: int | None = None
    min_size: int | None = None


@dataclass(frozen=True)
class Source:
    """One place in which backups of a component have to be. C(copy) tells the second region from the first."""

    component: str
    provider: str
    location: str
    copy: bool = False


@dataclass(frozen=True)
class Backup:
    """One backup, as its provider tells it. Times are aware, or None where the provider gives none that can be read.

    C(outcome) is C(GOOD), C(BAD) or C(RUNNING); C(encrypted) is None when the provider cannot tell."""

    source: Source
    id: str
    type: str
    outcome: str
    finished: datetime | None
    size_bytes: int | None = None
    encrypted: bool | None = None
    verified_at: datetime | None = None
    drill_passed_at: datetime | None = None
    detail: str = ""


@dataclass(frozen=True)
class Drill:
    """A restore drill that passed: of which component, when it began, and from which backup (empty: not recorded)."""

    component: str
    started: datetime
    backup: str = ""


@dataclass(frozen=True)
class Look:
    """What was found at one source. C(trouble) says why nothing could be read; it is then not known to be empty."""

    source: Source
    backups: list[Backup] = field(default_factory=list)
    trouble: str = ""
