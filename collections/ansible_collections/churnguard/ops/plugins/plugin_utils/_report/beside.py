# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a report holds beside rollouts: gates, drills and their history, backups, reviews of performance and
business. Internal: may change in any release."""

from __future__ import annotations

from typing import Any

from . import business, catalog, drill_files, drills, gates, performance
from .words import listing, number

KINDS = ("gates", "drills", "backups", "reviews", "business")


def build(envelopes: list[dict[str, Any]], drills_dir: str | None) -> dict[str, Any]:
    """What KINDS names, of the envelopes, oldest first, and the C(history) in C(drills_dir) (None without one, and in a
    report without a drill). Raises OperationError for files there that cannot be read."""
    found: dict[str, Any] = {kind: [] for kind in KINDS}
    for index, envelope in enumerate(envelopes):
        if gates.is_gate(envelope):
            found["gates"].append(gates.gate(index, envelope))
        elif drills.is_drill(envelope):
            found["drills"].append(_drill(index, envelope, drills_dir))
        elif catalog.is_catalog(envelope):
            found["backups"].append(catalog.catalog(index, envelope))
        elif performance.is_review(envelope):
            found["reviews"].append(performance.review(index, envelope))
        elif business.is_review(envelope):
            found["business"].append(business.review(index, envelope))
    found["history"] = drill_files.history(drills_dir) if drills_dir and found["drills"] else None
    return found


def _drill(index: int, envelope: dict[str, Any], drills_dir: str | None) -> dict[str, Any]:
    one = drills.drill(index, envelope)
    if drills_dir and one["ledger"]:
        ledger = one["ledger"]
        identifier = str(one["drill_id"] or "")
        ledger["series"] = drill_files.writes(drills_dir, identifier, ledger["lost_ids"], ledger["lost"])
    return one


def all_of(model: dict[str, Any]) -> list[dict[str, Any]]:
    """Everything that build() found of envelopes, oldest first."""
    return sorted((one for kind in KINDS for one in model[kind]), key=lambda one: one["operation"])


def notes(found: dict[str, Any]) -> list[str]:
    """What weakens the proof, in plain words."""
    said = []
    for one in found["drills"]:
        name = str(one["scenario"] or "The drill").replace("_", " ")
        said += [f"{name}: {goal['name']} was not checked: {goal['reason']}." for goal in _unchecked(one)]
        matrix = one["integrity"]
        if matrix and matrix["counts"]["skipped"]:
            skipped = [row for row in matrix["checks"] if row["verdict"] == "skipped"]
            names = listing(list(dict.fromkeys(row["name"] for row in skipped)))
            said.append(f"{name}: {number(len(skipped))} of {number(len(matrix['checks']))} checks skipped ({names}).")
        if one["resources_left"]:
            left, made = number(one["resources_left"]), number(len(one["resources"]))
            said.append(f"{name}: {left} of {made} resources not seen gone.")
    said += [note for one in found["reviews"] for note in performance.notes(one)]
    said += [note for one in found["business"] for note in business.notes(one)]
    history = found["history"]
    if history and history["unreadable"]:
        said.append(f"{history['file']}: {number(history['unreadable'])} lines could not be read.")
    return said


def _unchecked(one: dict[str, Any]) -> list[dict[str, Any]]:
    return [goal for goal in one["objectives"] if goal["verdict"] == "not_checked"]
