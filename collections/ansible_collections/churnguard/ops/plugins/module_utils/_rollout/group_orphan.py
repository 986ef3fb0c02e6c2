# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the watchdog does about a group whose controller has died: all services or none. Internal: may change in any
release."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .._common.envelope import Recorder
from .._kubernetes.connection import Connection
from . import group_journal
from . import journal as codec
from .api import RolloutApi
from .engine import Engine, Outcome
from .group import FINISHING, MOVED, PARKED, GroupRelease, group_target, is_past, standing
from .model import Desired, Journal, Pace, Target


@dataclass(frozen=True)
class Orphan:
    """The release that an orphaned rollout belongs to, and what its services' journals say."""

    release: GroupRelease
    tag: str
    journals: dict[str, Journal]

    @property
    def standings(self) -> dict[str, str]:
        return {name: standing(journal, self.tag) for name, journal in self.journals.items()}

    @property
    def reason_to_leave(self) -> str:
        """Why nothing may be done about it without somebody looking; empty if something may."""
        release = self.release
        if release.phase == FINISHING or not is_past(release, self.standings):
            return ""
        return f"release {self.tag} is past {release.reversible_until}, after which nothing is taken back"


def find(connection: Connection, tag: str, target: Target) -> Orphan | None:
    """Release C(tag); None if the group's journal knows nothing of it any more."""
    group = group_target(tag.partition("/")[0], target.namespace)
    release = group_journal.read(RolloutApi(connection, group).get_journal(), group).release
    if release is None or release.tag(group.name) != tag:
        return None
    journals = {}
    for entry in release.services:
        own = entry.target(target.namespace)
        journals[entry.name] = codec.read(RolloutApi(connection, own).get_journal(), own)
    return Orphan(release, tag, journals)


def end(
    orphan: Orphan,
    namespace: str,
    engine_for: Callable[[Target, Recorder], Engine],
    recorder: Recorder,
    check_mode: bool,
) -> list[tuple[str, Outcome]]:
    """Finish a release whose services have all proved themselves; else take it back, the last service first. Stops at
    the first that fails. Raises LockHeld when somebody runs one of them."""
    forward = orphan.release.phase == FINISHING
    done: list[tuple[str, Outcome]] = []
    entries = orphan.release.services if forward else list(reversed(orphan.release.services))
    for entry in entries:
        journal, stands = orphan.journals[entry.name], orphan.standings[entry.name]
        unfinished = journal.rollout is not None and journal.rollout.unfinished
        if stands not in ((PARKED,) if forward else MOVED) or not unfinished:
            continue
        engine = engine_for(entry.target(namespace), recorder)
        outcome = engine.run(_wish(orphan.tag, forward, entry.version, entry.content_hash), check_mode)
        done.append((entry.name, outcome))
        if outcome.failed:
            break
    return done


def _wish(tag: str, forward: bool, version: str, content_hash: str) -> Desired:
    return Desired(
        state="present" if forward else "aborted",
        strategy="blue_green",
        version=version if forward else "",
        deployment={},
        content_hash=content_hash if forward else "",
        replicas=None,
        on_unfinished="resume",
        pace=Pace(),
        group=tag,
    )
