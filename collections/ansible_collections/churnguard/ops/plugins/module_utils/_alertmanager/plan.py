# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What to do so that a silence is as asked for. Pure. Internal: may change in any release."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from .model import Silence, Wanted

CREATE, UPDATE, EXPIRE = "create", "update", "expire"
CREATED, EXTENDED, CHANGED = "created", "extended", "changed"
REPLACED, REMOVED, UNCHANGED = "replaced", "removed", "unchanged"
# An end that is asked for as a length from now moves with every run: within this it is the same end.
TOLERANCE = timedelta(seconds=60)


@dataclass(frozen=True)
class Step:
    """One write: C(kind) is create, update (keeps the id) or expire."""

    kind: str
    silence: Silence


@dataclass(frozen=True)
class Plan:
    """The writes in their order, what they come to in a word, and the silence that stays (None: none does)."""

    steps: tuple[Step, ...]
    action: str
    kept: Silence | None

    @property
    def changed(self) -> bool:
        return bool(self.steps)


def plan_present(silences: Iterable[Silence], wanted: Wanted) -> Plan:
    """Exactly one live silence of the wanted name, about the wanted alerts, that ends no earlier than wanted.

    An end is never brought forward. What is to go goes last, so that the alerts are silenced without a gap; a silence
    of another name, or of nobody's, is never touched.
    """
    named = [one for one in silences if one.live and one.name == wanted.name]
    usable = [one for one in named if one.same_matchers(wanted.matchers) and one.starts <= wanted.starts + TOLERANCE]
    # Of several, all that run at the same time come to the same choice.
    best = min(usable, key=lambda one: (-one.ends.timestamp(), one.id), default=None)
    if best is None:
        fresh = Silence("", wanted.name, wanted.matchers, wanted.starts, wanted.ends, wanted.created_by, wanted.comment)
        gone = tuple(Step(EXPIRE, one) for one in named)
        return Plan((Step(CREATE, fresh), *gone), REPLACED if gone else CREATED, fresh)
    gone = tuple(Step(EXPIRE, one) for one in named if one.id != best.id)
    tolerance = timedelta(0) if wanted.exact else TOLERANCE
    later = wanted.ends > best.ends + tolerance
    reworded = best.comment != wanted.comment
    if not later and not reworded:
        return Plan(gone, REPLACED if gone else UNCHANGED, best)
    kept = best.to(
        ends=max(best.ends, wanted.ends) if later else best.ends,
        comment=wanted.comment,
        created_by=wanted.created_by,
    )
    return Plan((Step(UPDATE, kept), *gone), EXTENDED if later else CHANGED, kept)


def plan_absent(silences: Iterable[Silence], name: str | None = None, silence_id: str | None = None) -> Plan:
    """No live silence of that name, or with that id."""
    gone = tuple(
        Step(EXPIRE, one)
        for one in silences
        if one.live and (one.id == silence_id if silence_id is not None else one.name == name)
    )
    return Plan(gone, REMOVED if gone else UNCHANGED, None)


def after(silences: Sequence[Silence], plan: Plan) -> list[Silence]:
    """What will be live once the plan is carried out, for check mode and differences."""
    changed = {step.silence.id: step for step in plan.steps if step.silence.id}
    left = [
        changed[one.id].silence if one.id in changed else one
        for one in silences
        if one.live and not (one.id in changed and changed[one.id].kind == EXPIRE)
    ]
    return left + [step.silence for step in plan.steps if step.kind == CREATE]


def problem(wanted: Wanted, now: datetime) -> tuple[str, str] | None:
    """Why the server of that time (aware) cannot be asked for it, and what to do; None if it can.

    The server's clock decides, because it is the one that ends silences: by this machine's clock, one that is an hour
    behind would be asked for a silence that is over.
    """
    if wanted.ends <= now:
        return (
            f"its end {wanted.ends.isoformat()} is in the past: by Alertmanager's clock it is {now.isoformat()}.",
            "give an end that is still to come; if that time is wrong, set the clock of one of the two machines.",
        )
    if wanted.ends <= wanted.starts:
        return (
            f"it would end at {wanted.ends.isoformat()}, before its start at {wanted.starts.isoformat()}.",
            "correct starts_at or ends_at.",
        )
    return None
