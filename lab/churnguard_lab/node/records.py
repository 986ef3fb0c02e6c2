"""What the agent writes down of each pod, so that the next agent knows its processes again."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from churnguard_lab.node.backoff import Backoff
from churnguard_lab.node.process import Identity
from churnguard_lab.node.status import ContainerState, Termination

FILE = "state.json"


@dataclasses.dataclass
class ContainerRecord:
    """One container: its reported state, its process, and what its next start depends on.

    failed_at: when the last run ended, in unix seconds. log_offset: where this run's output begins in the log.
    """

    state: ContainerState
    identity: Identity | None = None
    failed_at: float | None = None
    log_offset: int = 0
    restarts: Backoff = dataclasses.field(default_factory=Backoff)
    pulls: Backoff = dataclasses.field(default_factory=Backoff)


@dataclasses.dataclass
class PodRecord:
    """One pod on this node. start_time: unix seconds."""

    uid: str
    namespace: str
    name: str
    pod_ip: str
    start_time: float
    containers: dict[str, ContainerRecord] = dataclasses.field(default_factory=dict)


def dump(record: PodRecord) -> str:
    """A record as JSON. It holds no environment and no secret."""
    return json.dumps(dataclasses.asdict(record), indent=1)


def parse(text: str) -> PodRecord:
    """A record from JSON. Raises ValueError when it is not one."""
    try:
        raw = json.loads(text)
        containers = {name: _container(values) for name, values in raw.pop("containers").items()}
        return PodRecord(containers=containers, **raw)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"not a pod record: {error}") from error


def save(folder: Path, record: PodRecord) -> None:
    """Write a pod's record; a reader sees the old one or the new one, never a part."""
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f".{FILE}.{os.getpid()}"
    draft.write_text(dump(record), encoding="utf-8")
    draft.replace(folder / FILE)


def load_all(pods_dir: Path) -> tuple[dict[str, PodRecord], list[Path]]:
    """All records by pod uid, and the folders whose record cannot be read."""
    found: dict[str, PodRecord] = {}
    broken = []
    for folder in sorted(path for path in pods_dir.glob("*") if path.is_dir()):
        try:
            record = parse((folder / FILE).read_text(encoding="utf-8"))
            found[record.uid] = record
        except (OSError, ValueError):
            broken.append(folder)
    return found, broken


def _container(raw: Mapping[str, Any]) -> ContainerRecord:
    state = dict(raw["state"])
    for field in ("terminated", "last"):
        state[field] = Termination(**state[field]) if state[field] else None
    return ContainerRecord(
        state=ContainerState(**state),
        identity=Identity(**raw["identity"]) if raw["identity"] else None,
        failed_at=raw["failed_at"],
        log_offset=raw["log_offset"],
        restarts=Backoff(**raw["restarts"]),
        pulls=Backoff(**raw["pulls"]),
    )
