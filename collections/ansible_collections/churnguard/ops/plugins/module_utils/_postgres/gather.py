# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads all that a manifest holds from one database under one snapshot. Internal: may change in any release."""

from __future__ import annotations

import contextlib
import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .._common.clock import Clock
from . import catalog_sql, connection, digest, foreign_keys, hashing, sequences
from .connection import Connect
from .foreign_keys import ForeignKey
from .hashing import Buckets
from .model import PASSED, Answer, Column, Options, Query, Table
from .sequences import Filled
from .workers import Crew


@dataclass
class Reading:
    """A database under a snapshot: the exporting session, the sessions that read beside it, and what is to be read."""

    session: Any
    snapshot: str
    crew: Crew
    identity: dict[str, Any]
    tables: list[Table]
    keys: list[ForeignKey]
    filled: list[Filled]
    answers: list[Answer] = field(default_factory=list)

    def of(self, check: str) -> dict[str, list[Answer]]:
        """The answers for one check, by subject."""
        found: dict[str, list[Answer]] = {}
        for answer in self.answers:
            if answer.query.check == check:
                found.setdefault(answer.query.subject, []).append(answer)
        return found


@contextlib.contextmanager
def reading(connect: Connect, options: Options, clock: Clock) -> Iterator[Reading]:
    """Open a database for reading; its snapshot lasts as long as the context. Raises OperationError."""
    session = connection.open_session(connect, options.snapshot)
    try:
        # The first statement fixes the snapshot; it is exported at once, so that all see the same.
        snapshot = options.snapshot or connection.export_snapshot(session)
        tables = [table for table in read_tables(session) if wanted(table.title, options)]
        titles = {table.title for table in tables}
        yield Reading(
            session,
            snapshot,
            Crew(connect, snapshot, options.workers, options.statement_timeout, clock),
            read_identity(session),
            tables,
            [
                key
                for key in foreign_keys.read(connection.rows(session, catalog_sql.FOREIGN_KEYS))
                if wanted(f"{key.schema}.{key.table}", options)
            ],
            [
                one
                for one in sequences.read(connection.rows(session, catalog_sql.SEQUENCES))
                if _kept(one, titles, options)
            ],
        )
    finally:
        session.close()


def wanted(title: str, options: Options) -> bool:
    """Whether the patterns (schema.name) let an object in."""
    return any(fnmatch.fnmatchcase(title, pattern) for pattern in options.include) and not any(
        fnmatch.fnmatchcase(title, pattern) for pattern in options.exclude
    )


def _kept(one: Filled, titles: set[str], options: Options) -> bool:
    """A sequence goes with the table that it fills."""
    if one.column is not None and ".".join(one.column[:2]) in titles:
        return True
    return wanted(one.title, options) if one.column is None else wanted(".".join(one.column[:2]), options)


def read_identity(session: Any) -> dict[str, Any]:
    """Which database this is. The system identifier may be hidden (managed services): it is None then."""
    database, number, version, recovering, lsn, size = connection.rows(session, catalog_sql.IDENTITY)[0]
    asked = connection.ask(session, Query("identity", "cluster", catalog_sql.SYSTEM_IDENTIFIER), Clock())
    return {
        "database": database,
        "server_version_num": number,
        "server_version": version,
        "in_recovery": recovering,
        "lsn": lsn,
        "size_bytes": size,
        "system_identifier": asked.rows[0][0] if asked.verdict == PASSED else None,
    }


def read_tables(session: Any) -> list[Table]:
    """Every table and filled materialized view with its columns."""
    return [
        Table(
            schema=row[0],
            name=row[1],
            logged=row[2],
            heap=bool(row[3]),
            blocks=row[4],
            key=tuple(row[5]),
            columns=tuple(Column(*column) for column in row[6] or ()),
        )
        for row in connection.rows(session, catalog_sql.TABLES)
    ]


def plans(state: Reading, options: Options, given: Mapping[str, Any]) -> dict[str, Buckets | None]:
    """How the rows of each table are dealt: as in the manifest C(given) where it has the table, else anew."""
    if not options.locate:
        return {}
    found: dict[str, Buckets | None] = {}
    for table in state.tables:
        held = given.get(table.title)
        if held is not None:
            plan = held.get("plan")
            fits = plan is not None and list(table.key) == held.get("key")
            found[table.title] = Buckets(**plan) if fits else None
        else:
            bounds = (None, None)
            if hashing.has_integer_key(table):
                bounds = connection.rows(state.session, hashing.bounds_sql(table))[0]
            found[table.title] = hashing.plan_buckets(table, *bounds)
    return found


def read_all(state: Reading, options: Options, given: Mapping[str, Any], more: Sequence[Query] = ()) -> dict[str, Any]:
    """What a manifest says of the database: {tables, sequences, catalog, roles, ...}. C(given): the tables of a
    manifest to compare with. C(more): queries to be answered along the way."""
    dealt = plans(state, options, given)
    counted = [table for table in state.tables if table.logged]
    work = list(more)
    if {"rows", "content"} & set(options.checks):
        work += hashing.content_queries(counted, options.hash, dealt, options.workers)
    found = {
        "sequences": read_sequences(state),
        "catalog": {kind: named(state.session, sql) for kind, sql in catalog_sql.CATALOG.items()},
        "roles": {**named(state.session, catalog_sql.ROLES), **named(state.session, catalog_sql.GRANTS)},
        "settings": named(state.session, catalog_sql.SETTINGS),
        "extensions": named(state.session, catalog_sql.EXTENSIONS),
        "collations": read_collations(state),
    }
    state.answers.extend(state.crew.ask(work))
    contents = state.of("content")
    found["tables"] = {
        table.title: table_entry(table, options.hash, dealt.get(table.title), contents.get(table.title))
        for table in state.tables
    }
    return found


def table_entry(table: Table, mode: str, plan: Buckets | None, answers: list[Answer] | None) -> dict[str, Any]:
    """What the manifest holds of one table: its digest, or why there is none."""
    entry: dict[str, Any] = {
        "key": list(table.key),
        "recipe": hashing.recipe(table, mode),
        "plan": plan.plain() if plan else None,
        "bytes": table.blocks * hashing.BLOCK,
    }
    if not table.logged:
        return {**entry, "skipped": "it is unlogged: no backup holds its rows"}
    if answers is None:
        return {**entry, "skipped": "its rows were not read"}
    entry["seconds"] = round(sum(answer.seconds for answer in answers), 3)
    worst = next((answer for answer in answers if answer.verdict != PASSED), None)
    if worst is not None:
        return {**entry, worst.verdict: worst.reason}
    return {**entry, **digest.gathered(answer.rows for answer in answers)}


def read_sequences(state: Reading) -> dict[str, dict[str, Any]]:
    sql = sequences.position_sql(state.filled)
    return sequences.positions(connection.rows(state.session, sql), state.filled) if sql else {}


def read_collations(state: Reading) -> dict[str, dict[str, Any]]:
    """By name: what it is, the version its indexes were built with, and the library's version now."""
    sql = catalog_sql.collations_sql(state.identity["server_version_num"])
    return {
        name: {"definition": definition, "recorded": recorded, "actual": actual}
        for name, definition, recorded, actual in connection.rows(state.session, sql)
    }


def named(session: Any, sql: str) -> dict[str, str]:
    """Definitions by name. Several of one name (an overloaded comment, say) are put together."""
    found: dict[str, list[str]] = {}
    for name, definition in connection.rows(session, sql):
        found.setdefault(name, []).append(definition or "")
    return {name: "; ".join(sorted(texts)) for name, texts in sorted(found.items())}
