# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._pgbackrest import plan
from ansible_collections.churnguard.ops.plugins.module_utils._pgbackrest.explain import expected_checksum

FULL = "20261122-032132F"
INCR = "20261122-032132F_20261122-042132I"
HEALTHY = f"""\
2026-11-22 03:21:38.967 P00   INFO: stanza: main
                                    status: ok
                                      archiveId: 15-1, total WAL checked: 6, total valid WAL: 6
                                        missing: 0, checksum invalid: 0, size invalid: 0, other: 0
                                      backup: {FULL}, status: valid, total files checked: 967, total valid files: 967
stanza: main
status: ok
  archiveId: 15-1, total WAL checked: 6, total valid WAL: 6
    missing: 0, checksum invalid: 0, size invalid: 0, other: 0
  backup: {FULL}, status: valid, total files checked: 967, total valid files: 967
2026-11-22 03:21:38.967 P00   INFO: verify command end: completed successfully (972ms)
"""
SEGMENT = "000000010000000000000006-e1e3ca03b8082278adf0421f725282d685a788ee.lz4"
BROKEN = f"""\
2026-11-22 03:21:55.873 P01   INFO: invalid result 15-1/0000000100000000/{SEGMENT}: [29] raised from local-1 protocol
                                    [FormatError] on retry after 0ms
2026-11-22 03:21:55.922 P01   INFO: invalid checksum '{FULL}/pg_data/base/5/16384.lz4'
2026-11-22 03:21:55.939 P01   INFO: file missing '{FULL}/pg_data/base/5/6111.lz4'
stanza: main
status: error
  archiveId: 15-1, total WAL checked: 5, total valid WAL: 4
  backup: {FULL}, status: invalid, total files checked: 967, total valid files: 965
2026-11-22 03:21:56.047 P00   INFO: verify command end: completed successfully (15513ms)
"""


def entry(label, kind, stop, error=False, reference=None):
    return {
        "annotation": {"why": "test"},
        "archive": {"start": "000000010000000000000002", "stop": "000000010000000000000002"},
        "database": {"id": 1, "repo-key": 1},
        "error": error,
        "info": {"delta": 10, "repository": {"delta": 5, "size": 5}, "size": 100},
        "label": label,
        "lsn": {"start": "0/2000028", "stop": "0/2000100"},
        "prior": None,
        "reference": reference,
        "timestamp": {"start": stop - 2, "stop": stop},
        "type": kind,
    }


def catalog(*backups):
    document = {
        "archive": [{"id": "15-1", "min": "000000010000000000000001", "max": "000000010000000000000006"}],
        "backup": list(backups),
        "cipher": "aes-256-cbc",
        "db": [{"id": 1, "repo-key": 1, "system-id": 7710830770453719675, "version": "15"}],
        "name": "main",
        "status": {"code": 0, "lock": {"backup": {"held": False}}, "message": "ok"},
    }
    return plan.parse_info(json.dumps([document]), "main")


def test_the_catalog_is_read():
    found = catalog(entry(INCR, "incr", 2000, reference=[FULL]), entry(FULL, "full", 1000))
    assert [backup.label for backup in found.backups] == [FULL, INCR] and found.encrypted
    assert found.backups[1].chain == (FULL, INCR) and found.backups[0].system_id == "7710830770453719675"
    assert found.backups[0].archive_id == "15-1" and found.archives["15-1"][1] == "000000010000000000000006"


def test_a_stanza_that_is_not_there_is_an_empty_catalog():
    found = plan.parse_info("[]", "main")
    assert found.status == 1 and not found.backups and not found.encrypted


@pytest.mark.parametrize("text", ["", "no json", "{}", '[{"name": "main"}]', '[{"name": "main", "status": {}}]'])
def test_an_answer_that_cannot_be_read_is_an_error_never_an_empty_catalog(text):
    with pytest.raises(plan.Unreadable):
        plan.parse_info(text, "main")


def test_verify_is_only_passed_when_it_says_so():
    good = plan.parse_verify(HEALTHY)
    assert good.passed and good.backups == {FULL: "valid"} and (good.wal_checked, good.files_checked) == (6, 967)
    silent = plan.parse_verify("2026-11-22 03:21:37.652 P00   INFO: verify command end: completed successfully (371ms)")
    assert silent.status == "unknown" and not silent.passed


def test_verify_names_every_broken_file():
    found = plan.parse_verify(BROKEN)
    assert found.status == "error" and not found.passed
    assert [(finding.kind, finding.path.rsplit("/", 1)[-1]) for finding in found.findings] == [
        ("unreadable", SEGMENT),
        ("checksum", "16384.lz4"),
        ("missing", "6111.lz4"),
    ]
    assert found.findings[0].expected == "sha1 e1e3ca03b8082278adf0421f725282d685a788ee"


@pytest.mark.parametrize("text", ["ERROR: [055]: unable to open", "2026-11-22 03:21:38.967 P00   WARN: something"])
def test_an_error_beside_a_good_status_is_a_finding(text):
    assert plan.parse_verify(f"{HEALTHY}\n{text}").status == "error"


@pytest.mark.parametrize(
    ("backups", "wanted", "max_age", "needed"),
    [
        ([], "full", 100, True),
        ([entry(FULL, "full", 1000)], "full", None, True),
        ([entry(FULL, "full", 1000)], "full", 100, False),
        ([entry(FULL, "full", 1000)], "full", 49, True),
        ([entry(FULL, "full", 1000)], "incr", 100, False),
        ([entry(FULL, "full", 900), entry(INCR, "incr", 1000)], "full", 100, True),
        ([entry(FULL, "full", 900), entry(INCR, "incr", 1000)], "diff", 100, True),
        ([entry(FULL, "full", 1000, error=True)], "full", 100, True),
    ],
)
def test_a_backup_is_needed_unless_a_young_good_one_of_at_least_its_type_is_there(backups, wanted, max_age, needed):
    assert plan.need_backup(catalog(*backups), wanted, max_age, 1050).wanted is needed


def test_ages_are_judged_and_what_has_no_limit_is_not_checked():
    found = catalog(entry(FULL, "full", 500), entry(INCR, "incr", 1000))
    states = {
        check["name"]: (check["state"], check["age_s"])
        for check in plan.judge_ages(found, {"incr": 100, "full": 100, "diff": None}, 1050)
    }
    assert states == {"incr_age": ("ok", 50), "full_age": ("stale", 550), "diff_age": ("not_checked", 550)}
    (missing,) = plan.judge_ages(catalog(entry(FULL, "full", 1000, error=True)), {"full": 100}, 1050)
    assert missing["state"] == "missing"


def test_the_new_backup_is_told_from_the_old_ones():
    before = catalog(entry(FULL, "full", 1000))
    assert plan.made(before, before) is None
    assert plan.made(before, catalog(entry(FULL, "full", 1000), entry(INCR, "incr", 2000))).label == INCR


def test_a_files_expected_checksum_is_in_the_manifest():
    manifest = '[target:file]\npg_data/base/5/16384={"checksum":"ab12","size":3}\npg_data/a.b={"checksum":"cd34"}\n'
    assert expected_checksum(manifest, "pg_data/base/5/16384.lz4") == "ab12"
    assert expected_checksum(manifest, "pg_data/a.b") == "cd34"
    assert expected_checksum(manifest, "pg_data/other.lz4") == "" == expected_checksum("", "pg_data/a.b")
