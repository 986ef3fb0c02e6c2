# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carries out what a task asks of the silences. Internal: may change in any release."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from .._common.clock import Clock
from .._common.errors import OperationError
from .api import AlertmanagerApi
from .model import Matcher, Silence, Wanted
from .plan import CREATE, EXPIRE, UNCHANGED, UPDATE, Plan, after, plan_absent, plan_present, problem

# Another run that does the same may come between reading and writing; what it made is found by reading again.
_ROUNDS = 3
_SKEW = timedelta(seconds=60)


@dataclass(frozen=True)
class Request:
    """What the options say. Its start is C(starts), or now; its end C(ends), or C(duration) after its
    start."""

    name: str
    matchers: tuple[Matcher, ...]
    created_by: str
    comment: str
    duration: timedelta
    starts: datetime | None = None
    ends: datetime | None = None

    def at(self, now: datetime) -> Wanted:
        """The silence that is meant when the server's clock says C(now)."""
        starts = self.starts or now
        ends = self.ends or starts + self.duration
        return Wanted(
            name=self.name,
            matchers=self.matchers,
            starts=_to_milliseconds(starts),
            ends=_to_milliseconds(ends),
            created_by=self.created_by,
            comment=self.comment,
            exact=self.ends is not None,
        )


@dataclass
class Outcome:
    """What became of it: the word of the first plan, the silence that is there (None: none is), and the live silences
    of that name before and after."""

    action: str
    silence: Silence | None
    before: list[Silence]
    after: list[Silence]
    expired: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        return self.action != UNCHANGED


def ensure_present(api: AlertmanagerApi, request: Request, clock: Clock, check_mode: bool = False) -> Outcome:
    """Have the silence there, once. Raises OperationError."""
    listing = api.list()
    now = listing.now or clock.now()
    wanted = request.at(now)
    wrong = problem(wanted, now)
    if wrong:
        raise OperationError(f"silence {request.name!r}", *wrong)
    plan = plan_present(listing.silences, wanted)
    outcome = _outcome(listing.silences, plan, lambda one: one.name == request.name)
    outcome.warnings += _skew_warning(now, clock.now())
    if check_mode or not plan.changed:
        return outcome
    for _round in range(_ROUNDS):
        carry_out(api, plan)
        silences = api.list().silences
        plan = plan_present(silences, wanted)
        if not plan.changed:
            outcome.silence = plan.kept
            outcome.after = [one for one in silences if one.live and one.name == request.name]
            return outcome
        outcome.expired += _expired(plan)
    raise OperationError(
        f"silence {request.name!r}",
        f"after {_ROUNDS} attempts Alertmanager still shows other silences of that name than one until "
        f"{wanted.ends.isoformat()}.",
        "look for another run that sets the same name to something else, then run again.",
    )


def ensure_absent(
    api: AlertmanagerApi, name: str | None = None, silence_id: str | None = None, check_mode: bool = False
) -> Outcome:
    """Have no live silence of that name, or with that id. Raises OperationError."""
    listing = api.list()
    plan = plan_absent(listing.silences, name, silence_id)
    chosen = {step.silence.id for step in plan.steps}
    outcome = _outcome(listing.silences, plan, lambda one: one.id in chosen)
    if not check_mode:
        carry_out(api, plan)
    return outcome


def carry_out(api: AlertmanagerApi, plan: Plan) -> None:
    """Do the plan's writes in their order. Raises OperationError at the first that fails."""
    actions = {CREATE: api.put, UPDATE: api.put, EXPIRE: api.expire}
    for step in plan.steps:
        actions[step.kind](step.silence)


def _outcome(silences: list[Silence], plan: Plan, concerned: Callable[[Silence], bool]) -> Outcome:
    return Outcome(
        action=plan.action,
        silence=plan.kept,
        before=[one for one in silences if one.live and concerned(one)],
        after=[one for one in after(silences, plan) if concerned(one)],
        expired=_expired(plan),
    )


def _expired(plan: Plan) -> list[str]:
    return [step.silence.id for step in plan.steps if step.kind == EXPIRE]


def _skew_warning(server: datetime, here: datetime) -> list[str]:
    skew = here - server
    if abs(skew) <= _SKEW:
        return []
    direction = "ahead of" if skew > timedelta(0) else "behind"
    return [
        f"This machine's clock is {abs(skew).total_seconds():.0f} s {direction} Alertmanager's. "
        "The silence goes by Alertmanager's clock."
    ]


def _to_milliseconds(moment: datetime) -> datetime:
    # What the server keeps; a finer end would never be the one that it answers with.
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
