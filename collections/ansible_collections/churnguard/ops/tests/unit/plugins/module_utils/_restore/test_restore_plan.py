# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import subprocess

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._pgbackrest.model import (
    Backup,
    Catalog,
    Place,
    Verification,
    VerifyFinding,
)
from ansible_collections.churnguard.ops.plugins.module_utils._restore import plan, received, server
from ansible_collections.churnguard.ops.plugins.module_utils._restore.model import Point, Refused, Walk

SIZE = plan.DEFAULT_SEGMENT_SIZE
SHA = "0" * 40


def seg(number, timeline=1):
    return plan.segment_name(timeline, number, SIZE)


def files(*names):
    return [f"{name[:16]}/{name}-{SHA}.lz4" for name in names]


def backup(label, finished, lsn_stop="0/2000100", errors=False):
    return Backup(
        label, "full", finished - 2, finished, 1000, 500, seg(2), seg(2), "0/2000028", lsn_stop, "77", "15", "15-1",
        page_errors=errors,
    )  # fmt: skip


def catalog(*backups):
    return Catalog("main", 0, "ok", "none", backups, {}, False)


def test_segment_names_are_postgresqls():
    assert seg(0x100) == "000000010000000100000000"
    assert plan.segment_of("0000000A00000001000000FF", SIZE) == (10, 0x1FF)
    assert plan.segment_name(1, 0x41, 64 * 1024 * 1024) == "000000010000000100000001"
    assert plan.parse_lsn("1/A0") == (1 << 32) + 0xA0


def test_a_walk_ends_at_the_first_gap_and_names_it():
    walk = plan.walk_names(files(seg(1), seg(2), seg(3), seg(5), seg(6)), {}, seg(2), "15-1")
    assert (walk.segments, walk.missing, walk.after_gap) == ([seg(2), seg(3)], [seg(4)], [seg(5), seg(6)])
    assert "is missing" in plan.check_gap(walk, backup("a", 1), Point())


def test_a_walk_without_gap_ends_at_the_newest_segment_unless_more_is_known_of():
    assert not plan.walk_names(files(seg(2), seg(3)), {}, seg(2), "15-1").missing
    assert plan.walk_names(files(seg(2), seg(3)), {}, seg(2), "15-1", until=seg(5)).missing == [seg(4), seg(5)]
    partial = [f"{seg(4)[:16]}/{seg(4)}.partial-{SHA}.lz4", *files(seg(2), seg(3))]
    assert plan.walk_names(partial, {}, seg(2), "15-1").last == seg(3), "a partial segment is not replayed"


def test_received_segments_count_where_the_archive_has_none():
    there = {seg(2): seg(2), seg(4): seg(4), seg(5): f"{seg(5)}.partial"}
    walk = plan.walk_names(files(seg(2), seg(3)), {}, seg(2), "15-1", received=there)
    assert (walk.segments, walk.missing) == ([seg(2), seg(3), seg(4), seg(5)], [])
    assert walk.received == {seg(4): seg(4), seg(5): f"{seg(5)}.partial"}
    walk = plan.walk_names(files(seg(2)), {}, seg(2), "15-1", received={seg(4): f"{seg(4)}.partial"})
    assert (walk.segments, walk.missing, walk.after_gap) == ([seg(2)], [seg(3)], [seg(4)])


def test_a_complete_file_goes_before_a_partial_one(tmp_path):
    for name in (seg(4), f"{seg(4)}.partial", f"{seg(5)}.partial", "00000002.history", f"{seg(6)}.gz"):
        (tmp_path / name).touch()
    assert received.listed(tmp_path) == {seg(4): seg(4), seg(5): f"{seg(5)}.partial"}
    assert received.listed(None) == {}


@pytest.mark.parametrize(("segment", "content"), [(4, "archived"), (5, "received"), (6, "partial"), (7, None)])
def test_a_segment_comes_from_the_archive_else_from_where_it_was_received(tmp_path, segment, content):
    """The command as PostgreSQL runs it: with %f and %p replaced, by a shell."""
    archive = tmp_path / "pgbackrest"
    archive.write_text(f'#!/bin/sh\nfor file; do :; done\n[ "$5" = {seg(4)} ] && printf archived >"$file"\n')
    archive.chmod(0o700)
    (tmp_path / seg(4)).write_text("received")
    (tmp_path / seg(5)).write_text("received")
    (tmp_path / f"{seg(6)}.partial").write_text("partial")
    place = Place("/etc/100%/pgbackrest.conf", "main", 0, str(archive))
    command = received.restore_command(place, "/srv/copy", tmp_path)
    assert "100%%" in command
    target = tmp_path / "RECOVERYXLOG"
    words = command.replace("%%", "%").replace("%f", seg(segment)).replace("%p", str(target))
    code = subprocess.run(["sh", "-c", words], check=False).returncode
    assert (code == 0, target.read_text() if target.exists() else None) == (content is not None, content)


def test_a_walk_follows_the_latest_timeline_and_leaves_others():
    histories = {2: [(1, 4 * SIZE + 100)], 3: [(1, 2 * SIZE + 5)], 4: [(1, 4 * SIZE + 100), (2, 5 * SIZE + 7)]}
    there = files(seg(2), seg(3), seg(4), seg(5), seg(4, 2), seg(5, 2), seg(5, 4), seg(6, 4), seg(9, 3))
    walk = plan.walk_names(there, histories, seg(2), "15-1")
    assert walk.segments == [seg(2), seg(3), seg(4, 2), seg(5, 4), seg(6, 4)] and not walk.missing


