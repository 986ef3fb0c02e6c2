# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the envelope of a drill says, as the report shows it. No I/O. Internal: may change in any release."""

from __future__ import annotations

import math
from typing import Any

from . import rollouts as facts
from .integrity import integrity
from .words import duration, iso, number

OPERATION = "dr_drill"
PASSED, FAILED, ABORTED, SKIPPED, NOT_CHECKED = "passed", "failed", "aborted", "skipped", "not_checked"
TONES = {PASSED: "good", ABORTED: "warn"}
# Kinds of evidence that have a place of their own on the page.
SHOWN = frozenset({"clock", "phase", "ledger", "integrity", "resource", "backup", "preflight"})
# A limit more than so many times as long as the whole drill is said in words.
FAR = 2.0
# Events that begin and end a phase.
STARTS = ("phase_started", "step_started")
ENDS = {"phase_ended": "done", "phase_done": "done", "step_done": "done", "failed": "failed", "skipped": "skipped"}
OBJECTIVES = (("RTO", "rto_s"), ("RPO", "rpo_s"))
# What each clock says has been reached, and what took the time up to it, in the order of a recovery.
CLOCKS = {
    "t_fault": ("fault", ""),
    "t_detect": ("noticed", "notice"),
    "t_declare": ("declared", "declare"),
    "t_point_chosen": ("point chosen", "choose point"),
    "t_infra_ready": ("place ready", "make room"),
    "t_files": ("files restored", "files"),
    "t_consistent": ("started", "start"),
    "t_promoted": ("promoted", "replay"),
    "t_verified": ("verified", "verify"),
    "t_accept": ("accepted", "accept"),
}


def is_drill(envelope: dict[str, Any]) -> bool:
    """Whether it is a recovery drill."""
    return envelope["operation"] == OPERATION


def drill(index: int, envelope: dict[str, Any], ledger: dict[str, Any] | None = None) -> dict[str, Any]:
    """Facts of the envelope at C(index) of the operations; C(ledger) is its ledger over time, where that was read."""
    subject = envelope["subject"]
    objectives = [_objective(envelope, name, key) for name, key in OBJECTIVES]
    found = {
        "operation": index,
        **{key: subject.get(key) for key in ("drill_id", "scenario", "component", "source", "target", "environment")},
        "verdict": envelope["verdict"],
        "started": envelope["started"],
        "finished": envelope["finished"],
        "duration_s": facts.duration_s(envelope),
        "objectives": objectives,
        "lost_acked_writes": value(envelope, "lost_acked_writes"),
        "lost_too_many": (measurement(envelope, "lost_acked_writes") or {}).get("verdict") == FAILED,
        "outage_s": value(envelope, "outage_s"),
        "technical_rto_s": value(envelope, "technical_rto_s"),
        "clocks": clocks(envelope),
        "phases": phases(envelope),
        "ledger": _ledger(envelope, ledger),
        "integrity": integrity(_entries(envelope, "integrity")),
        **_resources(envelope),
        "backup": _backup(envelope),
        "preflight": [_interlock(one) for one in _entries(envelope, "preflight")],
        "measurements": _others(envelope),
        "errors": _errors(envelope),
    }
    found["limit_far"] = is_far(found)
    return {**found, "tone": TONES.get(envelope["verdict"], "bad"), "headline": headline(found)}


def is_far(one: dict[str, Any]) -> bool:
    """Whether the RTO's limit is so much longer than the drill that it would press the plot flat."""
    limit = one["objectives"][0]["limit_s"]
    return limit is not None and limit > FAR * max(one["duration_s"], 1.0)


