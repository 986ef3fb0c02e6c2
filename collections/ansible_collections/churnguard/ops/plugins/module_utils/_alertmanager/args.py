# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that the modules of silences share, and what they mean. Internal: may change in any release."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from .._common.errors import OperationError
from .api import AlertmanagerApi, Way
from .model import Matcher, parse_duration, parse_moment, valid_name
from .session import Request

_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


def server_argument_spec() -> dict[str, dict[str, Any]]:
    """Argument spec of the documentation fragment churnguard.ops.alertmanager."""
    return {
        "alertmanager_url": {"type": "str", "required": True},
        "token": {"type": "str", "no_log": True},
        "token_file": {"type": "path", "no_log": False},
        "timeout": {"type": "float", "default": 10.0},
        "validate_certs": {"type": "bool", "default": True},
        "ca_path": {"type": "path"},
    }


def api_of(params: dict[str, Any]) -> AlertmanagerApi:
    """The server that the parameters describe. Raises OperationError."""
    url = params["alertmanager_url"]
    if not re.match(r"https?://[^/]", url):
        raise OperationError(
            "reach Alertmanager", f"alertmanager_url {url!r} is no http or https address.", "correct alertmanager_url."
        )
    return AlertmanagerApi(
        Way(url.rstrip("/"), _token(params), params["timeout"], params["validate_certs"], params["ca_path"])
    )


def _token(params: dict[str, Any]) -> str | None:
    path = params["token_file"]
    if not path:
        return params["token"]
    attempted = f"read the token in {path}"
    try:
        token = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise OperationError(
            attempted, f"{getattr(error, 'strerror', None) or 'it is not text'}.", "correct token_file."
        ) from error
    if not token or re.search(r"\s", token):
        raise OperationError(attempted, "the file holds no single word.", "put the token alone into it.")
    return token


def request_of(params: dict[str, Any]) -> Request:
    """The silence that the options describe. Raises OperationError, which names the option that is wrong."""
    name = params["name"]
    _need_name(name)
    if not params["matchers"]:
        raise _wrong(name, "matchers is empty, so that it would be about no alert.", "give at least one matcher.")
    matchers = tuple(_matcher(name, entry) for entry in params["matchers"])
    if len(set(matchers)) != len(matchers):
        raise _wrong(name, "a matcher is listed twice.", "list it once.")
    if not any(one.is_equal for one in matchers):
        # Alertmanager takes it.
        raise _wrong(
            name,
            "every matcher says what a label must not be, so that nearly every alert would be silenced.",
            "add a matcher that says which alerts it is about.",
        )
    if params["duration"] is None and params["ends_at"] is None:
        raise _wrong(name, "neither duration nor ends_at is given.", "give one of them.")
    return Request(
        name=name,
        matchers=matchers,
        created_by=params["created_by"],
        comment=params["comment"].strip(),
        duration=_duration(name, params["duration"]),
        starts=_moment(name, "starts_at", params["starts_at"]),
        ends=_moment(name, "ends_at", params["ends_at"]),
    )


def _need_name(name: str) -> None:
    if not valid_name(name):
        raise _wrong(
            name, "that is no name.", "use 1 to 128 characters on one line, without brackets and outer spaces."
        )


def _matcher(name: str, entry: dict[str, Any]) -> Matcher:
    if not _LABEL.fullmatch(entry["name"]):
        raise _wrong(name, f"{entry['name']!r} is no label's name.", "correct matchers.")
    return Matcher(entry["name"], entry["value"], entry["is_regex"], entry["is_equal"])


def _duration(name: str, text: str | None) -> timedelta:
    if text is None:
        return timedelta(0)
    duration = parse_duration(text)
    if duration is None:
        raise _wrong(
            name, f"duration {text!r} is no length of time.", "write it as 90s, 30m, 2h, 1h30m or 7d; at most 366d."
        )
    return duration


def _moment(name: str, option: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    moment = parse_moment(text)
    if moment is None:
        raise _wrong(name, f"{option} {text!r} is no time with an offset.", f"write {option} as 2026-11-22T04:00:00Z.")
    return moment


def _wrong(name: str, answer: str, next_step: str) -> OperationError:
    return OperationError(f"silence {name!r}", answer, f"{next_step} Nothing was changed.")
