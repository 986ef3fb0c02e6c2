# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Digests of tables: put together from the workers' parts, and read for the rows in which two differ. Pure. Internal:
may change in any release."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

#: Bits of a row's hash that are not in the second sum; see hashing.py.
_DROPPED_BITS = 33


@dataclass(frozen=True)
class Difference:
    """One bucket in which two digests differ: C(rows) more (or fewer, negative) in the actual one. C(position) is that
    of the one row that differs; None where several do."""

    bucket: int
    rows: int
    position: int | None


def gathered(parts: Iterable[Iterable[tuple[Any, ...]]]) -> dict[str, Any]:
    """A table's digest {rows, sum, buckets} from the rows that its queries answered."""
    buckets: dict[str, list[int]] = {}
    rows = total = 0
    for part in parts:
        for bucket, count, hashes, products in part:
            rows += int(count)
            total += int(hashes)
            if bucket is not None:
                held = buckets.setdefault(str(bucket), [0, 0, 0])
                held[0] += int(count)
                held[1] += int(hashes)
                held[2] += int(products)
    # As text: sums have more digits than most readers of JSON keep.
    kept = {bucket: [held[0], str(held[1]), str(held[2])] for bucket, held in sorted(buckets.items())}
    return {"rows": rows, "sum": str(total), "buckets": kept}


def differing(expected: Mapping[str, list[Any]], actual: Mapping[str, list[Any]], width: int) -> list[Difference]:
    """The buckets that are not equal, in order. C(width): positions are below it."""
    found = []
    for bucket in sorted({*expected, *actual}, key=int):
        before = [int(number) for number in expected.get(bucket, (0, 0, 0))]
        after = [int(number) for number in actual.get(bucket, (0, 0, 0))]
        if before != after:
            rows, hashes, products = (after[index] - before[index] for index in range(3))
            found.append(Difference(int(bucket), rows, _position(rows, hashes, products, width)))
    return found


def _position(rows: int, hashes: int, products: int, width: int) -> int | None:
    """The position of the only row that differs, or None if that cannot be.

    One row more, less or changed changes the first sum by d and the second by ((h' >> 33) - (h >> 33)) * position, and
    that factor is d >> 33 or one more. Several rows at once give no whole number within the bucket, save by a chance of
    about one in a thousand million."""
    if abs(rows) > 1:
        return None
    near = hashes >> _DROPPED_BITS
    found = {
        products // factor
        for factor in (near, near + 1)
        if factor and products % factor == 0 and 0 <= products // factor < width
    }
    return found.pop() if len(found) == 1 else None
