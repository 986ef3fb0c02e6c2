# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a pgBackRest repository holds, as data. Internal: may change in any release."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

FULL = "full"
DIFF = "diff"
INCR = "incr"
#: Codes of a stanza without a place in the repository: its path or its data is missing.
STANZA_MISSING = (1, 3)
#: A backup answers for a wanted type when it is at least as complete.
ANSWERS_FOR = {FULL: (FULL,), DIFF: (FULL, DIFF), INCR: (FULL, DIFF, INCR)}


@dataclass(frozen=True)
class Place:
    """Where pgBackRest finds a repository: its program, configuration file and stanza; C(repo) 0 means any."""

    config: str
    stanza: str
    repo: int = 0
    program: str = "pgbackrest"


@dataclass(frozen=True)
class Backup:
    """One backup of the catalog. Times are seconds since the epoch, as pgBackRest keeps them; sizes are bytes."""

    label: str
    type: str
    started: int
    finished: int
    size: int
    repository_size: int
    wal_start: str
    wal_stop: str
    lsn_start: str
    lsn_stop: str
    system_id: str
    version: str
    archive_id: str
    prior: str = ""
    references: tuple[str, ...] = ()
    page_errors: bool = False
    annotations: dict[str, str] = field(default_factory=dict)
    repo: int = 1

    @property
    def good(self) -> bool:
        """Whether the catalog knows of nothing wrong with it."""
        return not self.page_errors

    @property
    def chain(self) -> tuple[str, ...]:
        """Labels of all backups that a restore of this one reads, itself included."""
        return (*self.references, self.label)


@dataclass(frozen=True)
class Catalog:
    """What C(info) says of one stanza. C(status) 0 is well; C(archives) maps archive id to its (oldest, newest) WAL."""

    stanza: str
    status: int
    message: str
    cipher: str
    backups: tuple[Backup, ...]
    archives: dict[str, tuple[str, str]]
    running: bool

    @property
    def encrypted(self) -> bool:
        return self.cipher not in ("", "none")


@dataclass(frozen=True)
class VerifyFinding:
    """One thing that C(verify) found wrong. C(kind): missing, checksum, size, unreadable or reported."""

    kind: str
    path: str
    detail: str = ""
    expected: str = ""
    actual: str = ""


@dataclass(frozen=True)
class Verification:
    """What C(verify) said: C(status) is ok or error, or unknown when it said nothing that could be understood."""

    status: str
    findings: tuple[VerifyFinding, ...]
    backups: dict[str, str]
    wal_checked: int
    files_checked: int

    @property
    def passed(self) -> bool:
        return self.status == "ok" and not self.findings

    def as_data(self) -> dict[str, Any]:
        """Plain data for a result."""
        return {**asdict(self), "findings": [asdict(finding) for finding in self.findings], "passed": self.passed}
