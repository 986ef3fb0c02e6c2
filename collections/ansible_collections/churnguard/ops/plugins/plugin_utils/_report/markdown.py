# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A report model as Markdown, for a chat, a ticket or a job's log. No I/O. Internal: may change in any release."""

from __future__ import annotations

import re
from typing import Any

from . import alerts, business
from .catalog import MOST_LISTED
from .drills import losses
from .page import moment, quantity, short
from .performance import STATISTICS, amount, share
from .words import age, clock, duration, number, size

_MOST_ROWS = 20
_WORDS = {"not_checked": "not checked", "rolled_back": "rolled back"}
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|])")


def markdown(model: dict[str, Any]) -> str:
    """The whole report, with one heading for each operation."""
    lines = [f"# {_text(model['summary']['headline'])}", ""]
    lines += [f"Environment {_text(model['environment'])}, as of {moment(model['generated'])} UTC.", ""]
    if model["summary"]["notes"]:
        lines += ["What weakens the proof:", "", *[f"- {_text(note)}" for note in model["summary"]["notes"]], ""]
    sections = {one["operation"]: _rollout(one) for one in model["rollouts"]}
    sections.update({one["operation"]: _drill(one) for one in model["drills"]})
    sections.update({one["operation"]: _gate(one) for one in model["gates"]})
    sections.update({one["operation"]: _backups(one) for one in model["backups"]})
    sections.update({one["operation"]: _review(one) for one in model["reviews"]})
    sections.update({one["operation"]: _business(one) for one in model["business"]})
    lines += _alerts(model["alerts"])
    for index, envelope in enumerate(model["operations"]):
        lines += sections.get(index) or _other(envelope)
    if model["history"]:
        lines += _history(model["history"])
    return "\n".join(lines).rstrip() + "\n"


def _drill(drill: dict[str, Any]) -> list[str]:
    subject = [str(drill[key]) for key in ("component", "source", "target", "drill_id") if drill[key]]
    lines = _heading(drill["headline"], drill)
    lines += [_text(", ".join(subject)), ""]
    lines += [f"- {_text(error['text'])}" for error in drill["errors"]] + [""] * bool(drill["errors"])
    goals = [
        [goal["name"], duration(goal["value_s"]), duration(goal["limit_s"]), _word(goal["verdict"]), goal["reason"]]
        for goal in drill["objectives"]
    ]
    goals.append(["lost acknowledged writes", number(drill["lost_acked_writes"]), "", "", ""])
    goals.append(["outage", duration(drill["outage_s"]), "", "", ""])
    lines += _table(["objective", "measured", "limit", "verdict", "reason"], goals)
    steps = [[one["label"], clock(one["at"]), duration(one["since_fault_s"])] for one in drill["clocks"]]
    lines += _table(["moment", "UTC", "since the fault"], steps)
    lines += [f"Writes: {losses(drill)}.", ""]
    lines += _integrity(drill["integrity"])
    used = drill["backup"]
    if used:
        name, kind = _text(used["label"] or "not named"), used["type"] or "backup"
        lines += [f"Backup used: {name} ({kind}, {age(used['age_s'])} old, {size(used['size_bytes'])}).", ""]
    made = [[one["type"], one["id"], clock(one["removed"]) if one["removed"] else "LEFT", one["proof"]]
            for one in drill["resources"]]  # fmt: skip
    lines += _table(["made", "name", "gone", "proof"], made)
    checks = [[one["name"], _word(one["verdict"]), one["reason"]] for one in drill["preflight"]]
    return lines + _table(["before it began", "verdict", "why"], checks)


def _integrity(found: dict[str, Any] | None) -> list[str]:
    if not found:
        return []
    counts = ", ".join(f"{number(count)} {verdict}" for verdict, count in found["counts"].items())
    lines = [f"Integrity: **{_word(found['verdict'])}** ({counts}) in {duration(found['seconds'])}.", ""]
    rows = [
        [
            one["name"],
            one["subject"],
            _word(one["verdict"]),
            short(one["expected"]),
            short(one["actual"]),
            one["reason"],
        ]
        for one in found["remarks"]
    ]
    lines += _table(["check", "of", "verdict", "expected", "found", "why"], rows, found["remarks_left_out"])
    return lines


def _gate(gate: dict[str, Any]) -> list[str]:
    rows = [
        [one["name"], _word(one["verdict"]), number(one["samples"]["total"]), number(one["samples"]["good"]),
         one["reason"]] for one in gate["services"]
    ]  # fmt: skip
    return _heading(gate["headline"], gate) + _table(["service", "verdict", "looks", "good", "why"], rows)


def _backups(listed: dict[str, Any]) -> list[str]:
    lines = _heading(listed["headline"], listed)
    lines += [f"- {_text(one['where'])}: {_text(one['detail'])} ({_word(one['state'])})" for one in listed["problems"]]
    lines += [""] * bool(listed["problems"])
    rows = [
        [one["component"], _word(one["state"]), one["id"] or "none", age(one["age_s"]), size(one["size_bytes"]),
         f"{one['provider']} {one['location']}"] for one in listed["backups"][:MOST_LISTED]
    ]  # fmt: skip
    return lines + _table(["component", "state", "backup", "age", "size", "where"], rows, listed["left_out"])


