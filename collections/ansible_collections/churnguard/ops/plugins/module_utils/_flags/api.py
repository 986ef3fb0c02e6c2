# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The document in its ConfigMap, one remote call per method. Internal: may change in any release."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from datetime import date
from typing import Any

from .._kubernetes.connection import Connection
from .._kubernetes.objects import Ref, resource_version
from .model import Document, dump_document, empty_document, parse_document


@dataclass(frozen=True)
class Stored:
    """The document as it was read, and the object that held it (None if there was none)."""

    document: Document
    config_map: dict[str, Any] | None

    @property
    def version(self) -> str:
        """The resourceVersion of what was read; empty if there was nothing."""
        return resource_version(self.config_map) if self.config_map else ""


class FlagsApi:
    """One key of one ConfigMap. Every write carries the resourceVersion of what was read."""

    def __init__(self, connection: Connection, namespace: str, name: str, key: str) -> None:
        self._connection, self._key = connection, key
        self._ref = Ref("ConfigMap", namespace, name)

    @property
    def place(self) -> str:
        """How messages name the document."""
        return f"{self._ref} key {self._key}"

    def read(self) -> Stored:
        """The document; an absent one is empty. Raises OperationError when the key holds something else."""
        config_map = self._connection.get(self._ref)
        text = ((config_map or {}).get("data") or {}).get(self._key)
        return Stored(parse_document(text, self.place) if text is not None else empty_document(), config_map)

    def write(self, stored: Stored, document: Document) -> None:
        """Put C(document) in the place of what was read. Raises Conflict if somebody else wrote meanwhile."""
        if stored.config_map is None:
            metadata = {"name": self._ref.name, "namespace": self._ref.namespace}
            body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
            self._connection.create(self._ref, {**body, "data": {self._key: dump_document(document)}})
            return
        body = copy.deepcopy(stored.config_map)
        body["data"] = {**(body.get("data") or {}), self._key: dump_document(document)}
        self._connection.replace(self._ref, body)

    def today(self) -> date:
        """The API server's date (UTC), after a call; that of this machine before."""
        return self._connection.server_now().date()
