"""Volumes: which files a pod's volumes hold (pure), and writing them under the pod's own folder."""

from __future__ import annotations

import dataclasses
import shutil
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


def write_volume(folder: Path, files: Sequence[VolumeFile]) -> None:
    """Write a volume's files. What is there already (a pod of a restarted agent) is replaced file by file."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    for file in files:
        path = folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.new")
        draft.unlink(missing_ok=True)
        draft.touch(mode=0o600)
        draft.write_bytes(file.content)
        draft.chmod(file.mode)
        draft.replace(path)


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
