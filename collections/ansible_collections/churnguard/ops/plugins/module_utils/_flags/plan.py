# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the document as it is and what a task asks for to the document as it shall be. No I/O. Internal: may change in
any release.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from .model import (
    BOOLEAN,
    DISABLED,
    ENABLED,
    EXPIRES,
    OFF,
    ON,
    OWNER,
    Document,
    Flag,
    Request,
    is_expired,
    metadata_of,
    refused,
    type_of,
)
from .rules import Rule, moved, read_rule, write_rule
from .validate import document_problems, flag_problems

WARN, FAIL, DISABLE = "warn", "fail", "disable"
_STATES = {"enabled": ENABLED, "disabled": DISABLED}
_ORDER = ("state", "variants", "defaultVariant", "targeting", "metadata")


@dataclass(frozen=True)
class Wish:
    """What one task asks for. C(today) (UTC) decides what has expired; C(on_expired): warn, fail or disable."""

    requests: list[Request]
    purge: bool = False
    on_expired: str = WARN
    today: date = date.min


@dataclass
class Plan:
    """The document to write, what is new in it (name, action, detail), and what the user should know."""

    document: Document
    changes: list[dict[str, Any]] = field(default_factory=list)
    expired: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def decide(document: Document, wish: Wish, place: str) -> Plan:
    """The plan. Raises OperationError, naming the flag, for a request that makes no valid flag."""
    plan = Plan(copy.deepcopy(document))
    flags = plan.document["flags"]
    for request in wish.requests:
        if request.state == "absent":
            flags.pop(request.name, None)
        else:
            flags[request.name] = _wanted(flags.get(request.name), request, place)
    asked = {request.name for request in wish.requests}
    if wish.purge:
        for name in set(flags) - asked:
            del flags[name]
    _check(plan, {request.name for request in wish.requests if not _says_only_state(request)}, place)
    _expire(plan, asked, wish, place)
    plan.changes = changes(document["flags"], flags)
    for change in plan.changes:
        plan.warnings += _moves(document["flags"].get(change["name"]), flags.get(change["name"]), change["name"])
    return plan


def disable(document: Document, names: list[str]) -> Plan:
    """The plan that switches the named flags off and changes nothing else; names that are absent are left out."""
    plan = Plan(copy.deepcopy(document))
    for name in names:
        flag = plan.document["flags"].get(name)
        if isinstance(flag, dict):
            flag["state"] = DISABLED
    plan.changes = changes(document["flags"], plan.document["flags"])
    return plan


def _wanted(existing: Flag | None, request: Request, place: str) -> Flag:
    known = existing if isinstance(existing, dict) else None
    if known is None and _says_only_state(request) and request.state == "disabled":
        raise refused(
            place,
            f"flag {request.name} does not exist, and nothing but its state is given.",
            "check the name, or say what the flag is (percentage, conditions, variants ...).",
        )
    if known is not None and _says_only_state(request):
        # Whatever else the flag may be: a kill switch works.
        return {**known, "state": _STATES[request.state]} if request.state else known
    flag = copy.deepcopy(known) if known else {"state": ENABLED, "variants": {}, "defaultVariant": None}
    if request.state is not None:
        flag["state"] = _STATES[request.state]
    flag["variants"] = _variants(flag.get("variants"), request, place)
    _answer(flag, request, place)
    _describe(flag, request)
    return {key: flag[key] for key in (*_ORDER, *(key for key in flag if key not in _ORDER)) if key in flag}


def _says_only_state(request: Request) -> bool:
    return request == Request(request.name, request.state)


def _variants(known: Any, request: Request, place: str) -> dict[str, Any]:
    variants = request.variants if request.variants is not None else known
    if not variants and request.type in (None, BOOLEAN):
        variants = {ON: True, OFF: False}
    if {"true", "false"} & set(request.variants or {}):
        raise refused(
            place,
            f"flag {request.name}: a variant is called true or false.",
            "quote on and off, which are booleans in YAML, or choose other names.",
        )
    kind = type_of(variants)
    if request.type is not None and kind != request.type:
        has = f"its variants are {kind}s" if kind else "its variants are missing or of several types"
        raise refused(
            place,
            f"flag {request.name}: type {request.type} is asked for, but {has}.",
            f"give {request.type} values in variants.",
        )
    return variants


def _answer(flag: Flag, request: Request, place: str) -> None:
    """Set default variant and targeting. What the request leaves open stays; a new flag is off for everybody."""
    if request.percentage is not None or request.conditions is not None:
        flag["defaultVariant"], targeting = write_rule(_rule(flag, request, place))
    else:
        targeting = request.targeting if request.targeting is not None else flag.get("targeting")
        if request.default_variant is not None:
            flag["defaultVariant"] = request.default_variant
        elif flag.get("defaultVariant") is None and OFF in flag["variants"]:
            flag["defaultVariant"] = OFF
    if targeting:
        flag["targeting"] = copy.deepcopy(targeting)
    else:
        flag.pop("targeting", None)
    if flag.get("defaultVariant") is None:
        flag.pop("defaultVariant", None)  # the value in the application's code


