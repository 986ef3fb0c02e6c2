"""The module that writes a report's files, through its own entry point."""

from __future__ import annotations

import json

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.churnguard.ops.plugins.modules import report_files


@pytest.fixture
def run(capfd):
    def call(folder, files, check=False, **more):
        arguments = {"path": str(folder), "files": files, "_ansible_check_mode": check, "_ansible_diff": True, **more}
        with patch_module_args(arguments), pytest.raises(SystemExit):
            report_files.main()
        return json.loads(capfd.readouterr().out)

    return call


def test_files_and_link_are_written_once(run, tmp_path):
    folder = tmp_path / "one"
    files = {"report.json": {"b": 1, "a": ["ü"]}, "envelopes/x.json": {}, "index.html": "<p>well</p>"}
    first = run(folder, files, link="latest")
    assert first["changed"] is True
    assert first["written"] == [*files, "latest"]
    assert first["diff"]["after"].splitlines() == first["written"]
    assert (folder / "report.json").read_text() == '{\n "b": 1,\n "a": [\n  "ü"\n ]\n}\n'
    assert (tmp_path / "latest" / "index.html").read_text() == "<p>well</p>"
    assert (tmp_path / "latest").readlink().name == "one"
    again = run(folder, files, link="latest")
    assert (again["changed"], again["written"]) == (False, [])
    assert sorted(path.name for path in folder.iterdir()) == ["envelopes", "index.html", "report.json"]


def test_only_what_differs_is_written(run, tmp_path):
    run(tmp_path / "one", {"a": "1", "b": "2"}, link="latest")
    assert run(tmp_path / "one", {"a": "1", "b": "3"})["written"] == ["b"]
    assert run(tmp_path / "two", {"a": "1"}, link="latest")["written"] == ["a", "latest"]
    assert (tmp_path / "latest").readlink().name == "two"


def test_check_mode_says_what_it_would_write(run, tmp_path):
    planned = run(tmp_path / "one", {"a": "1"}, check=True, link="latest")
    assert planned["written"] == ["a", "latest"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["../out", "/etc/out", "a/../../out"])
def test_nothing_is_written_outside_the_folder(run, tmp_path, name):
    refused = run(tmp_path / "one", {name: "1"})
    assert refused["failed"]
    assert "lies outside" in refused["msg"]
    assert not (tmp_path / "one").exists()


def test_a_link_is_a_plain_name(run, tmp_path):
    assert "not a plain name" in run(tmp_path / "one", {"a": "1"}, link="../latest")["msg"]


def test_what_stands_in_the_way_is_named(run, tmp_path):
    (tmp_path / "one").write_text("a file")
    refused = run(tmp_path / "one", {"a": "1"})
    assert refused["failed"]
    assert str(tmp_path / "one") in refused["msg"]
