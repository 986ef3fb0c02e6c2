# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way home after a region's loss: step by step, from whatever state. Internal: may change in any release."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._common.clock import Clock
from .._common.errors import OperationError
from .._common.waiting import DONE, PENDING, Finding, wait_until
from . import database_node as nodes
from . import region_plan as plans
from .database_node import Node

_STEPS = 12
_WAIT_S = 300.0
_BEHIND_BYTES = 1 << 20


@dataclass(frozen=True)
class Pair:
    """The two regions' databases: C(home) is the one that has to be the primary in the end. C(kept) is a file with what
    its postgresql.auto.conf was before the drill."""

    home: Node
    away: Node
    slot: str
    kept: str

    def as_data(self) -> dict[str, Any]:
        return {"home": self.home.as_data(), "away": self.away.as_data(), "slot": self.slot, "kept": self.kept}

    def own_settings(self) -> str:
        """Raises OperationError."""
        try:
            return Path(self.kept).read_text(encoding="utf-8")
        except OSError as error:
            raise OperationError(
                f"read {self.kept}, the settings of {self.home.address} from before", f"{error}.", "restore that file."
            ) from error


def from_data(data: Mapping[str, Any]) -> Pair:
    """The pair that as_data() gave."""
    return Pair(nodes.from_data(data["home"]), nodes.from_data(data["away"]), data["slot"], data["kept"])


class Homecoming:
    """Brings C(home) back as the primary. C(ready) is called before the switch and returns once the first region can
    serve; C(steps) are those that were made, C(switched) the monotonic times at which a switch began and had ended."""

    def __init__(self, pair: Pair, clock: Clock, say: Callable[[str], None], ready: Callable[[], None]) -> None:
        self.pair, self.clock, self.say, self._ready = pair, clock, say, ready
        self.steps: list[str] = []
        self.rebuilt_by = ""
        self.switched: tuple[float, float] | None = None

    def run(self) -> plans.State:
        """Until the first region's database is the primary; its state. Raises OperationError."""
        home, away = self.pair.home, self.pair.away
        act = {
            plans.START_HOME: self._start_home,
            plans.START_AWAY: lambda: away.command(away.start, "start"),
            plans.REBUILD_HOME: self._rebuild,
            plans.SWITCH: self._switch,
            plans.PROMOTE_HOME: self._promote_home,
            plans.PROMOTE_AWAY: lambda: nodes.promote(away),
        }
        for _step in range(_STEPS):
            here, there = nodes.look(home), nodes.look(away)
            if here is None:
                raise OperationError(
                    f"bring {home.address} back", f"{home.home} is gone.", "copy it anew from the other region."
                )
            step = plans.next_step(here, there)
            words = f"{home.name}: {here.words()}; {away.name}: {there.words() if there else 'gone'}"
            if step == plans.HOME:
                self._settle()
                return here
            if step == plans.STUCK:
                raise OperationError(
                    f"bring {home.address} back",
                    f"{words}.",
                    "nothing can be done without losing writes: look at both.",
                )
            self.say(f"{words}; next: {step}")
            act[step]()
            self.steps.append(step)
        raise OperationError(f"bring {home.address} back", f"it is not after {_STEPS} steps: {words}.", "look at both.")

    def _start_home(self) -> None:
        """As a follower, or as the primary that it was. Then the other one must be no primary, and not become one by a
        promotion that a killed drill has ordered: it is stopped first, and looked at."""
        home, away = self.pair.home, self.pair.away
        here, there = nodes.look(home), nodes.look(away)
        fence = there is not None and there.running and here is not None and not here.standby
        if fence:
            away.command(away.stop, "stop")
            there = nodes.look(away)
            if there is not None and not there.standby:
                return  # it was promoted: the next look decides
        nodes.forget_lock(home)
        home.command(home.start, "start")
        if fence:
            away.command(away.start, "start")

    def _rebuild(self) -> None:
        how, why = nodes.rebuild(self.pair.home, self.pair.away, self.pair.slot, self.pair.own_settings())
        self.rebuilt_by = how
        self.say(f"{self.pair.home.name} was rebuilt with {how}" + (f", because {why}" if why else ""))

    def _switch(self) -> None:
        """Planned, and without loss: the primary is stopped in order, which sends all it has; what it sent is there
        before the other one is promoted."""
        home, away = self.pair.home, self.pair.away
        self._wait(self._behind, f"see {home.address} follow {away.address}")
        self._ready()
        nodes.ensure_slot(home, self.pair.slot)
        nodes.write(away, away.home / nodes.SIGNAL, "")
        begin = self.clock.monotonic()
        away.command(away.stop, "stop")
        stopped = nodes.look(away)
        if stopped is None or stopped.running or not stopped.clean:
            raise OperationError(
                f"stop {away.address}", f"it is a {stopped.words() if stopped else 'missing one'}.", "stop it in order."
            )

        def caught_up() -> Finding:
            state = nodes.look(home)
            there = state is not None and state.lsn > stopped.lsn
            return Finding(DONE if there else PENDING, f"{home.address} has not replayed all of {away.address}")

        self._wait(caught_up, f"see all of {away.address} replayed", 0.02)
        nodes.promote(home)
        self.switched = (begin, self.clock.monotonic())
        away.command(away.start, "start")

    def _promote_home(self) -> None:
        nodes.promote(self.pair.home)
        state = nodes.look(self.pair.away)
        if state is not None and not state.running:
            self.pair.away.command(self.pair.away.start, "start")

    def _behind(self) -> Finding:
        found = nodes.lag(self.pair.away, self.pair.slot)
        if found is None:
            return Finding(PENDING, "nobody streams")
        near = found[0] == "streaming" and found[1] <= _BEHIND_BYTES
        return Finding(DONE if near else PENDING, f"{found[0]}, {found[1]} bytes behind")

    def _settle(self) -> None:
        """A primary keeps nothing of its time as a standby."""
        if self.pair.home.passwords.exists():
            nodes.stop_following(self.pair.home, self.pair.own_settings())

    def _wait(self, look: Callable[[], Finding], attempted: str, interval: float = 0.2) -> None:
        found, waited = wait_until(look, self.clock, _WAIT_S, interval)
        if not found.done:
            raise OperationError(attempted, f"{found.detail} after {waited:.0f} s.", "read both servers' logs.")
