# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Instant queries to a Prometheus server. Internal: may change in any release."""

from __future__ import annotations

import json
from http.client import HTTPException
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode

from .._common.http import send


class QueryError(Exception):
    """Prometheus did not answer, or refused the query."""


def query_scalar(url: str, expression: str, timeout: float = 5.0) -> float | None:
    """The value of an expression that yields at most one series; None when it yields none.

    Raises QueryError when the server does not answer in C(timeout) seconds, refuses the expression, or answers
    with several series.
    """
    address = f"{url.rstrip('/')}/api/v1/query?{urlencode({'query': expression})}"
    try:
        with send("GET", address, timeout=timeout) as response:
            answer = json.load(response)
    except HTTPError as error:
        raise QueryError(f"{error.code}: {error.read()[:200].decode(errors='replace')}") from error
    except (URLError, HTTPException, OSError, ValueError) as error:
        raise QueryError(str(error)) from error
    try:
        result = answer["data"]["result"]
        if len(result) > 1:
            raise QueryError(f"{len(result)} series where one was expected: {expression}")
        return float(result[0]["value"][1]) if result else None
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise QueryError(f"this is no answer of Prometheus: {str(answer)[:200]}") from error