def headline(one: dict[str, Any]) -> str:
    """One line for people: what was lost and whether it came back as promised."""
    what = str(one["scenario"] or "drill").replace("_", " ").capitalize()
    if one["verdict"] == ABORTED:
        return f"{what}: aborted"
    if one["verdict"] == FAILED:
        missed = [goal["name"] for goal in one["objectives"] if goal["verdict"] == FAILED]
        return f"{what}: {' and '.join(missed)} missed" if missed else f"{what}: failed"
    met = [goal["name"] for goal in one["objectives"] if goal["verdict"] == PASSED]
    lost = f", {losses(one)}" if one["lost_acked_writes"] else ""
    return f"{what}: recovered" + (f", {' and '.join(met)} met" if met else "") + lost


def measurement(envelope: dict[str, Any], name: str) -> dict[str, Any] | None:
    """The measurement of that name, if there is one."""
    return next((one for one in envelope["measurements"] if one["name"] == name), None)


def value(envelope: dict[str, Any], name: str) -> float | None:
    """Its value, if it is a number."""
    found = measurement(envelope, name)
    return _figure(found["value"]) if found else None


def _figure(raw: Any) -> float | None:
    """C(raw) if it is a finite number."""
    known = isinstance(raw, (int, float)) and not isinstance(raw, bool) and math.isfinite(raw)
    return raw if known else None


def _others(envelope: dict[str, Any]) -> list[dict[str, Any]]:
    """The measurements that no other place of the page shows."""
    told = {"rto_s", "rpo_s", "lost_acked_writes", "outage_s", "technical_rto_s"}
    names = [one["name"] for one in envelope["measurements"]]
    told |= {name for name in names if name.startswith(("phase_", "step_"))}
    return [one for one in envelope["measurements"] if one["name"] not in told or one["verdict"] == FAILED]


def _errors(envelope: dict[str, Any]) -> list[dict[str, Any]]:
    """Why it has not passed, in sentences; where the drill does not say, from its timeline."""
    reasons = envelope.get("reasons")
    if isinstance(reasons, list) and reasons:
        return [{"at": envelope["finished"], "text": str(reason)} for reason in reasons]
    return facts.errors(envelope) if envelope["verdict"] != PASSED else []


def _objective(envelope: dict[str, Any], name: str, key: str) -> dict[str, Any]:
    """RTO or RPO: value and limit in seconds. Without a limit it reads not_checked, whatever the value."""
    found = measurement(envelope, key) or {"limit": None, "verdict": NOT_CHECKED, "reason": "it was not measured"}
    seconds, limit = value(envelope, key), found["limit"]
    used = seconds / limit if seconds is not None and limit else None
    reason = found["reason"] or ("no limit is set" if limit is None else "")
    return {
        "name": name,
        "value_s": seconds,
        "limit_s": limit,
        "used": None if used is None else round(used, 4),
        "verdict": found["verdict"] if limit is not None or found["verdict"] == FAILED else NOT_CHECKED,
        "reason": reason,
    }


def clocks(envelope: dict[str, Any]) -> list[dict[str, Any]]:
    """The moments that were marked, in their order: name, label, step (what ended there), at (ISO), since_fault_s and
    seconds since the moment before. Durations are the drill's own, by a clock that nobody sets."""
    marked = [
        {"name": str(item["name"]), "at": iso(item.get("at")), "since_fault_s": _figure(item.get("after_fault_s"))}
        for item in envelope["evidence"]
        if item.get("kind") == "clock" and item.get("name") in CLOCKS and iso(item.get("at"))
    ]
    marked.sort(key=lambda one: (one["since_fault_s"] or 0.0, list(CLOCKS).index(one["name"])))
    last = None
    for one in marked:
        one["label"], one["step"] = CLOCKS[one["name"]]
        since = one["since_fault_s"]
        one["seconds"] = None if last is None or since is None else round(since - last, 3)
        last = since if since is not None else last
    return marked


