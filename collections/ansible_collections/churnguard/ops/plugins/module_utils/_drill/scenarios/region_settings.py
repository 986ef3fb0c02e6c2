# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of region_loss, as objects. Internal: may change in any release."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..._postgres.model import Options
from ..database_node import Node
from ..front_door import HaproxyDoor
from ..heartbeat import SCHEMA
from ..homecoming import Pair

# amcheck needs its extension, which nobody creates on a living source; name it where it is there.
_CHECKS = ["rows", "content", "sequences", "catalog", "roles", "settings", "extensions", "collations", "foreign_keys"]
_WORDS = {"type": "list", "elements": "str"}
_REGION: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "url": {"type": "str", "required": True},
    "server": {"type": "str", "required": True},
    "host": {"type": "str", "default": "127.0.0.1"},
    "port": {"type": "int", "required": True},
    "data_dir": {"type": "path", "required": True},
    "config_file": {"type": "path", "default": ""},
    "start_database": {**_WORDS, "required": True},
    "stop_database": {**_WORDS, "required": True},
}
SPEC: dict[str, dict[str, Any]] = {
    "first": {
        "type": "dict",
        "required": True,
        "options": {
            **_REGION,
            "start": {**_WORDS, "required": True},
            "process_variable": {"type": "str", "required": True},
            "process_value": {"type": "str", "required": True},
        },
    },
    "second": {
        "type": "dict",
        "required": True,
        "options": {
            **_REGION,
            "up": {**_WORDS, "default": []},
            "down": {**_WORDS, "default": []},
            "folders": {"type": "list", "elements": "path", "default": []},
        },
    },
    "database": {
        "type": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "user": {"type": "str", "default": "postgres"},
            "password_file": {"type": "path", "required": True, "no_log": False},
            "application_user": {"type": "str", "required": True},
            "application_password_file": {"type": "path", "required": True, "no_log": False},
            "programs": {"type": "path", "default": "/usr/lib/postgresql/15/bin"},
            "system_user": {"type": "str", "default": "postgres"},
            "slot": {"type": "str", "default": ""},
        },
    },
    "front_door": {
        "type": "dict",
        "required": True,
        "options": {
            "url": {"type": "str", "required": True},
            "headers": {"type": "dict", "default": {}},
            "region_header": {"type": "str", "default": ""},
            "admin": {"type": "str", "required": True},
            "backend": {"type": "str", "required": True},
        },
    },
    "write": {**_WORDS, "required": True},
    "manifest": {
        "type": "dict",
        "default": {},
        "apply_defaults": True,
        "options": {
            "include": {"type": "list", "elements": "str", "default": ["*.*"]},
            "exclude": {"type": "list", "elements": "str", "default": []},
            "checks": {"type": "list", "elements": "str", "default": _CHECKS},
            "allow_skipped": {"type": "list", "elements": "str", "default": []},
            "ignore_settings": {"type": "list", "elements": "str", "default": []},
        },
    },
    "ledger_rate": {"type": "float", "default": 20.0},
    "ledger_seconds": {"type": "float", "default": 3.0},
    "stall_seconds": {"type": "float", "default": 0.0},
    "max_lag_bytes": {"type": "int", "default": 16 << 20},
    "max_lost_writes": {"type": "int"},
    "up_timeout": {"type": "int", "default": 600},
    "timeout": {"type": "int", "default": 300},
}


@dataclass(frozen=True)
class Places:
    """Both databases, the front door, and the slot through which one follows the other."""

    pair: Pair
    door: HaproxyDoor
    own_slot: bool


def places(options: Mapping[str, Any], drill_slot: str, kept: Path) -> Places:
    """The places of the settings; the slot is the drill's own where none is named."""
    slot = options["database"]["slot"] or drill_slot
    pair = Pair(node(options, "first"), node(options, "second"), slot, str(kept))
    front = options["front_door"]
    door = HaproxyDoor(front["admin"], front["backend"], (options["first"]["server"], options["second"]["server"]))
    return Places(pair, door, not options["database"]["slot"])


def node(options: Mapping[str, Any], which: str) -> Node:
    """The database of a region, C(first) or C(second)."""
    region, base = options[which], options["database"]
    return Node(
        name=region["name"],
        host=region["host"],
        port=region["port"],
        data_dir=region["data_dir"],
        user=base["user"],
        database=base["name"],
        password_file=base["password_file"],
        programs=base["programs"],
        system_user=base["system_user"],
        start=tuple(region["start_database"]),
        stop=tuple(region["stop_database"]),
        config_file=region["config_file"],
    )


def application_login(options: Mapping[str, Any], which: str) -> dict[str, Any]:
    """How the application logs in to a region's database."""
    region, base = options[which], options["database"]
    password = Path(base["application_password_file"]).read_text(encoding="utf-8").strip()
    return {
        "login_host": region["host"],
        "login_port": region["port"],
        "login_user": base["application_user"],
        "login_password": password,
        "login_db": base["name"],
    }


def manifest_options(options: Mapping[str, Any]) -> Options:
    """What is compared between the regions: all but the ledger's table."""
    wanted = options["manifest"]
    return Options(
        include=tuple(wanted["include"]),
        exclude=(*wanted["exclude"], f"{SCHEMA}.*"),
        checks=tuple(wanted["checks"]),
        allow_skipped=tuple(wanted["allow_skipped"]),
        ignore_settings=tuple(wanted["ignore_settings"]),
        may_create=False,
    )
