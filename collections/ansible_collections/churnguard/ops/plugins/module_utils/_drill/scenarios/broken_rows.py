# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows that a restore brought back wrong, done to clones of a good copy: each has to be seen. Internal: may change in
any release.

What is broken is chosen from the catalog, so that any database can be drilled. Where it has nothing to break - no
foreign key, say - the case is skipped, and says so.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any

from ..._postgres import manifest_session
from ..._postgres.connection import Connect
from ..._postgres.model import Options

_USER = "n.nspname NOT LIKE 'pg\\_%' AND n.nspname NOT IN ('information_schema', 'churnguard_drill')"
_TABLES = f"""SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind = 'r' AND {_USER} ORDER BY 1"""
_KEYS = f"""SELECT format('%I.%I', n.nspname, p.relname), con.confrelid::regclass::text, con.conrelid::regclass::text,
    quote_ident(pa.attname), quote_ident(ca.attname)
  FROM pg_constraint con JOIN pg_class p ON p.oid = con.confrelid JOIN pg_namespace n ON n.oid = p.relnamespace
  JOIN pg_attribute pa ON pa.attrelid = con.confrelid AND pa.attnum = con.confkey[1]
  JOIN pg_attribute ca ON ca.attrelid = con.conrelid AND ca.attnum = con.conkey[1]
  WHERE con.contype = 'f' AND cardinality(con.conkey) = 1 AND con.conparentid = 0 AND {_USER} ORDER BY con.conname"""
_COLUMNS = f"""SELECT format('%I.%I', n.nspname, c.relname), quote_ident(a.attname), t.typname
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_type t ON t.oid = a.atttypid
  WHERE c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' AND {_USER}
    AND t.typname IN ('timestamptz', 'timestamp', 'text', 'varchar', 'int4', 'int8', 'numeric', 'bool')
    AND NOT EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conrelid = c.oid AND a.attnum = ANY (k.conkey))
    AND NOT EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = c.oid AND i.indisunique AND a.attnum = ANY (i.indkey))
  ORDER BY 1, 2"""
_SEQUENCES = f"""SELECT format('%I.%I', sn.nspname, s.relname), format('%I.%I', n.nspname, c.relname),
    quote_ident(a.attname)
  FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
  JOIN pg_namespace sn ON sn.oid = s.relnamespace
  JOIN pg_class c ON c.oid = d.refobjid JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid
  WHERE d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') AND {_USER} ORDER BY 1"""
_OTHER = {
    "timestamptz": "{0} + interval '1 second'",
    "timestamp": "{0} + interval '1 second'",
    "text": "{0} || '~'",
    "varchar": "{0} || '~'",
    "int4": "{0} + 1",
    "int8": "{0} + 1",
    "numeric": "{0} + 1",
    "bool": "NOT {0}",
}

Cursor = Any
# Breaks a database; what was done in words, or empty when there was nothing to break.
Breaker = Callable[[Cursor], str]


def drop_a_table(cursor: Cursor) -> str:
    """A table is gone, and what depends on it."""
    cursor.execute(_TABLES)
    found = cursor.fetchall()
    if not found:
        return ""
    cursor.execute(f"DROP TABLE {found[-1][0]} CASCADE")
    return f"table {found[-1][0]} dropped"


def make_orphans(cursor: Cursor) -> str:
    """Rows whose parents are gone, as a load without triggers leaves them."""
    cursor.execute(_KEYS)
    found = cursor.fetchall()
    cursor.execute("SET session_replication_role = replica")
    for _name, parent, child, parent_column, child_column in found:
        cursor.execute(
            f"DELETE FROM {parent} WHERE ctid = ANY (ARRAY(SELECT p.ctid FROM {parent} p WHERE EXISTS "
            f"(SELECT 1 FROM {child} c WHERE c.{child_column} = p.{parent_column}) LIMIT 2))"
        )
        if cursor.rowcount > 0:
            return f"{cursor.rowcount} rows of {parent} deleted under {child}"
    return ""


def change_a_value(cursor: Cursor) -> str:
    """One value of one row."""
    cursor.execute(_COLUMNS)
    for table, column, kind in cursor.fetchall():
        cursor.execute(
            f"UPDATE {table} SET {column} = {_OTHER[kind].format(column)} "
            f"WHERE ctid = (SELECT ctid FROM {table} WHERE {column} IS NOT NULL LIMIT 1)"
        )
        if cursor.rowcount == 1:
            return f"one value of {table}.{column} changed"
    return ""


def set_a_sequence_back(cursor: Cursor) -> str:
    """A sequence that will give out what is taken."""
    cursor.execute(_SEQUENCES)
    for sequence, table, column in cursor.fetchall():
        cursor.execute(f"SELECT coalesce(max({column}), 0) FROM {table}")
        if cursor.fetchone()[0] > 1:
            cursor.execute("SELECT setval(%s, 1)", (sequence,))
            return f"{sequence} set to 1"
    return ""


# Case: what breaks the clone, and the layers of the comparison of which one has to see it.
CASES: dict[str, tuple[Breaker, frozenset[str]]] = {
    "missing_table": (drop_a_table, frozenset({"catalog"})),
    "orphans": (make_orphans, frozenset({"foreign_keys"})),
    "changed_value": (change_a_value, frozenset({"content"})),
    "sequence_behind": (set_a_sequence_back, frozenset({"sequences"})),
}


def execute(connect: Connect, sql: str) -> None:
    """One statement outside a transaction."""
    with closing(connect()) as session:
        session.autocommit = True
        with session.cursor() as cursor:
            cursor.execute(sql)


def break_clone(connect: Connect, breaker: Breaker) -> str:
    """Break a database, and keep it so; what was done."""
    with closing(connect()) as session:
        with session.cursor() as cursor:
            done = breaker(cursor)
        session.commit()
    return done


def failed_checks(connect: Connect, manifest: dict[str, Any], options: Options) -> list[dict[str, Any]]:
    """What a comparison finds wrong."""
    found = manifest_session.compare(connect, manifest, options)
    return [check for check in found["checks"] if check["verdict"] == "failed"]
