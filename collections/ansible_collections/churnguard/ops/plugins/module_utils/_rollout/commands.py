# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a command makes sense for a rollout as it stands. No I/O. Internal: may change in any release."""

from __future__ import annotations

from dataclasses import dataclass

from .control import ABORT, APPROVE, PAUSE, PROMOTE, RESUME, RETRY, Request, pending
from .model import HALTED, ROLLING_BACK, Rollout
from .orphan import Keeper
from .strategies import BAKE, GATE, HOLD, PAST_RETURN

SEND = "send"
NOTHING = "nothing"
REFUSE = "refuse"

# Commands that answer the step a rollout is in, so that they must not reach the one after it.
_FOR_A_STEP = frozenset({PROMOTE, APPROVE, RETRY})
_TURNS = (PAUSE, RESUME)
_AGAIN = "run playbooks/deploy.yml with that version again to go on, or playbooks/rollback.yml to take it back"


@dataclass(frozen=True)
class Opinion:
    """What to do with a command: send it, there is nothing to do, or refuse. C(next_step) goes with refuse."""

    kind: str
    reason: str
    next_step: str = ""


def step_for(command: str, full: bool, rollout: Rollout) -> int | None:
    """The step that a new request belongs to."""
    return rollout.cursor + 1 if command in _FOR_A_STEP and not full else None


def same(requests: list[Request], command: str, full: bool, rollout: Rollout) -> Request | None:
    """The pending request that asks for the same already, or None. Of pause and resume only the newest counts: a
    pause that a resume follows does not ask for the same as a pause now."""
    step, waiting = step_for(command, full, rollout), pending(requests, rollout)
    if command in _TURNS:
        waiting = [request for request in waiting if request.command in _TURNS][-1:]
    alike = [r for r in waiting if (r.command, r.full, r.step) == (command, full, step)]
    return alike[-1] if alike else None


def consider(command: str, full: bool, rollout: Rollout | None, keeper: Keeper, requests: list[Request]) -> Opinion:
    """Whether C(command) makes sense for C(rollout) as it stands, with C(requests) still on their way."""
    if rollout is None or not rollout.unfinished:
        return _at_rest(command, rollout)
    what = f"rollout {rollout.id} of {rollout.candidate.version}"
    if rollout.phase == HALTED:
        return Opinion(
            REFUSE, f"{what} stopped half-way and nobody runs it: {rollout.reason.rstrip('.')}", f"{_AGAIN}."
        )
    if not keeper.alive:
        holder = f"{keeper.name}, who ran it, has given no sign of life" if keeper.name else "nobody runs it"
        return Opinion(
            REFUSE,
            f"{what} is orphaned: {holder}, so nobody would answer",
            f"let playbooks/watchdog.yml see to it, {_AGAIN}.",
        )
    if rollout.phase == ROLLING_BACK:
        back = f"{what} is being taken back: {rollout.reason.rstrip('.')}"
        if command == ABORT:
            return Opinion(NOTHING, back)
        return Opinion(REFUSE, f"{back}; that cannot be stopped by '{command}'", "wait for its end, then deploy again.")
    return _in_flight(command, full, rollout, requests)


def _at_rest(command: str, rollout: Rollout | None) -> Opinion:
    last = f"; the last one, of {rollout.candidate.version}, ended as {rollout.phase}" if rollout else ""
    reason = f"no rollout is in flight{last}"
    if command in (ABORT, PAUSE, RESUME):
        return Opinion(NOTHING, reason)
    return Opinion(REFUSE, reason, f"start one with playbooks/deploy.yml; there is nothing to {command}.")


def _in_flight(command: str, full: bool, rollout: Rollout, requests: list[Request]) -> Opinion:
    step = rollout.steps[min(rollout.cursor, len(rollout.steps) - 1)]
    at = f"step {rollout.cursor + 1} of {len(rollout.steps)}, {step.label}"
    if step.name in PAST_RETURN:
        return Opinion(
            REFUSE,
            f"{at}: the new version has all traffic and has proved itself, so it is too late to {command}",
            "wait for the end; playbooks/rollback.yml then brings the version before back.",
        )
    coming = [request.command for request in pending(requests, rollout) if request.command in _TURNS]
    paused = coming[-1] == PAUSE if coming else rollout.paused
    if command == PAUSE and paused and not coming:
        return Opinion(NOTHING, "the rollout is paused already")
    if command == RESUME and not paused and not coming:
        return Opinion(NOTHING, "the rollout is not paused")
    if command == APPROVE and not rollout.waiting_for:
        return Opinion(
            REFUSE, f"the rollout waits for no approval at {at}", "approve when rollout_info shows waiting_for."
        )
    if command == PROMOTE and not full and step.name not in (HOLD, GATE, BAKE):
        return Opinion(
            REFUSE,
            f"{at}, is neither a hold nor a gate nor the bake, so there is nothing to end",
            "promote again when it is, or with full=true to end all holds and gates to come.",
        )
    if command == RETRY and step.name not in (HOLD, BAKE):
        return Opinion(REFUSE, f"{at}, gathers no evidence that could be thrown away", "retry while a weight is held.")
    return Opinion(SEND, at)
