"""Ways to decide about one and the same bad canary, side by side on the same traffic.

Ours is the rollout itself, told to halt instead of taking back: once it has decided, the canary keeps its first weight
for the others to look at. Those only count bad samples: they look every interval from the moment that the weight was
written, while ours first confirms it on the data plane. What each would have let through is then counted in the ledger:
the bad requests up to its decision, and on until traffic is off, for which all are given the same time.
"""

from __future__ import annotations

import json
import time
import urllib.parse
import urllib.request
from typing import Any

from churnguard_lab.delivery import facts, stage
from churnguard_lab.delivery.counting import OURS, PATIENCE, Counting, served
from churnguard_lab.journey import JourneyError
from churnguard_lab.load.ledger import INJECTED, Entry

from world import SLOTS, until  # isort: skip - stage has made the live tests importable

#: What the counting loops ask: the canary's share of errors within the last minute, bad above 1 %.
ERRORS = (
    'sum(rate(churnguard_requests_total{{{scope},status_code=~"5.."}}[1m])) '
    "/ sum(rate(churnguard_requests_total{{{scope}}}[1m]))"
)
ERROR_LIMIT = 0.01
_MOST_LOOKS = 8


def run(scene: stage.Stage, name: str) -> dict[str, Any]:
    """One bad canary, looked at by all loops. Returns for each: seconds from the first bad request to its decision, and
    bad requests served. Raises JourneyError when one does not decide."""
    world = scene.world
    with scene.traffic(name) as entries:
        process = world.start(scene.arguments(stage.BAD, on_failure="halt"))
        try:
            until(lambda: stage.WEIGHTS[0] in world.weights().values(), 120, "the canary's first weight is written")
            slot = next(slot for slot in SLOTS if world.weights()[slot] == stage.WEIGHTS[0])
            decided = _watch(scene, slot)
            halted = scene.output(process)
        finally:
            process.kill()
        decided[OURS] = facts.when(halted["envelope"], "failed")
        taken_back = scene.run(world.arguments("", state="aborted", smoke_tests=None))
    return _counted(entries(), decided, facts.when(taken_back["envelope"], facts.DECISION))


def _counted(requests: list[Entry], decided: dict[str, float], stopped: float) -> dict[str, Any]:
    canary = [entry for entry in requests if entry.version == stage.BAD]
    first = min(facts.sent(entry) for entry in canary if entry.outcome == INJECTED)
    off = max(facts.sent(entry) for entry in canary) - stopped
    found = {
        loop: {
            "decided_after_s": round(moment - first, 1),
            "bad_requests": served(requests, stage.BAD, moment + off),
        }
        for loop, moment in decided.items()
    }
    return {"off_s": round(off, 2), "loops": found, **facts.traffic(requests)}


def _watch(scene: stage.Stage, slot: str) -> dict[str, float]:
    """When each of the counting loops decided (Unix time)."""
    loops = {loop: Counting(patience) for loop, patience in PATIENCE.items()}
    begin = time.monotonic()
    for number in range(1, _MOST_LOOKS + 1):
        time.sleep(max(begin + number * stage.INTERVAL_S - time.monotonic(), 0))
        is_bad = _error_share(scene, slot) > ERROR_LIMIT
        for loop in loops.values():
            loop.take(time.time(), is_bad)
        decided = {name: loop.decided for name, loop in loops.items() if loop.decided is not None}
        if len(decided) == len(loops):
            return decided
    raise JourneyError(f"after {_MOST_LOOKS} looks at a bad canary only {sorted(decided)} had decided")


def _error_share(scene: stage.Stage, slot: str) -> float:
    scope = f'namespace="{scene.world.namespace}",slot="{slot}",version="{stage.BAD}"'
    query = urllib.parse.urlencode({"query": ERRORS.format(scope=scope)})
    with urllib.request.urlopen(f"{scene.prometheus}/api/v1/query?{query}", timeout=5) as answer:
        result = json.load(answer)["data"]["result"]
    # No answer, or 0/0: nothing is known to be bad.
    value = float(result[0]["value"][1]) if result else 0.0
    return value if value == value else 0.0
