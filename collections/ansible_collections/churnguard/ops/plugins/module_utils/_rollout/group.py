# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases of several services: their types, and what to do about one, given its journal and the services' own. Pure:
no I/O, no clock. Internal: may change in any release."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from .._common.envelope import ABORTED, PASSED, ROLLED_BACK
from .model import ROLLING_BACK, RUNNING, Desired, Journal, Target
from .orphan import ends_forward

# Phases of a release, beside running, rolling_back, passed, rolled_back and aborted.
FINISHING = "finishing"
HALTED = "halted"
FROZEN = "frozen"
SUPERSEDED = "superseded"
UNFINISHED = frozenset({RUNNING, FINISHING, ROLLING_BACK, HALTED, FROZEN})

# What a release has done with a service, as its journal tells people.
PENDING = "pending"
ROLLING_OUT = "rolling_out"
PROVED = "proved"
UNCHANGED = "unchanged"
DONE = "done"
FAILED = "failed"
GOING_BACK = "going_back"
BACK = "back"

# What a service's own journal says of its part in a release; besides, DONE and BACK.
UNTOUCHED = "untouched"
UNDER_WAY = "under_way"
PARKED = "parked"
TAKING_BACK = "taking_back"
RETURNING = "returning"
FOREIGN = "foreign"
# Of these there is something to take back.
MOVED = frozenset({UNDER_WAY, PARKED, TAKING_BACK, RETURNING, DONE})

# Verdict of a passed release that is taken back on request: what was asked for has been done.
RETURNED = "returned"

START = "start"
RESUME = "resume"
TAKE_BACK = "take_back"
GO_ON_BACK = "go_on_back"
CLOSE = "close"
CONCLUDE = "conclude"
NOTHING = "nothing"
REFUSE = "refuse"

_AGAIN = "run the same release again to go on, take it back (playbooks/group_rollback.yml)"


@dataclass(frozen=True)
class GroupTarget(Target):
    """A group of services; its journal and its lock are called C(<name>-group)."""

    @property
    def journal(self) -> str:
        return f"{self.name}-group"

    def __str__(self) -> str:
        return f"group {self.namespace}/{self.name}"


def group_target(name: str, namespace: str) -> GroupTarget:
    """The target of group C(name): it has neither slots nor a router of its own."""
    return GroupTarget(name, namespace, ("", ""), "", "")


@dataclass
class Entry:
    """One service of a release, with all that is needed to find it again."""

    name: str
    version: str
    content_hash: str
    slots: list[str]
    router_kind: str
    router_name: str
    state: str = PENDING
    reason: str = ""

    def target(self, namespace: str) -> Target:
        return Target(self.name, namespace, (self.slots[0], self.slots[1]), self.router_kind, self.router_name)


@dataclass
class GroupRelease:
    """The release in flight or the last one. C(irreversible) is set once the service C(reversible_until) has proved
    itself; C(verdict) is what a take-back that has begun will end with."""

    id: str
    phase: str
    services: list[Entry]
    reversible_until: str
    started: str
    holder: str
    finished: str = ""
    reason: str = ""
    verdict: str = ""
    irreversible: bool = False

    @property
    def unfinished(self) -> bool:
        return self.phase in UNFINISHED

    def tag(self, group: str) -> str:
        """What the rollouts of this release carry."""
        return f"{group}/{self.id}"


@dataclass
class GroupJournal:
    """What must survive the controller, beside the services' own journals."""

    release: GroupRelease | None = None
    history: list[dict[str, Any]] = field(default_factory=list)

    def state(self) -> dict[str, Any]:
        return {"schema": 1, "release": asdict(self.release) if self.release else None, "history": self.history}


@dataclass(frozen=True)
class GroupWish:
    """What is wanted of a group: C(state) as of a single rollout, C(services) in their order."""

    state: str
    services: tuple[Desired, ...]
    names: tuple[str, ...]
    reversible_until: str
    on_unfinished: str


@dataclass(frozen=True)
class Decision:
    """C(kind) is what to do about the release. C(next_step) goes with refuse."""

    kind: str
    reason: str
    next_step: str = ""


def standing(journal: Journal, tag: str) -> str:
    """What C(journal), a service's own, says of its part in release C(tag)."""
    rollout = journal.rollout
    if rollout is None or rollout.group != tag:
        return FOREIGN if rollout is not None and rollout.unfinished else UNTOUCHED
    if rollout.operation == "rollback":
        if rollout.unfinished:
            return RETURNING
        # A return that failed has left the new version where it was.
        return BACK if rollout.phase == PASSED else DONE
    if rollout.phase == ROLLING_BACK:
        return TAKING_BACK
    if rollout.phase in (ROLLED_BACK, ABORTED):
        return BACK
    if rollout.phase == PASSED:
        return DONE
    return PARKED if ends_forward(rollout) else UNDER_WAY


