"""Telling a wrong share from bad luck."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

#: 99 % of all binomial samples lie within this many standard deviations.
DEVIATIONS = 2.576
SAMPLES = 3


def assert_share(what: str, draw: Callable[[int], int], count: int, share: float) -> None:
    """`draw(count)` tells how many of `count` independent requests were hits: a binomial sample of `share`.

    A sample outside the 99 % band is drawn anew, twice at most. So a right share fails once in a million times, and
    one that is off by twice the band, which fails a single sample in 99 of 100 cases, still fails in 98.
    """
    band = DEVIATIONS * math.sqrt(count * share * (1 - share)) + 0.5
    found = []
    for _ in range(SAMPLES):
        found.append(draw(count))
        if abs(found[-1] - count * share) <= band:
            return
    pytest.fail(f"{what}: {found} of {count}, expected {count * share:g} within {band:.1f}")
