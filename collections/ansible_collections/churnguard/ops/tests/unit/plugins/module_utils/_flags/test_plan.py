# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a task says about flags, and what the document becomes by it."""

from __future__ import annotations

import copy
from datetime import date
from typing import Any

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.plugins.module_utils._flags.model import (
    dump_document,
    empty_document,
    parse_document,
    read_requests,
)
from ansible_collections.churnguard.ops.plugins.module_utils._flags.plan import Plan, Wish, decide, disable

PLACE = "ConfigMap shop/flags key flags.json"
TODAY = date(2026, 11, 21)
SHARE_10 = {"fractional": [["on", 10], ["off", 90]]}
TIER = {"in": [{"var": "subscription_tier"}, ["professional", "enterprise"]]}
FOREIGN = {"state": "ENABLED", "variants": {"a": 1, "b": 2}, "defaultVariant": "a", "metadata": {"team": "x"}}


def document(**flags: Any) -> dict[str, Any]:
    return {**empty_document(), "flags": {name: copy.deepcopy(flag) for name, flag in flags.items()}}


def plan(before: dict[str, Any], *entries: dict[str, Any], **wish: Any) -> Plan:
    return decide(before, Wish(read_requests(list(entries), PLACE), today=TODAY, **wish), PLACE)


def flag(**entry: Any) -> dict[str, Any]:
    """The flag that one entry makes of nothing."""
    return plan(document(), {"name": "f", **entry}).document["flags"]["f"]


def refusal(before: dict[str, Any], *entries: dict[str, Any], **wish: Any) -> str:
    with pytest.raises(OperationError) as caught:
        plan(before, *entries, **wish)
    assert caught.value.attempted == f"change the flags in {PLACE}"
    assert caught.value.next_step.endswith("Nothing was changed.")
    return caught.value.answer


# -- the guide's flags -----------------------------------------------------------------------------------------------


def test_the_guides_flags():
    made = plan(
        document(),
        {"name": "new_dashboard_ui", "state": "disabled", "percentage": 10, "owner": "dashboard"},
        {"name": "advanced_analytics", "conditions": {"subscription_tier": ["professional", "enterprise"]}},
    )
    assert made.document == {
        "$schema": "https://flagd.dev/schema/v0/flags.json",
        "flags": {
            "new_dashboard_ui": {
                "state": "DISABLED",
                "variants": {"on": True, "off": False},
                "defaultVariant": "off",
                "targeting": SHARE_10,
                "metadata": {"owner": "dashboard"},
            },
            "advanced_analytics": {
                "state": "ENABLED",
                "variants": {"on": True, "off": False},
                "defaultVariant": "off",
                "targeting": {"if": [TIER, "on", "off"]},
            },
        },
    }
    assert [(change["name"], change["action"]) for change in made.changes] == [
        ("advanced_analytics", "created"),
        ("new_dashboard_ui", "created"),
    ]


# -- what makes which rule -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "default", "targeting"),
    [
        ({}, "off", None),
        ({"default_variant": "on"}, "on", None),
        ({"default_variant": "True"}, "on", None),  # unquoted on, as Ansible hands it over
        ({"default_variant": "False"}, "off", None),
        ({"percentage": 10}, "off", SHARE_10),
        ({"percentage": 0}, "off", {"fractional": [["on", 0], ["off", 100]]}),
        ({"percentage": 100}, "on", None),
        ({"conditions": {}}, "off", None),
        ({"conditions": {"tier": "gold"}}, "off", {"if": [{"in": [{"var": "tier"}, ["gold"]]}, "on", "off"]}),
        (
            {"conditions": {"tier": ["gold"], "country": ["DE", "AT"]}, "percentage": 10},
            "off",
            {
                "if": [
                    {"and": [{"in": [{"var": "tier"}, ["gold"]]}, {"in": [{"var": "country"}, ["DE", "AT"]]}]},
                    SHARE_10,
                    "off",
                ]
            },
        ),
        (
            {"conditions": {"tier": [1]}, "percentage": 100},
            "off",
            {"if": [{"in": [{"var": "tier"}, [1]]}, "on", "off"]},
        ),
        ({"targeting": {"if": [TIER, "on", "off"]}}, "off", {"if": [TIER, "on", "off"]}),
        ({"targeting": {}}, "off", None),
    ],
)
def test_rules_of_a_new_flag(entry, default, targeting):
    made = flag(**entry)
    assert (made["state"], made["defaultVariant"], made.get("targeting")) == ("ENABLED", default, targeting)


