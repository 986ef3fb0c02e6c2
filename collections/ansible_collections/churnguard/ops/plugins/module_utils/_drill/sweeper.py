# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Leftovers of drills that nobody will finish: found by their age and marker. Internal: may change in any release.

The journals come first, because they know everything; what has lost its journal is found by the marker in its folder
and the drill's id in the environment of its processes, and by its tags in AWS.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from .._common.clock import Clock, parse_time
from . import cleanup, sweep_aws
from . import journal as journals
from .model import Resource, is_drill_id
from .removal import NotRemoved, Tools
from .remove_local import MARKER
from .removers import remover_of


@dataclass
class Swept:
    """C(drills) were finished by their journal, C(removed) had none; C(left) could not be removed, and C(kept) is not
    old enough, or still runs."""

    drills: list[cleanup.Cleaned] = field(default_factory=list)
    removed: list[dict[str, Any]] = field(default_factory=list)
    left: list[dict[str, Any]] = field(default_factory=list)
    kept: list[dict[str, Any]] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        return bool(self.removed) or any(drill.changed for drill in self.drills)


@dataclass(frozen=True)
class Aws:
    """Where to look for tagged leftovers, and whether deletion protection is taken off them."""

    regions: Sequence[str] = ()
    lift_protection: bool = False


@dataclass(frozen=True)
class Leftover:
    """A folder with a drill's marker; without a readable one C(expires_at) is None, and it is kept."""

    folder: Path
    drill_id: str
    expires_at: datetime | None


def expired(expires_at: datetime | None, now: datetime) -> bool:
    """Whether its drill has promised not to need it any more."""
    return expires_at is not None and now >= expires_at


def expiry_of(entries: Iterable[journals.Entry]) -> datetime | None:
    """When a drill's leftovers may be taken, from its journal."""
    for entry in entries:
        if entry.event == journals.STARTED:
            return parse_time(entry.data["expires_at"])
    return None


def leftovers(roots: Iterable[Path]) -> list[Leftover]:
    """Folders with a drill's marker directly below C(roots)."""
    found = []
    for root in roots:
        for marker in sorted(root.glob(f"*/{MARKER}")) if root.is_dir() else []:
            try:
                told = json.loads(marker.read_text(encoding="utf-8"))
                found.append(Leftover(marker.parent, str(told["drill_id"]), parse_time(told["expires_at"])))
            except (OSError, ValueError, KeyError, TypeError):
                found.append(Leftover(marker.parent, "", None))
    return found


def sweep(
    drills_dir: Path,
    roots: Iterable[Path],
    clock: Clock,
    options: Mapping[str, Any],
    say: Callable[[str], None],
    act: bool = True,
    aws: Aws | None = None,
) -> Swept:
    """Finish every expired drill, and remove every expired leftover below C(roots) and in C(aws). Without C(act) it
    only looks: what would be done is then in C(drills) and C(removed) alike."""
    result, known, held = Swept(), set(), set()
    for folder in journals.drills(drills_dir):
        known.add(folder.name)
        entries = journals.read(folder / journals.FILE)
        if journals.finished(entries):
            continue
        if journals.running(folder) or not expired(expiry_of(entries), clock.now()):
            held.add(folder.name)
            result.kept.append({"drill_id": folder.name, "reason": "it is running, or has not expired yet"})
        elif act:
            finished = cleanup.finish(folder, clock, options, say)
            result.drills.append(finished)
            held.update([folder.name] if finished.left else [])
        else:
            held.add(folder.name)
            result.drills.append(cleanup.Cleaned(folder.name, cleanup.CLEANED))
    for leftover in leftovers(roots):
        if leftover.drill_id not in known:
            _one(leftover, result, clock, options, act)
    places = {"removed": result.removed, "left": result.left, "kept": result.kept}
    for region in aws.regions if aws else ():
        tools = Tools("", clock, options, say)
        for judged in sweep_aws.sweep_region(region, tools, held, aws.lift_protection, act):
            places[judged.word].append(judged.entry)
    return result


def _one(leftover: Leftover, result: Swept, clock: Clock, options: Mapping[str, Any], act: bool) -> None:
    """A folder whose journal is gone: its processes, then itself."""
    shown = {"drill_id": leftover.drill_id, "id": str(leftover.folder)}
    if not is_drill_id(leftover.drill_id) or not expired(leftover.expires_at, clock.now()):
        result.kept.append({**shown, "reason": "its marker cannot be read, or has not expired yet"})
        return
    if not act:
        result.removed.append(shown)
        return
    tools = Tools(leftover.drill_id, clock, options)
    try:
        for kind in ("postgresql", "process", "directory"):
            remover_of(kind)(Resource(kind, str(leftover.folder)), tools)
    except NotRemoved as error:
        result.left.append({**shown, "error": str(error), "commands": list(error.commands)})
        return
    result.removed.append({**shown, "proof": f"{leftover.folder} does not exist any more"})
