"""The kubelet's restart backoff: immediately, then after 10 s, 20 s ... 300 s; forgotten after 10 quiet minutes."""

from __future__ import annotations

import dataclasses

INITIAL_S = 10.0
LONGEST_S = 300.0


@dataclasses.dataclass
class Backoff:
    """How long one container (or one image) has to wait. Times are unix seconds."""

    delay: float = 0.0
    updated: float | None = None

    def remaining(self, since: float, now: float) -> float:
        """Seconds still to wait after the failure at `since`; 0 when a start is allowed."""
        if self._forgotten(since):
            return 0.0
        return max(0.0, since + self.delay - now)

    def record(self, since: float, now: float) -> None:
        """Note a start (or a pull) at `now` that follows the failure at `since`: the next one waits longer."""
        self.delay = INITIAL_S if self._forgotten(since) else min(self.delay * 2, LONGEST_S)
        self.updated = now

    def _forgotten(self, since: float) -> bool:
        return self.updated is None or since - self.updated > 2 * LONGEST_S
