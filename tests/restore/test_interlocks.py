"""What is no scratch target is refused with nothing changed."""

from __future__ import annotations

import json
import os
import shutil
import socket

import pytest
from scratch_world import own, small_disk, tree_hash


def refusal(answer):
    return (answer.get("refused"), answer.get("interlock"))


def test_a_folder_with_the_sources_cluster_and_no_marker_is_refused(repository, call):
    shutil.copytree(repository.source.cluster.data_dir, repository.target, symlinks=True)
    before = tree_hash(repository.target.parent)
    assert refusal(call("restore", repository.options())) == (True, "own_system")
    assert refusal(call("restore", repository.options(state="absent"))) == (True, "not_scratch")
    assert tree_hash(repository.target.parent) == before


def test_the_source_itself_is_refused_also_through_links_from_above_and_from_within(repository, call):
    data_dir = repository.source.cluster.data_dir
    link = repository.target.with_name("link")
    link.symlink_to(data_dir)
    before = tree_hash(data_dir)
    for path in (data_dir, link, data_dir / "below", data_dir.parent, link / "below"):
        answer = call("restore", repository.options(target={"data_dir": str(path)}, confirm=str(path)))
        assert refusal(answer) == (True, "same_path"), path
    assert tree_hash(data_dir) == before


def test_the_repository_is_refused(repository, call):
    path = repository.folder / "scratch"
    answer = call("restore", repository.options(target={"data_dir": str(path)}, confirm=str(path)))
    assert refusal(answer) == (True, "same_path")


def test_the_sources_port_and_a_taken_one_are_refused(repository, call):
    answer = call("restore", repository.options(target={"port": repository.source.cluster.port}))
    assert refusal(answer) == (True, "same_port")
    with socket.create_server(("127.0.0.1", repository.port)):
        assert refusal(call("restore", repository.options())) == (True, "same_port")


@pytest.mark.parametrize("kind", ["path", "path above", "host"])
def test_the_deny_list_holds(repository, call, kind):
    path = repository.target
    entry = {"path": str(path), "path above": str(path.parent), "host": socket.gethostname()}[kind]
    answer = call("restore", repository.options(deny=["unrelated", entry]))
    assert refusal(answer) == (True, "deny") and answer["facts"]["entry"] == entry


def test_a_denied_system_identifier_is_refused_where_no_marker_says_scratch(repository, call):
    shutil.copytree(repository.source.cluster.data_dir, repository.target, symlinks=True)
    control = (repository.target / "global" / "pg_control").read_bytes()
    identifier = str(int.from_bytes(control[:8], "little"))
    assert refusal(call("restore", repository.options(deny=[identifier]))) == (True, "deny")


def test_a_folder_with_anything_in_it_is_refused_and_an_empty_one_is_not(repository, call):
    repository.target.mkdir()
    assert call("restore", repository.options(verify=False), check=True)["changed"]
    (repository.target / "thesis.txt").write_text("the only copy", encoding="utf-8")
    before = tree_hash(repository.target.parent)
    assert refusal(call("restore", repository.options())) == (True, "not_scratch")
    assert tree_hash(repository.target.parent) == before


def test_the_confirmation_must_be_the_target(repository, call):
    for state in ("present", "absent"):
        assert refusal(call("restore", repository.options(confirm="yes", state=state))) == (True, "confirm")


def test_a_marker_licenses_only_its_own_folder_and_word(repository, call):
    assert call("restore", repository.options(point="immediate", verify=False))["changed"]
    other = {"marker": "somebody-else"}
    assert refusal(call("restore", repository.options(target=other))) == (True, "other_marker")
    assert refusal(call("restore", repository.options(target=other, state="absent"))) == (True, "other_marker")

    # Somebody puts a cluster of his own in the place of the copy: the marker beside it no longer fits.
    bin_dir = "/usr/lib/postgresql/15/bin"
    cluster = repository.source.cluster
    cluster.run([f"{bin_dir}/pg_ctl", "stop", "-D", str(repository.target), "-m", "immediate"])
    repository.target.rename(repository.target.with_name("aside"))
    shutil.copytree(cluster.data_dir, repository.target, symlinks=True)
    before = tree_hash(repository.target)
    assert refusal(call("restore", repository.options())) == (True, "not_scratch")
    assert refusal(call("restore", repository.options(state="absent"))) == (True, "not_scratch")
    assert tree_hash(repository.target) == before


def test_settings_cannot_undo_the_isolation(repository, call):
    answer = call("restore", repository.options(target={"settings": {"archive_mode": "on", "work_mem": "8MB"}}))
    assert (
        refusal(answer) == (True, "isolation") and "archive_mode" in answer["msg"] and "work_mem" not in answer["msg"]
    )


def test_a_restore_cut_off_between_its_steps_can_be_removed(repository, call):
    """kill -9 after the folder was made and files were copied: the marker beside it is licence enough."""
    repository.target.mkdir(mode=0o700)
    (repository.target / "half").write_text("a file", encoding="utf-8")
    status = repository.target.stat()
    marker = repository.target.with_name("t.scratch.json")
    record = {
        "word": "churnguard-scratch",
        "data_dir": os.path.realpath(repository.target),
        "port": repository.port,
        "state": "restoring",
        "identity": [status.st_dev, status.st_ino],
    }
    marker.write_text(json.dumps(record), encoding="utf-8")
    assert call("restore", repository.options(state="absent"))["changed"]
    assert not repository.target.exists() and not marker.exists()


def test_a_file_system_without_room_is_refused_and_a_bypassed_check_fails_loudly(repository, call):
    small = repository.target.with_name("small")
    small.mkdir()
    with small_disk(small, 20):
        own(small, repository.source.cluster)
        path = str(small / "t")
        options = repository.options(target={"data_dir": path}, confirm=path, verify=False)
        answer = call("restore", options)
        assert refusal(answer) == (True, "disk_space")
        assert answer["facts"]["needed_bytes"] > 24_000_000 > answer["facts"]["free_bytes"]
        assert not any(small.iterdir())

        bypassed = call("restore", {**options, "ignore": ["disk_space"]})
        assert bypassed["failed"] and not bypassed["refused"]
        assert "unable to write" in bypassed["msg"] and "bytes are free" in bypassed["msg"]
        assert call("restore", {**options, "state": "absent"})["changed"]
        assert not any(small.iterdir())
