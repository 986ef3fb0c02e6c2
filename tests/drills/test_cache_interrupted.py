"""A cache drill whose process is killed: its journal is enough to mend the cache."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import Clock
from ansible_collections.churnguard.ops.plugins.module_utils._drill import cleanup, journal, processes

from ..lab.waiting import until
from .redis_group import RedisGroup, running

DRIVER = """
import json, pathlib, sys
from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import Clock
from ansible_collections.churnguard.ops.plugins.module_utils._common.envelope import Recorder
from ansible_collections.churnguard.ops.plugins.module_utils._drill import catalogue, engine
from ansible_collections.churnguard.ops.plugins.module_utils._drill.model import Objectives
scenario = catalogue.scenario_of("cache_failover")
given = catalogue.settings_of(scenario, json.loads(sys.argv[1]))
folder = pathlib.Path(sys.argv[2])
request = engine.Request(scenario, scenario.subject(given, "lab"), Objectives(300, 60), folder, given)
engine.run(request, Clock(), Recorder(Clock(), "dr_drill"))
"""


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[RedisGroup]:
    folder = tmp_path / "redis"
    folder.mkdir()
    with running(folder) as group:
        yield group


def reached(drills: Path, clock: str) -> bool:
    """Whether the drill's journal has that clock."""
    return any(
        entry.event == journal.CLOCK and entry.data["name"] == clock
        for folder in journal.drills(drills)
        for entry in journal.read(folder / journal.FILE)
    )


@pytest.mark.parametrize("clock", ["t_fault", "t_detect"])
def test_what_a_killed_drill_did_to_the_cache_is_undone(cache: RedisGroup, tmp_path: Path, clock: str) -> None:
    """Killed before the Sentinels have missed the primary, and after."""
    drills = tmp_path / "drills"
    options = cache.options(fault="link_stall", fault_seconds=0.5, steady_seconds=0.5)
    collections = next(path for path in sys.path if path.endswith("collections"))
    command = [sys.executable, "-c", DRIVER, json.dumps(options), str(drills)]
    driver = subprocess.Popen(
        command, env={"PYTHONPATH": f"{collections}:{':'.join(sys.path)}", "PATH": "/usr/bin:/bin"}
    )
    try:
        until(f"the drill has come to {clock}", lambda: reached(drills, clock))
    finally:
        driver.kill()
        driver.wait()
    (folder,) = journal.drills(drills)
    cleaned = cleanup.finish(folder, Clock(), {}, lambda text: None)
    assert (cleaned.state, cleaned.left) == (cleanup.CLEANED, [])
    kinds = {entry["kind"] for entry in cleaned.removed}
    assert kinds == {"redis_node", "redis_route", "process", "redis_keys", "redis_primary"}
    assert str(cache.group.primary()) == cache.primary
    assert cache.group.look_for_steady().done
    assert processes.marked(folder.name) == []
    assert cleanup.finish(folder, Clock(), {}, lambda text: None).state == cleanup.NOTHING
