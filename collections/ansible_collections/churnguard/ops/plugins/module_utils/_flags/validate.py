# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a flag, by flagd's schema and by what would surprise at run time. No I/O. Internal: may change in
any release.

Providers read a document as a whole: one flag that they cannot read keeps every change of the document from arriving.
"""

from __future__ import annotations

from typing import Any

from .model import DISABLED, ENABLED, Document, Flag, type_of
from .rules import FRACTIONAL

_MEMBERS = ("state", "variants", "defaultVariant", "targeting", "metadata")
# Operator: fewest and most arguments (None: any number), by https://flagd.dev/schema/v0/targeting.json.
OPERATORS: dict[str, tuple[int, int | None]] = {
    **dict.fromkeys(("==", "===", "!=", "!==", "%", "/", "in"), (2, 2)),
    **dict.fromkeys(("map", "filter", "all", "none", "some", "starts_with", "ends_with", "missing_some"), (2, 2)),
    **dict.fromkeys(("<", "<=", ">", ">=", "substr"), (2, 3)),
    **dict.fromkeys(("reduce", "sem_ver"), (3, 3)),
    **dict.fromkeys(("!", "!!"), (1, 1)),
    **dict.fromkeys(("var",), (1, 2)),
    **dict.fromkeys(("if", "and", "or", "+", "-", "max", "min", "merge", "cat", "missing", FRACTIONAL), (1, None)),
    "*": (2, None),
}
# What these answer are booleans, which flagd takes for the variants "true" and "false".
_TESTS = frozenset(
    ("==", "===", "!=", "!==", "<", "<=", ">", ">=", "!", "!!", "in", "all", "none", "some")
    + ("starts_with", "ends_with", "sem_ver")
)
_INJECTED = ("$flagd.flagKey", "$flagd.timestamp")
_COMPARISONS = ("=", "!=", ">", "<", ">=", "<=", "~", "^")


def document_problems(document: Document) -> dict[str, list[str]]:
    """Flag name: what is wrong with it; only flags that have problems, and under "" the document's own. Shares in
    another unit than per cent are none: flagd takes them, only a task of ours has to say per cent."""
    evaluators = document.get("$evaluators") or {}
    found = {"": _metadata_problems(document.get("metadata"))}
    for name, flag in document["flags"].items():
        found[name] = flag_problems(flag, evaluators, per_cent=False)
    return {name: problems for name, problems in found.items() if problems}


def flag_problems(flag: Any, evaluators: dict[str, Any], per_cent: bool = True) -> list[str]:
    """What is wrong with one flag, a sentence part each; empty if nothing is."""
    if not isinstance(flag, dict):
        return ["it is no object"]
    problems = [f"{key!r} is no member of a flag" for key in flag if key not in (*_MEMBERS, "source", "selector")]
    if flag.get("state") not in (ENABLED, DISABLED):
        problems.append(f"state is {flag.get('state')!r}, not {ENABLED} or {DISABLED}")
    problems += _variant_problems(flag) + _metadata_problems(flag.get("metadata"))
    targeting = flag.get("targeting")
    if targeting is not None and not isinstance(targeting, dict):
        problems.append("targeting is no object")
    elif targeting and isinstance(flag.get("variants"), dict):
        problems += _Targeting(flag["variants"], evaluators, per_cent).check(targeting)
    return problems


def _variant_problems(flag: Flag) -> list[str]:
    variants, default = flag.get("variants"), flag.get("defaultVariant")
    if not isinstance(variants, dict) or not variants:
        return ["it has no variants"]
    problems = [] if all(variants) else ["a variant has an empty name"]
    if type_of(variants) is None:
        problems.append("its variants are not all booleans, all texts, all numbers or all objects")
    if default is not None and default not in variants:
        problems.append(f"default variant {default!r} is none of its variants ({', '.join(variants)})")
    return problems


def _metadata_problems(metadata: Any) -> list[str]:
    if metadata is None:
        return []
    if not isinstance(metadata, dict):
        return ["metadata is no object"]
    return [
        f"metadata {key!r} is no text, number or boolean"
        for key, value in metadata.items()
        if not isinstance(value, (str, int, float))
    ]


class _Targeting:
    """Walks the JSONLogic of one flag."""

    def __init__(self, variants: dict[str, Any], evaluators: dict[str, Any], per_cent: bool) -> None:
        self._variants, self._evaluators, self._per_cent = variants, evaluators, per_cent
        self._problems: list[str] = []

    def check(self, targeting: dict[str, Any]) -> list[str]:
        self._walk(targeting)
        self._answers(targeting)
        return self._problems

    def _walk(self, node: Any) -> None:
        if isinstance(node, list):
            for item in node:
                self._walk(item)
        if not isinstance(node, dict):
            return
        if len(node) != 1:
            self._problems.append(f"targeting: an object with the members {sorted(node)}; one operator is expected")
            return
        (operator, arguments), *_none = node.items()
        if operator == "$ref":
            if arguments not in self._evaluators:
                self._problems.append(f'targeting: "$ref" to {arguments!r}, which $evaluators does not hold')
            return
        if operator not in OPERATORS:
            self._problems.append(f"targeting: unknown operator {operator!r}")
            return
        listed = arguments if isinstance(arguments, list) else [arguments]
        fewest, most = OPERATORS[operator]
        if not fewest <= len(listed) <= (len(listed) if most is None else most):
            self._problems.append(f"targeting: {operator!r} has {len(listed)} arguments")
        elif operator == FRACTIONAL:
            self._fractional(listed)
        elif operator == "var" and str(listed[0]).startswith("$flagd.") and listed[0] not in _INJECTED:
            self._problems.append(f"targeting: flagd gives no {listed[0]!r}, only {' and '.join(_INJECTED)}")
        elif operator == "sem_ver" and isinstance(listed[1], str) and listed[1] not in _COMPARISONS:
            self._problems.append(f"targeting: sem_ver knows no comparison {listed[1]!r}")
        self._walk(arguments)

    def _fractional(self, arguments: list[Any]) -> None:
        entries = arguments if isinstance(arguments[0], list) else arguments[1:]
        if not entries or not all(isinstance(entry, list) and 1 <= len(entry) <= 2 for entry in entries):
            self._problems.append("targeting: fractional needs [variant, per cent] for each part")
            return
        weights = [entry[1] for entry in entries if len(entry) == 2]
        if any(isinstance(weight, dict) for weight in weights) or not weights:
            return  # computed, or equal parts
        if not all(isinstance(weight, int) and not isinstance(weight, bool) and weight >= 0 for weight in weights):
            self._problems.append("targeting: fractional has a percentage that is no whole number from 0 to 100")
        elif self._per_cent and (len(weights) < len(entries) or sum(weights) != 100):
            self._problems.append(f"targeting: the percentages of fractional sum to {sum(weights)}, not to 100")

    def _answers(self, node: Any) -> None:
        """Literal answers must be variants; what an expression gives is not known before it is evaluated."""
        if isinstance(node, dict) and len(node) == 1:
            (operator, arguments), *_none = node.items()
            if operator in _TESTS:
                self._answers(True)
                self._answers(False)
            elif operator == "if" and isinstance(arguments, list):
                pairs, rest = divmod(len(arguments), 2)
                for index in range(pairs):
                    self._answers(arguments[2 * index + 1])
                if rest:
                    self._answers(arguments[-1])
            elif operator == FRACTIONAL and isinstance(arguments, list) and arguments:
                for entry in arguments if isinstance(arguments[0], list) else arguments[1:]:
                    if isinstance(entry, list) and entry:
                        self._answers(entry[0])
        elif isinstance(node, (str, bool, int, float)):
            name = str(node).lower() if isinstance(node, bool) else str(node)
            if name not in self._variants:
                hint = " (a test answers so, and so do unquoted on and off in YAML)" if isinstance(node, bool) else ""
                self._problems.append(f"targeting: it answers {name!r}, which is none of the variants{hint}")