def _review(review: dict[str, Any]) -> list[str]:
    rows = [
        [one["title"], one["on"], *(amount(one[key], one["unit"]) for key in STATISTICS), share(one), one["severity"],
         _word(one["verdict"]), one["reason"]] for one in review["metrics"]
    ]  # fmt: skip
    heads = ["metric", "worst", "average", "max", "p95", "p99", "threshold", "time above", "severity", "verdict", "why"]
    lines = _heading(review["headline"], review) + _table(heads, rows)
    advised = [f"- {_text(one['title'])} {_text(one['said'])}: {_text(one['text'])}" for one in review["advice"]]
    return lines + (["Recommended:", "", *advised, ""] if advised else [])


def _business(review: dict[str, Any]) -> list[str]:
    rows = [
        [one["title"], business.amount(one["value"], one), business.light(one)[1], business.wanted(one),
         business.change(one), one["reason"] if business.light(one)[2] in ("bad", "warn") else ""]
        for one in review["figures"]
    ]  # fmt: skip
    lines = _heading(review["headline"], review)
    lines += _table(["figure", "value", "how it stands", "what is well", "change", "why"], rows)
    said = [f"- {_text(one['title'])}: {_text(_named(one))}" for one in review["figures"] if _named(one)]
    return lines + ([*said, ""] if said else [])


def _named(figure: dict[str, Any]) -> str:
    """The figure's sentence, and its parts."""
    parts = ", ".join(f"{one['name']} {business.amount(one['value'], figure)}" for one in figure["parts"])
    return " ".join(filter(None, (business.sentence(figure), f"{parts}." if parts else "")))


def _alerts(found: dict[str, Any] | None) -> list[str]:
    if not found:
        return []
    lines = [
        "## Alerts",
        "",
        f"{alerts.headline(found)}. Watchdog heard {number(found['watchdog']['count'])} times.",
        "",
    ]
    rows = [
        [one["name"], one["summary"], one["severity"], one["team"], clock(one["fired"]), clock(one["told"]),
         clock(one["over"]) if one["over"] else "not resolved yet", duration(one["duration_s"]), one["runbook"] or ""]
        for one in found["alerts"]
    ]  # fmt: skip
    heads = ["alert", "what", "severity", "team", "fired (UTC)", "told", "over", "how long", "runbook"]
    return lines + _table(heads, rows, found["left_out"])


def _rollout(rollout: dict[str, Any]) -> list[str]:
    requests = rollout["requests"]
    sent = f"{number(requests['sent'])} requests, {number(requests['failed'])} failed."
    measured = f"Requests not measured: {requests['reason']}." if requests["sent"] is None else sent
    lines = [*_heading(rollout["headline"], rollout), _text(measured), ""]
    return lines + [f"- {_text(error['text'])}" for error in rollout["errors"]] + [""] * bool(rollout["errors"])


def _other(envelope: dict[str, Any]) -> list[str]:
    lines = _heading(envelope["operation"].replace("_", " "), envelope)
    rows = [
        [one["name"], quantity(one["value"], one["unit"]), quantity(one["limit"], one["unit"]), _word(one["verdict"]),
         one["reason"]] for one in envelope["measurements"]
    ]  # fmt: skip
    return lines + _table(["what", "measured", "limit", "verdict", "reason"], rows)


def _history(found: dict[str, Any]) -> list[str]:
    lines = ["## All drills", ""]
    rows = [
        [one["name"].replace("_", " "), number(one["total"]), number(one["passed"]), moment(one["last"]),
         duration(one["rto_s"]["median"]) if one["rto_s"] else "", duration(one["rpo_s"]["median"]) if one["rpo_s"]
         else "", number(one["lost_acked_writes"])] for one in found["scenarios"]
    ]  # fmt: skip
    heads = ["scenario", "drills", "passed", "last (UTC)", "RTO median", "RPO median", "writes lost"]
    return lines + _table(heads, rows)


def _heading(text: str, item: dict[str, Any]) -> list[str]:
    return [f"## {_text(text)}", "", f"**{_word(item['verdict'])}**, {clock(item['started'])} UTC", ""]


def _word(verdict: str) -> str:
    return _WORDS.get(verdict, verdict)


def _table(heads: list[str], rows: list[list[Any]], left_out: int = 0) -> list[str]:
    """A table of at most so many rows, with the count of those that are left out; nothing for no rows."""
    if not rows:
        return []
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    lines += [f"| {' | '.join(_text(cell) for cell in row)} |" for row in rows[:_MOST_ROWS]]
    more = left_out + max(len(rows) - _MOST_ROWS, 0)
    return [*lines, "", *([f"{number(more)} more in report.json.", ""] if more else [])]


def _text(value: Any) -> str:
    """One line in which nothing is markup."""
    return _SPECIAL.sub(r"\\\1", " ".join(str(value).split()))
