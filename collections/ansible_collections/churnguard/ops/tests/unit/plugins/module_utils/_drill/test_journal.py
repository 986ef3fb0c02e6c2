# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Journal and sweeper, on real files."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import Clock, isoformat
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.plugins.module_utils._drill import journal, preflight, sweeper
from ansible_collections.churnguard.ops.plugins.module_utils._drill.journal import Journal
from ansible_collections.churnguard.ops.plugins.module_utils._drill.model import Resource, drill_id, is_drill_id
from ansible_collections.churnguard.ops.plugins.module_utils._drill.remove_local import MARKER, make_directory
from ansible_collections.churnguard.ops.plugins.module_utils._drill.removers import REMOVERS, remover_of

IDENTIFIER = "toy-20261122t030405Z-0a1b"


@pytest.fixture
def opened(tmp_path):
    made = Journal(tmp_path / IDENTIFIER, Clock())
    made.open()
    yield made
    made.close()


def planned(made: Journal, kind: str, name: str) -> None:
    made.append(journal.PLANNED, {"kind": kind, "id": name, "remove": {}})


def test_the_name_of_a_drill():
    made = drill_id("database_loss", datetime(2026, 11, 22, 3, 4, 5, tzinfo=UTC), "0a1b")
    assert made == "database_loss-20261122t030405Z-0a1b"
    assert is_drill_id(made) and is_drill_id(IDENTIFIER)
    assert not is_drill_id("../etc") and not is_drill_id("database_loss")


def test_what_was_announced_and_not_seen_gone_is_left_the_newest_first(opened):
    for name in ("a", "b", "c"):
        planned(opened, "directory", name)
    opened.append(journal.REMOVED, {"kind": "directory", "id": "b", "proof": "gone"})
    assert [resource.id for resource in journal.left(opened.entries())] == ["c", "a"]


def test_a_line_that_the_kill_cut_off_is_as_if_never_written(opened):
    planned(opened, "directory", "a")
    opened.close()
    path = opened.folder / journal.FILE
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole + whole[:length])
        again = Journal(opened.folder, Clock())
        again.open()
        assert path.read_bytes() == whole
        again.close()


def test_a_journal_has_one_holder(opened):
    assert journal.running(opened.folder)
    with pytest.raises(OperationError, match="still running"):
        Journal(opened.folder, Clock()).open()
    opened.close()
    assert not journal.running(opened.folder)


def test_a_line_in_the_middle_that_is_none_is_named(opened):
    opened.close()
    (opened.folder / journal.FILE).write_text("{}\n")
    with pytest.raises(OperationError, match="line 1 is no entry"):
        journal.read(opened.folder / journal.FILE)


def test_nothing_is_made_that_nothing_removes():
    assert all(remover_of(kind) for kind in REMOVERS)
    with pytest.raises(ValueError, match="nothing removes"):
        remover_of("spaceship")


def left_behind(root, name: str, identifier: str, hours: float):
    expires = isoformat(datetime.now(UTC) + timedelta(hours=hours))
    folder = root / name
    make_directory(folder, identifier, expires)
    (folder / "data").mkdir()
    return folder


def test_the_sweeper_takes_what_has_expired_and_nothing_else(tmp_path):
    drills, root = tmp_path / "drills", tmp_path / "scratch"
    drills.mkdir()
    root.mkdir()
    old = left_behind(root, "old", IDENTIFIER, -1)
    young = left_behind(root, "young", "toy-20261122t030405Z-0a1c", 1)
    strange = root / "strange"
    strange.mkdir()
    (strange / MARKER).write_text("not by a drill")
    precious = root / "precious"
    precious.mkdir()
    looked = sweeper.sweep(drills, [root], Clock(), {}, lambda text: None, act=False)
    assert [item["id"] for item in looked.removed] == [str(old)] and old.exists()
    swept = sweeper.sweep(drills, [root], Clock(), {}, lambda text: None)
    assert [item["id"] for item in swept.removed] == [str(old)]
    assert sorted(path.name for path in root.iterdir()) == ["precious", "strange", "young"]
    assert {item["id"] for item in swept.kept} == {str(young), str(strange)}
    assert not sweeper.sweep(drills, [root], Clock(), {}, lambda text: None).changed


def test_the_sweeper_finishes_expired_drills_by_their_journal(tmp_path):
    drills, root = tmp_path / "drills", tmp_path / "scratch"
    root.mkdir()
    for name, hours in ((IDENTIFIER, -1), ("toy-20261122t030405Z-0a1c", 1)):
        made = Journal(drills / name, Clock())
        made.open()
        expires = isoformat(datetime.now(UTC) + timedelta(hours=hours))
        subject = {"scenario": "toy", "component": "x", "source": "x", "target": "x", "environment": "lab"}
        made.append(journal.STARTED, {"expires_at": expires, "subject": {**subject, "drill_id": name}, "text": ""})
        planned(made, "directory", str(root / name))
        made.close()
        make_directory(root / name, name, expires)
    swept = sweeper.sweep(drills, [root], Clock(), {}, lambda text: None)
    assert [(drill.drill_id, drill.state) for drill in swept.drills] == [(IDENTIFIER, "cleaned")]
    assert [path.name for path in root.iterdir()] == ["toy-20261122t030405Z-0a1c"]
    report = json.loads((drills / IDENTIFIER / journal.REPORT).read_text())
    assert report["verdict"] == "aborted"


@pytest.mark.parametrize(
    ("free", "size", "word"), [(150, 100, "passed"), (149, 100, "failed"), (None, 100, "not_checked")]
)
def test_room_for_half_as_much_again(free, size, word):
    assert preflight.disk(free, size, "there")["verdict"] == word


def test_what_nobody_could_be_asked_reads_not_checked():
    assert preflight.alerts(None)["verdict"] == "not_checked"
    assert preflight.backup_running(None)["verdict"] == "not_checked"
    assert preflight.alerts([])["verdict"] == "passed"
    assert preflight.backup_running(True)["verdict"] == "failed"


def test_a_folder_appears_with_its_marker_or_not_at_all(tmp_path):
    folder = tmp_path / "home"
    make_directory(folder, IDENTIFIER, "2026-11-22T03:04:05.000Z")
    assert json.loads((folder / MARKER).read_text())["drill_id"] == IDENTIFIER
    with pytest.raises(FileExistsError):
        make_directory(folder, IDENTIFIER, "2026-11-22T03:04:05.000Z")
    assert [path.name for path in tmp_path.iterdir()] == ["home"]
    resource = Resource("directory", str(folder))
    assert resource.key == ("directory", str(folder))
