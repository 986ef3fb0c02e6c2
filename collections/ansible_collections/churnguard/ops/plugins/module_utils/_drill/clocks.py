# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Durations out of a drill's clocks and phases. No I/O. Internal: may change in any release."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from .model import CLOCKS, Mark

# What ends at each clock, between the fault and the accepted read and write.
STEPS = {
    "t_detect": "detect",
    "t_declare": "declare",
    "t_point_chosen": "choose_point",
    "t_infra_ready": "prepare_target",
    "t_files": "files",
    "t_consistent": "start",
    "t_promoted": "replay",
    "t_verified": "verify",
    "t_accept": "accept",
}


class Timed(NamedTuple):
    """A phase by the engine's own stopwatch, in monotonic seconds."""

    name: str
    began: float
    ended: float


def between(marks: Mapping[str, Mark], first: str, last: str) -> float | None:
    """Seconds from one clock to another; None unless both are set."""
    if first not in marks or last not in marks:
        return None
    return marks[last].monotonic - marks[first].monotonic


def rto(marks: Mapping[str, Mark]) -> float | None:
    """From the fault to the first read and write that the application had accepted, in seconds."""
    return between(marks, "t_fault", "t_accept")


def technical_rto(marks: Mapping[str, Mark]) -> float | None:
    """The same from the decision to recover: what the technique takes, without noticing and deciding."""
    return between(marks, "t_declare", "t_accept")


def in_recovery(phases: Iterable[Timed], marks: Mapping[str, Mark]) -> list[tuple[str, float]]:
    """For each phase the seconds that lie between fault and acceptance; phases that lie outside are left out.

    They are taken by the engine's stopwatch, not from the clocks, so that their sum is a check of the RTO.
    """
    if rto(marks) is None:
        return []
    begin, end = marks["t_fault"].monotonic, marks["t_accept"].monotonic
    shares = [(phase.name, min(phase.ended, end) - max(phase.began, begin)) for phase in phases]
    return [(name, seconds) for name, seconds in shares if seconds > 0]


def steps(marks: Mapping[str, Mark]) -> list[tuple[str, float]]:
    """Seconds that passed before each clock since the one before it, in the order of time, from the fault on."""
    if "t_fault" not in marks:
        return []
    begin = marks["t_fault"].monotonic
    later = sorted(
        (marks[name].monotonic, CLOCKS.index(name), name)
        for name in marks
        if name != "t_fault" and marks[name].monotonic >= begin
    )
    found, last = [], begin
    for moment, _wall, name in later:
        found.append((STEPS[name], moment - last))
        last = moment
    return found


def evidence(marks: Mapping[str, Mark]) -> list[dict[str, Any]]:
    """Each clock as evidence; C(after_fault_s) is None for a drill without a fault."""
    origin = marks["t_fault"].monotonic if "t_fault" in marks else None
    return [
        {
            "kind": "clock",
            "name": name,
            "at": marks[name].at,
            "after_fault_s": None if origin is None else round(marks[name].monotonic - origin, 3),
        }
        for name in CLOCKS
        if name in marks
    ]
