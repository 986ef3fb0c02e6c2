# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shares of users and conditions on their attributes, as flagd targeting and back. No I/O. Internal: may change in any
release.

flagd's C(fractional) maps a user to a point h of [0, 2^32) - the murmur3 hash of flag and user - and takes the
variant into whose interval h * total >> 32 falls, the intervals lying side by side in the order written. So C(on)
owns the points below its share when it comes first, and raising the share only adds points: whoever had the
feature keeps it. In another order, or with a variant between, users would change sides.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .model import OFF, ON, Flag

FRACTIONAL = "fractional"


@dataclass(frozen=True)
class Rule:
    """Who gets C(on): a share of all (None: not staged) that meet every condition (attribute: allowed values)."""

    percentage: int | None = None
    conditions: dict[str, list[Any]] = field(default_factory=dict)


def write_rule(rule: Rule) -> tuple[str, dict[str, Any] | None]:
    """The default variant and the targeting of a rule; None is no targeting.

    Everybody (100 %, no conditions) needs no targeting, and so includes requests without a user's id, which no
    share does: without an id there is nothing to hash.
    """
    whole = rule.percentage is None or rule.percentage == 100
    if not rule.conditions:
        if whole:
            return (ON if rule.percentage == 100 else OFF), None
        return OFF, _share(rule.percentage or 0)
    answer = ON if whole else _share(rule.percentage or 0)
    return OFF, {"if": [_all_of(rule.conditions), answer, OFF]}


def _share(percentage: int) -> dict[str, Any]:
    # Without an expression in front, flagd hashes the flag's name and the user's id: other users for each flag.
    return {FRACTIONAL: [[ON, percentage], [OFF, 100 - percentage]]}


def _all_of(conditions: dict[str, list[Any]]) -> dict[str, Any]:
    tests = [{"in": [{"var": attribute}, list(values)]} for attribute, values in conditions.items()]
    return tests[0] if len(tests) == 1 else {"and": tests}


def read_rule(flag: Flag) -> Rule | None:
    """The rule that the flag's targeting was written from; None when it was written in another way."""
    targeting, default, variants = flag.get("targeting"), flag.get("defaultVariant"), flag.get("variants")
    if not isinstance(variants, dict) or ON not in variants or OFF not in variants:
        return None
    if targeting and not isinstance(targeting, dict):
        return None
    if not targeting:
        return Rule(percentage=100) if default == ON else Rule()
    percentage: int | None = None
    conditions: dict[str, list[Any]] = {}
    answer: Any = targeting
    if isinstance(targeting.get("if"), list) and len(targeting["if"]) == 3:
        conditions = _conditions(targeting["if"][0])
        answer = targeting["if"][1]
    if isinstance(answer, dict):
        percentage = _percentage(answer)
    rule = Rule(percentage, conditions)
    return rule if write_rule(rule) == (default, targeting) else None


def _conditions(test: Any) -> dict[str, list[Any]]:
    tests = test["and"] if isinstance(test, dict) and isinstance(test.get("and"), list) else [test]
    try:
        return {one["in"][0]["var"]: one["in"][1] for one in tests}
    except (KeyError, IndexError, TypeError):
        return {}


def _percentage(share: dict[str, Any]) -> int | None:
    try:
        value = share[FRACTIONAL][0][1]
    except (KeyError, IndexError, TypeError):
        return None
    return value if isinstance(value, int) else None


def moved(before: Any, after: Any) -> dict[tuple[str, str], float]:
    """Per cent of the users under the C(fractional) of both targetings who change from one variant to another:
    {(from, to): per cent}. Empty where the two do not split users by the same key at the same place."""
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = [(old, after[index]) for index, old in enumerate(before)]
    elif isinstance(before, dict) and isinstance(after, dict) and set(before) == set(after):
        if set(before) == {FRACTIONAL}:
            return _moved_share(before[FRACTIONAL], after[FRACTIONAL])
        pairs = [(before[key], after[key]) for key in before]
    else:
        return {}
    found: dict[tuple[str, str], float] = {}
    for old, new in pairs:
        found.update(moved(old, new))
    return found


def _moved_share(before: Any, after: Any) -> dict[tuple[str, str], float]:
    try:
        (old_key, old), (new_key, new) = _intervals(before), _intervals(after)
    except (TypeError, IndexError, KeyError):
        return {}  # one of them was never valid
    if old_key != new_key:
        return {}
    found: dict[tuple[str, str], float] = {}
    for begin, end, was in old:
        for other_begin, other_end, becomes in new:
            overlap = min(end, other_end) - max(begin, other_begin)
            if overlap > 1e-9 and was != becomes:
                found[was, becomes] = round(found.get((was, becomes), 0.0) + 100 * overlap, 2)
    return found


def _intervals(arguments: list[Any]) -> tuple[Any, list[tuple[float, float, str]]]:
    """The key that is hashed, and each variant's part of [0, 1). No parts if a weight is computed."""
    key = None if isinstance(arguments[0], list) else arguments[0]
    entries = arguments if key is None else arguments[1:]
    weights = [entry[1] if len(entry) > 1 else 1 for entry in entries]
    if not all(isinstance(weight, int) for weight in weights) or sum(weights) <= 0:
        return key, []
    parts, begin = [], 0
    for index, weight in enumerate(weights):
        parts.append((begin / sum(weights), (begin + weight) / sum(weights), str(entries[index][0])))
        begin += weight
    return key, parts