def _rule(flag: Flag, request: Request, place: str) -> Rule:
    lacking = [name for name in (ON, OFF) if name not in flag["variants"]]
    if lacking:
        raise refused(
            place,
            f"flag {request.name}: percentage and conditions need the variants on and off; "
            f"it has {', '.join(flag['variants'])}.",
            "name the variants so, or write the rule in targeting.",
        )
    known = read_rule(flag)
    both = request.percentage is not None and request.conditions is not None
    if known is None and not both:
        raise refused(
            place,
            f"flag {request.name}: its present targeting was not made of percentage and conditions, "
            "so that one of them cannot be changed alone.",
            "give percentage and conditions, or targeting.",
        )
    known = known or Rule()
    staged = None if not flag.get("targeting") else known.percentage
    return Rule(
        request.percentage if request.percentage is not None else staged,
        request.conditions if request.conditions is not None else known.conditions,
    )


def _describe(flag: Flag, request: Request) -> None:
    metadata = {**metadata_of(flag), **request.metadata}
    flag["metadata"] = {key: value for key, value in metadata.items() if value != ""}
    if not flag["metadata"]:
        del flag["metadata"]


def _check(plan: Plan, defined: set[str], place: str) -> None:
    """Refuse what is asked for and wrong; warn of what was wrong before, and would keep the change from arriving."""
    evaluators = plan.document.get("$evaluators") or {}
    for name in sorted(defined & set(plan.document["flags"])):
        problems = flag_problems(plan.document["flags"][name], evaluators)
        if problems:
            raise refused(place, f"flag {name}: {'; '.join(problems)}.", "correct the flag.")
    for name, problems in document_problems(plan.document).items():
        subject = f"Flag {name}" if name else "The metadata"
        plan.warnings.append(
            f"{subject} in {place} is not valid: {'; '.join(problems)}. Providers read a document as a whole: "
            "they may keep the old one until this is repaired."
        )


def _expire(plan: Plan, asked: set[str], wish: Wish, place: str) -> None:
    for name, flag in plan.document["flags"].items():
        if not isinstance(flag, dict) or not is_expired(flag, wish.today):
            continue
        owner = metadata_of(flag).get(OWNER, "")
        day = metadata_of(flag)[EXPIRES]
        if name in asked and wish.on_expired == DISABLE:
            flag["state"] = DISABLED
        plan.expired.append({"name": name, "owner": owner, "expires": day, "state": flag.get("state")})
        said = f"flag {name} (owner {owner or 'unknown'}) expired on {day}"
        if name in asked and wish.on_expired == FAIL:
            raise refused(place, f"{said}.", "remove it from the code and the document, or move its date.")
        plan.warnings.append(f"{said[0].upper()}{said[1:]}: remove it, or move its date.")


def changes(before: dict[str, Flag], after: dict[str, Flag]) -> list[dict[str, Any]]:
    """What differs, by name: {name, action, detail}."""
    found = []
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        if old is None or new is None:
            found.append({"name": name, "action": "created" if old is None else "removed", "detail": describe(new)})
            continue
        parts = sorted(key for key in {*old, *new} if old.get(key) != new.get(key))
        action = {ENABLED: "enabled", DISABLED: "disabled"}[new["state"]] if parts == ["state"] else "changed"
        found.append({"name": name, "action": action, "detail": f"{describe(old)} -> {describe(new)}"})
    return found


def describe(flag: Flag | None) -> str:
    """A flag in a few words, such as "on for 10 % where subscription_tier is professional or enterprise"."""
    if not isinstance(flag, dict):
        return ""
    if flag.get("state") != ENABLED:
        return "disabled"
    rule = read_rule(flag)
    if rule is None:
        return "by its own targeting" if flag.get("targeting") else f"{_default(flag)} for everybody"
    if not flag.get("targeting"):
        return f"{_default(flag)} for everybody"
    tests = [f"{name} is {' or '.join(map(str, values))}" for name, values in rule.conditions.items()]
    share = "" if rule.percentage is None else f" for {rule.percentage} %"
    where = f" where {' and '.join(tests)}" if tests else ""
    return f"on{share}{where}"


def _default(flag: Flag) -> str:
    return str(flag.get("defaultVariant") or "the value in the code")


def _moves(before: Flag | None, after: Flag | None, name: str) -> list[str]:
    """Warnings about users whom a change of percentages takes from one variant to another that is not new to all."""
    if not isinstance(before, dict) or not isinstance(after, dict):
        return []
    if read_rule(before) is not None and read_rule(after) is not None:
        return []  # fewer per cent take the feature from users, as the number says
    return [
        f"Flag {name}: {share:g} % of the users move from variant {old} to {new}."
        for (old, new), share in moved(before.get("targeting"), after.get("targeting")).items()
        if old != before.get("defaultVariant")
    ]
