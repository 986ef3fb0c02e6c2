# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking away what drills leave, from their journals alone. Internal: may change in any release."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .._common.clock import Clock
from .._common.envelope import ABORTED
from .._common.errors import OperationError
from . import history, story
from . import journal as journals
from .journal import Journal
from .model import Resource
from .removal import NotRemoved, Tools
from .removers import remover_of

RUNNING, NOTHING, CLEANED, INCOMPLETE = "running", "nothing_to_do", "cleaned", "incomplete"


@dataclass
class Cleaned:
    """What a cleanup found and did: C(state) is running, nothing_to_do, cleaned or incomplete (something could not be
    removed: C(left), with the commands that do it)."""

    drill_id: str
    state: str
    removed: list[dict[str, Any]] = field(default_factory=list)
    left: list[dict[str, Any]] = field(default_factory=list)
    envelope: dict[str, Any] | None = None

    @property
    def changed(self) -> bool:
        return self.state in (CLEANED, INCOMPLETE)


def remove_all(resources: Iterable[Resource], journal: Journal, tools: Tools) -> list[NotRemoved]:
    """Remove each, in the order given, whatever becomes of the others; returns what could not be removed."""
    left = []
    for resource in resources:
        try:
            removal = remover_of(resource.kind)(resource, tools)
        except NotRemoved as error:
            failure = error
        except Exception as error:
            # One broken remover must not keep the others from their work.
            failure = NotRemoved(
                resource, f"{type(error).__name__}: {error}.", ["ansible-playbook playbooks/dr_cleanup.yml"]
            )
        else:
            data = {"kind": resource.kind, "id": resource.id, "proof": removal.proof, "acted": removal.removed}
            journal.append(journals.REMOVED, data)
            continue
        left.append(failure)
        data = {"kind": resource.kind, "id": resource.id, "error": str(failure), "commands": list(failure.commands)}
        journal.append(journals.NOT_REMOVED, data)
    return left


def finish(folder: Path, clock: Clock, options: Mapping[str, Any], say: Callable[[str], None]) -> Cleaned:
    """Bring a drill that did not end to its end: everything removed, reported as aborted, in the history.

    A drill that still runs is left alone, and one that has ended is not touched. Raises OperationError for a journal
    that cannot be read.
    """
    if journals.running(folder):
        return Cleaned(folder.name, RUNNING)
    if journals.finished(journals.read(folder / journals.FILE)):
        return Cleaned(folder.name, NOTHING)
    journal = Journal(folder, clock)
    journal.open()
    try:
        return _finish(journal, clock, Tools(folder.name, clock, options, say))
    finally:
        journal.close()


def _finish(journal: Journal, clock: Clock, tools: Tools) -> Cleaned:
    before = journal.entries()
    journal.phase = "cleanup"
    journal.append(journals.CLEANUP, {"text": "the drill did not end by itself; this finishes it"})
    tools.say(f"{tools.drill_id} did not end by itself: removing what it left")
    errors = remove_all(journals.left(before), journal, tools)
    entries = journal.entries()
    new = entries[len(before) :]
    removed = [dict(entry.data) for entry in new if entry.event == journals.REMOVED]
    left = [dict(entry.data) for entry in new if entry.event == journals.NOT_REMOVED]
    envelope = _report(journal.folder, entries, clock)
    history.append(journal.folder.parent, history.line(envelope))
    if errors:
        return Cleaned(tools.drill_id, INCOMPLETE, removed, left, envelope)
    journal.append(journals.FINISHED, {"verdict": envelope["verdict"]})
    return Cleaned(tools.drill_id, CLEANED, removed, [], envelope)


def _report(folder: Path, entries: list[journals.Entry], clock: Clock) -> dict[str, Any]:
    """The report of a drill that was killed; one killed after its report was written keeps that."""
    path = folder / journals.REPORT
    written = story.load(path)
    if written is not None and written["verdict"] != ABORTED:
        written["evidence"] = [entry for entry in written["evidence"] if entry["kind"] != "resource"]
        written["evidence"] += story.resources(entries)
        story.write(path, written)
        return written
    first = entries[0] if entries and entries[0].event == journals.STARTED else None
    subject = first.data["subject"] if first else {**_nothing_known(folder), "drill_id": folder.name}
    recorder = story.recorder_of(clock, subject)
    story.replay(recorder, entries)
    recorder.evidence += story.resources(entries)
    envelope = recorder.envelope(ABORTED, changed=True)
    envelope["started"] = entries[0].at
    story.write(path, envelope)
    return envelope


def _nothing_known(folder: Path) -> dict[str, str]:
    """The subject of a drill that was killed before its first line was written."""
    scenario = folder.name.split("-", 1)[0]
    return {"scenario": scenario, "component": "", "source": "", "target": "", "environment": ""}


def the_drill(drills_dir: Path, drill_id: str) -> Path:
    """The folder of a drill. Raises OperationError when there is none."""
    folder = drills_dir / drill_id
    if folder not in list(journals.drills(drills_dir)):
        raise OperationError(
            f"clean up after {drill_id}",
            f"{drills_dir} has no drill of that name.",
            "leave the name out to clean up after every drill that did not end.",
        )
    return folder


def look(folder: Path) -> Cleaned:
    """What finish() would find, without doing anything."""
    if journals.running(folder):
        return Cleaned(folder.name, RUNNING)
    entries = journals.read(folder / journals.FILE)
    if journals.finished(entries):
        return Cleaned(folder.name, NOTHING)
    there = [{"kind": resource.kind, "id": resource.id} for resource in journals.left(entries)]
    return Cleaned(folder.name, CLEANED, there)


def remaining(folders: Iterable[Path]) -> list[str]:
    """What the drills in C(folders) that did not end have announced and not removed."""
    found = []
    for folder in folders:
        entries = journals.read(folder / journals.FILE)
        if not journals.finished(entries):
            found += [f"{resource.kind} {resource.id}" for resource in journals.left(entries)]
    return found
