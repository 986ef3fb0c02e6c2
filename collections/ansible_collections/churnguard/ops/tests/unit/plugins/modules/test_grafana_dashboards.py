# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module that writes dashboards, through its own entry point."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.churnguard.ops.plugins.modules import grafana_dashboards

NAMES = ["application", "database", "redis", "kubernetes", "rollout", "business"]
WITHOUT_LIBRARY = """
import json, sys
sys.modules["grafana_foundation_sdk"] = None
from ansible.module_utils.testing import patch_module_args
from ansible_collections.churnguard.ops.plugins.modules import grafana_dashboards
with patch_module_args(json.loads(sys.argv[1])):
    grafana_dashboards.main()
"""


@pytest.fixture
def run(capfd):
    def call(check=False, **options):
        given = {**options, "_ansible_check_mode": check, "_ansible_diff": True}
        with patch_module_args(given), pytest.raises(SystemExit):
            grafana_dashboards.main()
        return json.loads(capfd.readouterr().out)

    return call


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "dashboards"


def _bytes(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_without_a_folder_dashboards_are_only_returned(run):
    result = run()
    assert result["changed"] is False
    assert [one["name"] for one in result["dashboards"]] == NAMES
    for one in result["dashboards"]:
        made = json.loads(one["json"])
        assert (made["uid"], made["title"], one["file"]) == (one["uid"], one["title"], f"{one['uid']}.json")
        assert one["panels"] and one["sources"]
    assert {one["dashboard"] for one in result["questions"]} == {one["uid"] for one in result["dashboards"]}


def test_files_are_written_once(run, folder):
    first = run(path=str(folder), mode="0640")
    assert first["changed"] is True
    assert first["written"] == [f"churnguard-{name}.json" for name in NAMES]
    assert "# churnguard-redis.json" in first["diff"]["after"] and first["diff"]["before"] == ""
    there = _bytes(folder)
    assert there == {one["file"]: one["json"].encode() for one in first["dashboards"]}
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o640}
    again = run(path=str(folder), mode="0640")
    assert (again["changed"], again["written"], again["removed"]) == (False, [], [])
    assert _bytes(folder) == there


def test_a_change_of_mode_alone_is_a_change(run, folder):
    run(path=str(folder), dashboards=["redis"])
    path = folder / "churnguard-redis.json"
    assert run(path=str(folder), dashboards=["redis"], mode="0600", check=True)["changed"] is True
    assert path.stat().st_mode & 0o777 == 0o644
    assert run(path=str(folder), dashboards=["redis"], mode="0600")["written"] == []
    assert path.stat().st_mode & 0o777 == 0o600
    # A new text does not loosen it.
    run(path=str(folder), dashboards=["redis"], refresh="1m")
    assert path.stat().st_mode & 0o777 == 0o600


def test_check_mode_says_what_it_would_do_and_does_nothing(run, folder):
    planned = run(path=str(folder), check=True, mode="0640")
    assert planned["changed"] is True and len(planned["written"]) == len(NAMES)
    assert not folder.exists()
    run(path=str(folder))
    before = _bytes(folder)
    planned = run(path=str(folder), dashboards=["redis"], refresh="1m", check=True)
    assert planned["written"] == ["churnguard-redis.json"]
    assert len(planned["removed"]) == len(NAMES) - 1
    assert _bytes(folder) == before


def test_what_is_no_longer_made_goes_and_what_others_made_stays(run, folder):
    run(path=str(folder))
    copy = (folder / "churnguard-redis.json").read_text().replace('"churnguard-redis"', '"churnguard-our-redis"')
    others = {"churnguard-our-redis.json": copy, "hand-made.json": "{}", "notes.txt": "x", "broken.json": "{"}
    for name, text in others.items():
        (folder / name).write_text(text)
    run(path=str(folder), uid_prefix="staging", dashboards=["business"])
    result = run(path=str(folder), dashboards=["application"])
    assert result["removed"] == sorted(f"churnguard-{name}.json" for name in NAMES if name != "application")
    assert set(_bytes(folder)) == {*others, "churnguard-application.json", "staging-business.json"}
    gone = run(path=str(folder), state="absent")
    assert (gone["removed"], gone["dashboards"], gone["questions"]) == (["churnguard-application.json"], [], [])
    assert set(_bytes(folder)) == {*others, "staging-business.json"}
    assert run(path=str(folder), state="absent")["changed"] is False


