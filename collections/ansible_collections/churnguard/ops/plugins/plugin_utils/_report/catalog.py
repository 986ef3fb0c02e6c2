# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The backup catalog as the report shows it. No I/O. Internal: may change in any release."""

from __future__ import annotations

from typing import Any

from .words import iso

# Worst first; a backup in a state that is not known is no good one.
STATES = ("missing", "failed", "stale", "unverified", "not_checked", "ok")
MOST_LISTED = 40
OPERATION = "backup_catalog_info"


def is_catalog(envelope: dict[str, Any]) -> bool:
    """Whether it holds the state of backups."""
    return envelope["operation"] == OPERATION


def catalog(index: int, envelope: dict[str, Any]) -> dict[str, Any]:
    """Facts of the envelope at C(index) of the operations: how many backups are in each state, and the C(backups) that
    are listed, worst first, then newest first."""
    items = [item for item in envelope["evidence"] if item.get("kind") == "backup_catalog"]
    given = [one for item in items for one in item.get("backups") or [] if isinstance(one, dict)]
    backups = sorted((backup(one) for one in given), key=lambda one: (STATES.index(one["state"]), one["age_s"] or 0))
    counts = {state: sum(one["state"] == state for one in backups) for state in STATES}
    problems = [_problem(one) for item in items for one in item.get("problems") or []]
    return {
        "operation": index,
        "verdict": envelope["verdict"],
        "tone": "good" if envelope["verdict"] == "passed" else "bad",
        "headline": headline(counts, problems),
        "started": envelope["started"],
        "total": len(backups),
        "counts": {state: count for state, count in counts.items() if count},
        "problems": problems[:MOST_LISTED],
        "problems_left_out": len(problems) - len(problems[:MOST_LISTED]),
        "backups": backups[:MOST_LISTED],
        "left_out": len(backups) - len(backups[:MOST_LISTED]),
    }


def headline(counts: dict[str, int], problems: list[Any]) -> str:
    """One line for people."""
    total = sum(counts.values())
    if not total:
        return "No backup is on record"
    bad = [f"{counts[state]} {state.replace('_', ' ')}" for state in STATES[:-1] if counts[state]]
    if bad:
        return f"{total - counts['ok']} of {total} backups not ok: {', '.join(bad)}"
    count = "The one backup is ok" if total == 1 else f"All {total} backups are ok"
    return f"{count}, {len(problems)} problem{'s' * (len(problems) != 1)} beside them" if problems else count


def backup(raw: dict[str, Any]) -> dict[str, Any]:
    """One backup as the table shows it."""
    state = raw.get("state")
    texts = {key: str(raw.get(key) or "") for key in ("component", "provider", "id", "type", "location", "detail")}
    figures = {key: _number(raw.get(key)) for key in ("age_s", "size_bytes")}
    moments = {key: iso(raw.get(key)) for key in ("finished", "verified_at", "drill_passed_at")}
    encrypted = raw.get("encrypted") if isinstance(raw.get("encrypted"), bool) else None
    state = state if state in STATES else "not_checked"
    return {**texts, **figures, **moments, "copy": raw.get("copy") is True, "encrypted": encrypted, "state": state}


def _problem(raw: Any) -> dict[str, str]:
    """Where a check failed, and how."""
    if not isinstance(raw, dict):
        return {"where": "", "name": "", "state": "failed", "detail": str(raw)}
    where = " ".join(str(raw[key]) for key in ("component", "provider", "location") if raw.get(key))
    state = raw.get("state") if raw.get("state") in STATES else "failed"
    return {"where": where, "state": state, **{key: str(raw.get(key) or "") for key in ("name", "detail")}}


def _number(value: Any) -> float | None:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None
