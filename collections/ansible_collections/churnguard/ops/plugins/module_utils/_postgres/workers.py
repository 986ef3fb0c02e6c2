# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Workers that read one snapshot side by side. Internal: may change in any release."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from .._common.clock import Clock
from . import connection
from .connection import Connect
from .model import Answer, Query


class Crew:
    """Threads with a session each; all see what the exporting session sees. The queries run on the server, so threads
    are enough: Python waits."""

    def __init__(self, connect: Connect, snapshot: str, workers: int, statement_timeout_s: float, clock: Clock) -> None:
        self._connect = connect
        self._snapshot = snapshot
        self._workers = workers
        self._timeout_s = statement_timeout_s
        self._clock = clock
        self._lock = threading.Lock()
        self._open: list[Any] = []
        self._error: BaseException | None = None

    def ask(self, queries: Sequence[Query]) -> list[Answer]:
        """The answers to all queries, heaviest first. Raises OperationError when a session is lost."""
        waiting = sorted(queries, key=lambda query: query.weight)
        answers: list[Answer] = []
        threads = [
            threading.Thread(target=self._work, args=(waiting, answers), name=f"manifest-{number}", daemon=True)
            for number in range(min(self._workers, len(waiting)))
        ]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        except BaseException:
            self.cancel()
            raise
        if self._error is not None:
            raise self._error
        return answers

    def cancel(self) -> None:
        """End what still runs on the server."""
        with self._lock:
            self._error = self._error or RuntimeError("cancelled")
            for session in self._open:
                session.cancel()

    def _work(self, waiting: list[Query], answers: list[Answer]) -> None:
        session = None
        try:
            session = connection.open_session(self._connect, self._snapshot, self._timeout_s)
            with self._lock:
                self._open.append(session)
            while (query := self._next(waiting)) is not None:
                answer = connection.ask(session, query, self._clock)
                with self._lock:
                    answers.append(answer)
        except BaseException as error:
            with self._lock:
                self._error = self._error or error
        finally:
            if session is not None:
                with self._lock:
                    self._open = [other for other in self._open if other is not session]
                session.close()

    def _next(self, waiting: list[Query]) -> Query | None:
        with self._lock:
            return waiting.pop() if waiting and self._error is None else None
