# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Foreign keys: a statement for each that counts the rows without a parent. Pure. Internal: may change in any release.

A validated constraint says nothing of a restored copy: rows may have been loaded with triggers off. Each check uses the
constraint's own operators, so that it agrees with what the server would enforce.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .hashing import literal, quote
from .model import MAX_DIFFERENCES, Query


@dataclass(frozen=True)
class ForeignKey:
    """A declared foreign key. C(pairs): (child column, parent column, operator's schema, operator, collation or None);
    C(full): MATCH FULL; C(child_partitioned), C(parent_partitioned): the table's rows are in its partitions."""

    schema: str
    table: str
    name: str
    child_partitioned: bool
    parent_schema: str
    parent_table: str
    parent_partitioned: bool
    full: bool
    validated: bool
    temporal: bool
    enforced: bool
    pairs: tuple[tuple[Any, ...], ...]

    @property
    def title(self) -> str:
        return f"{self.schema}.{self.table}.{self.name}"


def read(rows: Sequence[tuple[Any, ...]]) -> list[ForeignKey]:
    """The foreign keys of catalog_sql.FOREIGN_KEYS."""
    return [
        ForeignKey(
            *row[:7],
            full=row[7] == "f",
            validated=row[8],
            temporal=row[9],
            enforced=row[10],
            pairs=tuple(tuple(pair) for pair in row[11]),
        )
        for row in rows
    ]


def _source(schema: str, table: str, partitioned: bool, alias: str) -> str:
    return f"{'' if partitioned else 'ONLY '}{quote(schema)}.{quote(table)} {alias}"


def _match(pair: tuple[Any, ...]) -> str:
    child, parent, schema, operator, collation = pair
    # Columns of different collations have none in common; the server compares by the parent's.
    by = f" COLLATE {quote(collation[0])}.{quote(collation[1])}" if collation else ""
    return f"p.{quote(parent)} OPERATOR({quote(schema)}.{operator}) c.{quote(child)}{by}"


def violations(key: ForeignKey) -> list[str]:
    """Conditions for child rows that break the constraint; no row meets two of them.

    A complete reference must have a parent. MATCH SIMPLE excuses any null, MATCH FULL only one null in every column."""
    columns = [f"c.{quote(pair[0])}" for pair in key.pairs]
    complete = " AND ".join(f"{column} IS NOT NULL" for column in columns)
    parents = _source(key.parent_schema, key.parent_table, key.parent_partitioned, "p")
    matches = " AND ".join(_match(pair) for pair in key.pairs)
    found = [f"{complete} AND NOT EXISTS (SELECT FROM {parents} WHERE {matches})"]
    if key.full and len(columns) > 1:
        some = " OR ".join(f"{column} IS NOT NULL" for column in columns)
        found.append(f"({some}) AND NOT ({complete})")
    return found


def count_sql(key: ForeignKey) -> str:
    """How many rows break the constraint. Each condition is counted by itself, since an OR would hinder the join."""
    child = _source(key.schema, key.table, key.child_partitioned, "c")
    counts = [f"(SELECT count(*) FROM {child} WHERE {condition})" for condition in violations(key)]
    return f"SELECT {' + '.join(counts)}"


def sample_sql(key: ForeignKey) -> str:
    """Some of the references that break it, as JSON objects {column: text}, each once."""
    child = _source(key.schema, key.table, key.child_partitioned, "c")
    pairs = ", ".join(f"{literal(pair[0])}, c.{quote(pair[0])}::pg_catalog.text" for pair in key.pairs)
    parts = [
        f"SELECT pg_catalog.jsonb_build_object({pairs}) AS reference FROM {child} WHERE {condition}"
        for condition in violations(key)
    ]
    return f"SELECT DISTINCT reference FROM ({' UNION ALL '.join(parts)}) s ORDER BY 1 LIMIT {MAX_DIFFERENCES}"


def countable(key: ForeignKey) -> str:
    """Why a count cannot decide this key; empty when it can."""
    if key.temporal:
        return "it holds for periods (PERIOD), which this check does not know"
    if not key.enforced:
        return "it is NOT ENFORCED: the server does not keep it"
    return ""


def queries(keys: Sequence[ForeignKey]) -> list[Query]:
    """The counts of all keys that a count can decide."""
    return [Query("foreign_keys", key.title, count_sql(key)) for key in keys if not countable(key)]
