"""The files of volumes."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from churnguard_lab.node.environment import CONFIG_MAP, SECRET, ConfigError, Reference
from churnguard_lab.node.volumes import (
    DATA,
    VolumeFile,
    is_scratch,
    make_scratch,
    mount_path,
    plan_volume,
    remove_tree,
    volume_references,
    write_volume,
)

POD: dict[str, Any] = {"metadata": {"name": "p", "namespace": "n", "uid": "u", "labels": {"a": "b"}}, "spec": {}}
CONTEXT = {"pod_ip": "127.0.16.1", "host_ip": "127.0.0.1"}
OBJECTS = {(CONFIG_MAP, "c"): {"x": b"1", "y": b"2"}, (SECRET, "s"): {"k": b"3"}, (SECRET, "absent"): None}
LABEL = {"path": "label", "fieldRef": {"fieldPath": "metadata.labels['a']"}}


def plan(volume: dict[str, Any]) -> list[VolumeFile]:
    return plan_volume({"name": "v", **volume}, POD, OBJECTS, CONTEXT)


@pytest.mark.parametrize(
    ("volume", "expected"),
    [
        ({"emptyDir": {}}, []),
        ({}, []),
        ({"configMap": {"name": "c"}}, [VolumeFile("x", b"1"), VolumeFile("y", b"2")]),
        ({"secret": {"secretName": "s", "defaultMode": 0o400}}, [VolumeFile("k", b"3", 0o400)]),
        ({"secret": {"secretName": "absent", "optional": True}}, []),
        (
            {"configMap": {"name": "c", "items": [{"key": "x", "path": "d/f", "mode": 0o600}]}},
            [VolumeFile("d/f", b"1", 0o600)],
        ),
        ({"configMap": {"name": "c", "optional": True, "items": [{"key": "z", "path": "z"}]}}, []),
        ({"downwardAPI": {"items": [LABEL]}}, [VolumeFile("label", b"b")]),
        (
            {"projected": {"sources": [{"secret": {"name": "s"}}, {"downwardAPI": {"items": [LABEL]}}]}},
            [VolumeFile("k", b"3"), VolumeFile("label", b"b")],
        ),
        ({"projected": {"sources": [{"serviceAccountToken": {}}, {"configMap": {"name": "none"}}]}}, []),
    ],
)
def test_files(volume: dict[str, Any], expected: list[VolumeFile]) -> None:
    assert plan(volume) == expected


@pytest.mark.parametrize(
    ("volume", "message"),
    [
        ({"hostPath": {"path": "/"}}, "hostPath"),
        ({"persistentVolumeClaim": {"claimName": "x"}}, "persistentVolumeClaim"),
        ({"secret": {"secretName": "absent"}}, 'secret "absent" not found'),
        ({"configMap": {"name": "c", "items": [{"key": "z", "path": "z"}]}}, "non-existent config key: z"),
        ({"configMap": {"name": "c", "items": [{"key": "x", "path": "../z"}]}}, "out of its volume"),
        ({"configMap": {"name": "c", "items": [{"key": "x", "path": "/z"}]}}, "out of its volume"),
    ],
)
def test_what_cannot_be_provided_is_named(volume: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        plan(volume)


def test_references() -> None:
    volumes = [
        {"name": "a", "configMap": {"name": "c", "optional": True}},
        {"name": "b", "secret": {"secretName": "s"}},
        {"name": "c", "emptyDir": {}},
        {"name": "d", "projected": {"sources": [{"secret": {"name": "t"}}, {"downwardAPI": {"items": []}}]}},
    ]
    assert volume_references({"spec": {"volumes": volumes}}) == {
        Reference(CONFIG_MAP, "c", True),
        Reference(SECRET, "s"),
        Reference(SECRET, "t"),
    }
    assert volume_references({"spec": {}}) == set()


def test_mount_path() -> None:
    container = {"volumeMounts": [{"name": "a", "mountPath": "/a"}, {"name": "b", "mountPath": "/b", "subPath": "f"}]}
    root = Path("/volumes")
    assert [mount_path(container, name, root) for name in "abc"] == [root / "a", root / "b" / "f", None]


def shown(folder: Path) -> dict[str, bytes]:
    """The files as a process sees them that looks for names without a dot."""
    names = [path for path in folder.iterdir() if not path.name.startswith(".")]
    files = [file for name in names for file in ([name] if name.is_file() else name.rglob("*"))]
    return {str(file.relative_to(folder)): file.read_bytes() for file in files if file.is_file()}


def test_writing_replaces_and_protects(tmp_path: Path) -> None:
    folder = tmp_path / "v"
    assert write_volume(folder, [VolumeFile("d/f", b"old", 0o400), VolumeFile("gone", b"")])
    assert write_volume(folder, [VolumeFile("d/f", b"new", 0o440), VolumeFile("g", b"", 0o600)])
    assert (folder / "d" / "f").stat().st_mode & 0o777 == 0o440
    assert folder.stat().st_mode & 0o777 == 0o700
    assert shown(folder) == {"d/f": b"new", "g": b""}


def test_writing_the_same_changes_nothing(tmp_path: Path) -> None:
    files = [VolumeFile("d/f", b"1", 0o400), VolumeFile("g", b"2")]
    assert write_volume(tmp_path, files)
    before = (tmp_path / DATA).readlink(), (tmp_path / "g").stat().st_mtime_ns
    assert not write_volume(tmp_path, files)
    assert ((tmp_path / DATA).readlink(), (tmp_path / "g").stat().st_mtime_ns) == before
    assert write_volume(tmp_path, [files[0], VolumeFile("g", b"2", 0o600)]), "a mode is content too"


def test_an_absent_optional_source_is_an_empty_folder_that_fills_later(tmp_path: Path) -> None:
    write_volume(tmp_path, [])
    assert shown(tmp_path) == {}
    assert not write_volume(tmp_path, [])
    assert write_volume(tmp_path, [VolumeFile("flags.json", b"{}")])
    assert shown(tmp_path) == {"flags.json": b"{}"}
    assert write_volume(tmp_path, [])
    assert shown(tmp_path) == {}


def test_readers_see_all_of_one_write_or_all_of_the_next(tmp_path: Path) -> None:
    write_volume(tmp_path, [VolumeFile("a", b"0"), VolumeFile("b", b"0")])
    stop, torn = threading.Event(), []

    def read() -> None:
        while not stop.is_set():
            # One step into the folder behind the link, then both files: what a reader of a pair has to do.
            data = tmp_path / (tmp_path / DATA).readlink()
            try:
                pair = (data / "a").read_bytes(), (data / "b").read_bytes()
            except FileNotFoundError:
                continue  # replaced and removed meanwhile: look again
            if pair[0] != pair[1]:
                torn.append(pair)

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(200):
        text = str(number).encode()
        write_volume(tmp_path, [VolumeFile("a", text), VolumeFile("b", text)])
    stop.set()
    reader.join()
    assert torn == []
    assert len([path for path in tmp_path.iterdir() if path.name.startswith("..") and path.is_dir()]) == 2


def test_plain_files_of_an_earlier_agent_are_replaced(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "f").write_text("old")
    (tmp_path / "g").write_text("old")
    write_volume(tmp_path, [VolumeFile("d/f", b"new"), VolumeFile("g", b"new")])
    assert shown(tmp_path) == {"d/f": b"new", "g": b"new"}


def test_what_a_pod_wrote_into_its_scratch_volume_stays(tmp_path: Path) -> None:
    assert is_scratch({"name": "v", "emptyDir": {}})
    assert not is_scratch({"name": "v", "configMap": {"name": "c"}})
    assert not is_scratch({"name": "v", "projected": {"sources": [{"serviceAccountToken": {}}]}})
    (tmp_path / "mine").write_text("x")
    make_scratch(tmp_path)
    assert (tmp_path / "mine").read_text() == "x"


def test_a_secret_is_not_shown() -> None:
    assert "hush" not in repr(VolumeFile("k", b"hush"))


def test_removing_twice_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "pod" / "x").mkdir(parents=True)
    remove_tree(tmp_path / "pod")
    remove_tree(tmp_path / "pod")
    assert not (tmp_path / "pod").exists()
