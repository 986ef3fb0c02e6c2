# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Feature flags in flagd's form: the document, and what a task asks of it. No I/O. Internal: may change in any release.

The form is https://flagd.dev/schema/v0/flags.json, read by every flagd provider.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from .._common.errors import OperationError

SCHEMA = "https://flagd.dev/schema/v0/flags.json"
ENABLED, DISABLED = "ENABLED", "DISABLED"
ON, OFF = "on", "off"
OWNER, EXPIRES, DESCRIPTION = "owner", "expires", "description"
BOOLEAN, STRING, NUMBER, OBJECT = "boolean", "string", "number", "object"
_YAML_BOOLEANS = {"True": ON, "False": OFF}

Document = dict[str, Any]
Flag = dict[str, Any]


@dataclass(frozen=True)
class Request:
    """What a task says about one flag; None is "as it is", for a new flag "as usual"."""

    name: str
    state: str | None = None
    type: str | None = None
    variants: dict[str, Any] | None = None
    default_variant: str | None = None
    percentage: int | None = None
    conditions: dict[str, list[Any]] | None = None
    targeting: dict[str, Any] | None = None
    metadata: dict[str, str] = field(default_factory=dict)


def read_requests(raw: list[dict[str, Any]], place: str) -> list[Request]:
    """The requests of a module's option C(flags). Raises OperationError for what cannot be meant, naming the flag."""
    requests = [_request(entry, place) for entry in raw]
    names = [request.name for request in requests]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise refused(place, f"flag {twice[0]} is listed twice.", "say all about a flag in one entry.")
    return requests


def _request(entry: dict[str, Any], place: str) -> Request:
    name = entry["name"]
    default = entry.get("default_variant")
    conditions = entry.get("conditions")
    request = Request(
        name=name,
        state=entry.get("state"),
        type=entry.get("type"),
        variants=entry.get("variants"),
        # Unquoted on and off are booleans in YAML; no other variant is called so.
        default_variant=_YAML_BOOLEANS.get(default, default) if default is not None else None,
        percentage=entry.get("percentage"),
        conditions=None if conditions is None else {key: _values(value) for key, value in conditions.items()},
        targeting=entry.get("targeting"),
        metadata={key: entry[key] for key in (OWNER, EXPIRES, DESCRIPTION) if entry.get(key) is not None},
    )
    problem = _problem(request)
    if problem:
        raise refused(place, f"flag {name}: {problem[0]}", problem[1])
    return request


def _values(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _problem(request: Request) -> tuple[str, str] | None:
    """What is wrong with a request by itself, and what to do; None if nothing is."""
    if not request.name.strip() or request.name != request.name.strip() or len(request.name) > 128:
        return "the name is empty, has spaces around it, or more than 128 characters.", "give it a name."
    shorthand = request.percentage is not None or request.conditions is not None
    if request.targeting is not None and shorthand:
        return (
            "targeting is given together with percentage or conditions.",
            "write all of it in targeting, or leave targeting out.",
        )
    if request.default_variant is not None and shorthand:
        return (
            "default_variant is given together with percentage or conditions, which say already who gets what.",
            "leave default_variant out.",
        )
    if request.percentage is not None and not 0 <= request.percentage <= 100:
        return f"percentage is {request.percentage}.", "give a whole number from 0 to 100."
    return _condition_problem(request.conditions or {}) or _expiry_problem(request.metadata.get(EXPIRES))


def _condition_problem(conditions: dict[str, list[Any]]) -> tuple[str, str] | None:
    for attribute, values in conditions.items():
        if not attribute or attribute.startswith("$"):
            return f"{attribute!r} is no attribute of a request.", "name one that the application gives."
        if not values:
            return f"condition {attribute} has no value, so that it would never hold.", "give at least one value."
        if not all(isinstance(value, (str, int, float, bool)) for value in values):
            return f"condition {attribute} has a value that is no text, number or boolean.", "list plain values."
    return None


def _expiry_problem(expires: str | None) -> tuple[str, str] | None:
    if expires and parse_expiry(expires) is None:
        return f"expires is {expires!r}.", "write a date as YYYY-MM-DD, or an empty text for none."
    return None


def refused(place: str, answer: str, next_step: str) -> OperationError:
    """The error for what is refused before anything is written."""
    return OperationError(f"change the flags in {place}", answer, f"{next_step} Nothing was changed.")


def parse_expiry(text: Any) -> date | None:
    """The day from which on (00:00 UTC) a flag counts as expired; None for what is no date YYYY-MM-DD."""
    try:
        return date.fromisoformat(text) if isinstance(text, str) and len(text) == 10 else None
    except ValueError:
        return None


def is_expired(flag: Flag, today: date) -> bool:
    """Whether the flag's day has come."""
    day = parse_expiry(metadata_of(flag).get(EXPIRES))
    return day is not None and day <= today


def metadata_of(flag: Flag) -> dict[str, Any]:
    metadata = flag.get("metadata")
    return metadata if isinstance(metadata, dict) else {}


def type_of(variants: Any) -> str | None:
    """The one type of all variants: boolean, string, number or object; None if there is none, or no common one."""
    kinds = {_kind(value) for value in variants.values()} if isinstance(variants, dict) else set()
    return kinds.pop() if len(kinds) == 1 else None


def _kind(value: Any) -> str | None:
    if isinstance(value, bool):
        return BOOLEAN
    if isinstance(value, (int, float)):
        return NUMBER
    return {str: STRING, dict: OBJECT}.get(type(value))


def empty_document() -> Document:
    return {"$schema": SCHEMA, "flags": {}}


def parse_document(text: str, place: str) -> Document:
    """The document in C(text). Raises OperationError when it is none, since it can then not be kept while changed."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise refused(place, f"it holds no JSON: {error}.", "repair it by hand or remove that key.") from error
    if not isinstance(document, dict) or not isinstance(document.get("flags", {}), dict):
        raise refused(
            place,
            'it holds no flagd document: an object with an object "flags" is expected.',
            "repair it by hand or remove that key.",
        )
    return {**document, "flags": document.get("flags", {})}


def dump_document(document: Document) -> str:
    """The text to store: readable, in the order it has, so that a difference shows what changed and no more."""
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