def test_a_file_that_is_not_its_own_is_not_replaced_unless_told(run, folder):
    folder.mkdir()
    path = folder / "churnguard-redis.json"
    path.write_text('{"title": "ours"}')
    refused = run(path=str(folder))
    assert refused["failed"] and "not one that this module wrote" in refused["msg"]
    assert list(_bytes(folder)) == ["churnguard-redis.json"], "nothing else was written either"
    assert path.read_text() == '{"title": "ours"}'
    assert "churnguard-redis.json" in run(path=str(folder), force=True)["written"]


def test_what_was_built_elsewhere_is_written_as_it_is(run, folder):
    built = run(dashboards=["redis", "business"], refresh="1m", tags=["x"])["dashboards"]
    result = run(path=str(folder), built=built)
    assert result["dashboards"] == built
    assert _bytes(folder) == {one["file"]: one["json"].encode() for one in built}
    assert run(path=str(folder), built=built)["changed"] is False
    assert len(run(path=str(folder), built=built[:1])["removed"]) == 1


@pytest.mark.parametrize("built", [{}, {"name": "redis"}, {"name": "redis", "json": "{}"}])
def test_what_was_not_built_by_the_module_is_refused(run, folder, built):
    refused = run(path=str(folder), built=[built])
    assert refused["failed"] and "hand over what the module returned" in refused["msg"]
    assert not folder.exists()


def test_what_was_built_with_another_prefix_is_refused(run, folder):
    built = run(dashboards=["redis"])["dashboards"]
    refused = run(path=str(folder), built=built, uid_prefix="staging")
    assert refused["failed"] and "uid_prefix staging" in refused["msg"]


@pytest.mark.parametrize("prefix", ["", "Upper", "a/b", "../up", "-a", "a-", "a" * 25])
def test_a_prefix_that_cannot_be_a_name_is_refused(run, prefix):
    refused = run(uid_prefix=prefix)
    assert refused["failed"] and "uid_prefix of small letters" in refused["msg"]


def test_the_longest_prefix_fits_into_an_uid(run):
    assert max(len(one["uid"]) for one in run(uid_prefix="a" * 24)["dashboards"]) <= 40


def test_what_stands_in_the_way_is_named(run, tmp_path):
    (tmp_path / "file").write_text("")
    refused = run(path=str(tmp_path / "file"))
    assert refused["failed"] and "Traceback" not in refused["msg"]
    assert str(tmp_path / "file") in refused["msg"]


@pytest.fixture
def run_without_library():
    """Runs the module in a process in which the library cannot be imported."""

    def call(**options):
        ended = subprocess.run(
            [sys.executable, "-c", WITHOUT_LIBRARY, json.dumps(options)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return json.loads(ended.stdout)

    return call


def test_without_the_library_the_exact_requirement_is_named(run_without_library):
    said = run_without_library()
    assert said["failed"] and "grafana-foundation-sdk==1769699379!11.6.0" in said["msg"]
    assert "epoch" in said["msg"]


def test_without_the_library_what_was_built_elsewhere_is_written_and_removed(run, run_without_library, folder):
    built = run(dashboards=["redis"])["dashboards"]
    assert run_without_library(path=str(folder), built=built)["written"] == ["churnguard-redis.json"]
    assert run_without_library(path=str(folder), state="absent")["removed"] == ["churnguard-redis.json"]
