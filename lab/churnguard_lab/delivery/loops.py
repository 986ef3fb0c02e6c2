"""Three ways to decide about one and the same bad canary, side by side on the same traffic at the same moments.

The canary is held at its first weight while each loop looks at it in its turn; nothing is taken back before the last of
them has decided. What each would have let through is then counted in the ledger: the bad requests up to its decision,
and on until traffic is off, for which all three are given the same time.
"""

from __future__ import annotations

import json
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import Any

from churnguard_lab.delivery import facts, stage
from churnguard_lab.journey import JourneyError
from churnguard_lab.load.ledger import INJECTED, Entry

from watching import ask, reach, steady  # isort: skip - stage has made the live tests importable
from world import APP, SLOTS  # isort: skip

OURS, LIMIT_3, THRESHOLD_3, FIRST_BAD = "ours", "failure_limit_3", "threshold_3", "first_bad_sample"
#: Bad samples that a loop wants before it gives up. `failureLimit: 3` tolerates three and fails on the fourth;
#: a threshold of 3 acts on the third; the guide's loop acts on the first.
PATIENCE = {LIMIT_3: 4, THRESHOLD_3: 3, FIRST_BAD: 1}
#: What the three counting loops ask: the canary's share of errors within the last minute, bad above 1 %.
ERRORS = (
    'sum(rate(churnguard_requests_total{{{scope},status_code=~"5.."}}[1m])) '
    "/ sum(rate(churnguard_requests_total{{{scope}}}[1m]))"
)
ERROR_LIMIT = 0.01
_MOST_LOOKS = 8


class Counting:
    """A loop that counts bad samples; `decided` is when it had enough of them."""

    def __init__(self, patience: int) -> None:
        self._patience = patience
        self.bad = 0
        self.decided: float | None = None

    def take(self, now: float, is_bad: bool) -> None:
        """A sample at `now` (Unix time)."""
        self.bad += is_bad
        if self.decided is None and self.bad >= self._patience:
            self.decided = now


def served(entries: list[Entry], version: str, until: float) -> int:
    """Bad requests of `version` that fell due up to `until` (Unix time)."""
    return sum(e.outcome == INJECTED and e.version == version and e.t <= until for e in entries)


def run(scene: stage.Stage, name: str) -> dict[str, Any]:
    """One bad canary, looked at by all loops. Returns for each: seconds from the first bad request to its decision, and
    bad requests served. Raises JourneyError when one does not decide."""
    world = scene.world
    hold = {"weights": [stage.WEIGHTS[0], 100], "hold": 600}
    with scene.traffic(name) as entries:
        process = world.start(scene.arguments(stage.BAD, canary=hold, analysis=steady(world)))
        try:
            info = reach(world, "hold", stage.WEIGHTS[0], 120)
            decided = _watch(scene, next(slot for slot in SLOTS if slot != info["stable_slot"]))
            stopped = time.time()
            ask(world, "abort")
            process.communicate(timeout=stage.LONGEST_RELEASE_S)
        finally:
            process.kill()
    requests = entries()
    return _counted(requests, decided, stopped)


def _counted(requests: list[Entry], decided: dict[str, float], stopped: float) -> dict[str, Any]:
    canary = [entry for entry in requests if entry.version == stage.BAD]
    first = min(entry.t for entry in canary if entry.outcome == INJECTED)
    off = max(entry.t for entry in canary) - stopped
    found = {
        loop: {
            "decided_after_s": round(moment - first, 1),
            "bad_requests": served(requests, stage.BAD, moment + off),
        }
        for loop, moment in decided.items()
    }
    return {"off_s": round(off, 2), "loops": found, **facts.traffic(requests)}


def _watch(scene: stage.Stage, slot: str) -> dict[str, float]:
    """When each loop decided (Unix time)."""
    look_ours = _ours(scene, slot)
    loops = {loop: Counting(patience) for loop, patience in PATIENCE.items()}
    decided: dict[str, float] = {}
    begin = time.monotonic()
    for number in range(1, _MOST_LOOKS + 1):
        time.sleep(max(begin + number * stage.INTERVAL_S - time.monotonic(), 0))
        is_bad = _error_share(scene, slot) > ERROR_LIMIT
        for loop in loops.values():
            loop.take(time.time(), is_bad)
        if OURS not in decided and look_ours():
            decided[OURS] = time.time()
        decided |= {name: loop.decided for name, loop in loops.items() if loop.decided is not None}
        if len(decided) == len(loops) + 1:
            return decided
    raise JourneyError(f"after {_MOST_LOOKS} looks at a bad canary only {sorted(decided)} had decided")


def _ours(scene: stage.Stage, slot: str) -> Callable[[], bool]:
    """A look of the collection's own judge; true when it is beyond doubt."""
    from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import Clock
    from ansible_collections.churnguard.ops.plugins.module_utils._rollout.analysis import Analysis
    from ansible_collections.churnguard.ops.plugins.module_utils._rollout.hold import planned_looks
    from ansible_collections.churnguard.ops.plugins.module_utils._rollout.metrics import default_metrics
    from ansible_collections.churnguard.ops.plugins.module_utils._rollout.model import Pace, Release, Target

    world = scene.world
    pace = Pace(weights=tuple((weight, float(stage.HOLD_S)) for weight in stage.WEIGHTS), bake_seconds=stage.BAKE_S)
    target = Target(APP, world.namespace, SLOTS, "HTTPRoute", APP)
    looks = planned_looks(pace, stage.INTERVAL_S, stage.MAX_HOLD_S)
    analysis = Analysis(scene.prometheus, default_metrics(), target, Clock(), looks)
    candidate = Release(slot, stage.BAD, "", stage.REPLICAS)
    stable = Release(target.other(slot), scene.live, "", stage.REPLICAS)
    analysis.begin_stage(candidate, stable)

    def look() -> bool:
        sample = analysis.sample()
        return sample.verdict == "bad" and sample.decisive

    return look


def _error_share(scene: stage.Stage, slot: str) -> float:
    scope = f'namespace="{scene.world.namespace}",slot="{slot}",version="{stage.BAD}"'
    query = urllib.parse.urlencode({"query": ERRORS.format(scope=scope)})
    with urllib.request.urlopen(f"{scene.prometheus}/api/v1/query?{query}", timeout=5) as answer:
        result = json.load(answer)["data"]["result"]
    # No answer, or 0/0: nothing is known to be bad.
    value = float(result[0]["value"][1]) if result else 0.0
    return value if value == value else 0.0
