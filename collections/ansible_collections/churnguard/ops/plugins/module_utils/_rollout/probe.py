# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests to the application through its data plane: what was written to a router is believed only when replies
show it. Internal: may change in any release."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError

from .._common.http import send
from .model import Release


@dataclass(frozen=True)
class Endpoint:
    """How this machine reaches the application. A request is pinned to a slot by C(slot_header), or by an address of
    the slot's own where C(slot_url) has one (it holds C({slot})); replies name their version and slot in
    C(version_header) and C(slot_reply_header)."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    slot_header: str = "x-churnguard-slot"
    slot_url: str | None = None
    version_header: str = "X-ChurnGuard-Version"
    slot_reply_header: str = "X-ChurnGuard-Slot"
    path: str = "/health"
    timeout: float = 5.0
    validate_certs: bool = True


@dataclass(frozen=True)
class Reply:
    """An answer; C(status) is 0 and C(error) set when there was none. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: str
    error: str = ""

    @property
    def failed(self) -> bool:
        return self.status == 0 or self.status >= 500


def fetch(endpoint: Endpoint, path: str, slot: str = "", method: str = "GET") -> Reply:
    """One request on a connection of its own, to C(slot) if that is given."""
    headers = dict(endpoint.headers)
    url = endpoint.url
    if slot and endpoint.slot_url:
        url = endpoint.slot_url.replace("{slot}", slot)
    elif slot:
        headers[endpoint.slot_header] = slot
    try:
        response = send(
            method,
            url.rstrip("/") + path,
            endpoint.validate_certs,
            headers=headers,
            timeout=endpoint.timeout,
            http_agent="churnguard.ops",
            follow_redirects="none",
        )
    except HTTPError as error:
        response = error
    except (URLError, HTTPException, OSError, ValueError) as error:
        return Reply(0, {}, "", str(error))
    try:
        with response:
            body = response.read(65536).decode(errors="replace")
    except (HTTPException, OSError) as error:
        return Reply(0, {}, "", f"broke off: {error}")
    return Reply(response.status, {key.lower(): value for key, value in response.headers.items()}, body)


def wrong_origin(reply: Reply, release: Release, endpoint: Endpoint) -> str:
    """Empty if C(reply) came from C(release) and is no server error; else what it shows instead."""
    problem = other_origin(reply, release, endpoint)
    return problem or (f"answered {reply.status}" if reply.failed else "")


def other_origin(reply: Reply, release: Release, endpoint: Endpoint) -> str:
    """As wrong_origin, but any answer of C(release) will do, be it an error."""
    if reply.status == 0:
        return f"no answer ({reply.error})"
    version = reply.headers.get(endpoint.version_header.lower())
    slot = reply.headers.get(endpoint.slot_reply_header.lower())
    if version is None and slot is None:
        return f"{reply.status} without a {endpoint.version_header} header, so its origin cannot be told"
    if version is not None and version != release.version:
        return f"answered by {version}"
    if slot is not None and slot != release.slot:
        return f"answered by slot {slot}"
    return ""


def smoke_failure(test: Mapping[str, Any], reply: Reply) -> str:
    """Empty if C(reply) is what the smoke test wants; else what is wrong with it."""
    if reply.status == 0:
        return f"no answer ({reply.error})"
    if reply.status not in test["status"]:
        wanted = " or ".join(str(status) for status in test["status"])
        return f"answered {reply.status}, expected {wanted}: {reply.body[:200].strip()}"
    if test.get("contains") and test["contains"] not in reply.body:
        return f"the reply does not contain '{test['contains']}': {reply.body[:200].strip()}"
    if test.get("json"):
        return _json_difference(test["json"], reply.body)
    return ""


def _json_difference(wanted: Mapping[str, Any], body: str) -> str:
    try:
        found = json.loads(body)
    except ValueError:
        return f"the reply is not JSON: {body[:200].strip()}"
    if not isinstance(found, dict):
        return f"the reply is not a JSON object: {body[:200].strip()}"
    for key, value in wanted.items():
        if found.get(key) != value:
            return f"the reply's {key} is {found.get(key)!r}, expected {value!r}"
    return ""
