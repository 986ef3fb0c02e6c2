# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules for groups as Ansible runs them, against a fake cluster behind a real HTTP server and with the real
clock."""

from __future__ import annotations

import copy
import json

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import Clock
from ansible_collections.churnguard.ops.plugins.modules import rollout_group, rollout_group_info, rollout_info
from ansible_collections.churnguard.ops.plugins.plugin_utils._report import envelopes, model
from ansible_collections.churnguard.ops.plugins.plugin_utils._report.traffic import measure
from ansible_collections.churnguard.ops.tests.unit.support.apiserver import ApiServer
from ansible_collections.churnguard.ops.tests.unit.support.cluster import FakeCluster
from ansible_collections.churnguard.ops.tests.unit.support.group_world import renamed
from ansible_collections.churnguard.ops.tests.unit.support.objects import (
    BLUE,
    GREEN,
    NAMESPACE,
    manifest,
    route,
    service,
)

TOKEN = "s3cret-of-the-robot"
FAST = {"see": 0.0, "start": 0.1, "crash": 0.1, "rot": 0.5, "end": 0.1, "sync": 0.1}
NAMES = ("a", "b")


@pytest.fixture
def cluster() -> FakeCluster:
    made = FakeCluster(Clock(), **FAST)
    for name in NAMES:
        for obj in (service(BLUE), service(GREEN), route()):
            made.put(renamed(copy.deepcopy(obj), name))
    return made


@pytest.fixture
def call(cluster, capsys):
    with ApiServer(cluster, TOKEN) as server:

        def run(module, **options) -> dict:
            given = {"namespace": NAMESPACE, "host": server.url, "api_key": TOKEN, "api_patience": 2}
            with patch_module_args({**given, **options}), pytest.raises(SystemExit) as ended:
                module.main()
            result = json.loads(capsys.readouterr().out)
            assert (ended.value.code == 0) == (not result.get("failed", False))
            return result

        yield run


@pytest.fixture
def ship(call):
    def run(version: str = "v1", state: str = "present", images: str = "ok ok", **options) -> dict:
        quick = {"grace_period": 0, "drain": {"quiet_period": 0}, "confirm_timeout": 5}
        services = [
            {"name": name, "version": version, "deployment": renamed(manifest(version, 1, image), name)}
            for name, image in zip(NAMES, images.split(), strict=True)
        ]
        given = {"services": services} if state == "present" else {}
        return call(rollout_group, name="shop", state=state, **{**given, **quick, **options})

    return run


def test_a_group_is_shipped_taken_back_and_a_second_run_changes_nothing(ship, call, cluster):
    assert ship("v1")["msg"] == "a v1, b v1: live together."
    second = ship("v2", _ansible_diff=True)
    assert (second["changed"], second["envelope"]["operation"]) == (True, "rollout_group")
    assert [part["before_header"] for part in second["diff"]] == ["a", "b"]
    assert second["diff"][1]["after"]["version"] == "v2"
    assert second["release"]["phase"] == "passed"
    cluster.writes.clear()
    third = ship("v2")
    assert (third["changed"], third["steps"], cluster.writes) == (False, [], [])
    back = ship(state="rolled_back")
    assert (back["changed"], back["envelope"]["verdict"]) == (True, "passed")
    assert ship(state="aborted")["changed"] is False
    info = call(rollout_group_info, name="shop")["group"]
    assert (info["phase"], [one["stands"] for one in info["services"]]) == ("rolled_back", ["back", "back"])
    assert call(rollout_info, name="a")["rollout"]["current"]["group"] == info["release"]


def test_check_mode_writes_nothing_and_returns_the_steps_of_all(ship, cluster):
    ship("v1")
    cluster.writes.clear()
    result = ship("v2", _ansible_check_mode=True, _ansible_diff=True)
    assert (result["changed"], cluster.writes) == (True, [])
    assert {step["service"] for step in result["steps"]} == {"a", "b"}
    assert [part["after"]["weights"] for part in result["diff"]] == [{BLUE: 0, GREEN: 100}] * 2


def test_a_failure_is_one_report_that_the_report_can_read(ship):
    ship("v1")
    result = ship("v2", images="ok crash")
    assert (result["failed"], result["envelope"]["verdict"]) == (True, "rolled_back")
    assert "no such table: plans" in result["msg"]
    loaded = envelopes.load([result["envelope"]])
    report = model.build(loaded, measure([], model.intervals(loaded)), "test")
    assert report["rollouts"][0]["app"] == "shop"
    assert (report["rollouts"][0]["verdict"], report["rollouts"][0]["outcome"]) == ("rolled_back", "rolled_back")
    assert "v2 rolled back" in report["summary"]["headline"]
    assert {step["name"].partition(":")[0] for step in report["rollouts"][0]["steps"]} >= {"a", "b"}


def test_frozen_says_what_to_do(ship, call):
    ship("v1")
    result = ship("v2", images="ok crash", reversible_until="a")
    assert (result["failed"], result["release"]["phase"], result["release"]["irreversible"]) == (True, "frozen", True)
    assert "Next: deal with the reason and run the same release again" in result["msg"]
    info = call(rollout_group_info, name="shop")["group"]
    assert (info["phase"], info["irreversible"], info["lease"]["held"]) == ("frozen", True, False)
    assert [one["stands"] for one in info["services"]] == ["parked", "under_way"]


def test_a_group_that_never_was_has_nothing_to_show(call):
    info = call(rollout_group_info, name="shop")["group"]
    assert (info["phase"], info["services"], info["release"]) == ("none", [], None)


def test_options_that_make_no_sense_are_refused_before_the_server_is_asked(ship, cluster):
    assert "there is no service 'z'" in ship(reversible_until="z")["msg"]
    assert "it has no services" in ship(services=[])["msg"]
    assert cluster.writes == []
