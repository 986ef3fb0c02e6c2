# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A report model as JUnit XML, for a CI system: a test suite for each operation, a test case for each thing that was
checked. No I/O. Internal: may change in any release."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from typing import Any, NamedTuple

from . import business
from .drills import said
from .page import quantity, short

# XML 1.0 has no way to say these, not even escaped.
_UNSAYABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_BAD = frozenset({"failed", "aborted", "rolled_back", "missing", "stale", "unverified", "bad"})
_GOOD = frozenset({"passed", "ok", "good"})


class Case(NamedTuple):
    """One test case: whatever is neither good nor bad is skipped, with its reason."""

    name: str
    verdict: str
    reason: str = ""
    seconds: float | None = None


def junit(model: dict[str, Any]) -> str:
    """The document. Names of suites are the operations, with the drill's id or the version; the verdict of the
    operation is a case of its own, so that one which failed without a failed check is red, too."""
    root = ET.Element("testsuites", {"name": _say(model["environment"])})
    total = {"tests": 0, "failures": 0, "skipped": 0}
    for index, envelope in enumerate(model["operations"]):
        counts = _suite(root, envelope, list(_cases(model, index, envelope)))
        total = {key: total[key] + counts[key] for key in total}
    for key, count in total.items():
        root.set(key, str(count))
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _suite(root: ET.Element, envelope: dict[str, Any], cases: list[Case]) -> dict[str, int]:
    subject = envelope["subject"]
    which = subject.get("drill_id") or subject.get("version") or ""
    name = f"{envelope['operation']} {which}".strip()
    suite = ET.SubElement(root, "testsuite", {"name": _say(name), "timestamp": envelope["started"]})
    counts = {"tests": len(cases), "failures": 0, "skipped": 0}
    for case in cases:
        element = ET.SubElement(suite, "testcase", {"classname": _say(envelope["operation"]), "name": _say(case.name)})
        if case.seconds is not None:
            element.set("time", f"{case.seconds:.3f}")
        if case.verdict in _BAD:
            counts["failures"] += 1
            ET.SubElement(element, "failure", {"message": _say(case.reason or case.verdict), "type": case.verdict})
        elif case.verdict not in _GOOD:
            counts["skipped"] += 1
            ET.SubElement(element, "skipped", {"message": _say(case.reason or case.verdict.replace("_", " "))})
    for key, count in counts.items():
        suite.set(key, str(count))
    return counts


def _cases(model: dict[str, Any], index: int, envelope: dict[str, Any]) -> Iterator[Case]:
    for kind, cases in (("drills", _drill), ("gates", _gate), ("backups", _backups), ("business", _business)):
        for one in model[kind]:
            if one["operation"] == index:
                yield from cases(one)
                return
    rollout = next((one for one in model["rollouts"] if one["operation"] == index), None)
    reason = "; ".join(error["text"] for error in rollout["errors"]) if rollout else ""
    yield Case("verdict", envelope["verdict"], reason)
    yield from _measurements(envelope["measurements"])


def _drill(drill: dict[str, Any]) -> Iterator[Case]:
    yield Case("verdict", drill["verdict"], "; ".join(error["text"] for error in drill["errors"]), drill["duration_s"])
    for goal in drill["objectives"]:
        yield Case(goal["name"], goal["verdict"], goal["reason"] or said(goal), goal["value_s"])
    for one in drill["preflight"]:
        yield Case(f"preflight {one['name']}", one["verdict"], one["reason"])
    for one in drill["phases"]:
        done = {"done": "passed", "failed": "failed"}.get(one["result"], "skipped")
        yield Case(f"phase {one['name']}", done, one["result"], one["seconds"])
    for one in (drill["integrity"] or {"checks": []})["checks"]:
        differs = f"expected {short(one['expected'])}, found {short(one['actual'])}"
        reason = "; ".join(part for part in (one["reason"], differs if one["verdict"] == "failed" else "") if part)
        yield Case(f"{one['name']} of {one['subject']}", one["verdict"], reason, one["seconds"])
    for one in drill["resources"]:
        gone = "passed" if one["removed"] else "failed"
        yield Case(f"{one['type']} {one['id']} is gone", gone, one["proof"], one["gone_after_s"])
    # The objectives are cases already.
    names = {"rto_s", "rpo_s"}
    yield from _measurements([one for one in drill["measurements"] if one["name"] not in names])


def _gate(gate: dict[str, Any]) -> Iterator[Case]:
    yield Case("verdict", gate["verdict"], "", gate["duration_s"])
    for one in gate["services"]:
        yield Case(one["name"], one["verdict"], one["reason"])


def _backups(listed: dict[str, Any]) -> Iterator[Case]:
    yield Case("verdict", listed["verdict"], listed["headline"])
    for one in listed["problems"]:
        yield Case(f"{one['where']} {one['name']}", "failed", one["detail"])
    for one in listed["backups"]:
        name = f"{one['component']} {one['provider']} {one['location']} {one['id'] or 'any backup'}"
        yield Case(name, one["state"], one["detail"] or one["state"])


def _business(review: dict[str, Any]) -> Iterator[Case]:
    yield Case("verdict", review["verdict"], review["headline"], review["duration_s"])
    for one in review["figures"]:
        reason = one["reason"] or f"{business.amount(one['value'], one)}. {business.wanted(one)}".strip()
        yield Case(one["name"], one["verdict"], reason)


def _measurements(measurements: list[dict[str, Any]]) -> Iterator[Case]:
    """With their figures, as these are what somebody will look for in the list."""
    for one in measurements:
        limit = f", limit {quantity(one['limit'], one['unit'])}" if one["limit"] is not None else ""
        reason = one["reason"] or f"{quantity(one['value'], one['unit'])}{limit}"
        seconds = one["value"] if one["unit"] == "s" and isinstance(one["value"], (int, float)) else None
        yield Case(one["name"], one["verdict"], reason, seconds)


def _say(text: Any) -> str:
    return _UNSAYABLE.sub("?", str(text))
