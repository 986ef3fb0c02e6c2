# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tests that the judge decides by: each is one call of scipy.stats on whole numbers of requests. No I/O. Internal:
may change in any release."""

from __future__ import annotations

import importlib
import importlib.util
import math
import threading
from collections.abc import Sequence

from .._common.errors import OperationError

# A p-value of 1 (a discrete test without a single event) would outweigh every other in Stouffer's sum.
_HIGHEST_P = 0.999
# More than enough for any effect that matters: at 0.53 the p-value of so many is below 1e-20.
_MOST_RANKED = 20000


def require_scipy() -> None:
    """Raises OperationError where the tests cannot be computed. Does not import scipy, which takes a second."""
    if importlib.util.find_spec("scipy") is None:
        raise OperationError(
            "judge metrics", "scipy is not installed for this Python.", "install scipy, see requirements.txt."
        )


def preload() -> None:
    """Import scipy.stats beside everything else: it takes seconds on a busy machine, which the first bad sample should
    not have to wait for."""
    threading.Thread(target=importlib.import_module, args=("scipy.stats",)).start()


def p_share_above(events: int, total: int, share: float) -> float:
    """Exact binomial test, one-sided: how likely C(events) or more of C(total) are if each comes with a probability of
    at most C(share)."""
    from scipy.stats import binomtest

    return float(binomtest(events, total, share, alternative="greater").pvalue) if total else 1.0


def p_ratio_worse(events: int, total: int, events0: int, total0: int, rises: bool) -> float:
    """How likely a difference this large is if both sides have the same ratio; one-sided, C(rises) tests for a higher
    one in the first.

    Fisher's exact test; where events are no part of the total (several for one request), the conditional binomial test
    for two Poisson rates (Przyborowski and Wilenski 1940).
    """
    from scipy.stats import binomtest, fisher_exact

    side = "greater" if rises else "less"
    if not total or not total0:
        return 1.0
    if events > total or events0 > total0:
        both = events + events0
        return float(binomtest(events, both, total / (total + total0), alternative=side).pvalue) if both else 1.0
    table = [[events, total - events], [events0, total0 - events0]]
    return float(fisher_exact(table, alternative=side).pvalue)


def p_slower(bins: Sequence[int], bins0: Sequence[int]) -> float:
    """Mann-Whitney's test with correction for ties, one-sided: how likely ranks this high are if the requests counted
    in C(bins) are no slower than those in C(bins0). Both are counts for the same intervals in rising order."""
    from numpy import arange, repeat
    from scipy.stats import mannwhitneyu

    values = arange(len(bins), dtype="int8")
    first, second = repeat(values, _thinned(bins)), repeat(values, _thinned(bins0))
    if not len(first) or not len(second):
        return 1.0
    p_value = float(mannwhitneyu(first, second, alternative="greater", method="asymptotic").pvalue)
    # All requests in one interval: there is no order to test, and scipy says nan.
    return 1.0 if math.isnan(p_value) else p_value


def superiority(bins: Sequence[int], bins0: Sequence[int]) -> float:
    """Probability that a request counted in C(bins) is slower than one in C(bins0), a tie counting half; 0.5 is no
    difference. It is Mann-Whitney's U divided by the number of pairs."""
    pairs = sum(bins) * sum(bins0)
    if not pairs:
        return 0.5
    wins, below = 0.0, 0
    for count, count0 in zip(bins, bins0):  # noqa: B905 - strict is not known to Python 3.9
        wins += count * (below + count0 / 2)
        below += count0
    return wins / pairs


def combined(p_values: Sequence[float], weights: Sequence[float]) -> float:
    """Stouffer's weighted sum of one-sided p-values from independent stages."""
    from scipy.stats import combine_pvalues

    kept = [min(max(p, 1e-300), _HIGHEST_P) for p in p_values]
    return float(combine_pvalues(kept, method="stouffer", weights=list(weights)).pvalue)


def information(total: float, total0: float) -> float:
    """Weight of a stage in Stouffer's sum: the root of the two sides' harmonic size, to which its z-value grows."""
    return math.sqrt(total * total0 / (total + total0)) if total and total0 else 0.0


def quantile(bounds: Sequence[float], bins: Sequence[int], share: float) -> float | None:
    """The value that a C(share) of the counted stays below, interpolated in its interval as Prometheus does; the
    highest finite bound if it lies beyond. C(bounds) are the upper ends, the last one infinite. None for nothing."""
    total = sum(bins)
    if not total:
        return None
    rank, below, lower = share * total, 0, 0.0
    for bound, count in zip(bounds, bins):  # noqa: B905
        if below + count >= rank and count:
            return lower if math.isinf(bound) else lower + (bound - lower) * (rank - below) / count
        below += count
        lower = lower if math.isinf(bound) else bound
    return lower


def _thinned(bins: Sequence[int]) -> list[int]:
    total = sum(bins)
    return list(bins) if total <= _MOST_RANKED else [count * _MOST_RANKED // total for count in bins]
