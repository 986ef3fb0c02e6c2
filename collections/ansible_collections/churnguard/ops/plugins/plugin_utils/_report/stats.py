# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Counts and latency quantiles in bounded memory. No I/O. Internal: may change in any release."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

from .ledger import Entry

# Neither is held against the tool: the first is an answer, the second a fault that the version was built with.
NOT_FAILED = frozenset({"ok", "injected_5xx"})
QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
# Neighbouring buckets differ by 2 %, so a quantile is off by at most 1 %.
GROWTH = 1.02
SMALLEST_S = 1e-6


class LatencyHistogram:
    """Durations in buckets of equal ratio: some hundred numbers, however many requests."""

    def __init__(self) -> None:
        self.count = 0
        self._buckets: Counter[int] = Counter()

    def add(self, seconds: float) -> None:
        self.count += 1
        self._buckets[math.floor(math.log(max(seconds, SMALLEST_S)) / math.log(GROWTH))] += 1

    def quantile(self, share: float) -> float | None:
        """The duration (s) that C(share) (0 to 1) of all stay within; None without any."""
        rank = math.ceil(share * self.count)
        seen = 0
        for bucket in sorted(self._buckets):
            seen += self._buckets[bucket]
            if seen >= rank:
                return GROWTH ** (bucket + 0.5)
        return None

    def quantiles(self) -> dict[str, float | None]:
        """p50, p95 and p99 in seconds."""
        values = {name: self.quantile(share) for name, share in QUANTILES.items()}
        return {name: None if value is None else float(f"{value:.4g}") for name, value in values.items()}


class Tally:
    """What became of some requests. Latency counts those that were answered, without those that the load made
    slow on purpose."""

    def __init__(self) -> None:
        self.sent = 0
        self.failed = 0
        self.slow = 0
        self.by_version: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()
        self.latency = LatencyHistogram()

    def add(self, entry: Entry) -> None:
        self.sent += 1
        self.outcomes[entry.outcome] += 1
        if entry.outcome not in NOT_FAILED:
            self.failed += 1
        if entry.version is not None:
            self.by_version[entry.version] += 1
        if entry.slow:
            self.slow += 1
        elif entry.answered:
            self.latency.add(entry.latency)

    def counts(self) -> dict[str, Any]:
        """Plain data; C(by_version) leaves out requests that no version answered."""
        return {
            "sent": self.sent,
            "failed": self.failed,
            "by_version": dict(sorted(self.by_version.items())),
            "outcomes": dict(sorted(self.outcomes.items())),
        }

    def latency_s(self) -> dict[str, Any]:
        """Quantiles in seconds, the number of requests behind them, and of the slow ones left out."""
        return {**self.latency.quantiles(), "requests": self.latency.count, "slow_left_out": self.slow}


class Bins:
    """Tallies over equal stretches of time from C(start) (Unix s) to C(end)."""

    def __init__(self, start: float, end: float, width: float) -> None:
        self.start = start
        self.width = width
        self.tallies = [Tally() for _index in range(max(1, math.ceil((end - start) / width)))]

    def add(self, entry: Entry) -> None:
        index = int((entry.due - self.start) // self.width)
        if 0 <= index < len(self.tallies):
            self.tallies[index].add(entry)

    def columns(self) -> dict[str, Any]:
        """One list per figure, one place per stretch. Latencies in seconds, None where nothing was answered."""
        versions = sorted({version for tally in self.tallies for version in tally.by_version})
        outcomes = sorted({outcome for tally in self.tallies for outcome in tally.outcomes} - {"ok"})
        quantiles = [tally.latency.quantiles() for tally in self.tallies]
        return {
            "sent": [tally.sent for tally in self.tallies],
            "failed": [tally.failed for tally in self.tallies],
            "by_version": {v: [tally.by_version[v] for tally in self.tallies] for v in versions},
            "outcomes": {o: [tally.outcomes[o] for tally in self.tallies] for o in outcomes},
            "latency_s": {name: [values[name] for values in quantiles] for name in QUANTILES},
        }
