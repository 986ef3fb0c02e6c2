# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Kubernetes API server in memory: it keeps objects and versions as the real one does, and can be told to refuse a
verb, to lose an answer, or to see its client die. It stands for the remote system, never for code of this collection.
"""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import Clock
from ansible_collections.churnguard.ops.plugins.module_utils._kubernetes.connection import FIELD_MANAGER
from ansible_collections.churnguard.ops.plugins.module_utils._kubernetes.errors import error_from_response
from ansible_collections.churnguard.ops.plugins.module_utils._kubernetes.objects import Ref

from .workloads import Workloads

Key = tuple[str, str, str]


class Killed(BaseException):
    """The process that made the request is dead: no handler of its own may run."""


@dataclass
class Write:
    """One accepted write, with the object before (None when created) and after."""

    verb: str
    ref: Ref
    before: dict[str, Any] | None
    after: dict[str, Any]


class FakeCluster:
    """The objects, and the controllers that act on them as time passes. C(version) grows with every change."""

    def __init__(self, clock: Clock, **delays: float) -> None:
        self.clock = clock
        self.objects: dict[Key, dict[str, Any]] = {}
        self.writes: list[Write] = []
        self.watchers: list[Callable[[Write], None]] = []
        self.refused: dict[tuple[str, str], int] = {}
        self.workloads = Workloads(self, **delays)
        self.version = 100
        self._lock = threading.RLock()

    # -- for tests: what other hands do --------------------------------------------------------------------------

    def put(self, obj: dict[str, Any]) -> None:
        """Store C(obj) as if another client had written it."""
        metadata = obj["metadata"]
        self.store((obj["kind"], metadata["namespace"], metadata["name"]), obj)

    def find(self, kind: str, name: str) -> dict[str, Any] | None:
        """The live object, whatever its namespace. Not a copy."""
        return next((obj for key, obj in self.objects.items() if (key[0], key[2]) == (kind, name)), None)

    def edit(self, kind: str, name: str, change: Callable[[dict[str, Any]], None]) -> None:
        """Let another client change an object."""
        obj = copy.deepcopy(self.find(kind, name))
        if obj is None:
            raise KeyError(f"{kind} {name}")
        change(obj)
        self.put(obj)

    def remove(self, kind: str, name: str) -> None:
        self.version += 1
        self.objects = {key: obj for key, obj in self.objects.items() if (key[0], key[2]) != (kind, name)}

    # -- what the API does ---------------------------------------------------------------------------------------

    def store(self, key: Key, obj: dict[str, Any]) -> dict[str, Any]:
        """Keep C(obj) under a new version, and a new generation if its spec changed; no change, no new version."""
        old = self.objects.get(key)
        new = copy.deepcopy(obj)
        metadata = new["metadata"]
        metadata["resourceVersion"] = old["metadata"]["resourceVersion"] if old else ""
        metadata["generation"] = old["metadata"]["generation"] if old else 1
        if old == new:
            return old
        if old is not None and old.get("spec") != new.get("spec"):
            metadata["generation"] += 1
        self.version += 1
        metadata["resourceVersion"] = str(self.version)
        self.objects[key] = new
        return new

    def read(self, ref: Ref) -> dict[str, Any] | None:
        with self._lock:
            self.workloads.settle()
            return copy.deepcopy(self.objects.get((ref.kind, ref.namespace, ref.name)))

    def select(self, ref: Ref, label_selector: str = "", field_selector: str = "") -> list[dict[str, Any]]:
        wanted = dict(pair.split("=") for pair in label_selector.split(",") if pair)
        fields = [pair.split("=") for pair in field_selector.split(",") if pair]
        with self._lock:
            self._may("list", ref)
            self.workloads.settle()
            return [
                copy.deepcopy(obj)
                for (kind, namespace, _name), obj in self.objects.items()
                if (kind, namespace) == (ref.kind, ref.namespace)
                and wanted.items() <= obj["metadata"].get("labels", {}).items()
                and all(_field(obj, path) == value for path, value in fields)
            ]

    def write(self, verb: str, ref: Ref, body: Any) -> dict[str, Any]:
        """Apply one write as the API server does, or raise what it would answer."""
        with self._lock:
            self.workloads.settle()
            self._may(verb, ref)
            key = (ref.kind, ref.namespace, ref.name)
            live = self.objects.get(key)
            before = copy.deepcopy(live)
            after = copy.deepcopy(self.store(key, _admitted(verb, ref, live, body)))
            if before != after:
                done = Write(verb, ref, before, after)
                self.writes.append(done)
                for watcher in self.watchers:
                    watcher(done)
            return after

    def _may(self, verb: str, ref: Ref) -> None:
        status = self.refused.get((verb, ref.kind))
        if status:
            raise answer(verb, ref, status, f"{ref.plural} is forbidden: cannot {verb}")


def _field(obj: dict[str, Any], path: str) -> Any:
    for step in path.split("."):
        obj = obj.get(step, {})
    return obj


def answer(verb: str, ref: Ref, status: int, message: str) -> Exception:
    return error_from_response(verb, ref, status, json.dumps({"message": message}).encode())


def _admitted(verb: str, ref: Ref, live: dict[str, Any] | None, body: Any) -> dict[str, Any]:
    """The object that a request asks for, if the server takes it."""
    if verb == "create":
        if live is not None:
            raise answer(verb, ref, 409, f'"{ref.name}" already exists')
        return body
    if live is None and (verb, ref.kind) == ("update", "Lease"):
        return body  # The real server does so too: leases may be created by an update.
    if live is None:
        raise answer(verb, ref, 404, f'"{ref.name}" not found')
    wanted = copy.deepcopy(body) if verb == "update" else patched(live, body)
    version = wanted["metadata"].get("resourceVersion")
    if not version:
        raise answer(verb, ref, 422, "metadata.resourceVersion: must be specified for an update")
    if version != live["metadata"]["resourceVersion"]:
        raise answer(verb, ref, 409, "the object has been modified; please apply your changes to the latest version")
    if "status" in live:
        wanted["status"] = live["status"]
    if "managedFields" in live["metadata"]:
        wanted["metadata"]["managedFields"] = _reassigned(live, wanted)
    if ref.kind == "Deployment" and wanted["spec"]["selector"] != live["spec"]["selector"]:
        raise answer(verb, ref, 422, "spec.selector: Invalid value: field is immutable")
    return wanted


def _reassigned(live: dict[str, Any], wanted: dict[str, Any]) -> list[dict[str, Any]]:
    """managedFields after an update: what it gives, or else what there was, and each field of the spec that it
    changes is the writer's alone. Objects without managedFields stay without."""
    entries = copy.deepcopy(wanted["metadata"].get("managedFields") or live["metadata"]["managedFields"])
    old, new = live["spec"], wanted["spec"]
    changed = {f"f:{name}" for name in (*old, *new) if old.get(name) != new.get(name)}
    ours = next((e for e in entries if (e["manager"], e["operation"]) == (FIELD_MANAGER, "Update")), None)
    if changed and ours is None:
        ours = {"manager": FIELD_MANAGER, "operation": "Update", "fieldsV1": {}}
        entries.append(ours)
    for entry in entries:
        fields = entry["fieldsV1"].setdefault("f:spec", {})
        for name in changed:
            fields.pop(name, None)
        if entry is ours:
            fields.update({name: {} for name in changed if name[2:] in new})
    return [entry for entry in entries if entry["fieldsV1"]["f:spec"]]


