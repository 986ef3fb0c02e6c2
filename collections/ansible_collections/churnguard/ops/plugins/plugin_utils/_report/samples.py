# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an envelope says about how a version was judged: samples, freezes, gates, commands, and the sample that decided.
No I/O. Internal: may change in any release."""

from __future__ import annotations

import math
from typing import Any

from ansible_collections.churnguard.ops.plugins.module_utils._rollout.figures import gate_state, kind_of

from . import rollouts as facts

VERDICTS = ("good", "bad", "unknown")
# An event of these kinds ends a freeze or a wait at a gate, whatever came of it.
_ENDS = frozenset({"weights", "step_done", "failed", "rollback_started", "rolled_back", "completed"})


def samples(envelope: dict[str, Any]) -> list[dict[str, Any]]:
    """Every sample in the order they were taken, with plain, finite figures."""
    found = []
    for event in envelope["timeline"]:
        data = event.get("data")
        if event["event"] != "sample" or not isinstance(data, dict):
            continue
        results = data.get("results")
        found.append(
            {
                "at": event["at"],
                "step": str(data.get("step") or ""),
                "weight": _finite(data.get("weight")),
                "verdict": data.get("verdict") if data.get("verdict") in VERDICTS else "unknown",
                "decisive": bool(data.get("decisive")),
                "cause": str(data.get("cause") or ""),
                "reason": str(data.get("reason") or event["detail"]),
                "results": [_result(one) for one in results if isinstance(one, dict)]
                if isinstance(results, list)
                else [],
            }
        )
    return found


def counts(taken: list[dict[str, Any]]) -> dict[str, int]:
    """How many samples there are, and how many of each verdict."""
    of_each = {verdict: sum(one["verdict"] == verdict for one in taken) for verdict in VERDICTS}
    return {"total": len(taken), **of_each}


def decision(envelope: dict[str, Any], ended: str) -> dict[str, Any] | None:
    """The sample that decided how the rollout ended: the last one that was not good before it was taken back, else the
    last one of a version that was shipped. C(traffic_off_s) are the seconds from a bad one until the weights gave the
    version nothing. None where no sample decided."""
    taken = samples(envelope)
    back = next((event["at"] for event in envelope["timeline"] if event["event"] == "rollback_started"), None)
    if back is None:
        return {**taken[-1], "traffic_off_s": None} if taken and ended == facts.SHIPPED else None
    before = [one for one in taken if one["at"] <= back]
    # A good sample last: something else than the judge took the version back.
    if not before or before[-1]["verdict"] == "good":
        return None
    slot = envelope["subject"].get("slot")
    off = (
        change["at"] for change in facts.weights(envelope) if change["at"] >= back and not change["shares"].get(slot)
    )
    gone = next(off, None)
    seconds = None if gone is None else round(facts.seconds(gone) - facts.seconds(before[-1]["at"]), 3)
    return {**before[-1], "traffic_off_s": seconds}


def max_share(envelope: dict[str, Any]) -> float | None:
    """The largest share (0 to 1) of the traffic that the version was given; None where no weight was set."""
    slot = envelope["subject"].get("slot")
    shares = [change["shares"].get(slot, 0.0) for change in facts.weights(envelope)]
    return round(max(shares), 4) if shares else None


def freezes(envelope: dict[str, Any]) -> list[dict[str, Any]]:
    """The times in which the weight was held because a sample was not good: start, end (ISO), cause and reason."""
    found: list[dict[str, Any]] = []
    running: dict[str, Any] | None = None
    for event in envelope["timeline"]:
        data = event.get("data") if isinstance(event.get("data"), dict) else {}
        thawed = event["event"] == "sample" and data.get("verdict") == "good"
        if running is not None and (thawed or event["event"] in _ENDS):
            running["end"] = event["at"]
            running = None
        elif running is None and event["event"] == "frozen":
            running = {
                "start": event["at"],
                "end": None,
                "cause": str(data.get("cause") or ""),
                "reason": event["detail"],
            }
            found.append(running)
    if running is not None:
        running["end"] = envelope["finished"]
    return found


def gates(envelope: dict[str, Any]) -> list[dict[str, Any]]:
    """The waits for somebody's approval: start, end (ISO), the step or weight before which the gate stood, and who or
    which flag opened it."""
    found: list[dict[str, Any]] = []
    running: dict[str, Any] | None = None
    for event in envelope["timeline"]:
        data = event.get("data") if isinstance(event.get("data"), dict) else {}
        kind = event["event"]
        if kind == "gate" and gate_state(data) == "waiting":
            running = {"start": event["at"], "end": None, "before": str(data.get("before") or ""), "by": ""}
            found.append(running)
        elif running is not None and kind == "control" and data.get("command") == "approve":
            running["by"] = str(data.get("by") or "")
        elif running is not None and (kind in _ENDS or kind == "gate"):
            running["end"] = event["at"]
            running["by"] = f"flag {data['flag']}" if data.get("flag") else running["by"]
            running = None
    if running is not None:
        running["end"] = envelope["finished"]
    return found


def commands(envelope: dict[str, Any]) -> list[dict[str, Any]]:
    """What people asked for while it ran: at, command, by, and what came of it."""
    found = []
    for event in envelope["timeline"]:
        data = event.get("data")
        if event["event"] == "control" and isinstance(data, dict) and data.get("command"):
            by, effect = str(data.get("by") or ""), str(data.get("effect") or "")
            found.append({"at": event["at"], "command": str(data["command"]), "by": by, "effect": effect})
    return found


def pauses(envelope: dict[str, Any]) -> list[dict[str, Any]]:
    """The times in which somebody had paused it: start, end (ISO)."""
    found: list[dict[str, Any]] = []
    for asked in commands(envelope):
        running = bool(found) and found[-1]["end"] is None
        if asked["command"] == "pause" and not running:
            found.append({"start": asked["at"], "end": None})
        elif running and asked["command"] in ("resume", "promote", "abort"):
            found[-1]["end"] = asked["at"]
    for pause in found:
        pause["end"] = pause["end"] or envelope["finished"]
    return found


def metric_names(taken: list[dict[str, Any]]) -> list[str]:
    """The metrics in the order in which they were first judged."""
    return list(dict.fromkeys(result["name"] for one in taken for result in one["results"]))


def _result(raw: dict[str, Any]) -> dict[str, Any]:
    texts = {"kind": kind_of(raw), **{key: str(raw.get(key) or "") for key in ("query", "reason")}}
    figures = ("window_s", "n", "n_stable", "value", "stable_value", "limit", "p_value")
    verdict = raw.get("verdict") if raw.get("verdict") in VERDICTS else "unknown"
    name = str(raw.get("name") or "metric")
    return {"name": name, "verdict": verdict, **texts, **{key: _finite(raw.get(key)) for key in figures}}


def _finite(value: Any) -> float | None:
    """C(value) if it is a number that can be drawn and written as JSON."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return value
