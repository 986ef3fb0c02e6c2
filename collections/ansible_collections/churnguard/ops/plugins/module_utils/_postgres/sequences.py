# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sequences: where they stand, and whether they are ahead of the columns that they fill. Pure but for its SQL.
Internal: may change in any release."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .hashing import literal, quote
from .model import FAILED, PASSED, Check, Query


@dataclass(frozen=True)
class Filled:
    """A sequence and one column that it fills (schema, table, column), or None."""

    schema: str
    name: str
    increment: int
    cycles: bool
    column: tuple[str, str, str] | None

    @property
    def title(self) -> str:
        return f"{self.schema}.{self.name}"


def read(rows: Sequence[tuple[Any, ...]]) -> list[Filled]:
    """What catalog_sql.SEQUENCES answers."""
    return [Filled(*row[:4], column=tuple(row[4:7]) if row[4] is not None else None) for row in rows]


def position_sql(sequences: Sequence[Filled]) -> str:
    """(title, last value, whether it was handed out) of every sequence, in one statement; empty without any."""
    names = sorted({(one.schema, one.name) for one in sequences})
    return " UNION ALL ".join(
        f"SELECT {literal(f'{schema}.{name}')}, last_value, is_called FROM {quote(schema)}.{quote(name)}"
        for schema, name in names
    )


def positions(rows: Sequence[tuple[Any, ...]], sequences: Sequence[Filled]) -> dict[str, dict[str, Any]]:
    """By title: last value, whether it was handed out, increment, whether it starts again at its end."""
    by_title = {one.title: one for one in sequences}
    return {
        title: {
            "last_value": last,
            "is_called": called,
            "increment": by_title[title].increment,
            "cycles": by_title[title].cycles,
            "relation": f"{quote(by_title[title].schema)}.{quote(by_title[title].name)}",
        }
        for title, last, called in rows
    }


def extreme_queries(sequences: Sequence[Filled]) -> list[Query]:
    """For each column that a sequence fills: its value furthest in the sequence's direction."""
    return [
        Query(
            "sequences",
            f"{one.title}|{'.'.join(one.column)}",
            f"SELECT {'max' if one.increment > 0 else 'min'}({quote(one.column[2])}) "
            f"FROM {quote(one.column[0])}.{quote(one.column[1])}",
        )
        for one in sequences
        if one.column is not None
    ]


def next_of(position: Mapping[str, Any]) -> int:
    return position["last_value"] + (position["increment"] if position["is_called"] else 0)


def compare(
    expected: Mapping[str, Any], actual: Mapping[str, Any], furthest: Mapping[str, Mapping[str, int | None]]
) -> list[Check]:
    """A check for each sequence. It must be there, not behind the manifest, and ahead of its columns.

    Ahead of the manifest is right: after recovery a sequence goes on up to 32 values later, and it is read a moment
    before the dump. C(furthest): by sequence, the furthest value of each column that it fills (None: empty)."""
    return [
        _one(title, expected.get(title), actual.get(title), furthest.get(title, {}))
        for title in sorted({*expected, *actual})
    ]


def _one(title: str, expected: Any, actual: Any, furthest: Mapping[str, int | None]) -> Check:
    check = Check("sequences", title, PASSED, expected=_shown(expected), actual=_shown(actual))
    if actual is None:
        check.verdict, check.reason = FAILED, "missing"
        return check
    if actual["cycles"]:
        check.reason = "it starts again at its end: only its presence was checked"
        return check
    direction = 1 if actual["increment"] > 0 else -1
    columns = {column: value for column, value in furthest.items() if value is not None}
    reasons = [
        f"its next value {next_of(actual)} is not beyond {value} in {column}"
        for column, value in sorted(columns.items())
        if (next_of(actual) - value) * direction <= 0
    ]
    if expected is not None and (next_of(actual) - next_of(expected)) * direction < 0:
        reasons.append(f"the manifest has it at {expected['last_value']}")
    if reasons:
        known = [*columns.values()] + ([expected["last_value"]] if expected is not None else [])
        target = max(known) if direction > 0 else min(known)
        command = f"SELECT pg_catalog.setval({literal(actual['relation'])}, {target});"
        check.verdict, check.reason = FAILED, f"behind: {'; '.join(reasons)}"
        check.differences = [{"columns": columns, "suggested": command}]
    return check


def _shown(position: Any) -> Any:
    return None if position is None else position["last_value"]