def test_a_history_file_is_read():
    assert plan.parse_history("1\t0/3000148\tno recovery target specified\n\n# x\n2\t0/5000000\tat\n") == [
        (1, 0x3000148),
        (2, 0x5000000),
    ]


def test_the_newest_backup_before_the_point_is_chosen():
    found = catalog(backup("a", 1000), backup("b", 2000, "0/4000100"), backup("c", 3000, "0/6000100"))
    at = plan.read_point("time", "1970-01-01T00:40:00Z")
    assert plan.choose(found, at, "").backup.label == "b"
    assert plan.choose(found, Point("lsn", "0/4000100"), "").backup.label == "b"
    assert plan.choose(found, Point(), "").backup.label == "c"
    assert plan.choose(found, Point(), "a").backup.label == "a"


def test_a_backup_that_ended_in_the_targets_own_second_may_be_too_late():
    with pytest.raises(Refused) as told:
        plan.choose(catalog(backup("a", 2400)), plan.read_point("time", "1970-01-01T00:40:00.9Z"), "")
    assert told.value.interlock == "no_backup_before_point"


def test_page_errors_pass_a_backup_over_and_are_told():
    found = catalog(backup("a", 1000), backup("b", 2000, errors=True))
    chosen = plan.choose(found, Point(), "")
    assert chosen.backup.label == "a" and "b passed over" in chosen.reason
    assert plan.choose(found, Point(), "", allow_broken=True).backup.label == "b"
    with pytest.raises(Refused) as told:
        plan.choose(catalog(backup("b", 2000, errors=True)), Point(), "")
    assert told.value.interlock == "backup_broken"


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("time", "2026-11-21T19:33:00"),
        ("time", "soon"),
        ("time", None),
        ("lsn", "12"),
        ("name", "a'b"),
        ("latest", "x"),
    ],
)
def test_a_point_that_makes_no_sense_is_refused(kind, value):
    with pytest.raises(ValueError):
        plan.read_point(kind, value)


def test_a_gap_matters_only_before_the_point():
    walk = Walk("15-1", SIZE, [seg(2), seg(3)], [seg(4)], [seg(5)], newest_commit=2500.0)
    assert not plan.check_gap(walk, backup("a", 1), plan.read_point("time", "1970-01-01T00:40:00Z"))
    assert plan.check_gap(walk, backup("a", 1), plan.read_point("time", "1970-01-01T00:50:00Z"))


@pytest.mark.parametrize(
    ("point", "log", "walk", "replayed", "reached"),
    [
        (Point(), "", Walk("15-1", SIZE, [seg(2), seg(3)]), "0/4000000", True),
        (Point(), "", Walk("15-1", SIZE, [seg(2), seg(3)]), "0/2FFFFF0", False),
        (Point(), "", Walk("15-1", SIZE, [seg(2)], [seg(3)], [seg(4)]), "0/3000000", False),
        (Point(), "", Walk("15-1", SIZE), "0/3000000", False),
        (Point("name", "x"), "LOG:  archive recovery complete", Walk("15-1", SIZE, [seg(2)]), "0/3000000", False),
        (Point("name", "x"), '[1] LOG:  recovery stopping at restore point "x"', Walk("15-1", SIZE), "0/3", True),
    ],
)
def test_promotion_is_not_success(point, log, walk, replayed, reached):
    outcome = plan.reached(point, log, walk, replayed)
    assert outcome.reached is reached and bool(outcome.reason) is not reached


@pytest.mark.parametrize(("replayed", "reached"), [("0/3000200", True), ("0/3000100", False), ("0/2FFFFFF", False)])
def test_recovery_has_to_get_past_the_last_received_record(replayed, reached):
    walk = Walk("15-1", SIZE, [seg(2), seg(3)], received={seg(3): f"{seg(3)}.partial"}, received_to="0/3000100")
    assert plan.reached(Point(), "", walk, replayed).reached is reached


def test_only_the_servers_own_end_is_fatal():
    log = (
        "2026 [7] FATAL:  the database system is starting up\n"
        "2026 [5] FATAL:  recovery ended before configured recovery target was reached\n"
    )
    assert plan.fatal_lines(log) == ["2026 [5] FATAL:  recovery ended before configured recovery target was reached"]


def test_what_verify_found_elsewhere_does_not_stop_this_restore():
    found = Verification(
        "error",
        (VerifyFinding("checksum", "b/pg_data/1", expected="sha1 aa", actual="sha1 bb"),),
        {"a": "valid", "b": "invalid"},
        1,
        1,
    )
    assert plan.broken_for(backup("a", 1), found) == []
    assert plan.broken_for(backup("b", 1), found) == ["b/pg_data/1 checksum expected sha1 aa actual sha1 bb"]
    wal = Verification("error", (VerifyFinding("size", "15-1/0000/x"),), {"a": "valid"}, 1, 1)
    assert plan.broken_for(backup("a", 1), wal), "any restore reads the archive"


def test_room_is_asked_for_the_files_and_the_wal_that_replay_keeps():
    assert plan.space_needed(backup("a", 1), 2, SIZE) == 1100 + 3 * SIZE
    assert plan.space_needed(backup("a", 1), 10000, SIZE) == 1100 + plan.REPLAYED_SEGMENTS_KEPT * SIZE


def test_settings_that_would_undo_the_isolation_are_named():
    given = {"archive_mode": "on", "work_mem": "1MB", "recovery_target_time": "x", "shared_buffers": "1GB", "port": "1"}
    assert server.may_set(given) == ["archive_mode", "port", "recovery_target_time"]