def test_other_types():
    assert flag(variants={"s": 1, "l": 2.5}, default_variant="s", type="number")["variants"] == {"s": 1, "l": 2.5}
    made = flag(variants={"a": {"x": 1}, "b": {}}, type="object", targeting={"fractional": [["a", 30], ["b", 70]]})
    assert "defaultVariant" not in made, "whoever has no answer gets the value in the code"
    assert flag(type="boolean")["variants"] == {"on": True, "off": False}
    assert flag(variants={"on": "blue", "off": "grey"}, percentage=10)["targeting"] == SHARE_10


# -- what a second entry leaves and what it changes ------------------------------------------------------------------

STAGED = {
    "state": "ENABLED",
    "variants": {"on": True, "off": False},
    "defaultVariant": "off",
    "targeting": {"if": [TIER, SHARE_10, "off"]},
    "metadata": {"owner": "dashboard", "expires": "2027-01-31"},
}


@pytest.mark.parametrize(
    ("entry", "changed"),
    [
        ({}, {}),
        ({"state": "enabled"}, {}),
        ({"percentage": 10}, {}),
        ({"state": "disabled"}, {"state": "DISABLED"}),
        ({"percentage": 25}, {"targeting": {"if": [TIER, {"fractional": [["on", 25], ["off", 75]]}, "off"]}}),
        ({"conditions": {}}, {"targeting": SHARE_10}),
        ({"percentage": 100}, {"targeting": {"if": [TIER, "on", "off"]}}),
        ({"percentage": 100, "conditions": {}}, {"targeting": None, "defaultVariant": "on"}),
        ({"targeting": {}}, {"targeting": None}),
        ({"owner": "shop"}, {"metadata": {"owner": "shop", "expires": "2027-01-31"}}),
        ({"owner": "", "expires": ""}, {"metadata": None}),
    ],
)
def test_what_is_not_said_stays(entry, changed):
    made = plan(document(f=STAGED), {"name": "f", **entry}).document["flags"]["f"]
    assert made == {key: value for key, value in {**STAGED, **changed}.items() if value is not None}


def test_every_wish_is_idempotent():
    entries = [
        {"name": "a", "percentage": 10, "conditions": {"tier": ["gold"]}, "owner": "x", "expires": "2027-01-01"},
        {"name": "b", "default_variant": "on"},
        {"name": "c", "variants": {"x": "1", "y": "2"}, "targeting": {"fractional": [["x", 1], ["y", 99]]}},
        {"name": "d", "percentage": 100},
        {"name": "e", "percentage": 0, "state": "disabled"},
        {"name": "f", "state": "absent"},
    ]
    first = plan(document(f=FOREIGN, g=FOREIGN), *entries)
    second = plan(first.document, *entries)
    assert len(first.changes) == 6
    assert (second.changes, second.document) == ([], first.document)


def test_a_killed_flag_stays_off_until_somebody_enables_it():
    regular = {"name": "f", "percentage": 25}
    killed = disable(document(f=STAGED), ["f"]).document
    after = plan(killed, regular).document["flags"]["f"]
    assert after["state"] == "DISABLED"
    enabled = plan(killed, {"name": "f", "state": "enabled"})
    assert enabled.document == document(f=STAGED), "and its rules are still there"
    assert enabled.changes[0]["action"] == "enabled"


