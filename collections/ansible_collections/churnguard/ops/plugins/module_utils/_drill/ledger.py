# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ledger of acknowledged writes, kept outside the system that a drill breaks. Internal: may change in any release.

A thread writes rows with growing numbers, and notes each one that was acknowledged in a file: one JSON object a line,
C({"seq", "sent", "acked", "sent_at", "acked_at"}); C(sent) and C(acked) are monotonic seconds of this machine,
C(sent_at) and C(acked_at) Unix seconds. What came back after the disaster is held against that file: a write that was
acknowledged and is not there is lost, whatever the database says about itself.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .._common.clock import Clock

SHOWN_LOST = 20
_FSYNC_S = 1.0


class Ack(NamedTuple):
    """One acknowledged write, in monotonic seconds."""

    seq: int
    sent: float
    acked: float


class Ledger:
    """The writer. C(write(seq)) returns once the row is acknowledged; an exception means it was not, and the next
    number is tried a moment later. C(rate) is in writes per second, at most: a slow system is not chased.

    C(errors) keeps the types of the exceptions, not their text: it could hold a password.
    """

    def __init__(
        self, path: Path, write: Callable[[int], None], rate: float = 10.0, clock: Clock | None = None
    ) -> None:
        self.path = path
        self.written = 0
        self.errors: dict[str, int] = {}
        self._write = write
        self._interval = 1.0 / rate
        # A thread's pace is real time, whatever clock the drill has; only a test of this class gives another.
        self._clock = clock or Clock()
        self._acks: list[Ack] = []
        self._ending = threading.Event()
        self._paused = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="drill-ledger", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def pause(self) -> None:
        """Stop sending, for example while traffic has no way to go; what is under way still counts."""
        self._paused.set()

    def resume(self) -> None:
        """Go on after a pause."""
        self._paused.clear()

    def stop(self, seconds: float = 10.0) -> bool:
        """Stop, and wait at most C(seconds) for the write under way. Whether the thread has ended."""
        self._ending.set()
        if self._thread.ident is not None:
            self._thread.join(seconds)
        return not self._thread.is_alive()

    def acks(self) -> list[Ack]:
        """Every acknowledged write so far."""
        with self._lock:
            return list(self._acks)

    def last(self) -> Ack | None:
        """The newest acknowledged write."""
        with self._lock:
            return self._acks[-1] if self._acks else None

    def _run(self) -> None:
        handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            synced = self._clock.monotonic()
            while not self._ending.is_set():
                began = self._clock.monotonic()
                if not self._paused.is_set():
                    self._one(handle)
                if self._clock.monotonic() - synced >= _FSYNC_S:
                    os.fsync(handle)
                    synced = self._clock.monotonic()
                self._ending.wait(max(0.0, self._interval - (self._clock.monotonic() - began)))
            os.fsync(handle)
        finally:
            os.close(handle)

    def _one(self, handle: int) -> None:
        self.written += 1
        seq, sent = self.written, self._clock.monotonic()
        try:
            self._write(seq)
        except Exception as error:
            name = type(error).__name__
            self.errors[name] = self.errors.get(name, 0) + 1
            return
        ack = Ack(seq, sent, self._clock.monotonic())
        offset = self._clock.now().timestamp() - self._clock.monotonic()
        line = {
            "seq": seq,
            "sent": round(ack.sent, 6),
            "acked": round(ack.acked, 6),
            "sent_at": round(ack.sent + offset, 6),
            "acked_at": round(ack.acked + offset, 6),
        }
        os.write(handle, (json.dumps(line) + "\n").encode())
        with self._lock:
            self._acks.append(ack)


def read(path: Path) -> list[Ack]:
    """The acknowledged writes in a ledger's file; a last line that was cut off was still being noted down."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    return [Ack(entry["seq"], entry["sent"], entry["acked"]) for entry in map(json.loads, lines)]


def lost(acks: Sequence[Ack], survived: Collection[int]) -> list[Ack]:
    """The acknowledged writes that are not among C(survived), in their order."""
    there = set(survived)
    return [ack for ack in acks if ack.seq not in there]


def recovery_point(acks: Sequence[Ack], survived: Collection[int], fault: float) -> float | None:
    """RPO in seconds: from the newest acknowledged write up to which nothing is lost, to the fault (monotonic).

    Writes acknowledged after the fault do not count. None when not one acknowledged write before it survived: the loss
    then reaches back beyond the ledger. Where nothing is lost it is the time since the last write, below the ledger's
    interval: an upper bound, not 0.
    """
    there = set(survived)
    newest = None
    for ack in acks:
        if ack.acked > fault:
            break
        if ack.seq not in there:
            break
        newest = ack.acked
    return None if newest is None else max(0.0, fault - newest)


def outage(acks: Sequence[Ack], fault: float) -> float | None:
    """Seconds from the fault to the first write that was sent after it and acknowledged; None when there was none."""
    return next((ack.acked - fault for ack in acks if ack.sent >= fault), None)


def evidence(ledger_acks: Sequence[Ack], survived: Collection[int], fault: float, written: int) -> dict[str, Any]:
    """What a report says about the ledger; C(window_s) is the time between the first and the last lost write."""
    before = [ack for ack in ledger_acks if ack.acked <= fault]
    gone = lost(before, survived)
    return {
        "kind": "ledger",
        "written": written,
        "acked": len(ledger_acks),
        "acked_before_fault": len(before),
        "survived": len(before) - len(gone),
        "lost": len(gone),
        "lost_ids": [ack.seq for ack in gone[:SHOWN_LOST]],
        "window_s": round(gone[-1].acked - gone[0].acked, 3) if gone else 0.0,
    }
