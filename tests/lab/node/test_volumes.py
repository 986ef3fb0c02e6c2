"""The files of volumes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from churnguard_lab.node.environment import CONFIG_MAP, SECRET, ConfigError, Reference
from churnguard_lab.node.volumes import (
    VolumeFile,
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


def test_writing_replaces_and_protects(tmp_path: Path) -> None:
    folder = tmp_path / "v"
    write_volume(folder, [VolumeFile("d/f", b"old", 0o400)])
    write_volume(folder, [VolumeFile("d/f", b"new", 0o440), VolumeFile("g", b"", 0o600)])
    assert (folder / "d" / "f").read_bytes() == b"new"
    assert (folder / "d" / "f").stat().st_mode & 0o777 == 0o440
    assert folder.stat().st_mode & 0o777 == 0o700
    assert sorted(path.name for path in folder.rglob("*")) == ["d", "f", "g"]


def test_a_secret_is_not_shown() -> None:
    assert "hush" not in repr(VolumeFile("k", b"hush"))


def test_removing_twice_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "pod" / "x").mkdir(parents=True)
    remove_tree(tmp_path / "pod")
    remove_tree(tmp_path / "pod")
    assert not (tmp_path / "pod").exists()
