"""What a ledger says: counts, shares, quantiles. Pure but for `summarise`, which reads the file."""

from __future__ import annotations

import collections
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from churnguard_lab.load.ledger import INJECTED, Entry, read

_QUANTILES = {"p50": 0.50, "p95": 0.95, "p99": 0.99, "max": 1.0}


def summarise(ledger: Path | str, start: float | None = None, end: float | None = None) -> dict[str, Any]:
    """The summary of the requests that fell due from `start` to before `end` (Unix seconds; None: no bound).

    Raises ledger.LedgerError. See `summarise_entries` for the content; `rate`, `target` and `host` are added.
    """
    header, entries = read(ledger)
    chosen = (entry for entry in entries if (start is None or entry.t >= start) and (end is None or entry.t < end))
    known = {name: header.get(name) for name in ("rate", "target", "host")}
    return {"ledger": str(ledger), **known, **summarise_entries(chosen)}


def summarise_entries(entries: Iterable[Entry]) -> dict[str, Any]:
    """Counts (`sent`, `failed`, `injected`, `outcomes`, `by_version`, `by_connection`), `latency_s` overall and by
    version, `seconds` (for each second: sent, failed, share of each version), `lag_s` of the generator.

    Latency runs from the due time to the last byte and covers every answered request but the deliberately slow ones,
    which have `slow` to themselves.
    """
    all_entries = sorted(entries, key=lambda entry: entry.t)
    answered = [entry for entry in all_entries if entry.status is not None and not entry.slow]
    slow = [entry for entry in all_entries if entry.slow]
    versions = sorted({entry.version for entry in all_entries if entry.version})
    return {
        "from": all_entries[0].t if all_entries else None,
        "to": all_entries[-1].t if all_entries else None,
        "sent": len(all_entries),
        "failed": sum(entry.is_failed for entry in all_entries),
        "injected": sum(entry.outcome == INJECTED for entry in all_entries),
        "outcomes": _count(entry.outcome for entry in all_entries),
        "by_version": _count(entry.version for entry in all_entries if entry.version),
        "by_connection": {
            kind: {"sent": len(group), "failed": sum(entry.is_failed for entry in group)}
            for kind, group in _grouped(all_entries)
        },
        "failures": _count(f"{entry.outcome}: {entry.detail}" for entry in all_entries if entry.is_failed),
        "latency_s": quantiles([entry.lat for entry in answered]),
        "latency_by_version_s": {
            version: quantiles([entry.lat for entry in answered if entry.version == version]) for version in versions
        },
        "slow": {
            "sent": len(slow),
            "failed": sum(entry.is_failed for entry in slow),
            "latency_s": quantiles([entry.lat for entry in slow if entry.status is not None]),
        },
        "seconds": per_second(all_entries),
        "lag_s": quantiles([entry.lag for entry in all_entries]),
    }


def quantiles(values: Sequence[float]) -> dict[str, float] | None:
    """p50, p95, p99 (nearest rank: values that occurred) and max; None without values."""
    if not values:
        return None
    ranked = sorted(values)
    return {name: ranked[max(0, math.ceil(share * len(ranked)) - 1)] for name, share in _QUANTILES.items()}


def per_second(entries: Iterable[Entry]) -> list[dict[str, Any]]:
    """For each second in which something fell due: `t`, `sent`, `failed`, and the share of each version among the
    requests that named one."""
    seconds: dict[int, list[Entry]] = {}
    for entry in entries:
        seconds.setdefault(math.floor(entry.t), []).append(entry)
    rows = []
    for second, group in sorted(seconds.items()):
        named = _count(entry.version for entry in group if entry.version)
        total = sum(named.values())
        rows.append(
            {
                "t": second,
                "sent": len(group),
                "failed": sum(entry.is_failed for entry in group),
                "versions": {version: count / total for version, count in named.items()},
            }
        )
    return rows


def _count(values: Iterable[str | None]) -> dict[str, int]:
    return dict(sorted(collections.Counter(value for value in values if value is not None).items()))


def _grouped(entries: Iterable[Entry]) -> list[tuple[str, list[Entry]]]:
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(entry.conn, []).append(entry)
    return sorted(groups.items())
