# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a whole namespace from the API server. Internal: may change in any release."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .._common.errors import OperationError
from .._kubernetes.connection import Connection
from .._kubernetes.objects import Ref
from .namespace_plan import EXCLUDED_GROUPS, Resource, exported


@dataclass(frozen=True)
class ResourceRef(Ref):
    """The objects of a kind that discovery told of."""

    resource: Resource = Resource("", "", "")

    @property
    def group(self) -> str:
        return self.resource.group

    @property
    def plural(self) -> str:
        return self.resource.plural

    @property
    def api_version(self) -> str:
        return self.resource.api_version


@dataclass(frozen=True)
class PlainPath(Ref):
    """An address of the API server that is no object of a namespace: discovery, or the namespace itself."""

    address: str = ""

    @property
    def group(self) -> str:
        return ""

    @property
    def plural(self) -> str:
        return self.kind

    @property
    def path(self) -> str:
        return self.address

    def __str__(self) -> str:
        return self.address


def get_namespace(connection: Connection, name: str) -> dict[str, Any]:
    """The Namespace object. Raises OperationError if there is none."""
    found = connection.get(PlainPath("namespaces", name, name, f"/api/v1/namespaces/{name}"))
    if found is None:
        raise OperationError(f"export the namespace {name}", "there is none of that name.", "check namespace.")
    return {"apiVersion": "v1", "kind": "Namespace", **found}


def list_resources(connection: Connection, namespace: str, excluded_kinds: Sequence[str]) -> list[Resource]:
    """Every kind of object that a namespace can hold and that is exported, each in the version the server prefers."""
    groups = _discover(connection, namespace, "/apis").get("groups") or []
    versions = ["v1"] + [
        group["preferredVersion"]["groupVersion"] for group in groups if group["name"] not in EXCLUDED_GROUPS
    ]
    found = []
    for version in versions:
        entries = _discover(connection, namespace, f"/apis/{version}" if "/" in version else f"/api/{version}")
        group = version.rpartition("/")[0]
        found += [
            Resource(version, entry["kind"], entry["name"])
            for entry in entries.get("resources") or []
            if exported(entry, group, excluded_kinds)
        ]
    return found


def list_objects(connection: Connection, resource: Resource, namespace: str) -> list[dict[str, Any]]:
    """The objects of one kind; lists leave out what the kind is, so that it is put back."""
    items = connection.list(ResourceRef(resource.kind, namespace, "", resource))
    return [{**item, "apiVersion": resource.api_version, "kind": resource.kind} for item in items]


def _discover(connection: Connection, namespace: str, address: str) -> dict[str, Any]:
    answer = connection.get(PlainPath("discovery", namespace, "", address))
    if answer is None:
        raise OperationError(
            f"read {address} of the API server", "it is not there.", "see whether an aggregated API is broken."
        )
    return answer
