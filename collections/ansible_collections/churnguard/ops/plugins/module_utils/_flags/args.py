# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that the modules of feature flags share, and what they show of a flag. Internal: may change in any
release."""

from __future__ import annotations

from datetime import date
from typing import Any

from .._common.clock import Clock
from .._kubernetes.access import connect
from .._kubernetes.args import auth_argument_spec
from .api import FlagsApi
from .model import DESCRIPTION, EXPIRES, OWNER, Document, Flag, is_expired, metadata_of, type_of
from .plan import describe
from .rules import read_rule


def place_argument_spec() -> dict[str, dict[str, Any]]:
    """Argument spec of the documentation fragments churnguard.ops.kubernetes and churnguard.ops.flags."""
    return {
        **auth_argument_spec(),
        "name": {"type": "str", "required": True},
        "namespace": {"type": "str", "required": True},
        # Not a secret, in spite of its name.
        "key": {"type": "str", "default": "flags.json", "no_log": False},
        "api_patience": {"type": "int", "default": 30},
    }


def api_of(params: dict[str, Any]) -> FlagsApi:
    """The connection that the parameters describe. Raises OperationError."""
    return FlagsApi(connect(params, Clock()), params["namespace"], params["name"], params["key"])


def shown(document: Document, today: date) -> list[dict[str, Any]]:
    """Every flag of a document in the terms of the module's options, for results."""
    return [_shown(name, flag, today) for name, flag in document["flags"].items() if isinstance(flag, dict)]


def _shown(name: str, flag: Flag, today: date) -> dict[str, Any]:
    variants, metadata = flag.get("variants"), metadata_of(flag)
    shorthand = read_rule(flag)
    return {
        "name": name,
        "state": str(flag.get("state", "")).lower(),
        "answers": describe(flag),
        "type": type_of(variants),
        "variants": variants,
        "default_variant": flag.get("defaultVariant"),
        "percentage": shorthand.percentage if shorthand else None,
        "conditions": shorthand.conditions if shorthand else None,
        "targeting": flag.get("targeting") or {},
        "owner": metadata.get(OWNER, ""),
        "expires": metadata.get(EXPIRES, ""),
        "expired": is_expired(flag, today),
        "description": metadata.get(DESCRIPTION, ""),
    }
