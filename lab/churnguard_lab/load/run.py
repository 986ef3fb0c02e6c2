"""Runs a load: every request at its time, every outcome to the ledger, one line a second for people."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import gc
import resource
import time
from collections.abc import Callable
from typing import Any

from churnguard_lab.load.client import Client, Reply
from churnguard_lab.load.ledger import Entry, Writer
from churnguard_lab.load.schedule import Load, request
from churnguard_lab.load.summary import quantiles

_FLUSH_S = 0.5
_LONG_SLEEP_S = 0.05


class Run:
    """One run of `load` into `writer`; `live` gets a line a second."""

    def __init__(self, load: Load, writer: Writer, live: Callable[[str], None]) -> None:
        self._load = load
        self._writer = writer
        self._live = live
        self._stop = asyncio.Event()
        self._sent = 0
        self._failed = 0
        self._in_flight: set[asyncio.Task[None]] = set()
        self._recent: list[Entry] = []
        self._wall = 0.0
        self._start = 0.0

    def stop(self) -> None:
        """Send nothing more; what is under way is awaited."""
        self._stop.set()

    async def execute(self) -> dict[str, Any]:
        """Run to the end of the schedule or to `stop`. Returns the generator's own figures: how long it ran, how much
        of one processor it used, whether it was stopped early."""
        usage = resource.getrusage(resource.RUSAGE_SELF)
        # A full collection stops the schedule for tens of milliseconds; the objects alive now stay alive.
        gc.collect()
        gc.freeze()
        async with Client(self._load) as client:
            self._wall, self._start = time.time(), time.monotonic()
            side = [asyncio.create_task(self._flush()), asyncio.create_task(self._report())]
            await self._send_all(client)
            if self._in_flight:
                await asyncio.wait(self._in_flight, timeout=self._load.timeout_s + 1)
            for task in side:
                task.cancel()
            await asyncio.gather(*side, return_exceptions=True)
        self._writer.flush()
        elapsed = time.monotonic() - self._start
        spent = resource.getrusage(resource.RUSAGE_SELF)
        cpu = spent.ru_utime + spent.ru_stime - usage.ru_utime - usage.ru_stime
        return {
            "elapsed_s": round(elapsed, 3),
            "cpu_s": round(cpu, 3),
            "cpu_share": round(cpu / elapsed, 4),
            "stopped_early": self._stop.is_set(),
            "abandoned": len(self._in_flight),
        }

    async def _send_all(self, client: Client) -> None:
        for index in range(self._load.total):
            due = self._start + index / self._load.rate
            delay = due - time.monotonic()
            if delay > _LONG_SLEEP_S:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), delay)
            else:
                await asyncio.sleep(max(0.0, delay))
            if self._stop.is_set():
                return
            task = asyncio.create_task(self._one(client, index, due))
            self._in_flight.add(task)
            task.add_done_callback(self._in_flight.discard)

    async def _one(self, client: Client, index: int, due: float) -> None:
        planned = request(self._load, index)
        lag = max(0.0, time.monotonic() - due)
        self._sent += 1
        reply: Reply = await client.send(planned)
        entry = Entry(
            t=self._wall + due - self._start,
            lat=time.monotonic() - due,
            outcome=reply.outcome,
            status=reply.status,
            version=reply.version,
            slot=reply.slot,
            conn=planned.conn,
            slow=planned.slow,
            lag=lag,
            detail=reply.detail,
        )
        self._failed += entry.is_failed
        self._recent.append(entry)
        self._writer.add(entry)

    async def _flush(self) -> None:
        while True:
            await asyncio.sleep(_FLUSH_S)
            self._writer.flush()

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            recent, self._recent = self._recent, []
            elapsed = time.monotonic() - self._start
            self._live(live_line(elapsed, self._sent, len(self._in_flight), self._failed, recent))


def live_line(elapsed: float, sent: int, in_flight: int, failed: int, recent: list[Entry]) -> str:
    """The line of one second: totals, then latency and versions of the requests that ended in that second."""
    found = quantiles([entry.lat for entry in recent if entry.status is not None and not entry.slow])
    latency = f"p50 {found['p50'] * 1000:.1f} ms  p99 {found['p99'] * 1000:.1f} ms" if found else "no replies"
    versions = collections.Counter(entry.version for entry in recent if entry.version)
    total = sum(versions.values())
    shares = "  ".join(f"{version} {count / total:.0%}" for version, count in sorted(versions.items()))
    return f"{elapsed:6.0f} s  sent {sent}  in flight {in_flight}  failed {failed}  {latency}  {shares or 'no version'}"
