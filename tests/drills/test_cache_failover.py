"""Drills of a cache of the test's own: real Redis, real Sentinels, real kills. Case 20 of the recovery cases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import Clock
from ansible_collections.churnguard.ops.plugins.module_utils._common.envelope import Recorder
from ansible_collections.churnguard.ops.plugins.module_utils._drill import engine, processes
from ansible_collections.churnguard.ops.plugins.module_utils._drill import ledger as ledgers
from ansible_collections.churnguard.ops.plugins.module_utils._drill.catalogue import settings_of
from ansible_collections.churnguard.ops.plugins.module_utils._drill.model import Objectives
from ansible_collections.churnguard.ops.plugins.module_utils._drill.scenarios.cache_failover import CACHE_FAILOVER
from ansible_collections.churnguard.ops.plugins.module_utils._redis import api
from ansible_collections.churnguard.ops.plugins.module_utils._redis.model import parse_address

from ..lab.waiting import until
from .redis_group import RedisGroup, running


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[RedisGroup]:
    folder = tmp_path / "redis"
    folder.mkdir()
    with running(folder) as group:
        yield group


class Drilled:
    """One drill, and the writes that somebody else saw in the primary when it had verified."""

    def __init__(self, cache: RedisGroup, folder: Path, start_as_replica: bool = True, **options: Any) -> None:
        self._cache = cache
        self.seen: set[int] = set()
        wanted = cache.options(start_as_replica, steady_seconds=1.0, failback=False, **options)
        given = settings_of(CACHE_FAILOVER, wanted)
        request = engine.Request(
            CACHE_FAILOVER, CACHE_FAILOVER.subject(given, "lab"), Objectives(300, 60), folder, given
        )
        self.outcome = engine.run(request, Clock(), Recorder(Clock(), "dr_drill", listeners=[self._watch]))
        self.envelope = self.outcome.envelope
        self.acks = ledgers.read(folder / self.envelope["subject"]["drill_id"] / "ledger.jsonl")

    def _watch(self, event: dict[str, Any]) -> None:
        if (event["event"], event["detail"]) == ("step_done", "verify"):
            keys = in_primary(self._cache, lambda client: client.keys("churnguard:drill:*"))
            self.seen = set(map(int, in_primary(self._cache, lambda client: client.lrange(keys[0], 0, -1))))

    @property
    def lost(self) -> int:
        """Acknowledged writes by the ledger's file that are not among those seen."""
        return len([ack for ack in self.acks if ack.seq not in self.seen])

    def figure(self, name: str) -> Any:
        return next(entry["value"] for entry in self.envelope["measurements"] if entry["name"] == name)

    def told(self, kind: str) -> dict[str, Any]:
        return next(entry for entry in self.envelope["evidence"] if entry["kind"] == kind)


def in_primary(cache: RedisGroup, question: Callable[[Any], Any]) -> Any:
    address = cache.group.primary()
    assert address is not None
    client = api.connect(address, cache.group.access)
    try:
        return question(client)
    finally:
        client.close()


def test_a_killed_primary_loses_what_the_ledger_says(cache: RedisGroup, tmp_path: Path) -> None:
    drill = Drilled(cache, tmp_path / "drills", start_as_replica=False)
    assert (drill.outcome.verdict, drill.outcome.reasons) == ("passed", [])
    assert len(drill.seen) > 10
    assert drill.figure("lost_acked_writes") == drill.lost
    assert drill.told("fault")["partition"] is False
    assert drill.figure("outage_s") > 0
    assert str(cache.group.primary()) == cache.replica
    assert in_primary(cache, lambda client: client.keys("churnguard:drill:*")) == []


def test_a_stalled_link_loses_what_was_acknowledged_meanwhile(cache: RedisGroup, tmp_path: Path) -> None:
    drill = Drilled(cache, tmp_path / "drills", fault="link_stall", fault_seconds=1.0)
    assert (drill.outcome.verdict, drill.outcome.reasons) == ("passed", [])
    fault, ledger = drill.told("fault"), drill.told("ledger")
    assert (fault["name"], fault["partition"], fault["replica_offset_moved"]) == ("link_stall", True, 0)
    assert ledger["lost"] == drill.figure("lost_acked_writes") == drill.lost > 10
    assert drill.figure("rpo_s") >= ledger["window_s"] > 0
    assert processes.marked(drill.envelope["subject"]["drill_id"]) == []


def test_waiting_for_the_replica_loses_nothing_in_a_stall(cache: RedisGroup, tmp_path: Path) -> None:
    drill = Drilled(cache, tmp_path / "drills", fault="link_stall", fault_seconds=1.0, wait_replicas=1, wait_ms=50)
    assert (drill.outcome.verdict, drill.outcome.reasons) == ("passed", [])
    assert (drill.told("ledger")["lost"], drill.lost) == (0, 0)
    assert drill.told("ledger")["unconfirmed"] > 0
    assert len(drill.acks) > 10


def test_a_stopped_process_is_no_partition(cache: RedisGroup, tmp_path: Path) -> None:
    drill = Drilled(cache, tmp_path / "drills", fault="process_pause", fault_seconds=1.0)
    assert (drill.outcome.verdict, drill.outcome.reasons) == ("passed", [])
    assert (drill.told("fault")["name"], drill.told("fault")["partition"]) == ("process_pause", False)
    assert drill.figure("lost_acked_writes") == drill.lost


def test_a_group_that_is_not_steady_is_left_alone(cache: RedisGroup, tmp_path: Path) -> None:
    cache.kill(cache.ports[1])
    until("the replica is missed", lambda: not cache.group.look_for_steady().done)
    pid = cache.group.node(parse_address(cache.primary)).pid
    outcome = Drilled(cache, tmp_path / "drills").outcome
    assert (outcome.verdict, outcome.refused) == ("aborted", "steady_state")
    assert cache.group.node(parse_address(cache.primary)).pid == pid
