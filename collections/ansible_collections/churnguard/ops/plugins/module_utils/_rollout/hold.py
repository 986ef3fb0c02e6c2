# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a weight is held, and what ends it: time that went well, somebody's word, or patience running out. No I/O.
Internal: may change in any release."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .._common.waiting import DONE, FAILED, PENDING, Finding
from .model import Pace, Step

GOOD = "good"


def planned_looks(pace: Pace, interval: float, max_hold: float) -> int:
    """The most samples that a release at this pace can take, each weight and the bake held as planned and once frozen
    as long as is allowed: what the judge's correction for looking many times needs."""
    times = [seconds for _weight, seconds in pace.weights] + [pace.bake_seconds]
    return sum(max(math.ceil(seconds / interval), 1) for seconds in times) + math.ceil(max_hold / interval)


@dataclass
class Hold:
    """One weight being held. All times are seconds; C(frozen) and C(paused_for) are those without a break.

    Time counts as held while the last sample was good; it is over with a good sample after C(seconds) of that.
    """

    seconds: float
    max_hold: float
    pause_timeout: float
    judged: bool
    gate_timeout: float | None = None
    held: float = 0.0
    frozen: float = 0.0
    paused_for: float = 0.0
    waited: float = 0.0
    paused: bool = False
    promoted: bool = False
    approved: bool = False
    verdict: str = ""
    reason: str = ""
    cause: str = ""

    @classmethod
    def of(cls, step: Step, judged: bool, max_hold: float, pause_timeout: float) -> Hold:
        """For a HOLD, a BAKE or a GATE; at a gate before any traffic there is nothing to judge."""
        timeout = step.args.get("timeout")
        return cls(
            seconds=float(step.args.get("seconds", 0.0)),
            max_hold=max_hold,
            pause_timeout=pause_timeout,
            judged=judged and step.args.get("weight", 0) > 0,
            gate_timeout=None if timeout is None else float(timeout),
        )

    @property
    def is_frozen(self) -> bool:
        """Whether the last sample keeps the weight where it is."""
        return self.verdict not in ("", GOOD)

    def passed(self, seconds: float) -> None:
        """So much time has gone by since the last call."""
        self.waited += seconds
        self.paused_for = self.paused_for + seconds if self.paused else 0.0
        if self.is_frozen:
            self.frozen += seconds
        elif not self.paused:
            self.held += seconds

    def judge(self, verdict: str, reason: str, cause: str = "") -> bool:
        """Take a sample in; whether it has just frozen the weight, or keeps it frozen for another cause."""
        began = verdict != GOOD and (not self.is_frozen or cause != self.cause)
        self.verdict, self.reason, self.cause = verdict, reason, cause
        if verdict == GOOD:
            self.frozen = 0.0
        return began

    def again(self) -> None:
        """From the beginning: what was seen does not count."""
        self.held = self.frozen = 0.0
        self.verdict = self.reason = self.cause = ""

    @property
    def left(self) -> float:
        """Seconds that still have to go well."""
        return max(self.seconds - self.held, 0.0)

    def finding(self) -> Finding:
        """Done, failed because patience has run out, or pending; the detail is for people."""
        if self.promoted:
            return Finding(DONE, "promoted by hand")
        if self.frozen >= self.max_hold:
            return Finding(FAILED, f"frozen for {self.frozen:.0f} s (max_hold): {self.reason}")
        if self.paused_for >= self.pause_timeout:
            return Finding(FAILED, f"paused for {self.paused_for:.0f} s, and nobody resumed it")
        if self.gate_timeout is not None and not self.approved and self.waited >= self.gate_timeout:
            return Finding(FAILED, f"nobody approved within {self.gate_timeout:.0f} s")
        if self.paused:
            return Finding(PENDING, f"paused for {self.paused_for:.0f} of {self.pause_timeout:.0f} s")
        if self.is_frozen:
            return Finding(PENDING, f"frozen for {self.frozen:.0f} of {self.max_hold:.0f} s: {self.reason}")
        if self.gate_timeout is not None and not self.approved:
            return Finding(PENDING, f"waiting for approval, {self.waited:.0f} of {self.gate_timeout:.0f} s")
        if self.held < self.seconds:
            return Finding(PENDING, f"held for {self.held:.0f} of {self.seconds:.0f} s")
        if self.judged and self.verdict != GOOD:
            return Finding(PENDING, "waiting for the first sample")
        if self.gate_timeout is not None:
            return Finding(DONE, f"approved after {self.waited:.0f} s")
        return Finding(DONE, f"held for {self.held:.0f} s")
