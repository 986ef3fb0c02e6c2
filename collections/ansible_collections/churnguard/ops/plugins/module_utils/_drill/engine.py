# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a scenario, phase by phase, and ends it whatever happens. Internal: may change in any release."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from .._common.clock import Clock, isoformat
from .._common.envelope import ABORTED, PASSED, Recorder
from .._common.errors import OperationError
from . import cleanup, clocks, history, preflight, story
from . import journal as journals
from . import verdict as verdicts
from .interruptions import Interruptions
from .journal import Journal
from .model import Objectives, Subject, drill_id
from .removal import NotRemoved, Tools
from .scenario import DrillContext, Interrupted, Refused, Scenario

# The phases' own stopwatch and the clocks must agree; what is between them is time nobody accounts for.
UNACCOUNTED_S = 0.1


@dataclass(frozen=True)
class Request:
    """What is to be drilled, and how far it may go. C(alerts) are the names of firing alerts, None when nobody was
    asked; C(expires_after_s) is when a sweeper may take what is left."""

    scenario: Scenario
    subject: Subject
    objectives: Objectives
    drills_dir: Path
    options: Mapping[str, Any] = field(default_factory=dict)
    confirm: str = ""
    alerts: Collection[str] | None = None
    allow_skipped: frozenset[str] = frozenset()
    expires_after_s: float = 4 * 3600.0


@dataclass(frozen=True)
class Outcome:
    """How the drill ended; C(refused) is the interlock that kept it from beginning."""

    verdict: str
    reasons: list[str]
    envelope: dict[str, Any]
    commands: list[str] = field(default_factory=list)
    refused: str = ""


