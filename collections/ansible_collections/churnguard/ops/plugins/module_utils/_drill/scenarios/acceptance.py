# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Acceptance: the application's own read and write, by SQL or through its endpoint. Internal: may change in any
release."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.error import HTTPError

from ..._common.background import reason
from ..._common.errors import OperationError
from ..._common.http import send
from ..._postgres.connection import Connect
from ..scenario import DrillContext

# Where nothing else is given: any database can do this, and it leaves nothing behind.
_READ = ["SELECT count(*) FROM pg_catalog.pg_class"]
_WRITE = ["CREATE TABLE pg_temp.accepted (seen integer)", "INSERT INTO pg_temp.accepted VALUES (1)"]

SPEC: dict[str, Any] = {
    "type": "dict",
    "default": {},
    "apply_defaults": True,
    "options": {
        "read": {"type": "list", "elements": "str", "default": _READ},
        "write": {"type": "list", "elements": "str", "default": _WRITE},
        "requests": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "url": {"type": "str", "required": True},
                "method": {"type": "str", "default": "GET"},
                "body": {"type": "str"},
                "headers": {"type": "dict", "default": {}},
                "status": {"type": "int", "default": 200},
            },
        },
    },
}


def run(ctx: DrillContext, connect: Connect) -> list[dict[str, Any]]:
    """Every read and write, in one session that commits, then every request. Raises OperationError for the first one
    that is not accepted. Returns what was asked, as evidence."""
    wanted = ctx.options["accept"]
    asked = [("read", sql) for sql in wanted["read"]] + [("write", sql) for sql in wanted["write"]]
    session = connect()
    try:
        with session.cursor() as cursor:
            for kind, sql in asked:
                _statement(cursor, kind, sql)
        session.commit()
    finally:
        session.close()
    for request in wanted["requests"]:
        _request(request)
    shown = [f"{kind}: {sql}" for kind, sql in asked]
    shown += [f"{request['method']} {request['url']}: {request['status']}" for request in wanted["requests"]]
    return [{"kind": "acceptance", "verdict": "passed", "accepted": shown}]


def _statement(cursor: Any, kind: str, sql: str) -> None:
    try:
        cursor.execute(sql)
        found = len(cursor.fetchall()) if cursor.description else cursor.rowcount
    except Exception as error:
        text = " ".join(str(error).split())
        raise OperationError(
            f"{kind} {sql!r} on the copy", f"{text}.", "the application could not work on it."
        ) from error
    if kind == "read" and not found:
        raise OperationError(f"read {sql!r} on the copy", "no row came back.", "the application would find it empty.")


def _request(request: Mapping[str, Any]) -> None:
    attempted = f"{request['method']} {request['url']}"
    body = request["body"].encode() if request["body"] is not None else None
    try:
        with send(request["method"], request["url"], data=body, headers=dict(request["headers"]), timeout=10) as answer:
            status = answer.status
    except HTTPError as error:
        status = error.code
    except OSError as error:
        raise OperationError(attempted, f"it {reason(error)}.", "the application is not back.") from error
    if status != request["status"]:
        raise OperationError(attempted, f"HTTP {status}, not {request['status']}.", "the application is not back.")
