# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is found wrong with a flag."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._flags.validate import document_problems, flag_problems

ON_OFF = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off"}
VAR = {"var": "tier"}


def problems(targeting: Any = None, **members: Any) -> list[str]:
    given = {**ON_OFF, **members} if targeting is None else {**ON_OFF, "targeting": targeting, **members}
    return flag_problems(given, {"gold": {"==": [VAR, "gold"]}})


@pytest.mark.parametrize(
    "targeting",
    [
        {},
        {"if": [{"==": [VAR, "gold"]}, "on"]},
        {"if": [{"$ref": "gold"}, "on", "off"]},
        {"if": [{"and": [{"!": VAR}, {"!!": [VAR]}, {"or": [True]}]}, "on", {"<": [1, VAR, 9]}, "off", None]},
        {"if": [{"sem_ver": [{"var": "version"}, "^", "1.2.3"]}, "on", "off"]},
        {"if": [{"starts_with": [{"var": ["email", ""]}, "a"]}, "on", "off"]},
        {"if": [{"in": ["@example.com", {"var": "email"}]}, "on", "off"]},
        {"fractional": [{"cat": [{"var": "$flagd.flagKey"}, VAR]}, ["on", 50], ["off", 50]]},
        {"fractional": [["on"], ["off"]]},
        {"fractional": [["on", {"-": [{"var": "$flagd.timestamp"}, 1]}], ["off", 90]]},
        {"fractional": [[{"if": [VAR, "on", "off"]}, 10], ["off", 90]]},
        {"var": "variant"},
        {"if": [{"some": [{"var": "roles"}, {"==": [{"var": ""}, "admin"]}]}, "on", "off"]},
    ],
)
def test_right_rules(targeting):
    assert problems(targeting) == []


@pytest.mark.parametrize(
    ("targeting", "said"),
    [
        ({"contains": [VAR, "x"]}, "unknown operator 'contains'"),
        ({"if": [{"==": [VAR]}, "on", "off"]}, "'==' has 1 arguments"),
        ({"if": [{"==": [VAR, 1, 2]}, "on", "off"]}, "'==' has 3 arguments"),
        ({"if": [{"==": [VAR, 1], "in": []}, "on", "off"]}, "one operator is expected"),
        ({"if": [VAR, "blue", "off"]}, "answers 'blue'"),
        ({"if": [VAR, "on", "blue"]}, "answers 'blue'"),
        ({"if": [VAR, "on", VAR, "blue", "off"]}, "answers 'blue'"),
        ({"if": [VAR, True, "off"]}, "answers 'true', which is none of the variants (a test answers so"),
        ({"==": [VAR, "gold"]}, "answers 'true'"),
        ({"fractional": [["blue", 10], ["off", 90]]}, "answers 'blue'"),
        ({"fractional": [["on", 10], ["off", 80]]}, "sum to 90, not to 100"),
        ({"fractional": [["on", 10], ["off"]]}, "sum to 10, not to 100"),
        ({"fractional": [["on", 10.5], ["off", 89.5]]}, "no whole number"),
        ({"fractional": [["on", -10], ["off", 110]]}, "no whole number"),
        ({"fractional": [["on", True], ["off", 99]]}, "no whole number"),
        ({"fractional": [VAR]}, "needs [variant, per cent]"),
        ({"fractional": ["on", "off"]}, "needs [variant, per cent]"),
        ({"fractional": [["on", 50, 1], ["off", 50]]}, "needs [variant, per cent]"),
        ({"if": [{"$ref": "silver"}, "on", "off"]}, "'silver', which $evaluators does not hold"),
        ({"if": [{"sem_ver": [VAR, "=>", "1.0.0"]}, "on", "off"]}, "no comparison '=>'"),
        ({"if": [{"and": [{"unknown": 1}]}, "on", "off"]}, "unknown operator 'unknown'"),
        ({"if": [{"<": [{"var": "$flagd.time"}, 1]}, "on", "off"]}, "flagd gives no '$flagd.time'"),
        ([], "targeting is no object"),
    ],
)
def test_wrong_rules(targeting, said):
    assert any(said in problem for problem in problems(targeting)), problems(targeting)


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"state": "on"}, "state is 'on'"),
        ({"state": None}, "state is None"),
        ({"variants": {}}, "no variants"),
        ({"variants": {"": True}}, "empty name"),
        ({"variants": {"on": [1]}}, "not all booleans"),
        ({"defaultVariant": "x"}, "default variant 'x' is none of its variants (on, off)"),
        ({"metadata": []}, "metadata is no object"),
        ({"metadata": {"owner": {"team": "x"}}}, "metadata 'owner' is no text"),
        ({"description": "x"}, "'description' is no member"),
    ],
)
def test_wrong_members(members, said):
    assert any(said in problem for problem in problems(**members)), problems(**members)


def test_a_document_tells_of_every_flag_that_is_wrong():
    thirds = {**ON_OFF, "targeting": {"fractional": [["on", 1], ["off", 2]]}}
    flags = {"good": ON_OFF, "thirds": thirds, "bad": {**ON_OFF, "state": "?"}, "text": "x"}
    assert document_problems({"flags": flags, "metadata": {"v": None}}) == {
        "": ["metadata 'v' is no text, number or boolean"],
        "bad": ["state is '?', not ENABLED or DISABLED"],
        "text": ["it is no object"],
    }
