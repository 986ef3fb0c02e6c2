# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is decided about a release of several services, its journal as a ConfigMap, and its parameters."""

from __future__ import annotations

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.plugins.module_utils._rollout import group, group_journal, group_session
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.group import Entry, GroupJournal, GroupRelease
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.model import Journal, Step
from ansible_collections.churnguard.ops.tests.unit.support.group_world import GroupWorld
from ansible_collections.churnguard.ops.tests.unit.support.objects import GREEN, NAMESPACE, rollout

TARGET = group.group_target("shop", NAMESPACE)
WISH = GroupWorld().wish()
STATES = ("present", "aborted", "rolled_back")


def release(phase: str = "running", **changes) -> GroupRelease:
    entries = [
        Entry(name, one.version, one.content_hash, ["blue", "green"], "HTTPRoute", name)
        for name, one in zip(WISH.names, WISH.services, strict=True)
    ]
    fields = {"id": "cafe", "phase": phase, "services": entries, "reversible_until": "", "started": "t", "holder": "me"}
    return GroupRelease(**{**fields, **changes})


def own(operation: str = "deploy", phase: str = "running", steps: list[Step] | None = None, tag: str = "shop/cafe"):
    given = [Step("bake", GREEN)] if steps is None else steps
    return Journal(rollout=rollout(given, operation=operation, phase=phase, group=tag))


@pytest.mark.parametrize(
    ("journal", "expected"),
    [
        (Journal(), group.UNTOUCHED),
        (own(tag="shop/beef"), group.FOREIGN),
        (own(tag=""), group.FOREIGN),
        (own(tag="shop/beef", phase="passed"), group.UNTOUCHED),
        (own(), group.UNDER_WAY),
        (own(phase="halted"), group.UNDER_WAY),
        (own(steps=[Step("drain", "blue"), Step("retire", "blue")]), group.PARKED),
        (own(steps=[Step("release_size", "blue")]), group.PARKED),
        (own(steps=[Step("confirm", "blue", status="done")]), group.PARKED),
        (own(phase="rolling_back"), group.TAKING_BACK),
        (own(phase="rolled_back"), group.BACK),
        (own(phase="aborted"), group.BACK),
        (own(phase="passed"), group.DONE),
        (own("rollback"), group.RETURNING),
        (own("rollback", "rolling_back"), group.RETURNING),
        (own("rollback", "passed"), group.BACK),
        (own("rollback", "rolled_back"), group.DONE),
    ],
)
def test_a_services_own_journal_says_how_far_it_is(journal, expected):
    assert group.standing(journal, "shop/cafe") == expected


def decided(one: GroupRelease | None, stands: str = "uuu", **wish) -> str:
    """The decision, with the services' standings by their first letters."""
    words = {"u": "untouched", "w": "under_way", "p": "parked", "b": "back", "t": "taking_back", "d": "done"}
    standings = {name: words[letter] for name, letter in zip(WISH.names, stands, strict=True)}
    wanted = group.GroupWish(
        wish.get("state", "present"), WISH.services, WISH.names, wish.get("mark", ""), wish.get("then", "resume")
    )
    return group.decide(one, standings, wanted).kind


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((None,), "start"),
        ((release("passed"),), "start"),
        ((release("frozen", reversible_until="b"), "ppw"), "refuse"),
        ((release(), "pww"), "resume"),
        ((release("halted"), "pww"), "resume"),
        ((release("finishing"), "dpp"), "resume"),
        ((release("rolling_back"), "ppb"), "go_on_back"),
        ((release(), "ppt"), "go_on_back"),
        ((release(), "ppb"), "go_on_back"),
        ((release(), "bbb"), "close"),
    ],
)
def test_the_same_release_again(given, expected):
    assert decided(*given) == expected


@pytest.mark.parametrize(
    ("one", "stands", "wish", "expected"),
    [
        (release(), "ppw", {"then": "fail"}, "refuse"),
        (release("rolling_back"), "ppb", {"then": "fail"}, "refuse"),
        (release(), "ppw", {"mark": "a"}, "refuse"),
        (release(), "ppw", {"mark": "a", "then": "abort"}, "take_back"),
        (release(reversible_until="b"), "pwu", {"then": "abort", "mark": "b"}, "take_back"),
        (release(reversible_until="b"), "ppw", {"then": "abort", "mark": "b"}, "conclude"),
        (release(reversible_until="b", irreversible=True), "dbw", {"then": "abort"}, "conclude"),
        (release(reversible_until="b"), "ppb", {"mark": "b"}, "resume"),
    ],
)
def test_another_policy_or_a_mark(one, stands, wish, expected):
    assert decided(one, stands, **wish) == expected


