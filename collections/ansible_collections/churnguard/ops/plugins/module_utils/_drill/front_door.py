# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The front door before two regions, and how traffic is moved there. Internal: may change in any release.

A mover has C(serving()), the names of the servers that get traffic, and C(move(name)), after which that one alone does.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .._common.errors import OperationError

_ADMIN_S = 5.0
# Columns of "show servers state", version 1 (HAProxy's management guide): the server's name, its operational state (0
# is stopped), and its administrative state, in which these bits are maintenance now (0x04 only says that it began so).
_NAME, _OPERATIONAL, _ADMINISTRATIVE = 3, 5, 6
_MAINTENANCE = 0x01 | 0x02 | 0x20


@dataclass(frozen=True)
class HaproxyDoor:
    """An HAProxy, by its runtime API on C(admin) (host:port); C(backend) holds a server for each region."""

    admin: str
    backend: str
    servers: tuple[str, ...]

    def as_data(self) -> dict[str, Any]:
        return {"admin": self.admin, "backend": self.backend, "servers": list(self.servers)}

    def serving(self) -> set[str]:
        """Names of the servers that get requests. Raises OperationError."""
        return parse_serving(self._ask(f"show servers state {self.backend}")) & set(self.servers)

    def move(self, name: str) -> None:
        """All traffic to one server: first it gets some, then the others none. Raises OperationError."""
        for server in sorted(self.servers, key=lambda server: server != name):
            self._ask(f"set server {self.backend}/{server} state {'ready' if server == name else 'maint'}")
        if (found := self.serving()) != {name}:
            raise OperationError(
                f"move traffic to {name}",
                f"{self.admin} serves {', '.join(sorted(found)) or 'nothing'}.",
                f"see what 'show servers state {self.backend}' says there.",
            )

    def _ask(self, command: str) -> str:
        host, _colon, port = self.admin.rpartition(":")
        try:
            with socket.create_connection((host, int(port)), timeout=_ADMIN_S) as line:
                line.sendall(f"{command}\n".encode())
                parts = []
                while part := line.recv(65536):
                    parts.append(part)
        except OSError as error:
            raise OperationError(
                f"tell the front door {self.admin}: {command}", f"{error}.", "see whether it runs."
            ) from error
        answer = b"".join(parts).decode(errors="replace").strip()
        if command.startswith("set ") and answer:
            raise OperationError(f"tell the front door {self.admin}: {command}", f"{answer}.", "correct front_door.")
        return answer


def from_data(data: Mapping[str, Any]) -> HaproxyDoor:
    """The door that as_data() gave."""
    return HaproxyDoor(data["admin"], data["backend"], tuple(data["servers"]))


def parse_serving(text: str) -> set[str]:
    """Servers that are neither stopped nor in maintenance, from "show servers state"."""
    found = set()
    for line in text.splitlines():
        fields = line.split()
        if line.startswith("#") or len(fields) <= _ADMINISTRATIVE:
            continue
        if fields[_OPERATIONAL] != "0" and not int(fields[_ADMINISTRATIVE]) & _MAINTENANCE:
            found.add(fields[_NAME])
    return found
