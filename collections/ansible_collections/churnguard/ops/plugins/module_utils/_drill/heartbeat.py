# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Heartbeats in PostgreSQL: the rows of the ledger. Internal: may change in any release."""

from __future__ import annotations

import contextlib
import hashlib
from typing import Any

from .._postgres.connection import Connect

SCHEMA = "churnguard_drill"
_CREATE = """CREATE SCHEMA IF NOT EXISTS {schema};
CREATE TABLE {schema}.{table} (seq bigint PRIMARY KEY, sent_at timestamptz NOT NULL DEFAULT clock_timestamp())"""


def table_of(drill_id: str) -> str:
    """The heartbeat table of a drill: each has its own, so that it goes as a whole."""
    return f"heartbeat_{hashlib.sha256(drill_id.encode()).hexdigest()[:16]}"


class Heartbeat:
    """Writes one row a call on a connection of its own, which it opens again when it broke."""

    def __init__(self, connect: Connect, drill_id: str) -> None:
        self.table = table_of(drill_id)
        self._connect = connect
        self._connection: Any = None

    def create(self) -> None:
        """The table. Raises psycopg2.Error."""
        self._execute(_CREATE.format(schema=SCHEMA, table=self.table))

    def write(self, seq: int) -> None:
        """Returns when the server has committed the row. Raises psycopg2.Error when it has not, as far as it says."""
        try:
            self._execute(f"INSERT INTO {SCHEMA}.{self.table} (seq) VALUES (%s)", (seq,))
        except Exception:
            self.close()
            raise

    def switch_wal(self) -> str:
        """End the WAL segment, so that it is archived; the position."""
        return str(self._execute("SELECT pg_switch_wal()")[0][0])

    def drop(self) -> bool:
        """Drop table and, if it is then empty, schema; whether the table was there."""
        there = self._execute("SELECT to_regclass(%s) IS NOT NULL", (f"{SCHEMA}.{self.table}",))[0][0]
        self._execute(f"DROP TABLE IF EXISTS {SCHEMA}.{self.table}")
        if not self._execute("SELECT 1 FROM pg_tables WHERE schemaname = %s", (SCHEMA,)):
            self._execute(f"DROP SCHEMA IF EXISTS {SCHEMA}")
        return bool(there)

    def close(self) -> None:
        """Close the connection; the next call opens another one."""
        if self._connection is not None:
            with contextlib.suppress(Exception):
                self._connection.close()
            self._connection = None

    def _execute(self, sql: str, parameters: tuple[Any, ...] | None = None) -> list[tuple[Any, ...]]:
        if self._connection is None:
            self._connection = self._connect()
            self._connection.autocommit = True
        with self._connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return cursor.fetchall() if cursor.description else []


def survivors(ask: Any, drill_id: str) -> set[int]:
    """The numbers that the restored copy holds; none when it is older than the table. C(ask(sql, parameters)) reads."""
    table = f"{SCHEMA}.{table_of(drill_id)}"
    if not ask("SELECT to_regclass(%s) IS NOT NULL", (table,))[0][0]:
        return set()
    return {row[0] for row in ask(f"SELECT seq FROM {table}", ())}