def test_the_kill_switch_changes_the_state_and_nothing_else():
    made = disable(document(a=STAGED, b=FOREIGN, c=FOREIGN), ["a", "b", "gone"])
    assert [(change["name"], change["action"]) for change in made.changes] == [("a", "disabled"), ("b", "disabled")]
    assert made.document == document(a={**STAGED, "state": "DISABLED"}, b={**FOREIGN, "state": "DISABLED"}, c=FOREIGN)
    assert disable(made.document, ["a", "b"]).changes == []


BROKEN = [
    {"state": "?", "variants": [{}], "targeting": [1]},
    {"targeting": {"fractional": 7}},
    {"state": "ENABLED", "variants": {"on": True, "off": False}, "targeting": {"fractional": []}},
]


@pytest.mark.parametrize("broken", BROKEN)
def test_a_flag_that_others_broke_can_be_switched_off_removed_and_written_anew(broken):
    before = document(f=broken)
    off = plan(before, {"name": "f", "state": "disabled"})
    assert off.document["flags"]["f"] == {**broken, "state": "DISABLED"}
    assert off.warnings != []
    assert plan(before, {"name": "f", "state": "absent"}).document["flags"] == {}
    anew = {"state": "enabled", "variants": {"on": True, "off": False}, "default_variant": "off"}
    made = plan(before, {"name": "f", **anew, "targeting": SHARE_10}).document["flags"]["f"]
    assert made == flag(percentage=10)


def test_a_raw_rule_is_not_half_replaced():
    raw = {**STAGED, "targeting": {"if": [{"==": [{"var": "tier"}, "gold"]}, "on", "off"]}}
    for entry in ({"percentage": 25}, {"conditions": {"tier": ["gold"]}}):
        assert "cannot be changed alone" in refusal(document(f=raw), {"name": "f", **entry})
    both = plan(document(f=raw), {"name": "f", "percentage": 10, "conditions": {}})
    assert both.document["flags"]["f"]["targeting"] == SHARE_10


# -- others' flags ---------------------------------------------------------------------------------------------------


def test_foreign_flags_and_members_stay_as_they_are():
    before = {"$schema": "x", "metadata": {"v": 1}, "$evaluators": {"e": TIER}, "flags": {"z": FOREIGN, "f": STAGED}}
    after = plan(before, {"name": "f", "percentage": 50}, {"name": "new"}).document
    assert list(after) == list(before)
    assert list(after["flags"]) == ["z", "f", "new"]
    assert {**after, "flags": {}} == {**before, "flags": {}}
    assert after["flags"]["z"] == FOREIGN


def test_purge_removes_what_is_not_named():
    made = plan(document(z=FOREIGN, f=STAGED), {"name": "f"}, purge=True)
    assert list(made.document["flags"]) == ["f"]
    assert [(change["name"], change["action"]) for change in made.changes] == [("z", "removed")]


def test_a_broken_flag_of_others_is_told_and_does_not_stop_a_kill():
    broken = {"state": "ENABLED", "variants": {"a": 1}, "defaultVariant": "b", "comment": "x"}
    made = plan(document(z=broken, f=STAGED), {"name": "f", "state": "disabled"})
    assert made.document["flags"]["f"]["state"] == "DISABLED"
    (warning,) = made.warnings
    assert "Flag z" in warning
    assert "'comment' is no member" in warning
    assert "'b' is none of its variants" in warning


# -- expiry ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("expires", "expired"), [("2026-11-20", 1), ("2026-11-21", 1), ("2026-11-22", 0)])
def test_a_flag_expires_as_its_day_begins(expires, expired):
    made = plan(document(), {"name": "f", "expires": expires, "owner": "dashboard"})
    assert len(made.expired) == expired
    assert len(made.warnings) == expired
    if expired:
        assert made.expired == [{"name": "f", "owner": "dashboard", "expires": expires, "state": "ENABLED"}]
        assert "Flag f (owner dashboard) expired on" in made.warnings[0]


