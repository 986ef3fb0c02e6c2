# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bucket synchronisation and providers, decided without a server; and what is shown of the catalog."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.churnguard.ops.plugins.filter.backup_sources import backup_sources
from ansible_collections.churnguard.ops.plugins.filter.backup_table import backup_table
from ansible_collections.churnguard.ops.plugins.module_utils._backup import providers
from ansible_collections.churnguard.ops.plugins.module_utils._backup.bucket_plan import Kept, plan_sync, prove
from ansible_collections.churnguard.ops.plugins.module_utils._backup.catalog import Moment, judge
from ansible_collections.churnguard.ops.plugins.module_utils._backup.model import BAD, GOOD, RUNNING, Look, Source
from ansible_collections.churnguard.ops.plugins.module_utils._backup.policy import read_policies
from ansible_collections.churnguard.ops.plugins.module_utils._pgbackrest.plan import parse_info

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
SOURCE = Source("database", "pgbackrest", "main/repo1")
KEPT = Kept(3, '"s"', '"t"', "v1", "AES256")


def listed(key, etag, size=3):
    return {"Key": key, "ETag": etag, "Size": size}


class TestSync:
    @pytest.mark.parametrize(
        ("source", "target", "before", "copy"),
        [
            (listed("a", '"s"'), listed("o/a", '"t"'), {"a": KEPT}, []),
            (listed("a", '"s"'), listed("o/a", '"t"'), {}, ["a"]),
            (listed("a", '"new"'), listed("o/a", '"t"'), {"a": KEPT}, ["a"]),
            (listed("a", '"s"', 4), listed("o/a", '"t"'), {"a": KEPT}, ["a"]),
            (listed("a", '"s"'), listed("o/a", '"spoilt"'), {"a": KEPT}, ["a"]),
            (listed("a", '"s"'), listed("o/b", '"t"'), {"a": KEPT}, ["a"]),
        ],
    )
    def test_a_file_is_left_alone_only_if_source_and_copy_are_as_recorded(self, source, target, before, copy):
        assert plan_sync([source], [target], before, "o/", False).copy == copy

    def test_removing_is_asked_for(self):
        target = [listed("o/a", '"t"'), listed("o/b", '"t"')]
        assert plan_sync([listed("a", '"s"')], target, {"a": KEPT}, "o/", False).remove == []
        assert plan_sync([listed("a", '"s"')], target, {"a": KEPT}, "o/", True).remove == ["b"]

    @pytest.mark.parametrize(
        ("target", "said"),
        [
            ([], "a is not there"),
            ([listed("o/a", '"t"', 2)], "a has 2 bytes instead of 3"),
            ([listed("o/a", '"x"')], 'a has the ETag "x" instead of "t"'),
        ],
    )
    def test_the_proof_names_what_is_wrong(self, target, said):
        assert prove({"a": KEPT}, [], target, "o/") == [said]
        assert prove({"a": KEPT}, [], [listed("o/a", '"t"'), listed("o/else", '"y"')], "o/") == []
        assert prove({}, ["a"], [listed("o/a", '"t"')], "o/") == ["a was removed and is still there"]


