# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an envelope of a rollout says: its steps, its weights, and in one line how it ended. No I/O. Internal: may
change in any release."""

from __future__ import annotations

from typing import Any

from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import parse_time

SHIPPED = "shipped"
UNCHANGED = "unchanged"
REFUSED = "refused"
ROLLED_BACK = "rolled_back"
FAILED = "failed"
ABORTED = "aborted"

# How an outcome looks. A refusal is the tool doing its work, but nothing was shipped: not the colour of success.
TONES = {
    SHIPPED: "good",
    UNCHANGED: "neutral",
    REFUSED: "kept",
    ROLLED_BACK: "warn",
    ABORTED: "warn",
    FAILED: "bad",
}


def is_rollout(envelope: dict[str, Any]) -> bool:
    """Whether the operation moved, or could have moved, a version: only those have requests cut out of the load."""
    return envelope["operation"].startswith("roll") or "strategy" in envelope["subject"]


def seconds(text: str) -> float:
    """ISO time as Unix seconds."""
    return parse_time(text).timestamp()


def duration_s(item: dict[str, Any]) -> float:
    """Seconds between C(started) and C(finished) of an item."""
    return round(seconds(item["finished"]) - seconds(item["started"]), 3)


def steps(envelope: dict[str, Any]) -> list[dict[str, Any]]:
    """The steps in the order they began: name, started, finished, duration_s, and result (done, failed, or
    unfinished when the timeline does not tell)."""
    found: list[dict[str, Any]] = []
    running: dict[str, dict[str, Any]] = {}
    for event in envelope["timeline"]:
        kind, name = event["event"], step_name(event)
        if kind == "rollback_started":
            name = "roll back"
        if kind in ("step_started", "rollback_started"):
            step = {"name": name, "started": event["at"], "detail": event["detail"]}
            found.append(step)
            running[name] = step
        elif kind == "step_done" and name in running:
            running.pop(name).update(finished=event["at"], result="done")
        elif kind == "rolled_back" and "roll back" in running:
            running.pop("roll back").update(finished=event["at"], result="done")
        elif kind == "failed":
            for step in running.values():
                step.update(finished=event["at"], result="failed")
            running.clear()
    for step in running.values():
        step.update(finished=envelope["finished"], result="unfinished")
    return [{**step, "duration_s": duration_s(step)} for step in found]


def step_name(event: dict[str, Any]) -> str:
    """The step an event speaks of."""
    data = event.get("data")
    named = data.get("step") or data.get("name") if isinstance(data, dict) else None
    return str(named or event["detail"])


def weights(envelope: dict[str, Any]) -> list[dict[str, Any]]:
    """The shares (0 to 1) that each slot was given, each time they were set."""
    found = []
    for event in envelope["timeline"]:
        data = event.get("data")
        given = data.get("weights") if event["event"] == "weights" and isinstance(data, dict) else None
        if not isinstance(given, dict) or not all(isinstance(value, (int, float)) for value in given.values()):
            continue
        total = sum(given.values())
        if total > 0:
            found.append({"at": event["at"], "shares": {slot: value / total for slot, value in given.items()}})
    return found


def traffic_moved(envelope: dict[str, Any], by_version: dict[str, int]) -> bool:
    """Whether the version got any traffic, from the weights that were set and from who answered.

    A weight change that does not say which weights counts as moved: "nothing happened" needs evidence.
    """
    subject = envelope["subject"]
    version = subject.get("version")
    if version != subject.get("previous_version") and by_version.get(str(version)):
        return True
    changes = [event for event in envelope["timeline"] if event["event"] == "weights"]
    known = weights(envelope)
    if len(known) < len(changes):
        return True
    return any(change["shares"].get(subject.get("slot"), 0) > 0 for change in known)


def outcome(envelope: dict[str, Any], by_version: dict[str, int]) -> str:
    """How the rollout ended, as the reader cares about it."""
    verdict = envelope["verdict"]
    if verdict == "passed":
        return SHIPPED if envelope.get("changed", True) else UNCHANGED
    if verdict == "rolled_back":
        return ROLLED_BACK if traffic_moved(envelope, by_version) else REFUSED
    return ABORTED if verdict == "aborted" else FAILED


def tone(ended: str, failed: int | None) -> str:
    """How a rollout looks. Whatever its verdict, failed requests are nothing to look good about."""
    return "bad" if failed else TONES[ended]


def headline(envelope: dict[str, Any], ended: str) -> str:
    """One line for people."""
    subject = envelope["subject"]
    version, previous = subject.get("version") or "the version", subject.get("previous_version")
    keeps = f"{previous} kept" if previous else "nothing was live before"
    lines = {
        SHIPPED: f"{version} replaced {previous}" if previous and previous != version else f"{version} is live",
        UNCHANGED: f"{version} was live already, nothing to do",
        REFUSED: f"{version} refused, {keeps}",
        ROLLED_BACK: f"{version} rolled back" + (f", {previous} serves again" if previous else ""),
        ABORTED: f"{version} aborted",
        FAILED: f"{version} failed",
    }
    return lines[ended]


def errors(envelope: dict[str, Any]) -> list[dict[str, Any]]:
    """What went wrong, in full: the failures of the timeline, and the operation's own message."""
    found = [
        {"at": event["at"], "text": event["detail"]}
        for event in envelope["timeline"]
        if event["event"] == "failed" and event["detail"]
    ]
    for key in ("error", "msg"):
        text = str(envelope.get(key) or "")
        if text and text not in [entry["text"] for entry in found]:
            found.append({"at": envelope["finished"], "text": text})
    return found
