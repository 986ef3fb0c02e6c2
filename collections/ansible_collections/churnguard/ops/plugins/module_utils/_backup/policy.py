# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Policies from data, and moments from what providers write. Pure. Internal: may change in any release."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from .._common.clock import parse_time
from .._common.errors import OperationError
from .model import Policy

FREQUENCIES = ("hourly", "daily", "weekly")
# What a policy's entry may say, and as what: the module's suboptions are checked by Ansible, data of a role are not.
_THRESHOLDS = ("max_age", "copy_max_age", "verify_within", "drill_within", "min_count", "min_size", "retention_days")


def read_policies(entries: list[dict[str, Any]]) -> list[Policy]:
    """The policies of the list of dictionaries C(entries). Raises OperationError that names entry and field."""
    policies = [_read_policy(entry) for entry in entries]
    names = [policy.component for policy in policies]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise _wrong(", ".join(twice), "has more than one policy", "keep one for each component")
    return policies


def moment(value: Any) -> datetime | None:
    """C(value) as an aware moment in UTC; None when it is absent or no moment.

    Takes datetimes, seconds since 1970 and ISO 8601. A text or datetime without a time zone is nobody's moment: where
    it was written decides what it means, so it is None, too."""
    if isinstance(value, bool) or value in (None, ""):
        return None
    try:
        if isinstance(value, (int, float)):
            return datetime.fromtimestamp(value, timezone.utc)
        read = value if isinstance(value, datetime) else parse_time(str(value))
    except (ValueError, OverflowError, OSError):
        return None
    return read.astimezone(timezone.utc) if read.tzinfo is not None else None


def _read_policy(entry: dict[str, Any]) -> Policy:
    component = str(entry.get("component") or "")
    if not component:
        raise _wrong("without a component", "does not say which component it is for", "add component")
    frequency = entry.get("frequency") or ""
    if frequency and frequency not in FREQUENCIES:
        raise _wrong(component, f"has the frequency {frequency}", f"use one of {', '.join(FREQUENCIES)}")
    unknown = sorted(set(entry) - set(Policy.__dataclass_fields__))
    if unknown:
        known = ", ".join(Policy.__dataclass_fields__)
        raise _wrong(component, f"has the unknown fields {', '.join(unknown)}", f"use only {known}")
    for name in _THRESHOLDS:
        value = entry.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float)) or value <= 0):
            raise _wrong(component, f"has {value!r} as {name}", "give a number above 0, or leave it out")
    return Policy(**{name: value for name, value in entry.items() if value is not None})


def _wrong(subject: str, what: str, help_: str) -> OperationError:
    return OperationError(f"use the backup policy {subject}", f"it {what}.", f"{help_}.")
