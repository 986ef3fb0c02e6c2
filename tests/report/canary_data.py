"""Two sample canaries for tests of the report, and a load ledger that fits them: v2 answers a fifth of its requests
with 5xx and is taken back at 10 %; v3 passes 10, 25, 50, 75 and 100 %, through a freeze, a gate and a pause.

    python tests/report/sample_data.py FOLDER --canary --render
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator
from typing import Any

from sample_data import START, event, measurement, rollout, step_events, timeline

BAD = (30.0, 84.9)
GOOD = (100.0, 391.0)
LOAD = (10.0, 400.0)
INTERVAL = 10.0
# (moment, share of the new version): what the gateway does, a moment after each weight was written.
BAD_SHARES = [(39.9, 0.1), (65.3, 0.0)]
GOOD_SHARES = [(110.1, 0.1), (145.3, 0.25), (202.0, 0.5), (237.2, 0.75), (292.4, 1.0)]
QUERIES = {
    "error_ratio": 'sum by (pod) (churnguard_requests_total{slot="%s",status_code=~"5.."}) / '
    'sum by (pod) (churnguard_requests_total{slot="%s"})',
    "latency_p99": 'sum by (pod, le) (churnguard_request_duration_seconds_bucket{slot="%s"})',
    "predictions_per_request": 'sum by (pod) (churnguard_predictions_total{slot="%s"})',
}


def result(name: str, verdict: str, value: float | None, **more: Any) -> dict[str, Any]:
    """One metric of a sample."""
    slot = more.pop("slot", "green")
    kind = {"error_ratio": "ratio", "latency_p99": "latency"}.get(name, "value")
    entry = {
        "name": name,
        "kind": kind,
        "verdict": verdict,
        "decisive": False,
        "query": QUERIES[name].replace("%s", slot),
        "window_s": 60.0,
        "n": None,
        "n_stable": None,
        "value": value,
        "stable_value": None,
        "limit": None,
        "p_value": None,
        "reason": "",
    }
    return {**entry, **more}


def sample(
    at: float, step: str, weight: int, verdict: str, results: list[dict[str, Any]], reason: str, **more: Any
) -> dict[str, Any]:
    """One sample of the timeline."""
    data = {
        "step": step,
        "weight": weight,
        "verdict": verdict,
        "decisive": False,
        "cause": "",
        "reason": reason,
        "results": results,
        "max_hold_s": 300.0,
        **more,
    }
    return event(at, "sample", f"{step} at {weight} % {verdict}: {reason}", **data)


def taken_back() -> dict[str, Any]:
    """v2 in slot green, bad from its first request."""
    steps = [
        ("hold_size blue", 30.4, 30.6),
        ("start green", 30.6, 31.3),
        ("ready green", 31.3, 37.0),
        ("smoke green", 37.0, 38.4),
        ("route green at 10 %", 38.4, 38.8),
        ("confirm green at 10 %", 38.8, 42.1),
    ]
    back = [
        ("start blue", 63.0, 63.2),
        ("ready blue", 63.2, 63.6),
        ("route blue at 100 %", 63.6, 64.2),
        ("confirm blue at 100 %", 64.2, 66.9),
        ("drain green", 66.9, 78.0),
        ("retire green", 78.0, 84.2),
        ("release_size blue", 84.2, 84.6),
    ]
    first = [
        result("error_ratio", "bad", 0.179, n=179, n_stable=1622, stable_value=0.0043, limit=0.01, p_value=0.00021,
               reason="17.9 % of 179 requests failed, the limit is 1 %; stable 0.43 %"),
        result("latency_p99", "good", 0.031, n=179, n_stable=1622, stable_value=0.028, limit=2.0, p_value=0.41,
               reason="99 % within 31 ms"),
        result("predictions_per_request", "unknown", None, n=31, reason="31 of at least 59 requests"),
    ]  # fmt: skip
    second = [
        result("error_ratio", "bad", 0.204, n=368, n_stable=3301, stable_value=0.0048, limit=0.01, decisive=True,
               p_value=2.3e-58, reason="20.4 % of 368 requests failed, the limit is 1 %; stable 0.48 %"),
        result("latency_p99", "good", 0.029, n=368, n_stable=3301, stable_value=0.028, limit=2.0, p_value=0.38,
               reason="99 % within 29 ms"),
        result("predictions_per_request", "bad", 0.79, n=74, n_stable=651, stable_value=0.99, p_value=1.9e-9,
               reason="0.79 for each request, 20.2 % fewer than stable's 0.99; 5 % are allowed"),
    ]  # fmt: skip
    why = "error_ratio 20.4 % > 1 % (n 368, p 2.3e-58)"
    held = {"held_s": 10.0, "hold_s": 30.0, "left_s": 20.0}
    envelope = rollout(
        "v2", "v1", "green", BAD, "rolled_back",
        timeline=timeline(
            event(30.0, "planned", "ship v2 in slot green beside v1 in slot blue"),
            event(30.2, "locked", "by controller-1"),
            *step_events([*steps, *back]),
            event(42.1, "step_started", "hold green at 10 %"),
            event(38.7, "weights", "green 10 %, blue 90 %", weights={"blue": 90, "green": 10}),
            event(42.1, "confirmed", "31 of 300 probes were answered by slot green, as many as 10 % make",
                  weight=10, probes=300, hits=31),
            sample(52.1, "hold", 10, "bad", first, "error_ratio 17.9 % > 1 % (n 179, p 0.00021)", **held),
            event(52.2, "frozen", "hold green at 10 %: error_ratio 17.9 % > 1 %", cause="bad"),
            sample(62.1, "hold", 10, "bad", second, why, **held, decisive=True),
            event(62.3, "failed", f"hold green at 10 %: {why}"),
            event(62.4, "rollback_started", why),
            event(64.1, "weights", "blue 100 %, green 0 %", weights={"blue": 100, "green": 0}),
            event(84.8, "rolled_back", f"v2 was refused: {why}. Slot blue with v1 serves all traffic again."),
        ),
        measurements=[
            measurement("ready_green_s", 5.7, "s", 600, "passed"),
            measurement("confirmed_s", 3.3, "s", 60, "passed"),
            measurement("decision_intervals", 1, "intervals", 3, "passed"),
            measurement("off_s", 3.2, "s", 10, "passed"),
        ],
        evidence=[{"kind": "sample", **second[0]}],
    )  # fmt: skip
    return canary(envelope)


def canary(envelope: dict[str, Any]) -> dict[str, Any]:
    """The same with its strategy."""
    return {**envelope, "subject": {**envelope["subject"], "strategy": "canary"}}


def _good_sample(at: float, step: str, weight: int, left: float) -> dict[str, Any]:
    """A good one; its figures wander a little, the same way each time."""
    wave = math.sin(at)
    n = round((at % 97 + 20) * weight / 4)
    stable = {"n_stable": round(n * (100 - weight) / weight), "stable_value": 0.0047} if weight < 100 else {}
    results = [
        result("error_ratio", "good", 0.004 + 0.002 * wave, n=n, limit=0.01, p_value=0.47 + 0.2 * wave, **stable,
               reason="within its limit, and no worse than stable"),
        result("latency_p99", "good", 0.034 + 0.006 * wave, n=n, limit=2.0, p_value=0.52 + 0.3 * wave,
               **{**stable, **({"stable_value": 0.03} if stable else {})}, reason="within its limit"),
        result("predictions_per_request", "good", 0.985 + 0.01 * wave, n=n // 5,
               **{**stable, **({"stable_value": 0.99} if stable else {})}, reason="no fewer than stable's"),
    ]  # fmt: skip
    held = {"held_s": 30.0 - left, "hold_s": 30.0, "left_s": left}
    return sample(at, step, weight, "good", results, "all metrics are good", **held)


def _unknown_sample(at: float) -> dict[str, Any]:
    results = [result(name, "unknown", None, reason="Prometheus does not answer") for name in QUERIES]
    why = "no metric could be read: Prometheus does not answer"
    return sample(at, "hold", 25, "unknown", results, why, cause="metrics_unavailable", held_s=10.0, left_s=20.0)


def shipped() -> dict[str, Any]:
    """v3 in slot green, after v2 was taken away."""
    steps = [
        ("hold_size blue", 100.4, 100.6), ("start green", 100.6, 101.2), ("ready green", 101.2, 107.2),
        ("smoke green", 107.2, 108.8), ("route green at 10 %", 108.8, 109.2), ("confirm green at 10 %", 109.2, 112.6),
        ("hold green at 10 %", 112.6, 143.8), ("route green at 25 %", 143.8, 144.3),
        ("confirm green at 25 %", 144.3, 147.5), ("hold green at 25 %", 147.5, 188.2),
        ("gate green at 25 %", 188.2, 200.6), ("route green at 50 %", 200.6, 201.1),
        ("confirm green at 50 %", 201.1, 204.0), ("hold green at 50 %", 204.0, 235.4),
        ("route green at 75 %", 235.4, 235.9), ("confirm green at 75 %", 235.9, 239.2),
        ("hold green at 75 %", 239.2, 290.6), ("route green at 100 %", 290.6, 291.2),
        ("confirm green at 100 %", 291.2, 294.3), ("hold green at 100 %", 294.3, 325.0),
        ("bake green at 100 %", 325.0, 367.0), ("drain blue", 367.0, 379.0), ("retire blue", 379.0, 390.2),
        ("release_size blue", 390.2, 390.5),
    ]  # fmt: skip
    weights = [(109.1, 10), (144.2, 25), (201.0, 50), (235.8, 75), (291.1, 100)]
    moved = [
        event(at, "weights", f"green {share} %, blue {100 - share} %", weights={"blue": 100 - share, "green": share})
        for at, share in weights
    ]
    # Weight, first sample, number of samples.
    stages = [(10, 122.6, 3), (25, 157.5, 1), (25, 177.5, 2), (50, 214.0, 3), (75, 249.2, 5), (100, 304.3, 3)]
    good = [
        _good_sample(first + index * INTERVAL, "hold", weight, max(0.0, 20.0 - index * INTERVAL))
        for weight, first, count in stages
        for index in range(count)
    ]
    good += [_good_sample(335.0 + index * INTERVAL, "bake", 100, 30.0 - index * INTERVAL) for index in range(4)]
    envelope = rollout(
        "v3", "v1", "green", GOOD, "passed",
        timeline=timeline(
            event(100.0, "planned", "ship v3 in slot green beside v1 in slot blue"),
            event(100.2, "locked", "by controller-1"),
            *step_events(steps),
            *moved,
            *good,
            _unknown_sample(167.5),
            event(167.6, "frozen", "hold green at 25 %: Prometheus does not answer", cause="metrics_unavailable"),
            event(188.3, "gate", "waiting up to 600 s for approval of 50 %", before="50"),
            event(200.5, "control", "approve by operator-2: approval of 50 % given", command="approve",
                  by="operator-2", effect="approval of 50 % given"),
            event(251.0, "control", "pause by operator-2: paused at hold green at 75 %", command="pause",
                  by="operator-2", effect="paused at hold green at 75 %"),
            event(271.0, "control", "resume by operator-2: goes on", command="resume", by="operator-2",
                  effect="goes on"),
            event(390.9, "completed", "v3 is live in slot green; v1 in slot blue is retired."),
        ),
        measurements=[
            measurement("ready_green_s", 6.0, "s", 600, "passed"),
            measurement("bake_s", 42.0, "s", None, "passed"),
            measurement("drain_s", 12.0, "s", 120, "passed", "by its own counters"),
        ],
        evidence=[],
    )  # fmt: skip
    return canary(envelope)


def envelopes() -> list[dict[str, Any]]:
    """Both, oldest first."""
    return [taken_back(), shipped()]


def share_at(due: float) -> tuple[str, float]:
    """The version on its way in at C(due), and its share of the traffic."""
    version, changes = ("v2", BAD_SHARES) if due < GOOD[0] else ("v3", GOOD_SHARES)
    return version, next((share for at, share in reversed(changes) if due >= at), 0.0)


def ledger(rate: float = 200.0, seed: int = 11) -> Iterator[str]:
    """Lines of the ledger, in the order in which the requests ended."""
    rng = random.Random(seed)
    header = {"ledger": 1, "started": START + LOAD[0], "rate": rate, "target": "http://127.0.0.1:18080"}
    yield json.dumps({**header, "host": "churnguard.lab"})
    lines = []
    for index in range(int((LOAD[1] - LOAD[0]) * rate)):
        due = LOAD[0] + index / rate
        version, share = share_at(due)
        new = rng.random() < share
        injected = new and version == "v2" and rng.random() < 0.2
        latency = rng.lognormvariate(-5.35, 0.4) + (rng.random() * 0.05 if rng.random() < 0.005 else 0.0)
        entry = {
            "t": round(START + due, 4),
            "lat": round(latency, 5),
            "outcome": "injected_5xx" if injected else "ok",
            "status": 500 if injected else 200,
            "version": version if new else "v1",
            "slot": "green" if new else "blue",
            "conn": "keepalive" if index % 2 else "fresh",
            "slow": False,
        }
        lines.append((due + latency, json.dumps(entry)))
    for _ended, line in sorted(lines):
        yield line
