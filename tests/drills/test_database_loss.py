"""A real PostgreSQL is lost and comes back from its repository."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._drill import (
    engine,
    history,
    journal,
    processes,
)
from ansible_collections.churnguard.ops.plugins.module_utils._drill.scenario import Refused
from churnguard_lab.cluster import Cluster
from churnguard_lab.receiver import Receiver
from drilling import drill, failed_checks, figures, of_kind
from stage import DRILLABLE, execute, settings_of


def heartbeats(cluster: Cluster) -> int:
    """How many schemas of a drill the source has."""
    return execute(cluster, "SELECT count(*) FROM pg_namespace WHERE nspname = 'churnguard_drill'")[0][0]


def test_what_is_not_marked_is_never_broken(source, ports, scratch, tmp_path):
    marker = source.data_dir.parent / DRILLABLE
    settings = settings_of(source, scratch, ports[1], inject_fault=True)
    secrets = {"source_password": source.password}
    marker.unlink()
    try:
        outcome = drill("database_loss", settings, secrets, tmp_path)
    finally:
        marker.touch()
    assert (outcome.verdict, outcome.refused) == ("aborted", "drillable")
    assert "may be destroyed" in outcome.reasons[0]
    with pytest.raises(Refused) as refusal:
        drill("database_loss", settings, secrets, tmp_path, environment="production")
    assert refusal.value.interlock == "confirmation"
    assert processes.working_in(source.data_dir)


def test_beside_a_living_source_nothing_is_broken(source, ports, scratch, tmp_path):
    """Also: over the target fails, verified and cleaned."""
    settings = settings_of(source, scratch, ports[1])
    outcome = drill("database_loss", settings, {"source_password": source.password}, tmp_path, rto=0.1)
    check_over_target(outcome)
    assert heartbeats(source) == 0, "the heartbeats are gone from the living source"
    assert history.read(tmp_path)[0]["verdict"] == "failed"


def test_a_lost_database_comes_back_row_by_row(source, ports, scratch, tmp_path):
    settings = settings_of(source, scratch, ports[1], inject_fault=True)
    outcome = drill("database_loss", settings, {"source_password": source.password}, tmp_path)
    assert source.data_dir.is_dir(), "the data directory is back in its place"
    source.start()
    execute(source, "DROP SCHEMA churnguard_drill CASCADE")
    check_lost(outcome, tmp_path, source.password)


def test_nothing_acknowledged_is_lost_when_the_source_waits_for_received_wal(source, ports, scratch, tmp_path):
    """What the archive does not have comes from the segment that pg_receivewal had not completed."""
    with Receiver(source) as receiver:
        settings = settings_of(
            source,
            scratch,
            ports[1],
            inject_fault=True,
            verify_repository=False,
            received_wal=str(receiver.folder),
            max_lost_writes=0,
        )
        outcome = drill("database_loss", settings, {"source_password": source.password}, tmp_path)
        source.start()
    execute(source, "DROP SCHEMA churnguard_drill CASCADE")
    check_nothing_lost(outcome, tmp_path)


def test_received_wal_of_another_cluster_is_refused(source, ports, scratch, tmp_path):
    folder = tmp_path / "received"
    folder.mkdir()
    segment = min(path for path in (source.data_dir / "pg_wal").iterdir() if len(path.name) == 24)
    head = bytearray(segment.read_bytes())
    head[24] ^= 0xFF
    (folder / segment.name).write_bytes(head)
    settings = settings_of(source, scratch, ports[1], verify_repository=False, received_wal=str(folder))
    outcome = drill("database_loss", settings, {"source_password": source.password}, tmp_path / "drills")
    assert outcome.verdict == "failed"
    assert "system identifier" in outcome.reasons[0] and segment.name in outcome.reasons[0]
    assert heartbeats(source) == 0


def check_over_target(outcome: engine.Outcome) -> None:
    assert outcome.verdict == "failed"
    assert len(outcome.reasons) == 1 and "rto_s" in outcome.reasons[0], failed_checks(outcome)
    assert of_kind(outcome.envelope, "integrity")[0]["verdict"] == "passed"
    assert all(item["removed"] for item in of_kind(outcome.envelope, "resource"))


def check_nothing_lost(outcome: engine.Outcome, drills_dir: Path) -> None:
    assert outcome.verdict == "passed", (outcome.reasons, failed_checks(outcome))
    known = figures(outcome.envelope)
    ledger = of_kind(outcome.envelope, "ledger")[0]
    assert ledger["lost"] == known["lost_acked_writes"] == 0
    identifier = outcome.envelope["subject"]["drill_id"]
    acked = (drills_dir / identifier / journal.LEDGER).read_text().splitlines()
    assert ledger["survived"] == ledger["acked_before_fault"] == len(acked) > 10
    answers = {entry["name"]: entry["verdict"] for entry in of_kind(outcome.envelope, "preflight")}
    assert (answers["received_wal"], answers["synchronous"]) == ("passed", "passed")
    wal = of_kind(outcome.envelope, "restore")[0]["wal"]
    assert wal["received"] >= 1, "the archive alone did not reach the end"
    assert wal["received_to"], "the last segment was not complete"
    assert all(item["removed"] for item in of_kind(outcome.envelope, "resource"))


def check_lost(outcome: engine.Outcome, drills_dir: Path, password: str) -> None:
    assert outcome.verdict == "passed", (outcome.reasons, failed_checks(outcome))
    known = figures(outcome.envelope)
    phases = sum(value for name, value in known.items() if name.startswith("phase_"))
    assert abs(phases - known["rto_s"]) <= 0.1
    ledger = of_kind(outcome.envelope, "ledger")[0]
    assert ledger["lost"] == known["lost_acked_writes"] > 0, "the WAL that was not archived is lost"
    assert 0 < known["rpo_s"] < 10
    clocks = [clock["name"] for clock in of_kind(outcome.envelope, "clock")]
    assert clocks == [
        "t_fault",
        "t_detect",
        "t_declare",
        "t_point_chosen",
        "t_infra_ready",
        "t_files",
        "t_consistent",
        "t_promoted",
        "t_verified",
        "t_accept",
    ]
    resources = of_kind(outcome.envelope, "resource")
    assert {item["type"] for item in resources} == {"directory", "restore_target", "moved_directory"}
    assert all(item["removed"] and item["proof"] for item in resources)
    written = "".join(path.read_text() for path in drills_dir.rglob("*") if path.is_file())
    assert password not in written
    identifier = outcome.envelope["subject"]["drill_id"]
    acked = [json.loads(line)["seq"] for line in (drills_dir / identifier / journal.LEDGER).read_text().splitlines()]
    assert len(acked) == ledger["acked"]
    assert set(ledger["lost_ids"]) <= set(acked)
