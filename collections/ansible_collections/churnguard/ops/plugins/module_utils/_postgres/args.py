# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How to reach a PostgreSQL server: a module's options, as libpq's parameters. Internal: may change in any release."""

from __future__ import annotations

from typing import Any

SSL_MODES = ["allow", "disable", "prefer", "require", "verify-ca", "verify-full"]
CONNECT_TIMEOUT_S = 10


def login_argument_spec() -> dict[str, dict[str, Any]]:
    """The options of the fragment churnguard.ops.postgresql."""
    return {
        "login_host": {"type": "str", "default": ""},
        "login_port": {"type": "int", "default": 5432},
        "login_user": {"type": "str", "default": "postgres"},
        "login_password": {"type": "str", "no_log": True},
        "login_db": {"type": "str", "default": "postgres"},
        "login_unix_socket": {"type": "path", "default": ""},
        "ssl_mode": {"type": "str", "default": "prefer", "choices": SSL_MODES},
        "ssl_rootcert": {"type": "path", "aliases": ["ca_cert"]},
    }


def connect_parameters(params: dict[str, Any]) -> dict[str, Any]:
    """What psycopg2.connect takes, from a module's C(params). A socket's folder is used where no host is named."""
    given = {
        "host": params.get("login_host") or params.get("login_unix_socket"),
        "port": params.get("login_port"),
        "user": params.get("login_user"),
        "password": params.get("login_password"),
        "dbname": params.get("login_db"),
        "sslmode": params.get("ssl_mode"),
        "sslrootcert": params.get("ssl_rootcert"),
    }
    found = {name: value for name, value in given.items() if value not in (None, "")}
    return {**found, "connect_timeout": CONNECT_TIMEOUT_S, "application_name": "churnguard.ops"}
