# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Acceptance of a region: the application's own read through the front door, and its write. Internal: may change in
any release."""

from __future__ import annotations

from typing import Any
from urllib.error import HTTPError

from ..._common.background import reason
from ..._common.errors import OperationError
from ..._common.http import send
from ..._common.waiting import DONE, PENDING, Finding
from ..._postgres.connection import Connect
from ..scenario import DrillContext


def run(ctx: DrillContext, which: str, connect: Connect) -> list[dict[str, Any]]:
    """Raises OperationError unless the region C(which) answers at the front door and its database takes the write."""
    front, server = ctx.options["front_door"], ctx.options[which]["server"]

    def look() -> Finding:
        try:
            with send("GET", front["url"], headers=dict(front["headers"]), timeout=5) as answer:
                told = answer.headers.get(front["region_header"]) if front["region_header"] else server
                return Finding(DONE if told == server else PENDING, f"HTTP {answer.status}, answered by {told}")
        except HTTPError as error:
            return Finding(PENDING, f"HTTP {error.code}")
        except OSError as error:
            return Finding(PENDING, f"it {reason(error)}")

    found = ctx.wait(look, ctx.options["timeout"], f"get {front['url']}", 0.05)
    for sql in ctx.options["write"]:
        _write(connect, sql)
    accepted = [f"GET {front['url']}: {found.detail}", *(f"write: {sql}" for sql in ctx.options["write"])]
    return [{"kind": "acceptance", "name": f"acceptance by {which}", "verdict": "passed", "accepted": accepted}]


def _write(connect: Connect, sql: str) -> None:
    """One statement that has to change a row, committed."""
    attempted = f"write {sql!r} as the application"
    try:
        session = connect()
        try:
            with session.cursor() as cursor:
                cursor.execute(sql)
                changed = cursor.rowcount
            session.commit()
        finally:
            session.close()
    except Exception as error:
        text = " ".join(str(error).split()).rstrip(".")
        raise OperationError(attempted, f"{text}.", "the application could not write.") from error
    if changed < 1:
        raise OperationError(attempted, "it changed no row.", "give a statement that changes one.")
