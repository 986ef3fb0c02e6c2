"""Loops that decide by counting bad samples, as others do. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from churnguard_lab.delivery.facts import sent
from churnguard_lab.load.ledger import INJECTED, Entry

OURS, LIMIT_3, THRESHOLD_3, FIRST_BAD = "ours", "failure_limit_3", "threshold_3", "first_bad_sample"
#: Bad samples after which a loop gives up. `failureLimit: 3` tolerates three and fails on the fourth; a threshold of 3
#: acts on the third; the operations guide's loop acts on the first.
PATIENCE = {LIMIT_3: 4, THRESHOLD_3: 3, FIRST_BAD: 1}


class Counting:
    """A loop that counts bad samples; `decided` is when it had enough of them."""

    def __init__(self, patience: int) -> None:
        self._patience = patience
        self.bad = 0
        self.decided: float | None = None

    def take(self, now: float, is_bad: bool) -> None:
        """A sample at `now` (Unix time)."""
        self.bad += is_bad
        if self.decided is None and self.bad >= self._patience:
            self.decided = now


def served(entries: Iterable[Entry], version: str, until: float) -> int:
    """Bad requests of `version` that were sent up to `until` (Unix time)."""
    return sum(entry.outcome == INJECTED and entry.version == version and sent(entry) <= until for entry in entries)
