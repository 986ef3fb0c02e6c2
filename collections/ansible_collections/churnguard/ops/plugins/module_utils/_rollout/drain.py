# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Has a slot that gets no more traffic really fallen silent? Internal: may change in any release."""

from __future__ import annotations

from dataclasses import dataclass

from .._common.waiting import DONE, PENDING, Finding


@dataclass(frozen=True)
class Activity:
    """One reading of a slot's own counters. C(served) is its requests so far, C(in_flight) those not answered yet,
    C(age) the seconds since the oldest of its samples was scraped. None where the series do not exist."""

    served: float | None
    in_flight: float | None
    age: float | None


def activity_queries(namespace: str, app: str, slot: str) -> dict[str, str]:
    """PromQL for the fields of Activity, pinned to the slot."""
    match = f'namespace="{namespace}",app="{app}",slot="{slot}"'
    in_flight = f"churnguard_requests_in_progress{{{match}}}"
    return {
        "served": f"sum(churnguard_requests_total{{{match}}})",
        "in_flight": f"sum({in_flight})",
        "age": f"time() - min(timestamp({in_flight}))",
    }


class Silence:
    """Decides from successive looks whether a slot has been silent for C(quiet) seconds without a break.

    C(metered) says whether counters are read; without them only the probes speak. Fresh samples are demanded: a
    scrape from before the quiet time proves nothing.
    """

    def __init__(self, quiet: float, metered: bool, begin: float) -> None:
        self._quiet = quiet
        self._metered = metered
        self._since = begin
        self._served: float | None = None

    def look(self, now: float, probe_hit: bool, activity: Activity | None) -> Finding:
        """C(probe_hit): a probe was answered by the slot just now. C(activity) is None if it could not be read."""
        reason = self._stir(probe_hit, activity)
        if reason:
            self._since = now
            return Finding(PENDING, reason)
        silent = now - self._since
        # The newest sample describes a moment "age" seconds ago: it must lie a quiet time after the last stir.
        proved = silent - (activity.age or 0.0) if self._metered and activity else silent
        if proved >= self._quiet:
            return Finding(DONE, f"silent for {proved:.0f} s")
        return Finding(PENDING, f"silent for {max(proved, 0):.0f} s of {self._quiet:.0f} s")

    def _stir(self, probe_hit: bool, activity: Activity | None) -> str:
        if probe_hit:
            return "a probe was still answered by it"
        if not self._metered:
            return ""
        if activity is None or activity.in_flight is None or activity.age is None:
            return "its metrics cannot be read, so silence cannot be proved"
        served, before = activity.served or 0.0, self._served
        self._served = served
        if activity.in_flight > 0:
            return f"{activity.in_flight:.0f} requests still in flight"
        if before is not None and served > before:
            return f"it served {served - before:.0f} more requests"
        if before is not None and served < before:
            return "its counters went back, so a pod has restarted or gone; what that one served is not known"
        return ""
