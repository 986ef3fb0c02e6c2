# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An Alertmanager's API v2, one remote call per method. Internal: may change in any release."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote

from ansible.module_utils.urls import open_url

from .._common.errors import OperationError
from .model import Silence, read_silence, write_silence

_AGAIN = "look at Alertmanager's log, then run again: a silence that was made after all is found, not doubled."


@dataclass(frozen=True)
class Way:
    """How to reach the server. C(token) goes into the header Authorization and nowhere else."""

    url: str
    token: str | None = None
    timeout: float = 10.0
    validate_certs: bool = True
    ca_path: str | None = None


@dataclass(frozen=True)
class Listing:
    """All silences of the server, expired ones of the last days included, and its own time when it answered (aware;
    None where a proxy took it away)."""

    silences: list[Silence]
    now: datetime | None


class AlertmanagerApi:
    """One Alertmanager. Every method raises OperationError when it does not answer, or refuses."""

    def __init__(self, way: Way) -> None:
        self._way = way
        self._base = f"{way.url.rstrip('/')}/api/v2"

    def list(self) -> Listing:
        """Every silence."""
        attempted = f"list the silences of {self._way.url}"
        document, headers = self._send("GET", "silences", attempted)
        try:
            return Listing([read_silence(entry) for entry in document], _moment(headers.get("Date")))
        except (KeyError, TypeError, ValueError) as error:
            raise _no_alertmanager(attempted, f"{type(error).__name__}: {error}") from error

    def put(self, silence: Silence) -> str:
        """Create the silence, or change the one of its id: the id it has now."""
        what = f"change silence {silence.id}" if silence.id else "create a silence"
        attempted = f"{what} {silence} at {self._way.url}"
        document, _headers = self._send("POST", "silences", attempted, write_silence(silence))
        try:
            return str(document["silenceID"])
        except (KeyError, TypeError) as error:
            raise _no_alertmanager(attempted, str(document)[:200]) from error

    def expire(self, silence: Silence) -> None:
        """End it now. One that is over or gone already is as wanted."""
        attempted = f"end silence {silence.id} {silence} at {self._way.url}"
        try:
            self._send("DELETE", f"silence/{quote(silence.id, safe='')}", attempted)
        except _Refused as error:
            if error.status != 404 and "already expired" not in error.answer:
                raise

    def _send(self, method: str, path: str, attempted: str, body: Any = None) -> tuple[Any, Any]:
        """The document and the headers of the answer."""
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if self._way.token:
            headers["Authorization"] = f"Bearer {self._way.token}"
        try:
            with open_url(
                f"{self._base}/{path}",
                method=method,
                data=None if body is None else json.dumps(body),
                headers=headers,
                timeout=self._way.timeout,
                validate_certs=self._way.validate_certs,
                ca_path=self._way.ca_path,
                # A redirect would take the token along to somewhere else.
                follow_redirects="none",
            ) as response:
                text = response.read()
                return (json.loads(text) if text else None), response.headers
        except HTTPError as error:
            raise _refusal(attempted, error) from error
        except (URLError, HTTPException, OSError) as error:
            reason = getattr(error, "reason", error)
            raise OperationError(
                attempted,
                f"nobody answered there within {self._way.timeout:g} s ({reason}).",
                "check alertmanager_url, that Alertmanager runs, and that this machine may reach it; "
                "`curl <alertmanager_url>/-/ready` answers OK when it does. Then run again: a silence that was made "
                "after all is found, not doubled.",
            ) from error
        except ValueError as error:
            raise _no_alertmanager(attempted, f"an answer that is not JSON ({error})") from error


class _Refused(OperationError):
    """The server answered, with a status that is no success."""

    def __init__(self, attempted: str, status: int, answer: str, next_step: str) -> None:
        self.status = status
        super().__init__(attempted, answer, next_step)


def _refusal(attempted: str, error: HTTPError) -> _Refused:
    text = error.read()[:2000].decode(errors="replace").strip()
    try:
        document = json.loads(text)
    except ValueError:
        document = text
    said = document.get("message", document) if isinstance(document, dict) else document
    status = int(error.code)
    if status in (401, 403):
        step = "give a token (token or token_file) that the proxy in front of Alertmanager accepts."
    elif 300 <= status < 400:
        step = f"set alertmanager_url to where it redirects to: {error.headers.get('Location')}."
    elif status == 404:
        step = "check alertmanager_url: it is the address without /api/v2, with the path of --web.route-prefix."
    elif status < 500:
        step = "correct the matchers or the times; Alertmanager takes none whose matchers all match an empty label."
    else:
        step = _AGAIN
    return _Refused(attempted, status, f"Alertmanager answered {status}: {str(said)[:500] or error.reason}.", step)


def _no_alertmanager(attempted: str, answer: str) -> OperationError:
    return OperationError(
        attempted,
        f"this is no answer of Alertmanager's API v2: {answer}.",
        "check alertmanager_url; Alertmanager 0.16 and newer have API v2.",
    )


def _moment(text: str | None) -> datetime | None:
    try:
        return parsedate_to_datetime(text) if text else None
    except (TypeError, ValueError):
        return None
