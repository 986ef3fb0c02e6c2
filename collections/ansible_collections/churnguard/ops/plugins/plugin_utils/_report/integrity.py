# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The integrity checks of restored data as a matrix: what was checked by how. No I/O. Internal: may change in any
release."""

from __future__ import annotations

from typing import Any

PASSED, FAILED, SKIPPED, NOT_CHECKED = "passed", "failed", "skipped", "not_checked"
# Rows of the matrix and remarks on the page; what is worst is kept.
MOST_ROWS = 40
MOST_REMARKS = 30
MOST_DIFFERENCES = 5
_WORST = {FAILED: 0, SKIPPED: 1, NOT_CHECKED: 1, PASSED: 2}
# Checks of everything at once have no subject of their own.
WHOLE = "whole database"


def integrity(given: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The checks of all matrices: verdict, counts, seconds, the checks (worst first), the C(matrix) of subjects by kind
    of check, and C(remarks) on all that did not pass. None where nothing was checked."""
    checks = [check(row) for one in given for row in one.get("checks") or [] if isinstance(row, dict)]
    if not checks:
        return None
    checks.sort(key=lambda row: _WORST[row["verdict"]])
    counts = {verdict: sum(row["verdict"] == verdict for row in checks) for verdict in (PASSED, FAILED, SKIPPED)}
    verdict = next((str(one["verdict"]) for one in given if one.get("verdict")), FAILED if counts[FAILED] else PASSED)
    remarks = [row for row in checks if row["verdict"] != PASSED]
    return {
        "verdict": verdict if verdict in _WORST else NOT_CHECKED,
        "counts": counts,
        "seconds": round(sum(row["seconds"] or 0 for row in checks), 3),
        "checks": checks,
        "matrix": matrix(checks),
        "remarks": remarks[:MOST_REMARKS],
        "remarks_left_out": max(len(remarks) - MOST_REMARKS, 0),
    }


def check(row: dict[str, Any]) -> dict[str, Any]:
    """One check in plain types."""
    seconds, verdict = row.get("seconds"), row.get("verdict")
    differences = row.get("differences") if isinstance(row.get("differences"), list) else []
    return {
        "name": str(row.get("name") or "check"),
        "subject": str(row.get("subject") or WHOLE),
        "verdict": verdict if verdict in _WORST else NOT_CHECKED,
        "reason": str(row.get("reason") or ""),
        "expected": row.get("expected"),
        "actual": row.get("actual"),
        "seconds": seconds if isinstance(seconds, (int, float)) and not isinstance(seconds, bool) else None,
        "differences": differences[:MOST_DIFFERENCES],
        "differences_left_out": max(len(differences) - MOST_DIFFERENCES, 0),
    }


def matrix(checks: list[dict[str, Any]]) -> dict[str, Any]:
    """Subjects by kind of check: C(columns) are the kinds, and each row has C(subject), C(cells) (verdict by kind),
    C(rows) (counted in the restored copy), C(seconds) and C(verdict), worst rows first, else in the order of names."""
    parts = {row["name"] for row in checks if row["subject"] != WHOLE}
    first = ("rows", "content")
    columns = sorted(
        {row["name"] for row in checks},
        key=lambda name: (name not in parts, first.index(name) if name in first else 2, name),
    )
    rows: dict[str, dict[str, Any]] = {}
    for one in checks:
        row = rows.setdefault(one["subject"], {"subject": one["subject"], "cells": {}, "rows": None, "seconds": 0.0})
        known = row["cells"].get(one["name"], PASSED)
        row["cells"][one["name"]] = min(known, one["verdict"], key=lambda verdict: _WORST[verdict])
        row["seconds"] = round(row["seconds"] + (one["seconds"] or 0), 3)
        if one["name"] == "rows" and isinstance(one["actual"], int):
            row["rows"] = one["actual"]
    for row in rows.values():
        row["verdict"] = min(row["cells"].values(), key=lambda verdict: _WORST[verdict])
    ordered = sorted(rows.values(), key=lambda row: (_WORST[row["verdict"]], row["subject"] == WHOLE, row["subject"]))
    return {"columns": columns, "rows": ordered[:MOST_ROWS], "left_out": max(len(ordered) - MOST_ROWS, 0)}