class TestProviders:
    @pytest.mark.parametrize(
        ("status", "outcome"), [("available", GOOD), ("creating", RUNNING), ("failed", BAD), ("", BAD)]
    )
    def test_rds(self, status, outcome):
        snapshot = {
            "DBSnapshotIdentifier": "s",
            "Status": status,
            "SnapshotCreateTime": NOW,
            "OriginalSnapshotCreateTime": datetime(2026, 11, 1, tzinfo=UTC),
            "AllocatedStorage": 2,
            "TagList": [{"Key": "verified_at", "Value": "2026-11-21T00:00:00Z"}],
        }
        (backup,) = providers.from_rds(SOURCE, [snapshot], {"s": datetime(2026, 11, 20, tzinfo=UTC)})
        assert (backup.outcome, backup.size_bytes, backup.encrypted) == (outcome, 2 * 1024**3, None)
        assert (backup.finished.day, backup.verified_at.day) == (1, 21)

    def test_pgbackrest(self):
        info = """[{"name": "main", "cipher": "aes-256-cbc", "status": {"code": 0, "message": "ok"}, "repo": [],
          "db": [{"id": 1, "repo-key": 1, "system-id": 7, "version": "15"}], "archive": [], "backup": [
          {"label": "20261122-100000F", "type": "full", "timestamp": {"start": 1795341600, "stop": 1795341660},
           "error": %s, "info": {"size": 9, "repository": {"size": 4, "delta": 4}},
           "database": {"id": 1, "repo-key": 1},
           "archive": {"start": "000000010000000000000001", "stop": "000000010000000000000002"},
           "lsn": {"start": "0/1", "stop": "0/2"}, "prior": null, "reference": null}]}]"""
        for error, outcome in (("false", GOOD), ("true", BAD)):
            (backup,) = providers.from_pgbackrest(SOURCE, parse_info(info % error, "main"), {})
            assert (backup.outcome, backup.size_bytes, backup.encrypted) == (outcome, 4, True)
            assert backup.finished == datetime.fromtimestamp(1795341660, UTC)

    @pytest.mark.parametrize(
        ("manifest", "size", "outcome", "said"),
        [
            ({"archive_bytes": 5}, 5, GOOD, ""),
            ({"archive_bytes": 5}, 4, BAD, "has 4 bytes, the manifest says 5"),
            ({"archive_bytes": 5}, None, BAD, "is missing, the manifest says 5"),
            ({"bytes": 7}, None, GOOD, ""),
            ({"bytes": 7, "error": "a is not there"}, None, BAD, "a is not there"),
        ],
    )
    def test_manifests(self, manifest, size, outcome, said):
        backup = providers.from_manifest(SOURCE, "x", manifest, size)
        assert (backup.outcome, backup.detail) == (outcome, said)

    def test_verification_records_are_of_one_place_and_only_good_ones_count(self):
        record = {"component": "database", "provider": "pgbackrest", "location": "main/repo1", "ids": ["a", "b"]}
        records = [
            {**record, "verified_at": "2026-11-20T00:00:00Z", "passed": True},
            {**record, "verified_at": "2026-11-21T00:00:00Z", "passed": True, "ids": ["b"]},
            {**record, "verified_at": "2026-11-22T00:00:00Z", "passed": False},
            {**record, "verified_at": "when?", "passed": True},
            {**record, "verified_at": "2026-11-22T00:00:00Z", "passed": True, "location": "main/repo2"},
        ]
        assert {name: when.day for name, when in providers.verified_times(records, SOURCE).items()} == {
            "a": 20,
            "b": 21,
        }

    def test_only_drills_that_passed_count(self):
        line = {"drill_id": "1", "component": "database", "started": "2026-11-20T00:00:00Z", "verdict": "passed"}
        lines = [line, {**line, "verdict": "failed"}, {**line, "started": "?"}, {**line, "backup": "own"}]
        assert [one.backup for one in providers.passed_drills(lines)] == ["", "own"]


TARGETS = [
    {"component": "database", "provider": "pgbackrest", "stanza": "main", "repo": 2, "copy": True},
    {
        "component": "database",
        "provider": "rds",
        "db_instance_identifier": "shop",
        "region": "east",
        "copy_region": "west",
        "copy_kms_key_id": "k",
    },
    {
        "component": "configuration",
        "provider": "namespace_export",
        "namespace": "n",
        "path": "/p",
        "key_file": "/k",
        "copy_bucket": "b",
        "copy_region": "west",
        "copy_prefix": "c/",
    },
    {"component": "files", "provider": "bucket_sync", "source_bucket": "f", "bucket": "b", "region": "east"},
]


def test_each_target_has_its_sources():
    found = backup_sources(TARGETS)
    assert [(one["provider"], one.get("region"), one["copy"]) for one in found] == [
        ("pgbackrest", None, True),
        ("rds", "east", False),
        ("rds", "west", True),
        ("namespace_export", None, False),
        ("namespace_export", "west", True),
        ("bucket_sync", "east", False),
    ]
    assert found[4] == {
        "component": "configuration",
        "provider": "namespace_export",
        "namespace": "n",
        "bucket": "b",
        "region": "west",
        "prefix": "c/",
        "copy": True,
    }


@pytest.mark.parametrize("wrong", [[{}], [{"component": "a", "provider": "tape"}], 5, ["a"]])
def test_what_is_no_list_of_targets_is_said(wrong):
    with pytest.raises(AnsibleFilterError, match="no list of backup targets"):
        backup_sources(wrong)


def test_the_table_has_a_line_for_each_source_and_each_problem():
    manifest = {"finished_at": "2026-11-22T11:00:00Z", "bytes": 3 << 20, "verified_at": "2026-11-22T11:00:00Z"}
    backup = providers.from_manifest(SOURCE, "b1", {**manifest, "encrypted": True}, None)
    policies = read_policies([{"component": "database", "max_age": 60, "encrypted": True}, {"component": "files"}])
    lines = backup_table(judge(policies, [Look(SOURCE, [backup])], [], Moment(NOW)))
    heading = "component provider location newest backup age limit size encr verified state"
    assert lines[0].split() == heading.split(" ")
    columns = "database pgbackrest main/repo1 b1 60.0 min 60 s 3.0 MiB yes 2026-11-22 11:00 stale"
    assert lines[1].split() == columns.split()
    assert lines[2].split()[0] == "files" and lines[2].endswith("missing")
    assert lines[3:] == [
        "missing: files: sources: no source is configured that could hold backups",
        "stale: database in main/repo1: freshness: the newest, b1, is 60.0 min old",
    ]


def test_what_is_no_catalog_is_said():
    with pytest.raises(AnsibleFilterError, match="not a backup catalog"):
        backup_table({"rows": []})
