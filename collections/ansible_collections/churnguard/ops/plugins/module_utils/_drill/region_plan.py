# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How two databases, of which one follows the other, come back to where they were. No I/O. Internal: may change in any
release.

Whatever a drill, its death or the fault has left: from what the two nodes say now, one next step, until the first
region's database is the primary again and has everything that the second one has acknowledged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .ledger import Ack

# Steps. Each may be done again; none loses what was acknowledged.
HOME = "home"
START_HOME = "start_home"
START_AWAY = "start_away"
REBUILD_HOME = "rebuild_home"
SWITCH = "switch"
PROMOTE_HOME = "promote_home"
PROMOTE_AWAY = "promote_away"
STUCK = "stuck"


@dataclass(frozen=True)
class State:
    """One database. C(standby) is what it is, or would be once started; C(timeline) the newest it has written or
    replayed; C(lsn) how far it has got, in bytes (of a stopped one: its last checkpoint); C(clean): it was stopped in
    order, and so has sent all it had; C(broken): a rebuild of its files has not come to its end."""

    running: bool
    standby: bool
    timeline: int = 1
    lsn: int = 0
    clean: bool = False
    broken: bool = False

    def words(self) -> str:
        life = "running" if self.running else ("stopped" if self.clean else "down")
        kind = "standby" if self.standby else "primary"
        return f"{life} {kind} on timeline {self.timeline}" + (", half rebuilt" if self.broken else "")


def next_step(home: State, away: State | None) -> str:
    """The step that leads on. C(home) is the first region's database, C(away) the second's; None where there is no
    such database (any more)."""
    if away is None:
        return _alone(home)
    if home.broken and home.running:
        return STUCK
    if home.broken:
        return REBUILD_HOME if away.running and not away.standby else START_AWAY if not away.running else STUCK
    if home.standby:
        return _home_follows(home, away)
    return _home_leads(home, away)


def _alone(home: State) -> str:
    if home.broken or home.standby:
        return STUCK
    return HOME if home.running else START_HOME


def _home_leads(home: State, away: State) -> str:
    """The first region's database is a primary, or was one when it went down."""
    ahead = not away.standby and away.timeline > home.timeline
    if home.running:
        # Two that take writes: neither may be thrown away without somebody looking.
        return STUCK if not away.standby and away.running else HOME
    if not ahead:
        return START_HOME
    return REBUILD_HOME if away.running else START_AWAY


def _home_follows(home: State, away: State) -> str:
    if not home.running:
        # First the one it follows.
        return START_HOME if away.running or away.standby else START_AWAY
    if not away.standby:
        return SWITCH if away.running else START_AWAY
    # Both follow: a switch was cut short. The one that has everything becomes the primary.
    if away.running:
        return PROMOTE_HOME if home.lsn >= away.lsn else PROMOTE_AWAY
    return PROMOTE_HOME if away.clean and home.lsn > away.lsn else START_AWAY


def lsn_bytes(text: str) -> int:
    """A position in the WAL, C(16/B374D848), as bytes."""
    high, low = text.split("/")
    return (int(high, 16) << 32) + int(low, 16)


def control_state(text: str, standby: bool, broken: bool) -> State:
    """The state of a stopped database from what pg_controldata says. Raises ValueError for another text."""
    lines = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    found = {name.strip(): value.strip() for name, value in lines.items()}
    try:
        timelines = (found["Latest checkpoint's TimeLineID"], found["Min recovery ending loc's timeline"])
        return State(
            running=False,
            standby=standby,
            timeline=max(map(int, timelines)),
            lsn=lsn_bytes(found["Latest checkpoint location"]),
            clean=found["Database cluster state"].startswith("shut down"),
            broken=broken,
        )
    except KeyError as error:
        raise ValueError(f"it says nothing of {error}") from error


def settings_without(text: str, names: frozenset[str]) -> str:
    """postgresql.auto.conf without the lines that set C(names)."""
    return "".join(
        line for line in text.splitlines(keepends=True) if line.split("=", 1)[0].strip().lower() not in names
    )


def longest_gap(acks: Sequence[Ack], begin: float, end: float) -> float | None:
    """The longest time between two acknowledged writes next to each other that touches C(begin) to C(end), in seconds:
    how long nobody could write. None without a write before and one after."""
    pairs = zip(acks, acks[1:], strict=False)
    gaps = [later.acked - earlier.acked for earlier, later in pairs if earlier.acked <= end and later.acked >= begin]
    return max(gaps) if gaps and acks[-1].acked >= end else None
