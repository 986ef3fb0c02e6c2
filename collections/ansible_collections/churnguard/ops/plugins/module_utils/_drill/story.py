# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a drill's journal to its timeline, evidence and envelope. Internal: may change in any release.

A drill that runs and one that is finished after a kill are told by the same functions, entry by entry.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .._common.clock import Clock
from .._common.envelope import Recorder
from . import journal as journals
from .journal import Entry

_EVENTS = {
    journals.STARTED: "drill",
    journals.PHASE_STARTED: "step_started",
    journals.NOTE: "note",
    journals.CLEANUP: "cleanup",
    journals.CLOCK: "clock",
    journals.PLANNED: "resource",
    journals.REMOVED: "removed",
    journals.NOT_REMOVED: "not_removed",
}


def spoken(entry: Entry) -> tuple[str, str]:
    """Event and detail of an entry for a timeline; an empty event for what no timeline shows."""
    data = entry.data
    if entry.event == journals.PHASE_ENDED:
        event = {"done": "step_done", "failed": "failed"}.get(data["outcome"], "skipped")
        return event, f"{entry.phase}: {data['detail']}" if data["detail"] else entry.phase
    details = {
        journals.STARTED: lambda: str(data.get("text", "")),
        journals.PHASE_STARTED: lambda: entry.phase,
        journals.NOTE: lambda: str(data["text"]),
        journals.CLEANUP: lambda: str(data["text"]),
        journals.CLOCK: lambda: str(data["name"]),
        journals.PLANNED: lambda: f"{data['kind']} {data['id']}",
        journals.REMOVED: lambda: f"{data['kind']} {data['id']}: {data['proof']}",
        journals.NOT_REMOVED: lambda: str(data["error"]),
    }
    return (_EVENTS[entry.event], details[entry.event]()) if entry.event in _EVENTS else ("", "")


def tell(recorder: Recorder, entry: Entry) -> None:
    """Take one entry into a running drill's envelope, and show it to whoever watches."""
    event, detail = spoken(entry)
    if event:
        recorder.event(event, detail)
    keep(recorder, entry)


def keep(recorder: Recorder, entry: Entry) -> None:
    """The figures and the evidence of an entry."""
    if entry.event == journals.MEASURED:
        recorder.measure(**entry.data)
    elif entry.event == journals.EVIDENCE:
        recorder.evidence.append(dict(entry.data))


def replay(recorder: Recorder, entries: Iterable[Entry]) -> None:
    """The same for a drill whose process is gone: every entry with the time it was written at."""
    for entry in entries:
        event, detail = spoken(entry)
        if event:
            recorder.timeline.append({"at": entry.at, "event": event, "detail": detail})
        keep(recorder, entry)


def resources(entries: Iterable[Entry]) -> list[dict[str, Any]]:
    """Each resource with when it was announced and seen gone, in the order of their announcement.

    C(type) is the resource's kind. C(removed) is None for one that is still there; C(proof) then says why.
    """
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for entry in entries:
        data = entry.data
        if entry.event == journals.PLANNED:
            found[data["kind"], data["id"]] = {
                "kind": "resource",
                "type": data["kind"],
                "id": data["id"],
                "created": entry.at,
                "removed": None,
                "proof": "",
            }
        elif entry.event == journals.REMOVED:
            found[data["kind"], data["id"]].update(removed=entry.at, proof=data["proof"])
        elif entry.event == journals.NOT_REMOVED:
            found[data["kind"], data["id"]].update(proof=data["error"], commands=data["commands"])
    return list(found.values())


def write(path: Path, envelope: Mapping[str, Any]) -> None:
    """The envelope as JSON, by rename: the file is whole or not there."""
    aside = path.with_name(path.name + ".new")
    with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as stream:
        json.dump(envelope, stream, indent=2, sort_keys=True)
        stream.write("\n")
        stream.flush()
        os.fsync(stream.fileno())
    aside.rename(path)


def recorder_of(clock: Clock, subject: Mapping[str, Any]) -> Recorder:
    """A recorder without anybody watching."""
    recorder = Recorder(clock, "dr_drill")
    recorder.subject = dict(subject)
    return recorder


def load(path: Path) -> dict[str, Any] | None:
    """A report that was written; None when there is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
