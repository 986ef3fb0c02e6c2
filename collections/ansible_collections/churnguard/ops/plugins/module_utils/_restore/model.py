# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a restore is asked for, and what it gives back. Internal: may change in any release."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .._common.errors import OperationError
from .._pgbackrest.model import Backup, Place

LATEST = "latest"
TIME = "time"
LSN = "lsn"
NAME = "name"
IMMEDIATE = "immediate"
KINDS = (LATEST, TIME, LSN, NAME, IMMEDIATE)

SOCKET = "socket"
LOOPBACK = "loopback"

#: What a caller may choose to go past. That a target is not a scratch target is not among them.
IGNORABLE = ("backup_broken", "disk_space", "wal_content", "wal_gap")

#: Tells a watcher how things stand.
Say = Callable[[str], None]


class Refused(OperationError):
    """An interlock holds: nothing was changed. C(interlock) names it; C(facts) is what was seen."""

    def __init__(
        self, interlock: str, attempted: str, answer: str, next_step: str, facts: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(attempted, answer, next_step)
        self.interlock = interlock
        self.facts = dict(facts or {})


@dataclass(frozen=True)
class Target:
    """The scratch cluster: where it lives, its port on loopback, and the word that marks it as this caller's.

    With C(access) socket only the system's user reaches it, by a socket inside its private folder; with loopback also
    the roles of the restored cluster with their own passwords, on 127.0.0.1.
    """

    data_dir: Path
    port: int
    marker: str
    access: str = SOCKET
    settings: Mapping[str, str] = field(default_factory=dict)

    def beside(self, suffix: str) -> Path:
        """A path of this target outside its data folder."""
        return self.data_dir.with_name(f"{self.data_dir.name}.{suffix}")

    @property
    def marker_file(self) -> Path:
        return self.beside("scratch.json")

    @property
    def tablespaces(self) -> Path:
        return self.beside("tablespaces")

    @property
    def log_file(self) -> Path:
        return self.beside("log")


@dataclass(frozen=True)
class Point:
    """How far to recover: C(value) is ISO time with an offset, an LSN, or a restore point's name."""

    kind: str = LATEST
    value: str = ""


@dataclass(frozen=True)
class Request:
    """One restore. C(label) chooses the backup by hand; C(require_wal) is a segment that must be in the archive, such
    as the last that the lost server is known to have archived; C(received) is the folder of C(pg_receivewal), where
    recovery goes on when the archive ends. C(workspace) is where WAL is read, the system's temporary folder by
    default."""

    place: Place
    target: Target
    point: Point
    confirm: str
    label: str = ""
    deny: tuple[str, ...] = ()
    ignore: frozenset[str] = frozenset()
    verify: bool = True
    wal_content: bool = True
    require_wal: str = ""
    received: Path | None = None
    workspace: Path | None = None
    programs: Path = Path("/usr/lib/postgresql/15/bin")
    superuser: str = "postgres"
    timeout: float = 3600.0


@dataclass(frozen=True)
class Chosen:
    """The backup that is restored, and why it and not another."""

    backup: Backup
    reason: str


@dataclass
class Walk:
    """The archived WAL that recovery will read: names in order, what is missing, and what was found inside.

    C(received) maps segments that are not in the archive to the files of C(pg_receivewal); C(received_to) is where the
    last record begins of the newest one, if that is partial. C(newest_commit) is the time (epoch seconds) of the
    newest commit that was read, None when none was looked for.
    """

    archive_id: str
    segment_size: int
    segments: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    after_gap: list[str] = field(default_factory=list)
    broken: dict[str, str] = field(default_factory=dict)
    content_checked: int = 0
    newest_commit: float | None = None
    restore_points: dict[str, str] = field(default_factory=dict)
    received: dict[str, str] = field(default_factory=dict)
    received_to: str = ""

    @property
    def last(self) -> str:
        """The newest segment that recovery can reach by name."""
        return self.segments[-1] if self.segments else ""

    def as_data(self) -> dict[str, Any]:
        """Plain data for a result, without the long list of names."""
        return {
            "first": self.segments[0] if self.segments else None,
            "last": self.last or None,
            "segments": len(self.segments),
            "missing": self.missing[:20],
            "missing_count": len(self.missing),
            "unreachable_after_gap": len(self.after_gap),
            "broken": dict(list(self.broken.items())[:20]),
            "content_checked": self.content_checked,
            "received": sum(name in self.received for name in self.segments),
            "received_to": self.received_to or None,
        }


@dataclass
class Restored:
    """A scratch cluster that has reached its point. Times are ISO 8601 in UTC; durations are seconds."""

    data_dir: str
    port: int
    socket_dir: str
    marker: str
    backup: dict[str, Any]
    selection: str
    wal: dict[str, Any]
    timeline: int
    recovery_target: dict[str, Any]
    stopped_by: str
    last_replayed_commit: str | None
    replayed_to: str
    system_identifier: str
    isolation: dict[str, str]
    durations: dict[str, float]

    def as_data(self) -> dict[str, Any]:
        """Plain data for a result."""
        return asdict(self)
