# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deliveries that must never keep an operation waiting. Internal: may change in any release."""

from __future__ import annotations

import contextlib
import http.client
import os
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from .errors import OperationError

Item = TypeVar("Item")
_END = object()


class Courier(Generic[Item]):
    """Delivers items one after the other in a thread of its own that dies with the process.

    C(deliver) may take long and may raise. At most C(room) items wait. What comes on top is lost and counted; with
    C(newest) it takes the place of the oldest, which is then no longer worth delivering and not counted.
    Threads and their time-outs are real time, whatever clock the operation has.
    """

    def __init__(self, deliver: Callable[[Item], None], room: int = 100, newest: bool = False) -> None:
        self._deliver = deliver
        self._newest = newest
        self._waiting: queue.Queue[Any] = queue.Queue(room)
        self._lock = threading.Lock()
        self._delivered = 0
        self._given = 0
        self._errors: list[str] = []
        self.hurry = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def give(self, item: Item) -> None:
        """Take C(item) for delivery; returns at once."""
        self._given += 1
        while True:
            try:
                self._waiting.put_nowait(item)
                return
            except queue.Full:
                if not self._newest:
                    self._note("had too much to take")
                    return
            try:
                self._waiting.get_nowait()
                self._given -= 1
            except queue.Empty:
                pass

    def finish(self, seconds: float) -> dict[str, Any]:
        """Wait at most C(seconds) for what is under way, then give up on the rest. Plain data: C(given), C(delivered)
        and the different C(errors)."""
        self.hurry.set()
        give_up = time.monotonic() + seconds
        with contextlib.suppress(queue.Full):
            self._waiting.put(_END, timeout=seconds)
        self._thread.join(max(0.0, give_up - time.monotonic()))
        with self._lock:
            if self._thread.is_alive() and self._given > self._delivered:
                self._errors.append(f"did not take everything within {seconds:g} s of the end")
            return {"given": self._given, "delivered": self._delivered, "errors": list(dict.fromkeys(self._errors))}

    def _run(self) -> None:
        while True:
            item = self._waiting.get()
            if item is _END:
                return
            try:
                self._deliver(item)
            except Exception as error:
                self._note(reason(error))
            else:
                with self._lock:
                    self._delivered += 1

    def _note(self, text: str) -> None:
        with self._lock:
            self._errors.append(text)


def reason(error: Exception) -> str:
    """Why a delivery failed, without the error's own text: that often holds the address, which may be a secret."""
    if isinstance(error, HTTPError):
        return f"answered HTTP {error.code}"
    cause = error.reason if isinstance(error, URLError) and isinstance(error.reason, Exception) else error
    if isinstance(cause, (socket.timeout, TimeoutError)):
        return "did not answer in time"
    if isinstance(cause, ssl.SSLError) or "SSL" in type(cause).__name__:
        return "has no certificate that can be trusted"
    if isinstance(cause, socket.gaierror):
        return "has a name that cannot be resolved"
    if isinstance(cause, http.client.HTTPException):
        return "did not answer in HTTP"
    if isinstance(cause, OSError) and cause.errno:
        return os.strerror(cause.errno).lower()
    return type(cause).__name__


def check_url(url: str, option: str) -> None:
    """Refuse what is no http or https address, without repeating it. Raises OperationError that names C(option)."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
        bare = not any(character.isspace() for character in url)
    except ValueError:
        good = bare = False
    if not good or not bare:
        raise OperationError(
            f"use {option}", "it is not an http or https address (its value is not shown).", "correct it."
        )
    if parts.username or parts.password:
        raise OperationError(
            f"use {option}",
            "it holds a user name or password, which addresses must not.",
            "give them in options of their own, or leave them out.",
        )
