"""A region is lost and comes back, on two real PostgreSQL servers behind a real HAProxy; the lab's own drill, with two
Kubernetes clusters, is in tests/live."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import Clock
from ansible_collections.churnguard.ops.plugins.module_utils._drill import (
    cleanup,
    front_door,
    journal,
    processes,
)
from ansible_collections.churnguard.ops.plugins.module_utils._drill.database_node import REBUILDING
from drilling import drill, failed_checks, figures, free_ports, of_kind
from two_regions import SLOT, TwoRegions, two_regions

DRIVER = Path(__file__).with_name("driver.py")


@pytest.fixture(scope="module")
def regions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoRegions]:
    with two_regions(tmp_path_factory.mktemp("regions")) as made:
        yield made


def as_before(regions: TwoRegions) -> list[str]:
    """What is not as it was before any drill."""
    found = []
    with regions.session(0) as cursor:
        cursor.execute("SELECT pg_is_in_recovery(), to_regnamespace('churnguard_drill') IS NULL")
        if cursor.fetchone() != (False, True):
            found.append("the first region's database")
        cursor.execute("SELECT slot_name, active FROM pg_replication_slots")
        if cursor.fetchall() != [(SLOT, True)]:
            found.append("its slots")
        cursor.execute("SELECT current_setting('primary_conninfo')")
        if cursor.fetchone() != ("",):
            found.append("its settings")
    with regions.session(1) as cursor:
        cursor.execute("SELECT pg_is_in_recovery()")
        if cursor.fetchone() != (True,):
            found.append("the second region's database")
    door = front_door.HaproxyDoor(f"127.0.0.1:{regions.admin}", "region", ("a", "b"))
    if door.serving() != {"a"}:
        found.append("the front door")
    left = [path.name for path in regions.cluster.folder.iterdir() if "churnguard-drill" in path.name]
    return found + left


def test_the_other_region_takes_over_and_gives_back(regions: TwoRegions, tmp_path: Path) -> None:
    outcome = drill("region_loss", regions.settings(stall_seconds=0.5), {}, tmp_path)
    assert (outcome.verdict, outcome.reasons) == ("passed", []), failed_checks(outcome)
    known, told = figures(outcome.envelope), of_kind(outcome.envelope, "ledger")[0]
    # What was acknowledged while the stream stood still is lost, and nothing else.
    assert told["lost"] == known["lost_acked_writes"] > 0
    assert 0.4 < known["rpo_s"] < 5
    assert known["rto_s"] >= known["outage_s"] > 0
    assert known["move_back_lost_writes"] == 0
    assert known["move_back_outage_s"] > 0
    # The first region had acknowledged what the second never got, so it could not simply follow.
    assert of_kind(outcome.envelope, "move_back")[0]["rebuilt_by"] == "pg_rewind", outcome.envelope["timeline"]
    # All that was written before the first lost one came through, and no other.
    assert told["survived"] == told["lost_ids"][0] - 1
    assert as_before(regions) == []


@pytest.mark.parametrize(("clock", "half_rebuilt"), [("t_fault", False), ("t_promoted", True), ("t_accept", False)])
def test_a_killed_drill_is_finished_from_its_journal(
    regions: TwoRegions, tmp_path: Path, clock: str, half_rebuilt: bool
) -> None:
    options: dict[str, Any] = {"scenario": "region_loss", "settings": regions.settings(), "secrets": {}}
    options |= {"drills_dir": str(tmp_path), "strike": {"event": "clock", "detail": clock, "after": 0.2}}
    killed = subprocess.run([sys.executable, str(DRIVER), json.dumps(options)], capture_output=True, timeout=120)
    assert killed.returncode == -9
    folder = next(journal.drills(tmp_path))
    said: list[str] = []
    if half_rebuilt:
        # What a pg_rewind that was cut short leaves: its files are not to be trusted, and everything is copied anew.
        assert processes.working_in(regions.data_dirs[0]) == []
        regions.data_dirs[0].with_name(f"{regions.data_dirs[0].name}{REBUILDING}").touch()
    done = cleanup.finish(folder, Clock(), {}, said.append)
    assert any("rebuilt with pg_basebackup" in line for line in said) == half_rebuilt
    assert (done.state, done.left) == ("cleaned", [])
    assert done.envelope["verdict"] == "aborted"
    assert as_before(regions) == []
    assert cleanup.finish(folder, Clock(), {}, lambda text: None).state == "nothing_to_do"


def test_a_drill_that_is_killed_while_it_makes_the_second_region_leaves_nothing(
    regions: TwoRegions, tmp_path: Path
) -> None:
    made, (port, admin) = tmp_path / "second", free_ports(2)
    settings = regions.settings()
    settings["database"]["slot"] = ""
    settings["second"] |= {"port": port, "data_dir": str(made / "data"), "folders": [str(made)]}
    # It never comes to its end, and must not outlive the cleanup.
    settings["second"] |= {
        "up": ["sh", "-c", f"mkdir {made}; echo {{slot}}; sleep 300"],
        "down": ["rm", "-r", str(made)],
    }
    settings["front_door"]["admin"] = f"127.0.0.1:{admin}"
    options = {"scenario": "region_loss", "settings": settings, "secrets": {}, "drills_dir": str(tmp_path / "drills")}
    process = subprocess.Popen([sys.executable, str(DRIVER), json.dumps(options)], stderr=subprocess.PIPE, text=True)
    give_up = time.monotonic() + 60
    while not made.exists():
        assert process.poll() is None and time.monotonic() < give_up
        time.sleep(0.05)
    process.kill()
    process.communicate()
    folder = next(journal.drills(tmp_path / "drills"))
    assert processes.marked(folder.name) != []
    done = cleanup.finish(folder, Clock(), {}, lambda text: None)
    assert (done.state, done.left) == ("cleaned", [])
    assert processes.marked(folder.name) == []
    assert not made.exists()
    assert as_before(regions) == []