def test_an_expired_flag_fails_or_goes_off_by_option():
    old = {**STAGED, "metadata": {"expires": "2026-01-01"}}
    before = document(f=old, other=old)
    assert "flag f (owner unknown) expired on 2026-01-01" in refusal(before, {"name": "f"}, on_expired="fail")
    made = plan(before, {"name": "f", "state": "enabled"}, on_expired="disable")
    assert made.document == document(f={**old, "state": "DISABLED"}, other=old), "what is not named is reported only"
    assert {entry["name"]: entry["state"] for entry in made.expired} == {"f": "DISABLED", "other": "ENABLED"}
    again = plan(made.document, {"name": "f", "state": "enabled"}, on_expired="disable")
    assert again.changes == []


# -- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"state": "disabled"}, "does not exist"),
        ({"name": " f"}, "spaces"),
        ({"name": ""}, "empty"),
        ({"percentage": 101}, "percentage is 101"),
        ({"percentage": -1}, "percentage is -1"),
        ({"percentage": 1, "targeting": {}}, "together with percentage or conditions"),
        ({"conditions": {}, "targeting": {}}, "together with percentage or conditions"),
        ({"percentage": 1, "default_variant": "on"}, "default_variant is given together"),
        ({"conditions": {"tier": []}}, "condition tier has no value"),
        ({"conditions": {"tier": [None]}}, "no text, number or boolean"),
        ({"conditions": {"$flagd.timestamp": [1]}}, "no attribute"),
        ({"expires": "31.12.2026"}, "expires is '31.12.2026'"),
        ({"expires": "2026-02-30"}, "expires is '2026-02-30'"),
        ({"variants": {}, "type": "string"}, "variants are missing"),
        ({"variants": {"a": 1}, "type": "string"}, "its variants are numbers"),
        ({"variants": {"a": 1, "b": "x"}}, "not all booleans"),
        ({"variants": {"a": 1, "b": True}}, "not all booleans"),
        ({"variants": {"a": None}}, "not all booleans"),
        ({"variants": {"true": True, "false": False}}, "called true or false"),
        ({"variants": {"a": 1}, "percentage": 10}, "need the variants on and off; it has a"),
        ({"default_variant": "blue"}, "default variant 'blue' is none of its variants (on, off)"),
    ],
)
def test_bad_input_is_refused_by_name(entry, said):
    assert said in refusal(document(), {"name": "f", **entry})


def test_a_flag_named_twice_is_refused():
    assert "flag f is listed twice" in refusal(document(), {"name": "f"}, {"name": "f", "state": "disabled"})


# -- moves -----------------------------------------------------------------------------------------------------------

COLOURS = {"state": "ENABLED", "variants": {"a": "1", "b": "2", "off": ""}, "defaultVariant": "off"}


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ([["a", 10], ["off", 90]], [["a", 25], ["off", 75]], []),
        (
            [["a", 10], ["b", 10], ["off", 80]],
            [["a", 20], ["b", 20], ["off", 60]],
            ["10 % of the users move from variant b to a"],
        ),
        ([["a", 10], ["off", 80], ["b", 10]], [["a", 20], ["off", 60], ["b", 20]], []),
        ([["a", 10], ["off", 90]], [["off", 75], ["a", 25]], ["10 % of the users move from variant a to off"]),
        ([["a", 10], ["off", 90]], [["a", 5], ["off", 95]], ["5 % of the users move from variant a to off"]),
    ],
)
def test_users_who_change_sides_are_told(before, after, told):
    old = {**COLOURS, "targeting": {"fractional": before}}
    made = plan(document(f=old), {"name": "f", "targeting": {"fractional": after}})
    assert made.warnings == [f"Flag f: {text}." for text in told]


# -- the text --------------------------------------------------------------------------------------------------------


def test_a_document_is_read_as_it_was_written():
    before = document(f=STAGED, z=FOREIGN)
    assert parse_document(dump_document(before), PLACE) == before
    assert parse_document("{}", PLACE) == {"flags": {}}


@pytest.mark.parametrize(
    ("text", "said"), [("{", "no JSON"), ("[]", "no flagd document"), ('{"flags": []}', "no flagd")]
)
def test_what_is_no_document_is_not_written_over(text, said):
    with pytest.raises(OperationError, match=said):
        parse_document(text, PLACE)
