# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one place that opens sessions on a PostgreSQL server and runs statements in them. Internal: may change in any
release."""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from .._common.errors import OperationError
from .args import connect_parameters
from .model import FAILED, PASSED, SKIPPED, Answer, Query

try:
    import psycopg2
    from psycopg2 import errors
except ImportError:
    HAS_PSYCOPG2 = False
    PSYCOPG2_IMPORT_ERROR: str | None = traceback.format_exc()
else:
    HAS_PSYCOPG2 = True
    PSYCOPG2_IMPORT_ERROR = None

#: What changes how a value is written or which rows are seen. With row_security off a policy is an error instead of
#: rows that are missing without a word. Each worker keeps to one core, so that `workers` means what it says.
SESSION = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "extra_float_digits": "3",
    "bytea_output": "hex",
    "xmlbinary": "base64",
    "xmloption": "content",
    "lc_monetary": "C",
    "client_encoding": "UTF8",
    "search_path": "",
    "row_security": "off",
    "standard_conforming_strings": "on",
}
_WORKING = {
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
    "work_mem": "32MB",
    "idle_in_transaction_session_timeout": "0",
    # Somebody who holds a table for himself makes a check skipped, not endless.
    "lock_timeout": "60s",
}

Connect = Callable[[], Any]


def need_psycopg2(module: AnsibleModule) -> None:
    """End C(module) with an explanation if psycopg2 is missing."""
    if not HAS_PSYCOPG2:
        module.fail_json(msg=missing_required_lib("psycopg2"), exception=PSYCOPG2_IMPORT_ERROR)


def connector(params: dict[str, Any]) -> Connect:
    """What opens a session with the options of the fragment churnguard.ops.postgresql."""
    return functools.partial(psycopg2.connect, **connect_parameters(params))


def open_session(
    connect: Connect, snapshot: str | None = None, statement_timeout_s: float = 0, read_only: bool = True
) -> Any:
    """A session with pinned settings, in one REPEATABLE READ transaction, of C(snapshot) if one is named.

    Raises OperationError."""
    try:
        session = connect()
    except psycopg2.Error as error:
        raise OperationError(
            "connect to PostgreSQL", _text(error), "check login_host, login_port, login_user, login_db and pg_hba.conf."
        ) from None
    try:
        session.set_session(isolation_level="REPEATABLE READ", readonly=read_only, autocommit=False)
        with session.cursor() as cursor:
            if snapshot is not None:
                cursor.execute("SET TRANSACTION SNAPSHOT %s", (snapshot,))
            timeout = {"statement_timeout": f"{round(statement_timeout_s * 1000)}ms"}
            for name, value in {**SESSION, **_WORKING, **timeout}.items():
                cursor.execute("SELECT pg_catalog.set_config(%s, %s, false)", (name, value))
    except psycopg2.Error as error:
        session.close()
        raise OperationError(
            "open a session with a fixed snapshot" if snapshot else "open a session",
            _text(error),
            "see that the session that exported the snapshot is still open."
            if snapshot
            else "check the server's version (14 and later are supported) and its log.",
        ) from None
    return session


def export_snapshot(session: Any) -> str:
    """The name under which other sessions see what this one sees, for as long as it is open."""
    return rows(session, "SELECT pg_catalog.pg_export_snapshot()")[0][0]


def rows(session: Any, sql: str, parameters: Sequence[Any] | None = None) -> list[tuple[Any, ...]]:
    """All rows of a statement that has to work. Raises OperationError."""
    try:
        with session.cursor() as cursor:
            cursor.execute(sql, parameters)
            return cursor.fetchall() if cursor.description else []
    except psycopg2.Error as error:
        where = f"read {session.info.dbname} on {session.info.host}:{session.info.port}"
        raise OperationError(where, _text(error), "check the rights of the user and the server's log.") from None


def ask(session: Any, query: Query, clock: Any) -> Answer:
    """Run one statement that may fail without ending the transaction. Raises OperationError when the session ends."""
    begin = clock.monotonic()
    with session.cursor() as cursor:
        cursor.execute("SAVEPOINT one")
        try:
            cursor.execute(query.sql)
            found, verdict, reason = cursor.fetchall(), PASSED, ""
        except psycopg2.Error as error:
            if session.closed:
                raise OperationError(
                    f"check {query.subject}", f"the session ended: {_text(error)}", "read the server's log."
                ) from None
            found = []
            verdict, reason = classify(error)
            cursor.execute("ROLLBACK TO one")
        cursor.execute("RELEASE one")
    return Answer(query, found, verdict, reason, clock.monotonic() - begin)


def classify(error: Exception) -> tuple[str, str]:
    """What a failed statement says of the data: failed where the server found them damaged, else skipped.

    A check that could not be made is no finding: a missing function, a missing right, time that ran out."""
    damaged = (errors.DataCorrupted, errors.IndexCorrupted, errors.IoError, errors.UntranslatableCharacter)
    if isinstance(error, damaged):
        return FAILED, f"the server cannot read it: {_text(error)}"
    if isinstance(error, errors.QueryCanceled):
        return SKIPPED, f"not finished in time: {_text(error)}"
    return SKIPPED, f"could not be checked: {_text(error)}"


def _text(error: Exception) -> str:
    """The server's message in one line, without the statement."""
    diagnosis = getattr(error, "diag", None)
    message = getattr(diagnosis, "message_primary", None) or str(error)
    return " ".join(message.split()).rstrip(".") + "."
