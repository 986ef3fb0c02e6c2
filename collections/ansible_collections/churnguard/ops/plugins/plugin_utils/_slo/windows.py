# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The windows over which burning of the error budget is measured. No I/O. Internal: may change in any release.

The shares of the budget are those of the Google SRE workbook, chapter 5, which sloth and kube-prometheus use too: with
a period of 30 days they are factors of 14.4, 6, 3 and 1.
"""

from __future__ import annotations

import dataclasses

from .model import Slo
from .selector import SloError, seconds

PAGE, TICKET = "page", "ticket"
#: Measured from the counters themselves; what is longer comes from their five-minute rates. Reading six hours of ten
#: thousand counters twice a minute took more than all other rules together.
DIRECT = ("5m", "30m", "1h")
DERIVED = ("2h", "6h", "1d", "3d")


@dataclasses.dataclass(frozen=True)
class Burn:
    """A pair of windows that both have to be over the limit. C(share) is the part of the budget that is gone when an
    even burn has lasted for the long window."""

    alert: str
    share: float
    long: str
    short: str

    def factor(self, period_days: int) -> float:
        """How many times faster than allowed the budget burns."""
        return round(self.share * period_days * 86400 / (seconds(self.long) or 1), 6)


BURNS = (
    Burn(PAGE, 0.02, "1h", "5m"),
    Burn(PAGE, 0.05, "6h", "30m"),
    Burn(TICKET, 0.10, "1d", "2h"),
    Burn(TICKET, 0.10, "3d", "6h"),
)


def reachable(slo: Slo, alert: str) -> list[tuple[Burn, float]]:
    """The pairs of C(alert) that errors can exceed, with their limits as error ratios: with a generous budget not even
    an outage burns 14.4 times too fast. Raises SloError when none is left."""
    pairs = [(burn, burn.factor(slo.period_days) * slo.budget) for burn in BURNS if burn.alert == alert]
    found = [(burn, round(limit, 12)) for burn, limit in pairs if limit < 1]
    if not found:
        least = 100 - 100 / min(burn.factor(slo.period_days) for burn, _limit in pairs)
        raise SloError(
            slo.name,
            f"objective {slo.objective:g} %: not even a total outage burns its budget fast enough for a {alert}. "
            f"More than {least:.1f} % is needed.",
        )
    return found
