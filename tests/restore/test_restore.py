"""Restores from a real repository: to each kind of point, and from archives that are broken in each known way."""

from __future__ import annotations

import time

from scratch_world import BEATS_EACH, SEGMENTS, copy_of, query, tree_hash

ALL_BEATS = SEGMENTS * BEATS_EACH


def beats(answer):
    """How many heartbeats the copy has, and the newest."""
    return query(copy_of(answer["restored"]), "SELECT count(*), coalesce(max(seq), -1) FROM heartbeat")[0]


def gone(repository):
    """Whether nothing of the scratch target is left beside its folder."""
    return not list(repository.target.parent.glob(f"{repository.target.name}*"))


def test_the_latest_point_brings_every_archived_row_back_isolated_and_removable(repository, call):
    answer = call("restore", repository.options())
    restored = answer["restored"]
    assert beats(answer) == (ALL_BEATS, ALL_BEATS - 1)
    assert restored["backup"]["label"] == repository.source.label and restored["backup"]["verified"] == "passed"
    assert restored["wal"]["last"] == repository.source.segments[-1] and restored["timeline"] == 2
    settings = dict(query(copy_of(restored | {}), "SELECT name, setting FROM pg_settings"))
    assert settings["archive_mode"] == "off" and settings["primary_conninfo"] == ""
    assert settings["listen_addresses"] == "" and settings["data_directory"] == str(repository.target)
    assert {entry["name"] for entry in answer["envelope"]["measurements"]} >= {"files_s", "start_s", "replay_s"}
    assert oct(repository.target.stat().st_mode & 0o777) == "0o700"

    checked = call("restore", repository.options(state="absent"), check=True)
    assert checked["changed"] and repository.target.exists()
    removed = call("restore", repository.options(state="absent"))
    assert removed["changed"] and gone(repository)
    assert not call("restore", repository.options(state="absent"))["changed"]


def test_points_in_time_by_lsn_by_name_and_at_once(repository, call):
    source = repository.source
    # One scratch target for all: its marker lets each restore take the place of the one before.
    for point, value, expected in (
        ("lsn", source.lsns[1], 2 * BEATS_EACH),
        ("name", "after_2", 3 * BEATS_EACH),
        ("time", source.times[3], 4 * BEATS_EACH),
        ("immediate", None, 0),
    ):
        answer = call("restore", repository.options(point=point, point_value=value, verify=False))
        assert not answer.get("failed"), answer["msg"]
        assert beats(answer)[0] == expected, point
        assert answer["restored"]["stopped_by"].startswith("recovery stopping"), point
    assert answer["restored"]["backup"]["verified"] == "not_checked"


def test_a_time_before_every_backup_is_refused_although_pgbackrest_would_take_the_latest(repository, call):
    answer = call("restore", repository.options(point="time", point_value="2020-01-01T00:00:00Z"))
    assert answer["refused"] and answer["interlock"] == "no_backup_before_point"
    assert gone(repository)


def test_a_name_that_no_segment_holds_is_refused(repository, call):
    answer = call("restore", repository.options(point="name", point_value="never_made", verify=False))
    assert answer["refused"] and answer["interlock"] == "no_backup_before_point" and "never_made" in answer["msg"]


def test_a_missing_segment_is_named_before_the_restore_and_fails_it_when_forced(repository, call):
    lost = repository.source.segments[1]
    repository.segment_file(lost).unlink()
    answer = call("restore", repository.options())
    assert answer["refused"] and answer["interlock"] == "wal_gap" and lost in answer["msg"]
    assert answer["facts"]["missing"] == [lost] and gone(repository)

    forced = call("restore", repository.options(ignore=["wal_gap"], verify=False))
    assert forced["failed"] and not forced["refused"] and lost in forced["msg"] and "promoted" in forced["msg"]
    assert forced["envelope"]["verdict"] == "failed"
    # The server was promoted all the same, with one segment's heartbeats of six: what a believer would have got.
    assert "archive recovery complete" in (repository.target.parent / "t.log").read_text(encoding="utf-8")
    assert not (repository.target / "postmaster.pid").exists(), "a copy that failed must not go on answering"

    early = call("restore", repository.options(point="lsn", point_value=repository.source.lsns[0], verify=False))
    assert beats(early)[0] == BEATS_EACH, "a point before the gap needs nothing behind it"


def test_the_newest_segments_are_only_missed_by_who_knows_them(repository, call):
    lost = repository.source.segments[-1]
    repository.segment_file(lost).unlink()
    answer = call("restore", repository.options(require_wal=lost, verify=False), check=True)
    assert answer["refused"] and answer["interlock"] == "wal_gap" and lost in answer["msg"]


def test_zeros_within_a_segment_are_found_before_and_fail_the_restore_when_forced(repository, call):
    broken = repository.source.segments[2]

    def zero(content):
        content[0x800:0x808] = bytes(8)
        return content

    repository.replace_segment(broken, zero)
    found = call("pgbackrest_info", {"stanza": "main", "config": str(repository.config), "verify": True})
    assert found["verification"]["passed"], "pgBackRest compares checksums of what was archived, not WAL records"

    answer = call("restore", repository.options())
    assert answer["refused"] and answer["interlock"] == "wal_content" and broken in answer["facts"]["broken"]
    assert gone(repository)

    forced = call("restore", repository.options(ignore=["wal_content"], verify=False))
    assert forced["failed"] and not forced["refused"], "promotion is not success"
    assert broken in forced["msg"] and repository.source.segments[-1] in forced["msg"]


def test_a_truncated_segment_is_found_before_and_postgresql_is_quoted_when_forced(repository, call):
    broken = repository.source.segments[2]
    repository.replace_segment(broken, lambda content: content[: 5 * 1024 * 1024])
    answer = call("restore", repository.options(verify=False))
    assert answer["refused"] and answer["interlock"] == "wal_content"
    assert "5242880 bytes instead of 16777216" in answer["facts"]["broken"][broken]

    forced = call("restore", repository.options(ignore=["wal_content"], verify=False))
    assert forced["failed"] and "has wrong size: 5242880 instead of 16777216" in forced["msg"]


def test_a_time_that_the_archive_does_not_reach_ends_with_the_servers_own_word(repository, call):
    begin = time.monotonic()
    answer = call("restore", repository.options(point="time", point_value="2099-01-01T00:00:00+00:00", timeout=600))
    assert answer["failed"] and not answer["refused"]
    assert "FATAL:  recovery ended before configured recovery target was reached" in answer["msg"]
    assert time.monotonic() - begin < 300, "a dead server is not waited for"


def test_a_restore_whose_source_is_lost_reads_the_wal_by_the_copys_control_file(repository, call):
    """Content is then known only once the files are there, and still before the server starts."""
    broken = repository.source.segments[3]
    repository.replace_segment(broken, lambda content: content[:0x900] + bytes(64) + content[0x940:])
    away = repository.target.with_name("lost")
    text = repository.config.read_text(encoding="utf-8")
    repository.config.write_text(text.replace(str(repository.source.cluster.data_dir), str(away)), encoding="utf-8")
    answer = call("restore", repository.options(verify=False))
    assert answer["refused"] and broken in answer["facts"]["broken"]
    assert not (repository.target.parent / "t.log").exists(), "the server was not started"
    assert call("restore", repository.options(state="absent"))["changed"] and gone(repository)


def test_check_mode_decides_and_writes_nothing(repository, call):
    before = tree_hash(repository.target.parent)
    answer = call("restore", repository.options(), check=True)
    assert answer["changed"] and repository.source.label in answer["msg"]
    assert tree_hash(repository.target.parent) == before
