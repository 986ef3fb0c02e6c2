# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names the rows in which a copy differs from its manifest. Internal: may change in any release.

The manifest alone names every row that is the only one to differ in its bucket. Where several rows of a bucket differ,
the bucket is named; with a session on the original under the same state, buckets are split until rows are named."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import connection, hashing
from .compare import width_of
from .digest import Difference, differing, gathered
from .hashing import Buckets
from .model import MAX_DIFFERENCES, Table

_SPLIT_BITS = 8
_KINDS = {0: "changed", -1: "missing", 1: "unexpected"}


def located(
    session: Any, table: Table, mode: str, plan: Buckets, found: Sequence[Difference], reference: Any = None
) -> list[dict[str, Any]]:
    """The differing rows of C(table), at most MAX_DIFFERENCES of them: {kind, key} each, or {kind, from, to, rows} for
    a range of keys. C(session), C(reference): on the copy and, if there is one, on the original."""
    named: list[dict[str, Any]] = []
    for difference in found:
        if len(named) >= MAX_DIFFERENCES:
            break
        if difference.position is None and reference is not None:
            named += split((session, reference), table, mode, plan, difference.bucket, MAX_DIFFERENCES - len(named))
        elif difference.position is None or plan.kind == "integer":
            named.append(_by_arithmetic(table, plan, difference))
        else:
            named.append(_by_search(session, table, plan, difference))
    return named


def split(
    sessions: tuple[Any, Any], table: Table, mode: str, plan: Buckets, bucket: int, limit: int
) -> list[dict[str, Any]]:
    """The differing rows of one bucket, found in the copy and the original (C(sessions)) by ever finer buckets."""
    named: list[dict[str, Any]] = []
    coarse = [(plan, bucket)]
    while coarse and len(named) < limit:
        plan, bucket = coarse.pop(0)
        finer = finer_plan(plan)
        sql = hashing.digest_sql(table, mode, finer, (0, None), hashing.in_bucket(table, plan, bucket))
        copy, original = (gathered([connection.rows(session, sql)])["buckets"] for session in sessions)
        for difference in differing(original, copy, width_of(finer)):
            if difference.position is None and finer_plan(finer) != finer:
                coarse.append((finer, difference.bucket))
            else:
                named += located(sessions[0], table, mode, finer, [difference])
    return named[:limit]


def finer_plan(plan: Buckets) -> Buckets:
    """Buckets that each lie within one of C(plan)'s; the same when there are none."""
    if plan.kind == "integer":
        return Buckets("integer", max(plan.bits - _SPLIT_BITS, 0))
    return Buckets("hash", min(plan.bits + _SPLIT_BITS, hashing.MAX_HASH_BITS))


def _by_arithmetic(table: Table, plan: Buckets, difference: Difference) -> dict[str, Any]:
    """A row or a range by an integer key, or as much as a key's hash tells."""
    if plan.kind != "integer":
        return {"kind": "several", "bucket": difference.bucket, "of": 1 << plan.bits, "rows": difference.rows}
    first = difference.bucket << plan.bits
    if difference.position is None:
        keys = {"from": {table.key[0]: first}, "to": {table.key[0]: first + (1 << plan.bits) - 1}}
        return {"kind": "several", **keys, "rows": difference.rows}
    return {"kind": _KINDS[difference.rows], "key": {table.key[0]: first + difference.position}}


def _by_search(session: Any, table: Table, plan: Buckets, difference: Difference) -> dict[str, Any]:
    """A row by its key's hash, looked up in the copy. One that is missing there has left nothing but the hash."""
    kind = _KINDS[difference.rows]
    keys = connection.rows(session, hashing.search_sql(table, plan, difference.bucket, difference.position))
    if len(keys) != 1:
        return {"kind": kind, "key": None, "bucket": difference.bucket, "position": difference.position}
    return {"kind": kind, "key": keys[0][0]}
