"""PostgreSQL: a few kept connections, each query bounded in time, a broken connection replaced once."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection

CONNECT_TIMEOUT_S = 2
QUERY_TIMEOUT_MS = 2000
#: How long a request waits for a free connection.
WAIT_S = 2.0

Row = dict[str, Any]


class DatabaseUnavailable(Exception):
    """The database did not answer in time; the message says what happened."""


class Database:
    """At most `size` connections, opened when needed and kept."""

    def __init__(
        self,
        url: str,
        size: int,
        connect: Callable[..., Connection] = psycopg2.connect,
        observe: Callable[[str], contextlib.AbstractContextManager[object]] = contextlib.nullcontext,
    ) -> None:
        """`observe(statement)` is around each query, with its wait for a connection."""
        self._url, self._connect, self._observe = url, connect, observe
        self._idle: queue.LifoQueue[Connection] = queue.LifoQueue()
        self._free = threading.BoundedSemaphore(size)
        self._lock = threading.Lock()
        self._open = 0

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return self._open

    def query(self, statement: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """The rows of a reading statement. Raises DatabaseUnavailable."""
        with self._observe(statement), self._slot():
            try:
                return self._run(statement, parameters, fresh=False)
            except (psycopg2.OperationalError, psycopg2.InterfaceError):
                # The kept connection may be from before a restart of the database: one more try, with a new one.
                try:
                    return self._run(statement, parameters, fresh=True)
                except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
                    raise DatabaseUnavailable(str(error).strip()) from error

    @contextlib.contextmanager
    def _slot(self) -> Iterator[None]:
        if not self._free.acquire(timeout=WAIT_S):
            raise DatabaseUnavailable(f"no free database connection within {WAIT_S:g} s")
        try:
            yield
        finally:
            self._free.release()

    def _run(self, statement: str, parameters: Sequence[Any], fresh: bool) -> list[Row]:
        connection = self._take(fresh)
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement, parameters)
                names = [column.name for column in cursor.description]
                rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        except psycopg2.Error:
            self._discard(connection)
            raise
        self._idle.put(connection)
        return rows

    def _take(self, fresh: bool) -> Connection:
        if fresh:
            while not self._idle.empty():
                with contextlib.suppress(queue.Empty):
                    self._discard(self._idle.get_nowait())
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            pass
        connection = self._connect(
            self._url,
            connect_timeout=CONNECT_TIMEOUT_S,
            options=f"-c statement_timeout={QUERY_TIMEOUT_MS}",
            application_name="churnguard-api",
        )
        connection.autocommit = True
        with self._lock:
            self._open += 1
        return connection

    def _discard(self, connection: Connection) -> None:
        with self._lock:
            self._open -= 1
        with contextlib.suppress(psycopg2.Error):
            connection.close()
