# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report as data: what report.json holds and the page shows. No I/O. Internal: may change in any release."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import isoformat

from . import alerts, beside
from . import rollouts as facts
from .samples import counts, decision, max_share, samples
from .traffic import Traffic, Window
from .words import clock, listing, number

SCHEMA_VERSION = 1
# A load process needs a moment to start, and its last request ends before the next is due.
COVERAGE_SLACK_S = 1.0
# Below this share of the planned requests the load itself stalled, and a failure may have gone unseen.
STALLED = 0.95
# Drills, gates and catalogs that the first line names.
_MOST_NAMED = 3


def build(
    envelopes: list[dict[str, Any]],
    traffic: Traffic,
    environment: str,
    generated: str | None = None,
    drills_dir: str | None = None,
    notifications: str | None = None,
) -> dict[str, Any]:
    """Report model of checked C(envelopes) and the C(traffic) measured over their intervals, in the same order.

    C(generated) defaults to the end of the newest operation, so the same inputs give the same report. C(drills_dir) has
    the history of the drills and their ledgers, C(notifications) is the file of the alerts that were told.
    """
    others = beside.build(envelopes, drills_dir)
    rollouts = [
        _rollout(index, envelope, window, traffic)
        for index, (envelope, window) in enumerate(zip(envelopes, traffic.windows, strict=True))
        if facts.is_rollout(envelope)
    ]
    load = _load(traffic)
    fired = alerts.build(notifications, envelopes, load)
    return {
        "schema_version": SCHEMA_VERSION,
        "environment": environment,
        "generated": generated or max((envelope["finished"] for envelope in envelopes), default=None),
        "summary": _summary(rollouts, envelopes, load, others, alerts.notes(fired)),
        "rollouts": rollouts,
        **others,
        "alerts": fired,
        "load": load,
        "operations": envelopes,
        "series": _series(traffic),
    }


def intervals(envelopes: list[dict[str, Any]]) -> list[tuple[float, float]]:
    """Start and end (Unix s) of each envelope: the windows to measure traffic over."""
    return [(facts.seconds(item["started"]), facts.seconds(item["finished"])) for item in envelopes]


def _rollout(index: int, envelope: dict[str, Any], window: Window, traffic: Traffic) -> dict[str, Any]:
    subject = envelope["subject"]
    requests = _requests(window, traffic)
    ended = facts.outcome(envelope, requests["by_version"])
    taken = samples(envelope)
    return {
        "version": subject.get("version"),
        "previous_version": subject.get("previous_version"),
        "strategy": subject.get("strategy"),
        "verdict": envelope["verdict"],
        "changed": envelope.get("changed"),
        "outcome": ended,
        "tone": facts.tone(ended, requests["failed"]),
        "headline": facts.headline(envelope, ended),
        "started": envelope["started"],
        "finished": envelope["finished"],
        "duration_s": facts.duration_s(envelope),
        "requests": requests,
        "latency_s": window.tally.latency_s() if requests["coverage"] != "none" else None,
        "steps": facts.steps(envelope),
        "weights": facts.weights(envelope),
        "samples": counts(taken),
        "decision": decision(envelope, ended),
        "max_canary_share": max_share(envelope),
        "errors": facts.errors(envelope),
        "app": subject.get("app"),
        "namespace": subject.get("namespace"),
        "slot": subject.get("slot"),
        "operation": index,
    }


def _requests(window: Window, traffic: Traffic) -> dict[str, Any]:
    """Counts of a window with their coverage: full, partial or none, and the reason unless it is full."""
    if not window.covered:
        reason = "no load ledger was given"
        if traffic.given:
            reason = f"no load ran between {_clock(window.start)} and {_clock(window.end)} UTC"
        return {"sent": None, "failed": None, "by_version": {}, "outcomes": {}, "coverage": "none", "reason": reason}
    counts = window.tally.counts()
    if window.end - window.start - window.covered_s > COVERAGE_SLACK_S:
        parts = listing([f"{_clock(start)} to {_clock(end)}" for start, end in window.covered])
        whole = f"{_clock(window.start)} to {_clock(window.end)} UTC"
        return {**counts, "coverage": "partial", "reason": f"load ran only {parts} of {whole}"}
    # A second's worth is in flight at either end.
    if window.covered_s > 2 * COVERAGE_SLACK_S and window.tally.sent < STALLED * window.expected:
        reason = f"the load sent {number(window.tally.sent)} of about {number(round(window.expected))} planned requests"
        return {**counts, "coverage": "partial", "reason": reason}
    return {**counts, "coverage": "full", "reason": None}


def _load(traffic: Traffic) -> dict[str, Any] | None:
    """All load around the operations; None when no ledger was given."""
    if not traffic.given:
        return None
    ledgers = [
        {**ledger, "started": _iso(ledger["started"]), "finished": _iso(ledger["finished"])}
        for ledger in traffic.ledgers
    ]
    return {
        **traffic.total.counts(),
        "latency_s": traffic.total.latency_s(),
        "started": _iso(traffic.span[0] if traffic.span else None),
        "finished": _iso(traffic.span[1] if traffic.span else None),
        "outside": {"sent": traffic.outside.sent, "failed": traffic.outside.failed},
        "ledgers": ledgers,
        "problems": {"count": traffic.problems.count, "first": traffic.problems.kept},
    }


