# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Selectors of series, and which labels may be grouped by. No I/O. Internal: may change in any release."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection
from typing import Any

#: Labels with few values, however many customers there are.
BOUNDED_LABELS = frozenset(
    {
        "app", "cluster", "code", "component", "endpoint", "environment", "instance", "job", "method", "model_version",
        "namespace", "region", "risk_level", "slot", "status", "status_code", "type", "version", "zone",
    }
)  # fmt: skip
#: Words in a label's name that say that it has a value for each customer, user or request.
_UNBOUNDED = frozenset(
    {
        "organisation", "organization", "org", "tenant", "customer", "account", "user", "email", "session", "id", "ip",
        "token", "uuid", "path", "url",
    }
)  # fmt: skip
_SELECTOR = re.compile(r"\s*([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(?:\{(.*)\})?\s*", re.DOTALL)
_MATCHER = re.compile(r"\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*\"((?:[^\"\\]|\\.)*)\"\s*(?:,|$)")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class SloError(Exception):
    """A definition that cannot become rules; says which one and why."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"SLO {name}: {problem}")


def seconds(duration: str) -> int | None:
    """Seconds of a duration such as 90s, 5m, 6h or 30d; None if it is none."""
    match = re.fullmatch(r"([1-9]\d*)([smhd])", duration)
    return int(match[1]) * _UNITS[match[2]] if match else None


def is_unbounded(label: str) -> bool:
    """Whether a label's name says that it grows with customers, users or requests (organization_id, clientIP)."""
    return bool(_UNBOUNDED & {word.lower() for word in re.findall("[A-Z]?[a-z]+|[A-Z]+", label)})


def check_bounded(name: str, label: str, extra: Collection[str]) -> None:
    """Raise SloError for a label that may not be grouped by: each of its values is a series of some 20 rules."""
    if label in BOUNDED_LABELS or (label in extra and not is_unbounded(label)):
        return
    raise SloError(
        name,
        f"by: label {label} is not known to have few values, and every value would be a series of every rule. "
        f"Known are {', '.join(sorted(BOUNDED_LABELS | frozenset(extra)))}.",
    )


@dataclasses.dataclass(frozen=True)
class Selector:
    """A metric's name and matchers, as written between the braces."""

    metric: str
    matchers: str

    @classmethod
    def parse(cls, name: str, option: str, text: Any) -> Selector:
        """Read C(text), such as C(x_total{code=~"5.."}). Raises SloError in the name of the SLO C(name)."""
        match = _SELECTOR.fullmatch(text) if isinstance(text, str) else None
        if not match:
            raise SloError(
                name, f'{option} {text!r}: a selector without function or range is wanted, such as a_total{{b="c"}}.'
            )
        rest = (match[2] or "").strip()
        matchers = []
        while rest:
            found = _MATCHER.match(rest)
            if not found:
                raise SloError(name, f'{option}: cannot read {rest!r} in {text!r}; matchers are label="value".')
            if is_unbounded(found[1]):
                raise SloError(name, f"{option}: label {found[1]} has a value for each customer or request.")
            matchers.append(f'{found[1]}{found[2]}"{found[3]}"')
            rest = rest[found.end() :]
        return cls(match[1], ",".join(matchers))

    def text(self, suffix: str = "", *more: str) -> str:
        """PromQL for it, with C(suffix) behind the metric's name and further matchers."""
        matchers = ",".join(part for part in (self.matchers, *more) if part)
        return f"{self.metric}{suffix}{{{matchers}}}" if matchers else f"{self.metric}{suffix}"
