# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What reviews of a period have in common: options, selectors, limits, verdicts. No I/O. Internal: may change in any
release."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from string import Template
from typing import Any

from .._common.envelope import FAILED, NOT_CHECKED, PASSED
from .._common.errors import OperationError
from .ranges import Line

VIOLATION = "violation"
# rate() needs several scrapes in its window.
LEAST_WINDOW_S = 300


@dataclass(frozen=True)
class Scope:
    """Label matchers that templates are filled with: of machines (C($node)) and of the application
    (C($application))."""

    node: str = ""
    application: str = ""

    def fill(self, template: str, step: int) -> str:
        """C(template) as PromQL. C($window) is at least C(step) seconds, so that no moment between two steps is left
        out. What is no placeholder stays."""
        return Template(template).safe_substitute(
            node=self.node, application=self.application, window=f"{max(step, LEAST_WINDOW_S)}s"
        )


@dataclass(frozen=True)
class Wish:
    """What to review of whatever is reviewed: C(period) as 24h, C(end) as a time or None for now, C(step) in seconds,
    C(min_coverage) as a share of the samples."""

    scope: Scope
    period: str
    end: str | None
    step: int
    min_coverage: float


def check_series(attempted: str, lines: Sequence[Line], most: int) -> None:
    """Raises OperationError, with the label that is to blame, for more than C(most) series."""
    if len(lines) <= most:
        return
    values: dict[str, set[str]] = {}
    for line in lines:
        for name, value in line.labels.items():
            values.setdefault(name, set()).add(value)
    label = max(values, key=lambda name: len(values[name]))
    raise OperationError(
        attempted,
        f"its query yields {len(lines)} series (at most {most}); label {label} has {len(values[label])} values.",
        f"aggregate without it, as in sum without ({label}) (...), or narrow the selector.",
    )


def check_coverage(attempted: str, share: float) -> None:
    """Raises OperationError unless C(share) is one that something can be judged by."""
    if not 0 < share <= 1:
        raise OperationError(
            attempted, f"min_coverage {share:g} is no share of the samples.", "give one above 0 and at most 1, as 0.9."
        )


def number_or_none(attempted: str, what: str, value: Any) -> float | None:
    """A threshold or limit, which is C(what) people call it, out of a dictionary, whose values come without types;
    nothing and an empty text are none. Raises OperationError for what is no number."""
    if value is None or value == "":
        return None
    try:
        if isinstance(value, bool):
            raise ValueError("a boolean")
        return float(value)
    except (TypeError, ValueError) as error:
        answer = f"its {what} {value!r} is no number."
        raise OperationError(attempted, answer, "give a number, or none at all.") from error


def gaps(there: int, nans: int, expected: int, wanted: float) -> str:
    """Why C(there) of C(expected) samples are too few where the share C(wanted) is wanted; C(nans) more are no
    numbers."""
    reason = f"{there} of {expected} samples are there, {wanted:.0%} are wanted".replace("%", " %")
    return f"{reason}; {nans} are no numbers, as of a ratio of nothing" if nans else reason


def server_options(step: int) -> dict[str, dict[str, Any]]:
    """Argument-spec options of every review of a period, as the documentation fragment C(review) describes them;
    C(step) is the default."""
    return {
        "prometheus_url": {"type": "str", "required": True},
        "period": {"type": "str", "default": "24h"},
        "end": {"type": "str"},
        "step": {"type": "int", "default": step},
        "application_selector": {"type": "str", "default": ""},
        "min_coverage": {"type": "float", "default": 0.9},
        "max_clock_skew": {"type": "float", "default": 5},
        "fail_on": {
            "type": "list",
            "elements": "str",
            "choices": [VIOLATION, NOT_CHECKED],
            "default": [VIOLATION, NOT_CHECKED],
        },
        "query_timeout": {"type": "float", "default": 30},
        "deadline": {"type": "float", "default": 300},
    }


def acceptable(verdicts: Sequence[str], fail_on: Sequence[str]) -> bool:
    """Whether nothing that C(fail_on) names is among the verdicts of what has a limit. Where nothing has one, nothing
    was checked."""
    if VIOLATION in fail_on and FAILED in verdicts:
        return False
    return NOT_CHECKED not in fail_on or (NOT_CHECKED not in verdicts and bool(verdicts))


def overall(verdicts: Sequence[str]) -> str:
    """Of a whole review, from the verdicts of what has a limit: passed when there is one and all of them are."""
    return PASSED if verdicts and all(one == PASSED for one in verdicts) else FAILED