def patched(live: dict[str, Any], patch: Any) -> dict[str, Any]:
    """C(live) after a JSON Patch (a list; add, remove and replace only) or a JSON Merge Patch (an object)."""
    result = copy.deepcopy(live)
    if isinstance(patch, dict):
        return _merged(result, patch)
    for operation in patch:
        *way, last = operation["path"].strip("/").split("/")
        node: Any = result
        for step in way:
            node = node[int(step)] if isinstance(node, list) else node[step]
        if operation["op"] in ("replace", "remove") and last not in node:
            raise KeyError(f"nothing to {operation['op']} at {operation['path']}")
        if operation["op"] == "remove":
            del node[last]
        else:
            node[last] = operation["value"]
    return result


def _merged(node: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    for key, value in patch.items():
        if value is None:
            node.pop(key, None)
        elif isinstance(value, dict):
            node[key] = _merged(node.get(key) or {}, value)
        else:
            node[key] = value
    return node


@dataclass
class Client:
    """One process's connection: has the methods of Connection, and dies or loses answers where a test says so.

    C(kill_at) and C(lose_at) count this client's writes from 1; C(landed) says whether the deadly write still
    arrived. A lost answer is tried again, as Connection does, so that the caller sees the second one. C(before) maps
    the number of a write to what somebody else does just before it arrives.
    """

    cluster: FakeCluster
    kill_at: int = 0
    landed: bool = False
    lose_at: int = 0
    sent: int = 0
    dead: bool = False
    before: dict[int, Callable[[], Any]] = field(default_factory=dict)

    def server_now(self) -> datetime:
        return self.cluster.clock.now()

    def get(self, ref: Ref) -> dict[str, Any] | None:
        self._alive()
        return self.cluster.read(ref)

    def list(self, ref: Ref, label_selector: str = "", field_selector: str = "") -> list[dict[str, Any]]:
        self._alive()
        return self.cluster.select(ref, label_selector, field_selector)

    def create(self, ref: Ref, body: dict[str, Any]) -> dict[str, Any]:
        return self._write("create", ref, body)

    def replace(self, ref: Ref, body: dict[str, Any]) -> dict[str, Any]:
        return self._write("update", ref, body)

    def json_patch(self, ref: Ref, version: str, operations: list[dict[str, Any]]) -> dict[str, Any]:
        guard = {"op": "replace", "path": "/metadata/resourceVersion", "value": version}
        return self._write("patch", ref, [guard, *operations])

    def merge_patch(self, ref: Ref, version: str, body: dict[str, Any]) -> dict[str, Any]:
        return self._write("patch", ref, {**body, "metadata": {**body["metadata"], "resourceVersion": version}})

    def _alive(self) -> None:
        if self.dead:
            raise Killed

    def _write(self, verb: str, ref: Ref, body: Any) -> dict[str, Any]:
        self._alive()
        self.sent += 1
        self.before.pop(self.sent, lambda: None)()
        if self.sent == self.kill_at:
            self.dead = True
            if self.landed:
                self.cluster.write(verb, ref, body)
            raise Killed
        if self.sent == self.lose_at:
            self.cluster.write(verb, ref, body)
        return self.cluster.write(verb, ref, body)
