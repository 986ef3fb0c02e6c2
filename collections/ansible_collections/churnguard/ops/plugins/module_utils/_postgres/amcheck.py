# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PostgreSQL's own check of heaps and B-trees, on a copy. Internal: may change in any release.

Where the extension amcheck is not installed it is created in a transaction that is rolled back, so that the copy stays
as it is. That something is missing (the extension, a right, a function) is never a finding."""

from __future__ import annotations

from typing import Any

from .._common.clock import Clock
from . import connection
from .connection import Connect
from .hashing import literal, quote
from .model import FAILED, PASSED, SKIPPED, Answer, Check, Options, Query

_WHERE = """
SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'amcheck'"""
_INDEXES = """
SELECT i.indexrelid::regclass::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
JOIN pg_am a ON a.oid = c.relam
WHERE i.indrelid = %s::regclass AND a.amname = 'btree' AND i.indisvalid AND c.relkind = 'i' ORDER BY 1"""
_SCHEMA = "churnguard_amcheck"


def run(connect: Connect, relations: dict[str, str], options: Options, clock: Clock) -> list[Check]:
    """A check for each table. C(relations): quoted name by title. Raises OperationError when the session is lost."""
    timeout_s, every = options.statement_timeout, options.amcheck_heapallindexed
    session = connection.open_session(connect, statement_timeout_s=timeout_s, read_only=not options.may_create)
    try:
        schema, reason = _provide(session, clock, options.may_create)
        if schema is None:
            return [Check("amcheck", "database", SKIPPED, reason)]
        return [_table(session, schema, title, name, every, clock) for title, name in sorted(relations.items())]
    finally:
        session.rollback()
        session.close()


def _provide(session: Any, clock: Clock, may_create: bool) -> tuple[str | None, str]:
    """The schema of amcheck's functions; or None and why there are none."""
    installed = connection.rows(session, _WHERE)
    if installed:
        return installed[0][0], ""
    if not may_create:
        return None, "the extension amcheck is not installed"
    create = f"CREATE SCHEMA {_SCHEMA}; CREATE EXTENSION amcheck SCHEMA {_SCHEMA}; SELECT 1"
    made = connection.ask(session, Query("amcheck", "database", create), clock)
    if made.verdict == PASSED:
        return _SCHEMA, ""
    return None, f"the extension amcheck is not installed and could not be created: {made.reason}"


def _table(session: Any, schema: str, title: str, name: str, heapallindexed: bool, clock: Clock) -> Check:
    """The heap with its TOAST, then every valid B-tree."""
    heap = (
        f"SELECT format('block %s row %s: %s', blkno, offnum, msg) "
        f"FROM {quote(schema)}.verify_heapam({literal(name)}::regclass, check_toast => true) LIMIT 20"
    )
    queries = [Query("amcheck", name, heap)]
    for (index,) in connection.rows(session, _INDEXES, (name,)):
        every = "true" if heapallindexed else "false"
        sql = f"SELECT {quote(schema)}.bt_index_check({literal(index)}::regclass, {every})"
        queries.append(Query("amcheck", index, sql))
    return summed(title, [connection.ask(session, query, clock) for query in queries])


def summed(title: str, answers: list[Answer]) -> Check:
    """One verdict for a table: a finding of any part fails it, and a part that was not checked leaves it skipped."""
    check = Check("amcheck", title, PASSED, f"heap and {len(answers) - 1} B-trees")
    check.seconds = sum(answer.seconds for answer in answers)
    findings = [text for answer in answers[:1] for (text,) in answer.rows]
    findings += [f"{answer.query.subject}: {answer.reason}" for answer in answers if answer.verdict == FAILED]
    skipped = [f"{answer.query.subject}: {answer.reason}" for answer in answers if answer.verdict == SKIPPED]
    if findings:
        check.verdict, check.reason, check.differences = FAILED, findings[0], list(findings)
    elif skipped:
        check.verdict, check.reason = SKIPPED, skipped[0]
    return check
