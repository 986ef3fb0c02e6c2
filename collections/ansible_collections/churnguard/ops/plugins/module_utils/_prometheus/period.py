# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The period of a review, from what a person says. No I/O. Internal: may change in any release."""

from __future__ import annotations

import re
from datetime import datetime, timezone

from .._common.clock import isoformat, parse_time
from .._common.errors import OperationError
from .ranges import Grid

_UNITS = {"m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION = re.compile(r"([1-9]\d*)([mhdw])$")
# The newest scrape may not be stored yet.
SETTLED_S = 5.0
# Fewer say nothing about a 95th percentile; more take memory for nothing that somebody could see.
LEAST_SAMPLES, MOST_SAMPLES = 20, 200_000


def seconds_of(text: str) -> int:
    """Seconds of 90m, 24h, 7d or 2w. Raises OperationError for anything else."""
    found = _DURATION.match(text.strip())
    if not found:
        raise OperationError(
            f"review the period {text!r}",
            "that is no duration.",
            "give a number and a unit, such as 24h, 90m, 7d or 2w.",
        )
    return int(found[1]) * _UNITS[found[2]]


def grid_of(period: str, end: str | None, step: int, now: float) -> Grid:
    """The moments to look at: the C(period) before C(end) (ISO 8601, C(now) without it), every C(step) seconds. C(now)
    is the server's clock (Unix s); the last SETTLED_S before it are left out. Raises OperationError for what cannot be
    looked at."""
    seconds = seconds_of(period)
    attempted = f"review {period} in steps of {step} s"
    if step < 1:
        raise OperationError(attempted, "that is no step.", "give at least one second.")
    if not LEAST_SAMPLES <= seconds // step <= MOST_SAMPLES:
        raise OperationError(
            attempted,
            f"that is {seconds // step} samples of each series.",
            f"choose a step that gives {LEAST_SAMPLES} to {MOST_SAMPLES}.",
        )
    last = now if end is None else _moment(end)
    if last > now:
        here = isoformat(datetime.fromtimestamp(now, timezone.utc))
        raise OperationError(
            f"review a period that ends {end}",
            f"by the clock of Prometheus it is {here}.",
            "give an end in the past, or compare the clocks of the machines.",
        )
    return Grid.until(min(last, now - SETTLED_S), seconds, step)


def _moment(text: str) -> float:
    try:
        moment = parse_time(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise OperationError(
            f"review a period that ends {text!r}",
            "that is no time with a zone.",
            "give one such as 2026-11-21T19:33:00Z.",
        )
    return moment.timestamp()
