"""Backups made, judged and verified on a real repository."""

from __future__ import annotations

import contextlib
import os

import ports
import pytest
from churnguard_lab.cluster import STANZA, Cluster
from scratch_world import flip, own, small_disk


@pytest.fixture
def running(tmp_path):
    """A running cluster with an empty repository."""
    (port,) = ports.free_ports(1)
    with Cluster(tmp_path / "cluster", port=port, repository=tmp_path / "repository") as cluster:
        yield cluster


def test_a_backup_is_made_once_and_each_answer_is_proven_by_the_catalog(running, call):
    where = {"stanza": STANZA, "config": str(running.pgbackrest_config)}
    empty = call("pgbackrest_info", {**where, "max_age": 100})
    assert [(check["name"], check["state"]) for check in empty["checks"]] == [
        ("incr_age", "missing"),
        ("full_age", "not_checked"),
    ]
    wanted = {**where, "type": "incr", "max_age": 3600, "annotations": {"reason": "test"}}
    foretold = call("pgbackrest_backup", wanted, check=True)
    assert foretold["changed"] and not call("pgbackrest_info", where)["backups"]

    made = call("pgbackrest_backup", wanted)
    assert made["changed"] and made["backup"]["type"] == "full", "without a full one, pgBackRest makes one"
    assert made["backup"]["verified"] == "passed" and made["verification"]["files_checked"] > 100
    assert made["diff"]["after"]["backups"] == [made["backup"]["label"]]
    again = call("pgbackrest_backup", wanted)
    assert not again["changed"] and again["backup"]["label"] == made["backup"]["label"]

    seen = call("pgbackrest_info", {**where, "max_age": 3600, "max_full_age": 3600})
    assert [check["state"] for check in seen["checks"]] == ["ok", "ok"] and seen["encrypted"]
    assert seen["backups"][0]["annotations"] == {"reason": "test"}
    assert seen["backups"][0]["verified"] == "not_checked" == seen["verification"]["status"]

    stanza = call("pgbackrest_stanza", {**where, "check": True})
    assert not stanza["changed"] and stanza["status"] == "ok"

    # A backup that cannot be made: it fails, and the one that is there stays as it was.
    running.stop()
    failed = call("pgbackrest_backup", {**wanted, "max_age": None})
    assert failed["failed"] and "no new backup" in failed["msg"]
    assert [backup["label"] for backup in call("pgbackrest_info", where)["backups"]] == [made["backup"]["label"]]


def test_a_backup_without_room_fails_and_the_last_good_one_stays(running, call):
    """A repository on a full disk: no half backup is in the catalog, and with room again the next one is made."""
    where = {"stanza": STANZA, "config": str(running.pgbackrest_config)}
    wanted = {**where, "type": "full"}
    text = running.pgbackrest_config.read_text(encoding="utf-8")
    # Without the second try that comes after 15 seconds.
    running.pgbackrest_config.write_text(text.replace("[global]", "[global]\njob-retry=0"), encoding="utf-8")
    backups = running.repository / "backup"
    with contextlib.ExitStack() as disk:
        known = {path.name: path.read_bytes() for path in (backups / STANZA).iterdir() if path.is_file()}
        disk.enter_context(small_disk(backups, 24))
        (backups / STANZA).mkdir()
        for name, content in known.items():
            (backups / STANZA / name).write_bytes(content)
        own(backups, running)
        made = call("pgbackrest_backup", wanted)
        assert made["changed"] and made["backup"]["verified"] == "passed"
        room = os.statvfs(backups)
        filler = backups / "filler"
        filler.write_bytes(bytes(room.f_bavail * room.f_frsize - 1_000_000))
        failed = call("pgbackrest_backup", wanted)
        assert failed["failed"] and "unable to write" in failed["msg"], failed["msg"]
        known = call("pgbackrest_info", {**where, "verify": True})
        assert [backup["label"] for backup in known["backups"]] == [made["backup"]["label"]]
        assert known["backups"][0]["verified"] == "passed"
        filler.unlink()
        again = call("pgbackrest_backup", wanted)
        assert again["changed"] and again["backup"]["verified"] == "passed"


def test_a_flipped_byte_is_named_with_both_checksums_and_stops_a_restore_before_it_begins(repository, call):
    stored = max((repository.backup_files / "pg_data" / "base").rglob("*.lz4"), key=lambda path: path.stat().st_size)
    lost = min((repository.backup_files / "pg_data" / "base").rglob("*.lz4"), key=lambda path: path.stat().st_size)
    flip(stored, stored.stat().st_size // 2)
    lost.unlink()
    answer = call("pgbackrest_info", {"stanza": STANZA, "config": str(repository.config), "verify": True})
    assert answer["verification"]["status"] == "error" and answer["backups"][0]["verified"] == "failed"
    findings = {finding["path"].rsplit("/", 1)[-1]: finding for finding in answer["verification"]["findings"]}
    assert set(findings) == {stored.name, lost.name}
    broken = findings[stored.name]
    assert broken["expected"].startswith("sha1 ") and broken["actual"] not in ("", broken["expected"])
    assert findings[lost.name]["kind"] == "missing"

    refused = call("restore", repository.options())
    assert refused["refused"] and refused["interlock"] == "backup_broken"
    assert stored.name in refused["msg"] and broken["expected"] in refused["msg"]
    assert not repository.target.exists() and not (repository.target.parent / "t.scratch.json").exists()
