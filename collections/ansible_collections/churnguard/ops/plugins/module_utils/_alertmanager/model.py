# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Silences of an Alertmanager, and what a task asks of them. No I/O. Internal: may change in any release.

The form is that of API v2: https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from .._common.clock import isoformat, parse_time

ACTIVE, PENDING, EXPIRED = "active", "pending", "expired"
# A silence carries its name in its comment, the only field of a silence that is free text and kept.
_TAGGED = re.compile(r"\[churnguard:(?P<name>[^\]]+)\](?: (?P<comment>.*))?", re.DOTALL)
_NAME = re.compile(r"[^\[\]\s](?:[^\[\]\r\n]{0,126}[^\[\]\s])?")
_DURATION = re.compile(r"(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?")
_UNITS_S = (604800, 86400, 3600, 60, 1)
# Go writes nanoseconds; Python 3.9 reads three or six digits.
_FRACTION = re.compile(r"\.(\d+)")


@dataclass(frozen=True, order=True)
class Matcher:
    """One condition on a label."""

    name: str
    value: str
    is_regex: bool = False
    is_equal: bool = True

    def __str__(self) -> str:
        operator = {(True, False): "=", (True, True): "=~", (False, False): "!=", (False, True): "!~"}
        return f'{self.name}{operator[self.is_equal, self.is_regex]}"{self.value}"'


@dataclass(frozen=True)
class Silence:
    """A silence as the server has it. C(name) is None for one that was not made by this collection."""

    id: str
    name: str | None
    matchers: tuple[Matcher, ...]
    starts: datetime
    ends: datetime
    created_by: str
    comment: str
    state: str = PENDING

    @property
    def live(self) -> bool:
        """Whether it silences, or is going to."""
        return self.state in (ACTIVE, PENDING)

    def same_matchers(self, matchers: tuple[Matcher, ...]) -> bool:
        """Whether it is about the same alerts, in whatever order it says so."""
        return frozenset(self.matchers) == frozenset(matchers)

    def to(self, **changes: Any) -> Silence:
        """A copy with other values."""
        return replace(self, **changes)

    def __str__(self) -> str:
        return f"{{{', '.join(map(str, sorted(self.matchers)))}}} until {isoformat(self.ends)}"


@dataclass(frozen=True)
class Wanted:
    """The silence that is asked for. C(exact) says that the task gave its end, not how long it lasts."""

    name: str
    matchers: tuple[Matcher, ...]
    starts: datetime
    ends: datetime
    created_by: str
    comment: str
    exact: bool = False


def tagged(name: str, comment: str) -> str:
    """The comment that the server keeps for a silence of that name."""
    return f"[churnguard:{name}] {comment}".rstrip()


def valid_name(name: str) -> bool:
    """Whether it can be a silence's name: 1 to 128 characters on a line, without brackets and outer spaces."""
    return bool(_NAME.fullmatch(name))


def parse_duration(text: str) -> timedelta | None:
    """A length of time such as 30m, 1h30m or 900 (seconds); None for what is none, or is nothing long."""
    found = _DURATION.fullmatch(text.strip())
    if not found:
        return None
    seconds = sum(int(part or 0) * unit for part, unit in zip(found.groups(), _UNITS_S))  # noqa: B905 - Python 3.9
    return timedelta(seconds=seconds) if 0 < seconds <= 366 * 86400 else None


def parse_moment(text: str) -> datetime | None:
    """An aware moment, from ISO 8601 with an offset or Z; None for anything else."""
    try:
        moment = parse_time(_FRACTION.sub(lambda found: "." + found.group(1)[:6].ljust(6, "0"), text.strip()))
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def read_silence(document: dict[str, Any]) -> Silence:
    """One silence of the server's answer. Raises KeyError, TypeError or ValueError for what is none."""
    starts, ends = parse_moment(document["startsAt"]), parse_moment(document["endsAt"])
    if starts is None or ends is None:
        raise ValueError(f"no time: {document['startsAt']}, {document['endsAt']}")
    found = _TAGGED.fullmatch(document["comment"])
    return Silence(
        id=document["id"],
        name=found.group("name") if found else None,
        matchers=tuple(
            Matcher(entry["name"], entry["value"], bool(entry["isRegex"]), bool(entry.get("isEqual", True)))
            for entry in document["matchers"]
        ),
        starts=starts,
        ends=ends,
        created_by=document["createdBy"],
        comment=(found.group("comment") or "") if found else document["comment"],
        state=document["status"]["state"],
    )


def write_silence(silence: Silence) -> dict[str, Any]:
    """The body of a request that creates the silence, or changes the one of its id."""
    body = {
        "matchers": [
            {"name": one.name, "value": one.value, "isRegex": one.is_regex, "isEqual": one.is_equal}
            for one in silence.matchers
        ],
        "startsAt": isoformat(silence.starts),
        "endsAt": isoformat(silence.ends),
        "createdBy": silence.created_by,
        "comment": silence.comment if silence.name is None else tagged(silence.name, silence.comment),
    }
    return {**body, "id": silence.id} if silence.id else body


def shown(silence: Silence) -> dict[str, Any]:
    """A silence for results and differences, in the terms of the modules' options."""
    return {
        "id": silence.id,
        "name": silence.name,
        "state": silence.state,
        "matchers": [
            {"name": one.name, "value": one.value, "is_regex": one.is_regex, "is_equal": one.is_equal}
            for one in sorted(silence.matchers)
        ],
        "starts_at": isoformat(silence.starts),
        "ends_at": isoformat(silence.ends),
        "created_by": silence.created_by,
        "comment": silence.comment,
    }