def is_past(release: GroupRelease, standings: Mapping[str, str]) -> bool:
    """Whether the mark is behind: the journal may not say so yet, but the service does."""
    return release.irreversible or standings.get(release.reversible_until) in (PARKED, DONE)


def decide(release: GroupRelease | None, standings: Mapping[str, str], wish: GroupWish) -> Decision:
    """The one decision of a run. C(standings) are of the services of C(release). Called again after a release has been
    taken back, superseded or closed."""
    if release is None or not release.unfinished:
        return _at_rest(release, standings, wish)
    what = f"release {release.id} of {_list(release)} ({release.phase}, started {release.started})"
    if release.phase == ROLLING_BACK:
        if wish.state == "present" and wish.on_unfinished == "fail":
            return Decision(REFUSE, f"{what} was being taken back and did not end", f"{_AGAIN}.")
        return Decision(GO_ON_BACK, f"{what} was being taken back; finishing that")
    past = is_past(release, standings)
    if wish.state != "present":
        if past:
            return _irreversible(what, release)
        return Decision(TAKE_BACK, f"{what} did not end; taking it back")
    if same_release(release, wish) and wish.on_unfinished == "resume":
        return _resumed(release, standings, what, past)
    if wish.on_unfinished == "abort":
        if past:
            return Decision(CONCLUDE, f"{what} is past {release.reversible_until}: what has passed is finished")
        return Decision(TAKE_BACK, f"{what} did not end; taking it back")
    return Decision(REFUSE, f"{what} did not end", f"{_AGAIN}, or set on_unfinished=abort.")


def _resumed(release: GroupRelease, standings: Mapping[str, str], what: str, past: bool) -> Decision:
    """The same again. A service that went back took the release with it, unless the mark is behind."""
    gone = [entry.name for entry in release.services if standings[entry.name] in (BACK, TAKING_BACK)]
    if not gone or past or release.phase == FINISHING:
        return Decision(RESUME, f"{what} did not end; going on")
    if any(standings[entry.name] in MOVED for entry in release.services):
        return Decision(GO_ON_BACK, f"{what}: {gone[0]} was taken back, and so is the rest")
    return Decision(CLOSE, f"{what} had been taken back")


def _at_rest(release: GroupRelease | None, standings: Mapping[str, str], wish: GroupWish) -> Decision:
    if wish.state == "present":
        return Decision(START, f"{len(wish.names)} services in order: {', '.join(wish.names)}")
    if wish.state == "aborted":
        return Decision(NOTHING, "no release of the group is in flight, so there is nothing to abort")
    if release is None or release.phase == SUPERSEDED:
        return Decision(
            REFUSE,
            "the group's journal knows no release that could be taken back as a whole",
            "roll single services back with playbooks/rollback.yml, or release the versions that you want.",
        )
    if release.phase in (ROLLED_BACK, ABORTED):
        return Decision(NOTHING, f"release {release.id} has been taken back already")
    if release.irreversible:
        return _irreversible(f"release {release.id} of {_list(release)}", release)
    gone = [e.name for e in release.services if e.state == DONE and standings[e.name] not in MOVED | {BACK}]
    if gone:
        return Decision(
            REFUSE,
            f"{', '.join(gone)} had a rollout of its own since release {release.id}",
            "roll single services back with playbooks/rollback.yml, or release the versions that you want.",
        )
    return Decision(TAKE_BACK, f"release {release.id} of {_list(release)} is taken back on request")


def _irreversible(what: str, release: GroupRelease) -> Decision:
    return Decision(
        REFUSE,
        f"{what} is past {release.reversible_until}, after which nothing is taken back",
        "run the same release again to go on; or release the versions that you want with on_unfinished=abort: what has "
        "passed is then finished, and only the service that failed is taken back before the new release begins.",
    )


def same_release(release: GroupRelease, wish: GroupWish) -> bool:
    """Whether C(wish) asks for what C(release) is about: the same services in the same order, and the same mark."""
    before = [(entry.name, entry.content_hash) for entry in release.services]
    now = [(name, one.content_hash) for name, one in zip(wish.names, wish.services)]  # noqa: B905 - Python 3.9
    return before == now and release.reversible_until == wish.reversible_until


def close(journal: GroupJournal, phase: str, at: str) -> None:
    """The release has ended with C(phase)."""
    release = journal.release
    if release is None:
        return
    release.phase, release.finished = phase, at
    entry = {
        "id": release.id,
        "verdict": phase,
        "services": {one.name: one.version for one in release.services},
        "states": {one.name: one.state for one in release.services},
        "reversible_until": release.reversible_until,
        "reason": release.reason,
        "started": release.started,
        "finished": at,
        "holder": release.holder,
    }
    journal.history = [entry, *journal.history][:10]


def _list(release: GroupRelease) -> str:
    return ", ".join(f"{entry.name} {entry.version}" for entry in release.services)
