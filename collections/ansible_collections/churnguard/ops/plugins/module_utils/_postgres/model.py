# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the manifest's parts hand to each other. Internal: may change in any release."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

PASSED = "passed"
FAILED = "failed"
SKIPPED = "skipped"

#: Every layer of a comparison, cheapest first.
CHECKS = (
    "rows",
    "content",
    "sequences",
    "catalog",
    "roles",
    "settings",
    "extensions",
    "collations",
    "foreign_keys",
    "amcheck",
)
MAX_DIFFERENCES = 20


@dataclass(frozen=True)
class Options:
    """What is captured and compared. C(include), C(exclude), C(ignore_settings): shell patterns; C(statement_timeout)
    in seconds, 0 for none."""

    hash: str = "record"
    workers: int = 2
    include: tuple[str, ...] = ("*.*",)
    exclude: tuple[str, ...] = ()
    checks: tuple[str, ...] = CHECKS
    allow_skipped: tuple[str, ...] = ()
    ignore_settings: tuple[str, ...] = ()
    statement_timeout: float = 0
    snapshot: str | None = None
    dump: dict[str, Any] | None = None
    locate: bool = True
    amcheck_heapallindexed: bool = False
    #: Whether amcheck may be created for as long as it is needed.
    may_create: bool = True


@dataclass(frozen=True)
class Query:
    """One statement for a worker. C(check) and C(subject) say what it is for, C(weight) how long it takes (bytes)."""

    check: str
    subject: str
    sql: str
    weight: int = 0


@dataclass(frozen=True)
class Answer:
    """What came of a query: rows; or none of them, with why it failed or was skipped."""

    query: Query
    rows: list[tuple[Any, ...]]
    verdict: str
    reason: str
    seconds: float


@dataclass(frozen=True)
class Column:
    """A column, as far as hashing it goes. C(type) is the base type's qualified name; C(hashable): it has an extended
    hash function; C(length) is the type modifier (-1: none); C(never_null): declared NOT NULL."""

    name: str
    type: str
    kind: str
    hashable: bool
    length: int
    collatable: bool
    never_null: bool


@dataclass(frozen=True)
class Table:
    """A table whose rows are read. C(blocks) of 8 KiB is its main fork's size now; C(key): its primary key's columns;
    C(heap): whether rows can be addressed by block."""

    schema: str
    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    blocks: int
    heap: bool
    logged: bool

    @property
    def title(self) -> str:
        return f"{self.schema}.{self.name}"


@dataclass
class Check:
    """One line of the integrity matrix."""

    name: str
    subject: str
    verdict: str
    reason: str = ""
    expected: Any = None
    actual: Any = None
    seconds: float = 0.0
    differences: list[Any] = field(default_factory=list)

    def plain(self) -> dict[str, Any]:
        """As plain data, differences bounded."""
        return {
            "name": self.name,
            "subject": self.subject,
            "verdict": self.verdict,
            "reason": self.reason,
            "expected": self.expected,
            "actual": self.actual,
            "seconds": round(self.seconds, 3),
            "differences": self.differences[:MAX_DIFFERENCES],
        }
