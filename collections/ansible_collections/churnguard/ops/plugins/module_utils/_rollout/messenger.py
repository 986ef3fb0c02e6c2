# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Leaves a request for whoever runs a rollout, and waits for the answer. Internal: may change in any release."""

from __future__ import annotations

import uuid
from dataclasses import asdict, dataclass, field
from typing import Any

from .._common.clock import Clock, isoformat
from .._common.envelope import FAILED as VERDICT_FAILED
from .._common.envelope import NOT_CHECKED, PASSED, Recorder
from .._common.errors import OperationError
from .._common.waiting import DONE, FAILED, PENDING, Finding, wait_until
from .._kubernetes.errors import Conflict
from . import commands, control
from . import journal as codec
from .api import RolloutApi
from .control import Request
from .lock import own_name, process_is_dead
from .model import HALTED, Journal, Rollout, Target
from .orphan import Keeper, holder_process, keeper_of

_ATTEMPTS = 5
_INTERVAL = 1.0


@dataclass
class Reply:
    """What asking comes to. C(before) and C(after) are the pending requests in words; C(handled) is the audit entry,
    or None while there is none."""

    changed: bool
    message: str
    request: Request | None = None
    handled: dict[str, Any] | None = None
    failed: bool = False
    before: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)

    def plain_request(self) -> dict[str, Any] | None:
        return asdict(self.request) if self.request else None


class Messenger:
    """One request of one caller."""

    def __init__(self, api: RolloutApi, target: Target, clock: Clock, recorder: Recorder) -> None:
        self._api = api
        self._target = target
        self._clock = clock
        self._recorder = recorder

    def ask(self, command: str, full: bool, by: str | None, reason: str, check_mode: bool = False) -> Reply:
        """Leave the request if it makes sense and is not there yet; with C(check_mode) only say so.

        Raises OperationError, with what to do instead, if the command does not fit the rollout as it stands.
        """
        for _attempt in range(_ATTEMPTS):
            config_map = self._api.get_control()
            rollout, keeper = self._rollout(), self._keeper()
            requests = control.read(config_map)
            opinion = commands.consider(command, full, rollout, keeper, requests)
            if opinion.kind == commands.REFUSE:
                raise OperationError(
                    f"{command} the rollout of {self._target}", f"{opinion.reason}.", opinion.next_step
                )
            if opinion.kind == commands.NOTHING or rollout is None:
                return Reply(False, f"Nothing to {command}: {opinion.reason}.")
            self._describe_subject(rollout)
            waiting = [str(request) for request in control.pending(requests, rollout)]
            pending = commands.same(requests, command, full, rollout)
            if pending is not None:
                self._recorder.event("control", f"pending already: {pending}")
                return Reply(False, f"Pending already: {pending}.", pending, before=waiting, after=waiting)
            request = self._new(command, full, by, reason, rollout)
            reply = Reply(True, f"Would ask: {request}.", request, before=waiting, after=[*waiting, str(request)])
            if check_mode:
                self._recorder.event("control", f"would ask: {request}")
                return reply
            if self._leave(config_map, [*requests, request]):
                self._recorder.event("control", f"asked: {request}", asdict(request))
                reply.message = f"Asked: {request}."
                return reply
        raise OperationError(
            f"{command} the rollout of {self._target}",
            f"ConfigMap {self._target.namespace}/{control.name_of(self._target)} was changed by others between reading "
            f"and writing {_ATTEMPTS} times.",
            "run again; rollout_info shows what is pending.",
        )

    def await_answer(self, reply: Reply, timeout: float) -> None:
        """Wait until the engine has handled the request of C(reply), and put what it did there."""
        request = reply.request
        if request is None:
            return
        finding, waited = wait_until(lambda: self._answer(request, reply), self._clock, timeout, _INTERVAL)
        if finding.state == PENDING:
            reply.failed = True
            detail = f"nobody has handled it within {timeout:.0f} s; it stays pending. {finding.detail}"
        else:
            reply.failed = finding.failed
            detail = finding.detail
        reply.message = f"{reply.message.rstrip('.')}: {detail.rstrip('.')}."
        verdict = NOT_CHECKED if reply.handled is None and not reply.failed else ""
        verdict = verdict or (VERDICT_FAILED if reply.failed else PASSED)
        self._recorder.measure("control_answered_s", waited, "s", timeout, verdict)
        self._recorder.event("control", detail, reply.handled)
        if reply.handled is not None:
            self._recorder.evidence.append({"kind": "audit", **reply.handled})

    # -- looking -----------------------------------------------------------------------------------------------

    def _rollout(self) -> Rollout | None:
        journal: Journal = codec.read(self._api.get_journal(), self._target)
        return journal.rollout

    def _keeper(self) -> Keeper:
        lease = self._api.get_lease()
        return keeper_of(lease, self._api.server_now(), process_is_dead(holder_process(lease)))

    def _answer(self, request: Request, reply: Reply) -> Finding:
        rollout = self._rollout()
        if rollout is None or rollout.id != request.rollout:
            return Finding(FAILED, "the rollout it was for has ended and another has begun")
        reply.handled = control.answer(rollout, request)
        if reply.handled is not None:
            return Finding(DONE, f"handled at step {reply.handled['step']}: {reply.handled['effect']}")
        if not rollout.unfinished:
            state = DONE if _came_about(request, rollout) else FAILED
            return Finding(
                state, f"the rollout of {rollout.candidate.version} ended as {rollout.phase} before it was read"
            )
        if rollout.phase == HALTED:
            return Finding(FAILED, f"the rollout stopped half-way before it was read: {rollout.reason.rstrip('.')}")
        keeper = self._keeper()
        if not keeper.alive:
            who = keeper.name or "whoever ran the rollout"
            return Finding(
                FAILED,
                f"{who} has gone, so nobody will answer. Next: let playbooks/watchdog.yml see to it, run "
                "playbooks/deploy.yml with that version again to go on, or playbooks/rollback.yml to take it back",
            )
        return Finding(PENDING, f"{keeper.name} runs the rollout, in step {rollout.cursor + 1} of {len(rollout.steps)}")

    # -- writing -----------------------------------------------------------------------------------------------

    def _new(self, command: str, full: bool, by: str | None, reason: str, rollout: Rollout) -> Request:
        return Request(
            id=uuid.uuid4().hex[:8],
            command=command,
            full=full,
            by=by or own_name().partition(" (")[0],
            at=isoformat(self._api.server_now()),
            reason=reason,
            rollout=rollout.id,
            step=commands.step_for(command, full, rollout),
        )

    def _leave(self, config_map: dict[str, Any] | None, requests: list[Request]) -> bool:
        """Write C(requests) as a successor of C(config_map). False if somebody else wrote meanwhile."""
        body = control.write(requests, self._target)
        try:
            if config_map is None:
                self._api.create_control(body)
            else:
                body["metadata"]["resourceVersion"] = config_map["metadata"]["resourceVersion"]
                self._api.replace_control(body)
            return True
        except Conflict:
            # Our own write may have arrived although its answer was lost.
            return requests[-1] in control.read(self._api.get_control())

    def _describe_subject(self, rollout: Rollout) -> None:
        self._recorder.subject = {
            "app": self._target.name,
            "namespace": self._target.namespace,
            "version": rollout.candidate.version,
            "previous_version": rollout.previous.version if rollout.previous else None,
            "strategy": rollout.strategy,
            "slot": rollout.candidate.slot,
        }


def _came_about(request: Request, rollout: Rollout) -> bool:
    """Whether the rollout ended as the request wished, although nobody read it."""
    return (rollout.phase == PASSED) == (request.command != control.ABORT)
