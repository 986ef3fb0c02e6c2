# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the load ledgers say about stretches of time: one pass over each file. Internal: may change in any release."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .ledger import Ledger, Problems, entries, expand, peek
from .stats import Bins, Tally

# Load just before and after the operations belongs in the picture; load of another day does not.
MARGIN_S = 30.0
MOST_BINS = 900
BIN_WIDTHS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600)

Interval = tuple[float, float]


@dataclass
class Window:
    """The requests that were in flight at any time between two moments (Unix s)."""

    start: float
    end: float
    tally: Tally = field(default_factory=Tally)
    covered: list[Interval] = field(default_factory=list)
    expected: float = 0.0

    @property
    def covered_s(self) -> float:
        return sum(end - start for start, end in self.covered)


@dataclass
class Traffic:
    """All that was read. C(span) is the stretch that C(total) and C(bins) speak about; C(outside) are requests of
    the same ledgers before or after it."""

    given: int
    windows: list[Window]
    span: Interval | None = None
    total: Tally = field(default_factory=Tally)
    outside: Tally = field(default_factory=Tally)
    bins: Bins | None = None
    ledgers: list[dict[str, Any]] = field(default_factory=list)
    problems: Problems = field(default_factory=Problems)


def measure(patterns: Sequence[str], intervals: Sequence[Interval]) -> Traffic:
    """Reads the ledgers that C(patterns) name, as far as they concern C(intervals) (start, end of each operation).

    A ledger that lies wholly outside the operations is listed but not read. Without operations all are read.
    Raises OperationError for a ledger that is not there, not readable or not a ledger.
    """
    ledgers = [peek(path) for path in expand(list(patterns))]
    traffic = Traffic(given=len(ledgers), windows=[Window(start, end) for start, end in intervals])
    traffic.span = _span(ledgers, intervals)
    if traffic.span:
        traffic.bins = Bins(*traffic.span, width=bin_width(traffic.span[1] - traffic.span[0]))
    for ledger in ledgers:
        traffic.ledgers.append(_read(ledger, traffic))
    return traffic


def bin_width(seconds: float) -> float:
    """The finest width (s) that keeps a series over C(seconds) small."""
    fitting = (width for width in BIN_WIDTHS_S if seconds / width <= MOST_BINS)
    return float(next(fitting, seconds / MOST_BINS))


def merge(intervals: Sequence[Interval], within: Interval) -> list[Interval]:
    """The parts of C(within) that C(intervals) cover together, in order and without overlaps."""
    merged: list[Interval] = []
    for start, end in sorted((max(start, within[0]), min(end, within[1])) for start, end in intervals):
        if end < start:
            continue
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _span(ledgers: Sequence[Ledger], intervals: Sequence[Interval]) -> Interval | None:
    """The stretch the report looks at: the operations with a margin, cut to where there is load at all."""
    loads = [(one.started, one.last) for one in ledgers if one.started is not None and one.last is not None]
    if not loads:
        return None
    start, end = min(load[0] for load in loads), max(load[1] for load in loads)
    if intervals:
        start = max(start, min(interval[0] for interval in intervals) - MARGIN_S)
        end = min(end, max(interval[1] for interval in intervals) + MARGIN_S)
    start = float(int(start))
    return (start, end) if end > start else None


def _read(ledger: Ledger, traffic: Traffic) -> dict[str, Any]:
    """Count the requests of a ledger, and tell what was done with it."""
    span, bins = traffic.span, traffic.bins
    if ledger.started is None or ledger.last is None:
        for _entry in entries(ledger.path, traffic.problems.add):
            pass
        return _describe(ledger, 0, "no request in it")
    if span is None or bins is None or ledger.last < span[0] or ledger.started > span[1]:
        return _describe(ledger, 0, "not from the time of the operations")
    count, first, last = 0, ledger.started, ledger.started
    for entry in entries(ledger.path, traffic.problems.add):
        count += 1
        ended = entry.ended
        first, last = min(first, entry.due), max(last, ended)
        if ended >= span[0] and entry.due <= span[1]:
            traffic.total.add(entry)
            bins.add(entry)
        else:
            traffic.outside.add(entry)
        for window in traffic.windows:
            if entry.due <= window.end and ended >= window.start:
                window.tally.add(entry)
    for window in traffic.windows:
        parts = merge([(first, last)], (window.start, window.end))
        window.covered = merge([*window.covered, *parts], (window.start, window.end))
        window.expected += sum(end - start for start, end in parts) * (ledger.rate or 0)
    return _describe(ledger._replace(started=first, last=last), count, None)


def _describe(ledger: Ledger, count: int, left_out: str | None) -> dict[str, Any]:
    return {
        "file": Path(ledger.path).name,
        "started": ledger.started,
        "finished": ledger.last,
        "rate": ledger.rate,
        "target": ledger.target,
        "host": ledger.host,
        "requests": count,
        "left_out": left_out,
    }