class Engine:
    """One drill."""

    def __init__(self, request: Request, clock: Clock, recorder: Recorder) -> None:
        self._request = request
        self._clock = clock
        self._recorder = recorder
        self._timed: list[clocks.Timed] = []
        self._failures: list[str] = []
        self._left: list[NotRemoved] = []
        self._refused = ""

    def run(self) -> Outcome:
        """Raises Refused when it must not even begin; everything later is in the outcome."""
        request = self._request
        identifier = drill_id(request.scenario.name, self._clock.now(), secrets.token_hex(2))
        self._recorder.subject = request.subject.as_data(identifier)
        answers = [
            preflight.confirmation(request.subject.environment, request.subject.target, request.confirm),
            preflight.alerts(request.alerts),
        ]
        preflight.refuse(answers, f"start {identifier}")
        lock = preflight.SourceLock(request.drills_dir, request.subject.source, self._clock)
        lock.take()
        try:
            answers.append(preflight.unfinished(request.drills_dir, request.subject.source, identifier))
            preflight.refuse(answers, f"start {identifier}")
            return self._drill(identifier, answers)
        finally:
            lock.give_back()

    def _drill(self, identifier: str, answers: list[dict[str, Any]]) -> Outcome:
        journal = Journal(
            self._request.drills_dir / identifier, self._clock, lambda entry: story.tell(self._recorder, entry)
        )
        with Interruptions() as interruptions:
            journal.open()
            try:
                context = self._begin(identifier, journal)
                for entry in answers:
                    journal.append(journals.EVIDENCE, entry)
                try:
                    self._phases(context)
                    interruptions.hold()
                except Interrupted:
                    self._ended(context, "failed", f"interrupted by {interruptions.name}")
                interrupted = interruptions.name
                self._clean_up(context)
                return self._end(context, interrupted)
            finally:
                journal.close()

    def _begin(self, identifier: str, journal: Journal) -> DrillContext:
        request = self._request
        expires = isoformat(self._clock.now() + timedelta(seconds=request.expires_after_s))
        data = {
            "subject": request.subject.as_data(identifier),
            "objectives": {"rto_s": request.objectives.rto_s, "rpo_s": request.objectives.rpo_s},
            "expires_at": expires,
            "text": f"{identifier} on {request.subject.source}",
        }
        journal.append(journals.STARTED, data)
        return DrillContext(
            drill_id=identifier,
            subject=request.subject,
            objectives=request.objectives,
            options=request.options,
            clock=self._clock,
            journal=journal,
            recorder=self._recorder,
            folder=journal.folder,
            expires_at=expires,
        )

    def _phases(self, context: DrillContext) -> None:
        """Run all but the cleanup; after an error the rest is skipped. Raises Interrupted when somebody asks to end."""
        failed = ""
        for name, function in self._request.scenario.phases.items():
            if name == "cleanup":
                continue
            if failed:
                context.journal.phase = name
                self._ended(context, "skipped", f"not run, because {failed} failed")
            elif not self._phase(context, name, function):
                failed = name

    def _phase(self, context: DrillContext, name: str, function: Any) -> bool:
        """One phase, timed; whether it came to its end."""
        began = self._clock.monotonic()
        context.journal.phase = name
        context.journal.append(journals.PHASE_STARTED)
        error: OperationError | None = None
        try:
            for entry in function(context):
                context.journal.append(journals.EVIDENCE, entry)
        except Refused as refusal:
            self._refused, error = refusal.interlock, refusal
        except OperationError as failure:
            error = failure
        except Exception as failure:
            # What a scenario did not foresee must not keep its traces: it fails, and is cleaned up like any other.
            error = OperationError(f"run {name}", f"{type(failure).__name__}: {failure}.", "report this as a fault.")
        self._ended(context, "failed" if error else "done", str(error) if error else "")
        self._timed.append(clocks.Timed(name, began, self._clock.monotonic()))
        if error:
            self._failures.append(f"{name} failed. {error}")
        return error is None

    def _ended(self, context: DrillContext, outcome: str, detail: str) -> None:
        context.journal.append(journals.PHASE_ENDED, {"outcome": outcome, "detail": detail})

    def _clean_up(self, context: DrillContext) -> None:
        """Stop the ledger, run the scenario's own cleanup, then remove every resource, the newest first."""
        context.journal.phase = "cleanup"
        context.journal.append(journals.PHASE_STARTED)
        began = self._clock.monotonic()
        if context.ledger is not None and not context.ledger.stop():
            self._failures.append("The ledger's last write did not return.")
        own = self._request.scenario.phases.get("cleanup")
        if own is not None:
            try:
                for entry in own(context):
                    context.journal.append(journals.EVIDENCE, entry)
            except Exception as error:
                self._failures.append(f"cleanup failed. {type(error).__name__}: {error}")
        tools = Tools(context.drill_id, self._clock, context.options, context.progress)
        self._left = cleanup.remove_all(journals.left(context.journal.entries()), context.journal, tools)
        outcome = "failed" if self._left else "done"
        self._ended(context, outcome, "; ".join(str(error) for error in self._left))
        self._timed.append(clocks.Timed("cleanup", began, self._clock.monotonic()))

    def _end(self, context: DrillContext, interrupted: str) -> Outcome:
        recorder = self._recorder
        self._measure(context)
        recorder.evidence += clocks.evidence(context.marks)
        recorder.evidence += [self._phase_evidence(phase) for phase in self._timed]
        recorder.evidence += story.resources(context.journal.entries())
        why = self._why(interrupted)
        word = ABORTED if interrupted or self._refused else verdicts.verdict(False, why)
        recorder.event("completed" if word == PASSED else "failed", why[0] if why else "the drill has passed")
        envelope = recorder.envelope(word, changed=True)
        envelope["reasons"] = why
        self._publish(context, envelope)
        commands = [command for error in self._left for command in error.commands]
        return Outcome(word, why, envelope, commands, self._refused)

    def _why(self, interrupted: str) -> list[str]:
        if interrupted:
            return [f"{interrupted} interrupted it.", *(str(error) for error in self._left)]
        return verdicts.reasons(
            self._recorder.measurements,
            self._recorder.evidence,
            self._failures,
            [f"{error.attempted.removeprefix('remove ')}" for error in self._left],
            self._request.scenario.needs,
            self._request.scenario.measures,
            self._request.allow_skipped,
        )

    def _measure(self, context: DrillContext) -> None:
        """The figures that follow from the clocks."""
        marks, recorder = context.marks, self._recorder
        total = clocks.rto(marks)
        if "rto_s" in self._request.scenario.measures:
            recorder.measure("rto_s", total, "s", self._request.objectives.rto_s)
        if total is None:
            return
        if (technical := clocks.technical_rto(marks)) is not None:
            recorder.measure("technical_rto_s", technical, "s")
        shares = clocks.in_recovery(self._timed, marks)
        for name, seconds in shares:
            recorder.measure(f"phase_{name}_s", seconds, "s")
        for name, seconds in clocks.steps(marks):
            recorder.measure(f"step_{name}_s", seconds, "s")
        recorder.measure("unaccounted_s", abs(total - sum(seconds for _name, seconds in shares)), "s", UNACCOUNTED_S)

    def _phase_evidence(self, phase: clocks.Timed) -> dict[str, Any]:
        return {"kind": "phase", "name": phase.name, "seconds": round(phase.ended - phase.began, 3)}

    def _publish(self, context: DrillContext, envelope: dict[str, Any]) -> None:
        """Report, history, last word: in this order, so that a kill between two leaves work for the cleanup."""
        story.write(context.folder / journals.REPORT, envelope)
        if not self._refused:
            history.append(self._request.drills_dir, history.line(envelope))
        if not self._left:
            context.journal.append(journals.FINISHED, {"verdict": envelope["verdict"]})


def run(request: Request, clock: Clock, recorder: Recorder) -> Outcome:
    """Run one drill to its end; see Engine.run."""
    return Engine(request, clock, recorder).run()
