# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes that a ledger counts. Internal: may change in any release."""

from __future__ import annotations

from typing import Any, NamedTuple

from .._common.clock import Clock

#: After a failure the writer rests, so that a long outage is not an attack on the Sentinels, in seconds.
REST_S = 0.05


class Unconfirmed(NamedTuple):
    """A write that the primary took and too few replicas confirmed, in monotonic seconds."""

    number: int
    sent: float
    answered: float


class TooFewReplicas(Exception):
    """The write is in the primary, and fewer replicas than asked for have confirmed it: it does not count as kept."""


class Writer:
    """Appends numbers to one list of a Redis, each acknowledged before the next.

    C(replicas) is how many have to confirm a write (WAIT) within C(wait_ms); WAIT answers with a number on a time-out,
    too, so the number is what counts. The list ends by itself after C(keep_s) seconds without a write.
    """

    def __init__(
        self,
        client: Any,
        key: str,
        replicas: int = 0,
        wait_ms: int = 100,
        keep_s: int = 86400,
        clock: Clock | None = None,
    ) -> None:
        self.unconfirmed: list[Unconfirmed] = []
        self._clock = clock or Clock()
        self._client = client
        self._key = key
        self._replicas = replicas
        self._wait_ms = wait_ms
        self._keep_s = keep_s

    def __call__(self, number: int) -> None:
        """Append C(number). Raises what redis-py raises, and TooFewReplicas."""
        sent = self._clock.monotonic()
        try:
            confirmed = self._append(number)
        except Exception:
            self._clock.sleep(REST_S)
            raise
        if confirmed < self._replicas:
            self.unconfirmed.append(Unconfirmed(number, sent, self._clock.monotonic()))
            raise TooFewReplicas(f"{confirmed} of {self._replicas} replicas confirmed")

    def _append(self, number: int) -> int:
        """How many replicas confirmed the write; 0 when none was asked."""
        # One pipeline is one connection: WAIT is about the writes of its own connection.
        pipeline = self._client.pipeline(transaction=False)
        pipeline.rpush(self._key, number)
        pipeline.expire(self._key, self._keep_s)
        if self._replicas:
            pipeline.wait(self._replicas, self._wait_ms)
        answers = pipeline.execute()
        return int(answers[-1]) if self._replicas else 0

    def close(self) -> None:
        """Close the connection."""
        self._client.close()