@pytest.mark.parametrize(
    ("one", "stands", "aborted", "rolled_back"),
    [
        (None, "uuu", "nothing", "refuse"),
        (release("passed"), "ddd", "nothing", "take_back"),
        (release("passed", irreversible=True, reversible_until="b"), "ddd", "nothing", "refuse"),
        (release("rolled_back"), "bbb", "nothing", "nothing"),
        (release("aborted"), "bbb", "nothing", "nothing"),
        (release("superseded"), "ddb", "nothing", "refuse"),
        (release(), "pww", "take_back", "take_back"),
        (release("finishing"), "dpp", "take_back", "take_back"),
        (release("rolling_back"), "ppb", "go_on_back", "go_on_back"),
        (release(reversible_until="b"), "ppw", "refuse", "refuse"),
        (release("frozen", irreversible=True, reversible_until="b"), "ppw", "refuse", "refuse"),
    ],
)
def test_taking_back_on_request(one, stands, aborted, rolled_back):
    assert (decided(one, stands, state="aborted"), decided(one, stands, state="rolled_back")) == (aborted, rolled_back)


def test_the_journal_comes_back_from_its_config_map_as_it_was():
    book = GroupJournal(release(reversible_until="b"), [{"id": "beef"}])
    written = group_journal.write(book, TARGET)
    assert written["metadata"]["name"] == "shop-group"
    assert group_journal.read(written, TARGET) == book
    assert group_journal.read(None, TARGET) == GroupJournal()


@pytest.mark.parametrize("state", ["", "{}", '{"schema": 2, "release": null, "history": []}', '{"schema": 1}'])
def test_a_journal_that_cannot_be_read_is_not_guessed(state):
    with pytest.raises(OperationError, match="churnguard-test/shop-group does not hold a valid one"):
        group_journal.read({"data": {"state.json": state}}, TARGET)


# -- parameters ------------------------------------------------------------------------------------------------------


def params(**changes) -> dict:
    services = [{"name": name, "version": "v2", "deployment": {"kind": "Deployment"}} for name in "ab"]
    given = {"name": "shop", "state": "present", "services": services, "reversible_until": None, "router": None}
    return {**given, **changes}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"services": []}, "it has no services"),
        ({"services": [{"name": "a", "version": "v1", "deployment": {"kind": "x"}}] * 2}, "a is in it twice"),
        ({"services": [{"name": "a", "version": "v1", "deployment": None}]}, "a has no deployment"),
        ({"services": [{"name": "a", "version": None, "deployment": {"kind": "x"}}]}, "a has no version"),
        ({"reversible_until": "z"}, "there is no service 'z'"),
        ({"router": {"kind": "Service", "name": "public"}}, "services do not share a router"),
    ],
)
def test_a_group_that_makes_no_sense_is_refused(changes, message):
    with pytest.raises(OperationError, match=message):
        group_session.check(params(**changes))


def test_to_take_back_no_service_needs_to_be_named():
    group_session.check(params(state="aborted", services=[], reversible_until="b"))
    group_session.check(params(state="aborted", services=[{"name": "a", "version": None, "deployment": None}]))


def test_a_service_has_its_own_options_and_the_groups_for_the_rest():
    common = params(grace_period=300, strategy="blue_green", router={"kind": "Service", "name": None})
    merged = group_session.params_of(common, {"name": "a", "grace_period": 0, "strategy": None, "router": None})
    assert (merged["name"], merged["grace_period"], merged["strategy"]) == ("a", 0, "blue_green")
    assert merged["router"] == {"kind": "Service", "name": None}


def test_no_option_of_a_service_has_a_default_that_would_hide_the_groups():
    options = group_session.service_options()
    assert not [name for name, option in options.items() if "default" in option]
    assert not {"lease_duration", "api_patience"} & set(options)
