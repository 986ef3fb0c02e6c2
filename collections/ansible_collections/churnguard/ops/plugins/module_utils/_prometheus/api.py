# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Instant queries to a Prometheus server. Internal: may change in any release."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPException
from threading import Event
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode

from .._common.http import send

_SIDE_BY_SIDE = 16
# Queries that belong together are answered for a moment this many seconds ago, when every scrape had been stored: one
# that lands between two queries would be in the second answer only, and errors and requests no longer of the same time.
_SETTLED = 2.0


class QueryError(Exception):
    """Prometheus did not answer, or refused the query."""


class BadQuery(QueryError):
    """Prometheus refused the expression itself (400 bad_data): asking again cannot help."""


class Unreachable(QueryError):
    """Nobody answered, or not with an answer of Prometheus."""


@dataclass(frozen=True)
class Series:
    """One element of an instant vector. C(value) may be NaN or infinite."""

    labels: dict[str, str]
    value: float

    @property
    def finite(self) -> bool:
        return math.isfinite(self.value)


def query_scalar(url: str, expression: str, timeout: float = 5.0) -> float | None:
    """The value of an expression that yields at most one series; None when it yields none.

    Raises QueryError when the server does not answer in C(timeout) seconds, refuses the expression, or answers
    with several series.
    """
    series = query_vector(url, expression, timeout)
    if len(series) > 1:
        raise QueryError(f"{len(series)} series where one was expected: {expression}")
    return series[0].value if series else None


def query_vector(url: str, expression: str, timeout: float = 5.0, at: float | None = None) -> list[Series]:
    """The instant vector that an expression yields, at a time of the server's clock (Unix seconds) or now; a scalar is
    one series without labels.

    Raises BadQuery for an expression that is none, Unreachable when the server does not answer in C(timeout) seconds,
    and QueryError for every other refusal.
    """
    parameters = {"query": expression} if at is None else {"query": expression, "time": f"{at:.3f}"}
    data = ask(url, "query", parameters, timeout)
    try:
        if data["resultType"] == "scalar":
            return [Series({}, float(data["result"][1]))]
        return [Series(entry["metric"], float(entry["value"][1])) for entry in data["result"]]
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise no_answer(data) from error


def ask(url: str, endpoint: str, parameters: dict[str, str], timeout: float) -> Any:
    """What the server at C(url) has as C(data) of api/v1/C(endpoint). Raises BadQuery, Unreachable and QueryError as
    query_vector does."""
    address = f"{url.rstrip('/')}/api/v1/{endpoint}?{urlencode(parameters)}"
    try:
        with send("GET", address, timeout=timeout) as response:
            answer = json.load(response)
    except HTTPError as error:
        raise _refusal(error) from error
    except (URLError, HTTPException, OSError, ValueError) as error:
        raise Unreachable(str(error)) from error
    try:
        return answer["data"]
    except (KeyError, TypeError) as error:
        raise no_answer(answer) from error


def no_answer(answer: Any) -> Unreachable:
    """The error for something that Prometheus would not have said."""
    return Unreachable(f"this is no answer of Prometheus: {str(answer)[:200]}")


# As text, because Python 3.9 knows no | between types.
Answers = "list[list[Series] | QueryError]"


def query_all(url: str, expressions: Sequence[str], timeout: float = 5.0) -> Answers:
    """The answers to several expressions for one and the same moment, asked side by side, each only once; errors stand
    in the answer's place.

    When the server is out of reach, what has not been sent yet is not sent: fifty services wait for one time-out, not
    for hundreds.
    """
    different = list(dict.fromkeys(expressions))
    try:
        # The server's clock, as this machine's may be another.
        moment = query_scalar(url, "time()", timeout) if different else None
    except QueryError as error:
        return [error for _expression in expressions]
    gone: list[Unreachable] = []
    stop = Event()

    def ask(expression: str) -> list[Series] | QueryError:
        if stop.is_set():
            return gone[0]
        try:
            return query_vector(url, expression, timeout, None if moment is None else moment - _SETTLED)
        except Unreachable as error:
            gone.append(error)
            stop.set()
            return error
        except QueryError as error:
            return error

    with ThreadPoolExecutor(min(_SIDE_BY_SIDE, max(len(different), 1))) as pool:
        answers = dict(zip(different, pool.map(ask, different)))  # noqa: B905 - strict is not known to Python 3.9
    return [answers[expression] for expression in expressions]


def _refusal(error: HTTPError) -> QueryError:
    text = error.read()[:2000].decode(errors="replace")
    try:
        document: Any = json.loads(text)
        kind, message = document["errorType"], document["error"]
    except (ValueError, KeyError, TypeError):
        # A proxy, or a server that is starting up.
        return Unreachable(f"{error.code}: {text[:200]}")
    known = {"bad_data": BadQuery, "execution": QueryError}
    return known.get(kind, Unreachable)(f"{error.code}: {message[:300]}")
