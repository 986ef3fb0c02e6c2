# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests to AWS, one at a time: counted, tried again while AWS is too busy, and explained when they fail. Internal:
may change in any release."""

from __future__ import annotations

from typing import Any

from .._common.clock import Clock
from .errors import AwsError
from .library import AWSRetry, BackoffIterator, BotoCoreError, ClientError, ResponseParserError

# Seconds for which a request that AWS has no capacity for is made again.
PATIENCE = 120.0
# AWS refused these before it did anything. After others that AWSRetry knows, a write may have been carried out.
_NOT_DONE = frozenset({"RequestLimitExceeded", "Throttling", "ThrottlingException", "TooManyRequestsException"})


class Caller:
    """One service's client, such as boto3's for elasticache.

    C(read) and C(write) take what was attempted, in words, the client's method and its arguments. They return the
    answer and raise AwsError.
    """

    def __init__(self, client: Any, clock: Clock, patience: float = PATIENCE) -> None:
        self._client = client
        self._clock = clock
        self._patience = patience

    def read(self, attempted: str, method: str, **arguments: Any) -> dict[str, Any]:
        """A request that changes nothing: made again after whatever may pass."""
        return self._call(attempted, method, arguments, lambda code: AWSRetry.found(code, _NOT_DONE))

    def write(self, attempted: str, method: str, **arguments: Any) -> dict[str, Any]:
        """A request that changes something: made again only where AWS surely did nothing."""
        return self._call(attempted, method, arguments, lambda code: code in _NOT_DONE)

    def read_all(self, attempted: str, method: str, key: str, **arguments: Any) -> list[dict[str, Any]]:
        """The elements C(key) of all pages of a request, for services whose pages are linked by C(Marker)."""
        found: list[dict[str, Any]] = []
        marker: dict[str, str] = {}
        while True:
            page = self.read(attempted, method, **arguments, **marker)
            found += page.get(key, [])
            if not page.get("Marker"):
                return found
            marker = {"Marker": page["Marker"]}

    def _call(self, attempted: str, method: str, arguments: dict[str, Any], again: Any) -> dict[str, Any]:
        begin = self._clock.monotonic()
        for pause in BackoffIterator(delay=1, backoff=2, max_delay=20, jitter=True):
            try:
                return getattr(self._client, method)(**arguments)
            except ClientError as error:
                late = self._clock.monotonic() - begin + pause > self._patience
                if late or not again(_code(error)):
                    raise self._explained(attempted, error) from error
            except BotoCoreError as error:
                raise AwsError(attempted, self._action(""), "", str(error)) from error
            except ResponseParserError as error:
                # A proxy's page, or a server that broke: botocore has tried again already.
                first_line = str(error).partition(chr(10))[0]
                raise AwsError(attempted, self._action(""), "", f"this is no answer of AWS: {first_line}") from error
            self._clock.sleep(pause)
        raise AssertionError("the iterator of pauses has no end")

    def _explained(self, attempted: str, error: Any) -> AwsError:
        answer = error.response.get("Error", {})
        code, message = str(answer.get("Code") or "an error"), str(answer.get("Message") or "no message")
        return AwsError(attempted, self._action(error.operation_name), code, message)

    def _action(self, operation: str) -> str:
        return f"{self._client.meta.service_model.service_name}:{operation or '*'}"


def _code(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Code") or "")
