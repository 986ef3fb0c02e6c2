# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What reviews of a period have in common: asking one Prometheus, by its own clock, until a deadline. Internal: may
change in any release."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TypeVar
from urllib.parse import urlsplit, urlunsplit

from .._common.clock import Clock, isoformat
from .._common.envelope import Recorder
from .._common.errors import OperationError
from .._common.waiting import DONE, PENDING, Finding, wait_until
from . import api
from .period import grid_of
from .ranges import Grid, Line, joined, query_range

_Answer = TypeVar("_Answer")
_AGAIN_S = 2.0


@dataclass(frozen=True)
class Server:
    """Where to ask. C(timeout) is for one query, C(deadline) for all of them together (s): a server that is starting
    again is waited for that long."""

    url: str
    timeout: float = 30.0
    deadline: float = 300.0

    def __post_init__(self) -> None:
        """Refuses, with OperationError, what would only be found out at the end of the deadline."""
        if urlsplit(self.url).scheme not in ("http", "https") or not urlsplit(self.url).hostname:
            raise OperationError(
                f"ask Prometheus at {self.shown!r}", "that is no address.", "give one such as http://prometheus:9090."
            )
        if not (self.timeout > 0 and self.deadline > 0):
            raise OperationError(
                f"ask {self.shown} with query_timeout {self.timeout:g} and deadline {self.deadline:g}",
                "there is no time to answer.",
                "give both in seconds, above 0.",
            )

    @property
    def shown(self) -> str:
        """The address without a password that it may hold."""
        parts = urlsplit(self.url)
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


class Asker:
    """Asks C(server) until its deadline, and tells C(recorder) when it was away. C(purpose) is what for, as errors say
    it: review performance."""

    def __init__(
        self, server: Server, clock: Clock, recorder: Recorder, purpose: str, max_clock_skew: float = 5.0
    ) -> None:
        self.server = server
        self._clock = clock
        self._recorder = recorder
        self._purpose = purpose
        self._max_clock_skew = max_clock_skew
        self._give_up = clock.monotonic() + server.deadline
        self.skew_s = 0.0
        self.interruptions = 0

    @property
    def warning(self) -> str:
        """What to tell somebody whose clocks are too far apart; empty when they are not."""
        if abs(self.skew_s) <= self._max_clock_skew:
            return ""
        return (
            f"The clock of Prometheus is {self.skew_s:+.1f} s from this machine's. The review is by the clock of "
            "Prometheus; synchronise them, so that its times can be compared with others."
        )

    def grid(self, period: str, end: str | None, step: int) -> Grid:
        """The moments of a period, as grid_of() makes them, by the server's clock, which is the one that its samples
        have; notices a skew, and says in the recorder's subject what is looked at."""
        before, server_now, after = self._asked("its time", self._times)
        if server_now is None:
            raise OperationError(
                f"ask {self.server.shown} what time it is", "it has none.", "check that this is a Prometheus."
            )
        # Anything between the two is no skew: the answer was on its way.
        self.skew_s = server_now - min(max(server_now, before), after)
        if self.warning:
            self._recorder.event(
                "clock_skew",
                f"the clock of Prometheus is {self.skew_s:+.1f} s from this machine's; the period is by it",
                {"skew_s": round(self.skew_s, 3)},
            )
        grid = grid_of(period, end, step, server_now)
        moments = {"start": _iso(grid.start), "end": _iso(grid.end), "step_s": grid.step, "samples": grid.count}
        self._recorder.subject = {"prometheus_url": self.server.shown, "period": period, **moments}
        return grid

    def lines(self, of: str, query: str, grid: Grid) -> list[Line]:
        """What C(query) yields over C(grid), in pieces that Prometheus accepts; C(of) is what people call it. Raises
        OperationError for a query that is refused, and when nobody answers within the deadline."""
        url, timeout = self.server.url, self.server.timeout
        pieces = grid.pieces()
        parts = []
        for number, piece in enumerate(pieces, start=1):
            what = of + (f", part {number} of {len(pieces)}" if len(pieces) > 1 else "")
            self._recorder.progress(f"asking for {what}")
            parts.append(self._asked(what, lambda piece=piece: query_range(url, query, piece, timeout)))
        return joined(parts, pieces)

    def measure_skew(self) -> None:
        """Put the skew among the recorder's measurements."""
        self._recorder.measure("clock_skew_s", round(abs(self.skew_s), 3), "s", self._max_clock_skew)

    def _times(self) -> tuple[float, float | None, float]:
        """This machine's time before and after the server's (Unix s)."""
        before = self._clock.now().timestamp()
        server_now = api.query_scalar(self.server.url, "time()", self.server.timeout)
        return before, server_now, self._clock.now().timestamp()

    def _asked(self, what: str, ask: Callable[[], _Answer]) -> _Answer:
        """The answer, as soon as the server gives one: while it restarts it is asked again until the deadline."""
        answers: list[_Answer] = []
        told: list[bool] = []

        def look() -> Finding:
            try:
                answers.append(ask())
            except api.Unreachable as error:
                return Finding(PENDING, str(error))
            except api.BadQuery as error:
                raise _refused(what, error, "correct the query, or the selectors that were filled in.") from error
            except api.QueryError as error:
                raise _refused(what, error, "ask for less: a longer step, a shorter period, fewer series.") from error
            return Finding(DONE, "")

        def again(finding: Finding, _waited: float) -> None:
            if not told:
                told.append(True)
                self.interruptions += 1
                self._recorder.event("prometheus_away", f"no answer for {what}: {finding.detail}; asking again")

        left = max(self._give_up - self._clock.monotonic(), 0.0)
        finding, waited = wait_until(look, self._clock, left, _AGAIN_S, again)
        if not finding.done:
            raise OperationError(
                f"{self._purpose} with {self.server.shown}",
                f"it did not answer for {what} in {waited:.0f} s: {finding.detail}.",
                "check that Prometheus runs and that this machine reaches it; nothing was judged.",
            )
        return answers[0]


def _refused(what: str, error: Exception, next_step: str) -> OperationError:
    return OperationError(f"review {what}", f"Prometheus refuses its query: {error}.", next_step)


def _iso(moment: float) -> str:
    return isoformat(datetime.fromtimestamp(moment, timezone.utc))
