"""Volumes: which files a pod's volumes hold (pure), and writing them under the pod's own folder."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from churnguard_lab.node.environment import (
    CONFIG_MAP,
    SECRET,
    ConfigError,
    Objects,
    Reference,
    field_value,
)

DEFAULT_MODE = 0o644
DATA = "..data"


@dataclasses.dataclass(frozen=True)
class VolumeFile:
    """One file of a volume; `path` is relative to the volume's folder."""

    path: str
    content: bytes = dataclasses.field(repr=False)
    mode: int = DEFAULT_MODE


def volume_references(pod: Mapping[str, Any]) -> set[Reference]:
    """The ConfigMaps and Secrets that a pod's volumes hold."""
    found = set()
    for volume in pod["spec"].get("volumes") or ():
        for source in _sources(volume):
            reference = _reference(source)
            if reference:
                found.add(reference)
    return found


def plan_volume(
    volume: Mapping[str, Any], pod: Mapping[str, Any], objects: Objects, context: Mapping[str, str]
) -> list[VolumeFile]:
    """The files of one volume; an emptyDir has none. Raises ConfigError for what is missing or not supported."""
    files: dict[str, VolumeFile] = {}
    for source in _sources(volume):
        for file in _files(source, pod, objects, context):
            files[file.path] = file
    return [files[path] for path in sorted(files)]


def mount_path(container: Mapping[str, Any], name: str, volumes_dir: Path) -> Path | None:
    """The folder (or file, with a subPath) that a container's volume mount of that name stands for."""
    for mount in container.get("volumeMounts") or ():
        if mount["name"] == name:
            return volumes_dir / name / (mount.get("subPath") or "")
    return None


def is_scratch(volume: Mapping[str, Any]) -> bool:
    """Whether the volume's files are the pod's own (an emptyDir) and none are written from here."""
    return not _sources(volume) and "projected" not in volume


def make_scratch(folder: Path) -> None:
    """Make the folder of an emptyDir, unless it is there."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)


def write_volume(folder: Path, files: Sequence[VolumeFile]) -> bool:
    """Make a volume's files these and no others, and tell whether anything changed.

    They change all at once, in the kubelet's layout: the files are in a folder of their own, `..data` is a link to
    it that is replaced in one step, and each name in the volume is a link into `..data`.
    """
    make_scratch(folder)
    data = folder / DATA
    if data.is_symlink() and _read(data) == {file.path: (file.content, file.mode) for file in files}:
        return False
    fresh = Path(tempfile.mkdtemp(prefix="..", dir=folder))
    for file in files:
        path = fresh / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_bytes(file.content)
        path.chmod(file.mode)
    _link(data, fresh.name)
    names = {PurePosixPath(file.path).parts[0] for file in files}
    for name in names:
        _link(folder / name, f"{DATA}/{name}")
    for entry in folder.iterdir():
        if entry.name not in {*names, DATA, fresh.name}:
            _remove(entry)
    return True


def _read(data: Path) -> dict[str, tuple[bytes, int]]:
    """Content and mode of every file, by its path."""
    found = {}
    for path in data.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            if path.is_file():
                found[str(path.relative_to(data))] = (path.read_bytes(), path.stat().st_mode & 0o777)
    return found


def _link(path: Path, target: str) -> None:
    """Make `path` a link to `target` in one step, whatever it was."""
    if path.is_symlink() and str(path.readlink()) == target:
        return
    draft = path.with_name(f"..{path.name}.new")
    draft.unlink(missing_ok=True)
    draft.symlink_to(target)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)  # from an agent that wrote plain folders
    draft.replace(path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def remove_tree(folder: Path) -> None:
    """Delete a pod's folder; one that is gone already is no error."""
    shutil.rmtree(folder, ignore_errors=False, onerror=_ignore_absent)


def _ignore_absent(_function: Any, _path: str, info: Any) -> None:
    if not isinstance(info[1], FileNotFoundError):
        raise info[1]


def _sources(volume: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A volume as a list of sources in one form: {kind, name, items, optional, mode}."""
    for field, kind, name in (("configMap", CONFIG_MAP, "name"), ("secret", SECRET, "secretName")):
        if field in volume:
            raw = volume[field]
            return [_source(kind, raw, raw.get(name), raw.get("defaultMode"))]
    if "downwardAPI" in volume:
        return [_source("downward", volume["downwardAPI"], None, volume["downwardAPI"].get("defaultMode"))]
    if "projected" in volume:
        return _projected(volume["projected"])
    if "emptyDir" in volume or set(volume) == {"name"}:
        return []
    kinds = ", ".join(sorted(set(volume) - {"name"}))
    raise ConfigError(f'volume "{volume["name"]}": the lab\'s node does not provide {kinds} volumes')


def _projected(raw: Mapping[str, Any]) -> list[dict[str, Any]]:
    sources = raw.get("sources") or []
    if any("serviceAccountToken" in source for source in sources):
        return []  # the API credentials that admission adds: processes of the lab do not call the API
    result = []
    for source in sources:
        for field, kind in (("configMap", CONFIG_MAP), ("secret", SECRET), ("downwardAPI", "downward")):
            if field in source:
                result.append(_source(kind, source[field], source[field].get("name"), raw.get("defaultMode")))
    return result


def _source(kind: str, raw: Mapping[str, Any], name: str | None, mode: int | None) -> dict[str, Any]:
    return {
        "kind": kind,
        "name": name,
        "items": raw.get("items"),
        "optional": bool(raw.get("optional")),
        "mode": DEFAULT_MODE if mode is None else mode,
    }


def _reference(source: Mapping[str, Any]) -> Reference | None:
    if source["kind"] == "downward":
        return None
    return Reference(source["kind"], source["name"], source["optional"])


def _files(
    source: Mapping[str, Any], pod: Mapping[str, Any], objects: Objects, context: Mapping[str, str]
) -> list[VolumeFile]:
    if source["kind"] == "downward":
        return [
            VolumeFile(
                _safe(item["path"]),
                field_value(item["fieldRef"]["fieldPath"], pod, context).encode(),
                item.get("mode", source["mode"]),
            )
            for item in source["items"] or ()
            if "fieldRef" in item
        ]
    content = objects.get((source["kind"], source["name"]))
    if content is None:
        if source["optional"]:
            return []
        raise ConfigError(f'{source["kind"]} "{source["name"]}" not found')
    if source["items"] is None:
        return [VolumeFile(_safe(key), value, source["mode"]) for key, value in content.items()]
    files = []
    for item in source["items"]:
        if item["key"] in content:
            files.append(VolumeFile(_safe(item["path"]), content[item["key"]], item.get("mode", source["mode"])))
        elif not source["optional"]:
            raise ConfigError(f'{source["kind"]} "{source["name"]}" references non-existent config key: {item["key"]}')
    return files


def _safe(path: str) -> str:
    """A path inside the volume; the API server refuses others, and nothing else may be written to."""
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts:
        raise ConfigError(f"volume path {path!r} leads out of its volume")
    return path
