# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Result envelopes as the report takes them: read, checked, plain. Internal: may change in any release."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import isoformat, parse_time
from ansible_collections.churnguard.ops.plugins.module_utils._common.envelope import (
    ABORTED,
    FAILED,
    NOT_CHECKED,
    PASSED,
    ROLLED_BACK,
    SKIPPED,
)
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError

VERDICTS = (PASSED, FAILED, ROLLED_BACK, ABORTED)
CHECK_VERDICTS = (PASSED, FAILED, SKIPPED, NOT_CHECKED)


def load(items: Sequence[Any]) -> list[dict[str, Any]]:
    """Checked copies of envelopes, oldest first. An item is an envelope or the path of a JSON file that holds one.

    Raises OperationError that names the envelope and the field which is wrong.
    """
    loaded = []
    for number, item in enumerate(items, start=1):
        if isinstance(item, str):
            loaded.append(check(_read(item), item))
        else:
            loaded.append(check(item, f"envelope {number}"))
    return sorted(loaded, key=lambda envelope: (envelope["started"], envelope["finished"]))


def check(envelope: Any, where: str) -> dict[str, Any]:
    """A plain copy of C(envelope) with times in one form and every list present. C(where) names it in errors."""
    if not isinstance(envelope, Mapping):
        raise _wrong(where, f"it is {type(envelope).__name__}, not a dictionary.")
    plain: dict[str, Any] = _plain(envelope)
    if not isinstance(plain.get("operation"), str) or not plain["operation"]:
        raise _wrong(where, "it has no 'operation'.")
    if plain.get("verdict") not in VERDICTS:
        raise _wrong(where, f"its 'verdict' is {plain.get('verdict')!r}, not one of {', '.join(VERDICTS)}.")
    for key in ("started", "finished"):
        plain[key] = _time(plain.get(key), where, f"'{key}'")
    if plain["finished"] < plain["started"]:
        raise _wrong(where, f"it finished ({plain['finished']}) before it started ({plain['started']}).")
    plain["subject"] = _of_type(plain.get("subject") or {}, dict, where, "'subject'")
    for key in ("timeline", "measurements", "evidence"):
        plain[key] = _of_type(plain.get(key) or [], list, where, f"'{key}'")
        for number, entry in enumerate(plain[key], start=1):
            _of_type(entry, dict, where, f"entry {number} of '{key}'")
    for number, event in enumerate(plain["timeline"], start=1):
        event["at"] = _time(event.get("at"), where, f"'at' of timeline entry {number}")
        event["event"] = str(event.get("event", ""))
        event["detail"] = str(event.get("detail", ""))
    for number, measurement in enumerate(plain["measurements"], start=1):
        _check_measurement(measurement, where, number)
    return plain


def finite(raw: Any) -> float | None:
    """C(raw) if it is a finite number; evidence may hold anything."""
    known = isinstance(raw, (int, float)) and not isinstance(raw, bool) and math.isfinite(raw)
    return raw if known else None


def _check_measurement(measurement: dict[str, Any], where: str, number: int) -> None:
    if not measurement.get("name"):
        raise _wrong(where, f"measurement {number} has no 'name'.")
    verdict = measurement.setdefault("verdict", NOT_CHECKED)
    if verdict not in CHECK_VERDICTS:
        allowed = ", ".join(CHECK_VERDICTS)
        raise _wrong(where, f"measurement {measurement['name']!r} has verdict {verdict!r}, not one of {allowed}.")
    for key, default in (("value", None), ("unit", ""), ("limit", None), ("reason", "")):
        measurement.setdefault(key, default)


def _read(path: str) -> Any:
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise _wrong(path, f"{error.strerror}.") from error
    except ValueError as error:
        raise _wrong(path, f"it is not JSON ({error}).") from error


def _plain(value: Any) -> Any:
    """Plain JSON types all the way down, whatever the templating engine wrapped them in."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, str):
        return str(value)
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    return value


def _time(value: Any, where: str, what: str) -> str:
    try:
        moment = parse_time(str(value))
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise _wrong(where, f"{what} is {value!r}, not a time such as 2026-11-21T19:33:00.123Z.")
    return isoformat(moment)


def _of_type(value: Any, kind: type, where: str, what: str) -> Any:
    if not isinstance(value, kind):
        raise _wrong(where, f"{what} is {type(value).__name__}, not {kind.__name__}.")
    return value


def _wrong(where: str, answer: str) -> OperationError:
    return OperationError(f"read the result envelope {where}", answer, "correct or remove it, then render again.")
