# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a scenario is, and what it gets from the engine. Internal: may change in any release.

A scenario is a value of :class:`Scenario`: its name, and a function for each of its phases in the order they run in. A
phase function takes a :class:`DrillContext`, acts, and returns its evidence: a list of dictionaries with at least
C(kind). Evidence with C(verdict) C(failed), or C(skipped) without being allowed to, fails the drill. The rules:

- C(ctx.record_resource(kind, id, remove)) comes before the thing is made, or the fault is done. The engine removes
  everything that was recorded, newest first, by the table in removers.py, however the drill ends; a scenario needs a
  C(cleanup) phase of its own only for what is no resource.
- C(ctx.mark("t_fault")) and the other clocks: RTO is C(t_accept) - C(t_fault). A moment that was seen afterwards, such
  as the ledger's first acknowledged write, is given as C(monotonic=).
- C(ctx.wait(...)) for every wait; C(ctx.say(...)) for every sentence somebody watching should see.
- What went wrong and must end the drill is an OperationError; what must refuse it before anything is done is a Refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from .._common.clock import Clock, isoformat
from .._common.envelope import Recorder
from .._common.errors import OperationError
from .._common.waiting import Finding, wait_until
from . import journal as journals
from .journal import Journal
from .ledger import Ledger
from .model import CLOCKS, PHASES, Mark, Objectives, Removal, Resource, Subject
from .removal import Tools
from .removers import remover_of


class Refused(OperationError):
    """A drill must not begin: nothing has been touched. C(interlock) is the rule's name."""

    def __init__(self, interlock: str, attempted: str, answer: str, next_step: str) -> None:
        self.interlock = interlock
        super().__init__(attempted, answer, next_step)


class Interrupted(BaseException):
    """Somebody asked the drill to end (SIGTERM, SIGINT, SIGHUP). No Exception: nothing may take it for a failure."""


@dataclass
class DrillContext:
    """What a phase works with. C(state) is the scenario's own memory from phase to phase; it dies with the process."""

    drill_id: str
    subject: Subject
    objectives: Objectives
    options: Mapping[str, Any]
    clock: Clock
    journal: Journal
    recorder: Recorder
    folder: Path
    expires_at: str
    ledger: Ledger | None = None
    state: dict[str, Any] = field(default_factory=dict)
    marks: dict[str, Mark] = field(default_factory=dict)

    def say(self, text: str) -> None:
        """Tell whoever watches, and keep it in the timeline and the journal."""
        self.journal.append(journals.NOTE, {"text": text})

    def progress(self, text: str, waited: float | None = None, limit: float | None = None) -> None:
        """Tell how a wait stands; not kept."""
        self.recorder.progress(text, waited, limit)

    def wait(self, look: Callable[[], Finding], timeout: float, attempted: str, interval: float = 0.2) -> Finding:
        """The finding that is done. Raises OperationError, beginning with C(attempted), when it fails or time is up."""
        found, waited = wait_until(
            look, self.clock, timeout, interval, lambda now, so_far: self.progress(now.detail, so_far, timeout)
        )
        if found.done:
            return found
        answer = found.detail if found.failed else f"{found.detail} after {waited:.0f} s."
        raise OperationError(attempted, answer, "look at the drill's report; everything it made is removed.")

    def mark(self, name: str, monotonic: float | None = None) -> Mark:
        """Set a clock, once: now, or to the C(monotonic) moment of this process at which it happened."""
        if name not in CLOCKS:
            raise ValueError(f"{name} is no clock of a drill: {', '.join(CLOCKS)}")
        if name in self.marks:
            raise ValueError(f"{name} is set already")
        now, wall = self.clock.monotonic(), self.clock.now()
        moment = now if monotonic is None else monotonic
        mark = Mark(isoformat(wall - timedelta(seconds=now - moment)), moment)
        self.marks[name] = mark
        self.journal.append(journals.CLOCK, {"name": name, "at": mark.at, "monotonic": round(moment, 3)})
        return mark

    def measure(self, name: str, value: float | None, unit: str, limit: float | None = None, verdict: str = "") -> None:
        """Record a figure, such as C(rpo_s) or C(lost_acked_writes): above its C(limit) it fails the drill, and without
        a limit it reads not_checked."""
        figure = {"name": name, "value": value, "unit": unit, "limit": limit, "verdict": verdict}
        self.journal.append(journals.MEASURED, figure)

    def record_resource(self, kind: str, identifier: str, remove: Mapping[str, Any] | None = None) -> Resource:
        """Announce in the journal what is made, or done, next. Raises ValueError for a kind without a remover.

        Call it before the act. C(remove) is what the remover needs, without secrets.
        """
        remover_of(kind)
        resource = Resource(kind, identifier, dict(remove or {}))
        self.journal.append(journals.PLANNED, {"kind": kind, "id": identifier, "remove": dict(resource.remove)})
        return resource

    def remove(self, resource: Resource) -> Removal:
        """Remove a resource before the cleanup does. Raises NotRemoved."""
        removal = remover_of(resource.kind)(resource, Tools(self.drill_id, self.clock, self.options, self.say))
        data = {"kind": resource.kind, "id": resource.id, "proof": removal.proof, "acted": removal.removed}
        self.journal.append(journals.REMOVED, data)
        return removal

    def start_ledger(self, write: Callable[[int], None], rate: float = 10.0) -> Ledger:
        """Begin to write: C(write(seq)) returns when the system under test has acknowledged the row, and raises when
        it has not. The engine stops it when the drill ends, if the scenario has not."""
        self.ledger = Ledger(self.folder / journals.LEDGER, write, rate)
        self.ledger.start()
        return self.ledger


PhaseFunction = Callable[[DrillContext], Iterable[Mapping[str, Any]]]


def in_order(*functions: PhaseFunction) -> dict[str, PhaseFunction]:
    """The phases of a scenario whose functions have their phases' names."""
    return {function.__name__: function for function in functions}


@dataclass(frozen=True)
class Scenario:
    """One kind of disaster.

    C(phases) are its functions by phase, in the order they run. C(subject) makes the drill's subject from the options
    and the environment's name, and raises Refused when something needed is missing. C(needs) are the kinds of evidence
    without which it cannot pass. C(plan) says in sentences what it would do, for check mode. C(measures) are the
    figures without which it cannot pass: C(rto_s), unless it recovers nothing. C(spec) is an
    Ansible argument spec of the settings; without one they are taken as they are.
    """

    name: str
    component: str
    phases: Mapping[str, PhaseFunction]
    subject: Callable[[Mapping[str, Any], str], Subject]
    plan: Callable[[Mapping[str, Any]], list[str]]
    needs: frozenset[str] = frozenset()
    measures: frozenset[str] = frozenset({"rto_s"})
    spec: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        unknown = set(self.phases) - set(PHASES)
        if unknown:
            raise ValueError(f"{self.name}: no phase of a drill: {', '.join(sorted(unknown))}")