def _series(traffic: Traffic) -> dict[str, Any] | None:
    if traffic.bins is None:
        return None
    return {"start": _iso(traffic.bins.start), "step_s": traffic.bins.width, **traffic.bins.columns()}


def _summary(
    rollouts: list[dict[str, Any]],
    envelopes: list[dict[str, Any]],
    load: dict[str, Any] | None,
    beside_them: dict[str, Any],
    further_notes: list[str],
) -> dict[str, Any]:
    """The answer to "did it go well?": tone (good, warn, bad), one line, and what to be careful about."""
    known = beside.all_of(beside_them)
    taken = {one["operation"] for one in known}
    others = [one for index, one in enumerate(envelopes) if not facts.is_rollout(one) and index not in taken]
    notes = _notes(rollouts, load) + beside.notes(beside_them) + further_notes
    failed = load["failed"] if load else 0
    tones = {one["tone"] for one in [*rollouts, *known]} | {
        {"passed": "good", "failed": "bad"}.get(envelope["verdict"], "warn") for envelope in others
    }
    if "bad" in tones or failed:
        tone = "bad"
    elif "warn" in tones or notes or not envelopes:
        tone = "warn"
    else:
        tone = "good"
    return {
        "tone": tone,
        "headline": _headline(rollouts, others, known, load),
        "notes": notes,
    }


def _headline(
    rollouts: list[dict[str, Any]],
    others: list[dict[str, Any]],
    known: list[dict[str, Any]],
    load: dict[str, Any] | None,
) -> str:
    """Where nothing moved a version and no load ran, nobody asks about requests. Of many other operations only those
    are named that did not go well."""
    parts = [_operations_line(rollouts, others)] if rollouts or others or not known else []
    named = known if len(known) <= _MOST_NAMED else [one for one in known if one["tone"] != "good"]
    parts += [f"{one['headline']}." for one in named[:_MOST_NAMED]]
    more = len(known) - len(named[:_MOST_NAMED])
    if more:
        word = "more operation" + "s" * (more != 1)
        parts.append(f"{more} {word} went well." if len(named) <= _MOST_NAMED else f"{more} {word}.")
    parts += [_requests_line(load)] if rollouts or others or load or not known else []
    return " ".join(parts)


def _operations_line(rollouts: list[dict[str, Any]], others: list[dict[str, Any]]) -> str:
    if not rollouts and not others:
        return "No operation is recorded."
    words = {
        facts.SHIPPED: "shipped",
        facts.UNCHANGED: "unchanged",
        facts.REFUSED: "refused",
        facts.ROLLED_BACK: "rolled back",
        facts.ABORTED: "aborted",
        facts.FAILED: "failed",
    }
    parts = []
    for ended, word in words.items():
        versions = [str(rollout["version"] or "a rollout") for rollout in rollouts if rollout["outcome"] == ended]
        if versions:
            parts.append(f"{listing(versions)} {word}")
    for verdict in ("passed", "failed", "rolled_back", "aborted"):
        names = [envelope["operation"] for envelope in others if envelope["verdict"] == verdict]
        if names:
            parts.append(f"{listing(names)} {verdict.replace('_', ' ')}")
    return ", ".join(parts) + "."


def _requests_line(load: dict[str, Any] | None) -> str:
    if not load or not load["sent"]:
        return "Requests were not measured."
    if load["failed"]:
        return f"{number(load['failed'])} of {number(load['sent'])} requests failed."
    return f"None of {number(load['sent'])} requests failed."


def _notes(rollouts: list[dict[str, Any]], load: dict[str, Any] | None) -> list[str]:
    """What weakens the proof, in plain words."""
    notes = [
        f"{rollout['version'] or 'A rollout'}: requests measured in part only, {rollout['requests']['reason']}."
        for rollout in rollouts
        if rollout["requests"]["coverage"] == "partial"
    ]
    if not load:
        return notes
    for problem in load["problems"]["first"]:
        notes.append(f"{problem['file']}, line {problem['line']} could not be read: {problem['error']}")
    more = load["problems"]["count"] - len(load["problems"]["first"])
    if more > 0:
        notes.append(f"{number(more)} more lines of the load ledgers could not be read.")
    if load["outside"]["failed"]:
        outside = load["outside"]
        notes.append(
            f"{number(outside['failed'])} of {number(outside['sent'])} requests before or after the operations failed."
        )
    return notes


def _clock(moment: float) -> str:
    return clock(_iso(moment))


def _iso(moment: float | None) -> str | None:
    return None if moment is None else isoformat(datetime.fromtimestamp(moment, timezone.utc))
