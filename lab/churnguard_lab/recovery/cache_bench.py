"""Failovers of a Redis group of the benchmark's own, with three Sentinels, after its link was stalled for 3 s."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from churnguard_lab.bench import figure, say
from churnguard_lab.recovery import tested
from churnguard_lab.recovery.drilling import OBJECTIVES, Drill, Drilled

from ansible_collections.churnguard.ops.plugins.module_utils._redis import api  # isort: skip

STALL_S = 3.0


@contextlib.contextmanager
def group() -> Iterator[tested.RedisGroup]:
    """The primary, its replica and the Sentinels; at the end nothing of them is left."""
    with tempfile.TemporaryDirectory(prefix="churnguard-bench-") as folder, tested.running(Path(folder)) as cache:
        yield cache


def cache_failover() -> list[dict[str, Any]]:
    """Two drills with a stalled link, without and with WAIT. Raises RuntimeError when one does not pass."""
    with tempfile.TemporaryDirectory(prefix="churnguard-bench-") as place:
        drilled, lost = _fail_over(Path(place) / "alone")
        waited, lost_waited = _fail_over(Path(place) / "wait", wait_replicas=1)
    told, told_waited = drilled.value("lost_acked_writes"), waited.value("lost_acked_writes")
    objectives = OBJECTIVES["cache_failover"]
    return [
        figure("cache_failover_outage_s", drilled.value("outage_s"), "s", objectives.rto_s),
        figure("cache_failover_lost_acked_writes", told, "writes"),
        figure("cache_failover_lost_acked_writes_wait", told_waited, "writes", 0),
        figure("cache_failover_strayed_from_ledger", abs(told - lost) + abs(told_waited - lost_waited), "writes", 0),
        figure("cache_failover_rpo_s", drilled.value("rpo_s"), "s", objectives.rpo_s),
        figure("cache_failover_outage_s_wait", waited.value("outage_s"), "s", objectives.rto_s),
    ]


def _fail_over(drills_dir: Path, **more: Any) -> tuple[Drilled, int]:
    """A drill, and how many writes of its ledger's file somebody else did not find in the primary afterwards."""
    seen: set[int] = set()
    say(f"cache_failover, {STALL_S:g} s of a stalled link{', with WAIT' if more else ''}")
    with group() as cache:

        def look(event: dict[str, Any]) -> None:
            if (event["event"], event["detail"]) == ("step_done", "verify"):
                client = api.connect(cache.group.primary(), cache.group.access)
                (key,) = client.keys("churnguard:drill:*")
                seen.update(map(int, client.lrange(key, 0, -1)))
                client.close()

        options = cache.options(fault="link_stall", fault_seconds=STALL_S, failback=False, **more)
        drilled = Drill("cache_failover", options, {}, drills_dir).run(look)
    return drilled, drilled.lost(seen)
