"""Every broken backup is caught, on a real repository; a case that could not be tried fails the drill."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._drill import engine
from drilling import drill, failed_checks, figures, free_ports, of_kind
from stage import settings_of, stage

CASES = {
    "byte_flip",
    "missing_segment",
    "corrupt_segment",
    "wrong_target",
    "full_disk",
    "half_dump_custom",
    "half_dump_plain",
    "missing_table",
    "orphans",
    "changed_value",
    "sequence_behind",
}


@pytest.fixture(scope="module")
def outcome(tmp_path_factory) -> engine.Outcome:
    """One drill of broken backups, with its scratch folder gone afterwards."""
    place = tmp_path_factory.mktemp("backup_corruption")
    ports = free_ports(2)
    scratch = Path("/var/tmp") / f"drill-{ports[1]}"
    with stage(place, ports[0]) as cluster:
        settings = settings_of(cluster, scratch, ports[1])
        settings = {name: settings[name] for name in ("source", "pgbackrest", "target", "timeout")}
        repository = {path: path.stat().st_mtime_ns for path in cluster.repository.rglob("*.lz4") if path.is_file()}
        found = drill("backup_corruption", settings, {"source_password": cluster.password}, place / "drills")
        assert {path: path.stat().st_mtime_ns for path in repository} == repository, "the repository was touched"
        assert list(scratch.iterdir()) == []
        scratch.rmdir()
    return found


def test_every_broken_backup_is_caught(outcome):
    results = {entry["name"]: entry for entry in of_kind(outcome.envelope, "broken_backup")}
    assert set(results) == CASES
    assert {name: entry["reason"] for name, entry in results.items() if entry["verdict"] != "passed"} == {}
    known = figures(outcome.envelope)
    assert known["broken_backups_caught"] == known["broken_backups_total"] == len(CASES)


def test_the_good_copy_passes_and_everything_is_gone(outcome):
    assert outcome.verdict == "passed", (outcome.reasons, failed_checks(outcome))
    assert all(item["removed"] for item in of_kind(outcome.envelope, "resource"))


def test_each_is_caught_by_the_part_whose_work_it_is(outcome):
    told = {entry["name"]: entry["reason"] for entry in of_kind(outcome.envelope, "broken_backup")}
    words = {
        "byte_flip": "verify names",
        "missing_segment": "refused by wal_gap",
        "corrupt_segment": "refused by wal_content",
        "wrong_target": "own_system",
        "full_disk": "refused by disk_space",
        "orphans": "foreign_keys",
        "changed_value": "content",
        "sequence_behind": "sequences",
        "missing_table": "catalog",
        "half_dump_plain": "exit code 0",
    }
    assert {name: told[name] for name, word in words.items() if word not in told[name]} == {}