def phases(envelope: dict[str, Any]) -> list[dict[str, Any]]:
    """Phases in the order they ran, one after the other: name, start_s (since the drill began), seconds, and result
    (done, failed, skipped or unfinished)."""
    found: list[dict[str, Any]] = []
    begin = facts.seconds(envelope["started"])
    for event in envelope["timeline"]:
        data = event.get("data") if isinstance(event.get("data"), dict) else {}
        at, running = facts.seconds(event["at"]) - begin, found[-1] if found and "seconds" not in found[-1] else None
        if event["event"] in STARTS:
            name = str(data.get("phase") or data.get("step") or event["detail"])
            found.append({"name": name, "start_s": round(at, 3)})
        elif running is not None and event["event"] in ENDS:
            running["seconds"] = round(at - running["start_s"], 3)
            running["result"] = ENDS[event["event"]]
    taken = {one.get("name"): _figure(one.get("seconds")) for one in _entries(envelope, "phase")}
    for one in found:
        # By the drill's own stopwatch, which no clock can set.
        if taken.get(one["name"]) is not None:
            one["seconds"] = taken[one["name"]]
        one.setdefault("result", "unfinished")
        one.setdefault("seconds", round(facts.duration_s(envelope) - one["start_s"], 3))
    return found


def _entries(envelope: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    """The pieces of evidence of one C(kind), without the word itself."""
    return [
        {key: entry for key, entry in item.items() if key != "kind"}
        for item in envelope["evidence"]
        if item.get("kind") == kind
    ]


def _resources(envelope: dict[str, Any]) -> dict[str, Any]:
    """What the drill made: type, id, created, removed (ISO, None for what is still there), gone_after_s and proof, what
    is left first."""
    found = []
    for item in _entries(envelope, "resource"):
        created, removed = iso(item.get("created")), iso(item.get("removed"))
        lasted = round(facts.seconds(removed) - facts.seconds(created), 3) if created and removed else None
        texts = {"type": str(item.get("type") or "resource"), "id": str(item.get("id") or "")}
        moments = {"created": created, "removed": removed, "gone_after_s": lasted}
        found.append({**texts, **moments, "proof": str(item.get("proof") or "")})
    found.sort(key=lambda one: one["removed"] is not None)
    return {"resources": found, "resources_left": sum(one["removed"] is None for one in found)}


def _backup(envelope: dict[str, Any]) -> dict[str, Any] | None:
    """The backup that was restored; None where none was."""
    used = next(iter(_entries(envelope, "backup")), None)
    if used is None:
        return None
    texts = {key: str(used.get(key) or "") for key in ("label", "type", "selection")}
    figures = {key: _figure(used.get(key)) for key in ("age_s", "size_bytes")}
    return {**texts, **figures, "finished": iso(used.get("finished"))}


def _interlock(item: dict[str, Any]) -> dict[str, Any]:
    """One check that was made before anything was touched."""
    given = item.get("verdict")
    verdict = given if given in (PASSED, FAILED, SKIPPED) else NOT_CHECKED
    return {"name": str(item.get("name") or "check"), "verdict": verdict, "reason": str(item.get("reason") or "")}


def _ledger(envelope: dict[str, Any], series: dict[str, Any] | None) -> dict[str, Any] | None:
    """Counts of the ledger and, where its file could be read, writes over time."""
    found = next(iter(_entries(envelope, "ledger")), None)
    if found is None:
        return None
    keys = ("written", "acked", "acked_before_fault", "survived", "lost", "window_s")
    lost_ids = [one for one in found.get("lost_ids") or [] if isinstance(one, int)]
    return {**{key: _figure(found.get(key)) for key in keys}, "lost_ids": lost_ids, "series": series}


def said(goal: dict[str, Any]) -> str:
    """An objective in words: RTO 42.1 s of at most 30 min."""
    limit = f" of at most {duration(goal['limit_s'])}" if goal["limit_s"] is not None else ""
    return f"{goal['name']} {duration(goal['value_s'])}{limit}"


def losses(one: dict[str, Any]) -> str:
    """What became of acknowledged writes, in words."""
    lost = one["lost_acked_writes"]
    if lost is None:
        return "lost writes not measured"
    return "no acknowledged write lost" if not lost else f"{number(lost)} acknowledged write{'s' * (lost != 1)} lost"
