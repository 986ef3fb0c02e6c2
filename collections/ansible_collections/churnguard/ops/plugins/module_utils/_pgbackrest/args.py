# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that all modules about pgBackRest share. Internal: may change in any release."""

from __future__ import annotations

from typing import Any

from .model import Place


def place_argument_spec() -> dict[str, dict[str, Any]]:
    """Argument spec of the doc fragment C(pgbackrest)."""
    return {
        "stanza": {"type": "str", "required": True},
        "config": {"type": "path", "default": "/etc/pgbackrest/pgbackrest.conf"},
        "repo": {"type": "int"},
        "pgbackrest": {"type": "path", "default": "pgbackrest"},
        "system_user": {"type": "str", "default": "postgres"},
    }


def place_of(params: dict[str, Any]) -> Place:
    """The place that the parameters name."""
    return Place(params["config"], params["stanza"], params["repo"] or 0, params["pgbackrest"])
