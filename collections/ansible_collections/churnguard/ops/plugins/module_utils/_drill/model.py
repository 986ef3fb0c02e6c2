# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the parts of a drill share. No I/O. Internal: may change in any release."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

# The order is each scenario's own; a database is verified before the application may use it, a cache after.
PHASES = ("preflight", "prepare", "fault", "detect", "recover", "verify", "accept", "move_back", "cleanup")

# Moments of one drill, in the order of a database that is lost and restored. A scenario marks those it has.
CLOCKS = (
    "t_fault",
    "t_detect",
    "t_declare",
    "t_point_chosen",
    "t_infra_ready",
    "t_files",
    "t_consistent",
    "t_promoted",
    "t_verified",
    "t_accept",
)

_DRILL_ID = re.compile(r"^[a-z][a-z0-9_]*-\d{8}t\d{6}Z-[0-9a-f]{4}$")


def drill_id(scenario: str, now: datetime, random: str) -> str:
    """C(<scenario>-<UTC yyyymmddthhmmssZ>-<4 hex>)."""
    return f"{scenario}-{now.astimezone(timezone.utc):%Y%m%dt%H%M%S}Z-{random}"


def is_drill_id(text: str) -> bool:
    """Whether C(text) is the name of a drill, and so of its folder."""
    return bool(_DRILL_ID.match(text))


@dataclass(frozen=True)
class Objectives:
    """Recovery time and recovery point objective in seconds; None reads not_checked."""

    rto_s: float | None = None
    rpo_s: float | None = None


@dataclass(frozen=True)
class Mark:
    """A moment on both clocks: C(at) in UTC (ISO 8601) for people, C(monotonic) in seconds for durations."""

    at: str
    monotonic: float


@dataclass(frozen=True)
class Resource:
    """Something a drill makes, or does and has to undo. C(kind) chooses the remover in removers.py, C(remove) is all
    that it needs, as plain data without secrets: whoever cleans up after a kill has nothing else."""

    kind: str
    id: str
    remove: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str]:
        return self.kind, self.id


@dataclass(frozen=True)
class Removal:
    """What a remover did: C(removed) is false when there was nothing left to remove. C(proof) says how it was seen that
    the thing is gone."""

    removed: bool
    proof: str


@dataclass(frozen=True)
class Subject:
    """What a drill is about, in words for reports. C(source) also names the lock: one drill on a source at a time."""

    scenario: str
    component: str
    source: str
    target: str
    environment: str

    def as_data(self, identifier: str) -> dict[str, Any]:
        return {
            "scenario": self.scenario,
            "component": self.component,
            "drill_id": identifier,
            "source": self.source,
            "target": self.target,
            "environment": self.environment,
        }
