# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules as Ansible runs them, against a fake cluster behind a real HTTP server and with the real clock."""

from __future__ import annotations

import importlib
import json
import re

import pytest
import yaml
from ansible.module_utils.testing import patch_module_args
from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import Clock
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.args import target_of
from ansible_collections.churnguard.ops.plugins.modules import rollout, rollout_info
from ansible_collections.churnguard.ops.tests.unit.support.apiserver import ApiServer
from ansible_collections.churnguard.ops.tests.unit.support.cluster import FakeCluster
from ansible_collections.churnguard.ops.tests.unit.support.objects import (
    ALL_BLUE,
    ALL_GREEN,
    APP,
    BLUE,
    GREEN,
    NAMESPACE,
    manifest,
    route,
    service,
)

TOKEN = "s3cret-of-the-robot"
FAST = {"see": 0.0, "start": 0.1, "crash": 0.1, "rot": 0.5, "end": 0.1, "sync": 0.1}


@pytest.fixture
def cluster() -> FakeCluster:
    made = FakeCluster(Clock(), **FAST)
    for obj in (service(BLUE), service(GREEN), route()):
        made.put(obj)
    return made


@pytest.fixture
def server(cluster):
    with ApiServer(cluster, TOKEN) as running:
        yield running


@pytest.fixture
def call(server, capsys):
    """Runs a module and returns its result; C(_ansible_...) options are the task's."""

    def run(module, **options) -> dict:
        given = {"name": APP, "namespace": NAMESPACE, "host": server.url, "api_key": TOKEN, "api_patience": 2}
        with patch_module_args({**given, **options}), pytest.raises(SystemExit) as ended:
            module.main()
        result = json.loads(capsys.readouterr().out)
        assert (ended.value.code == 0) == (not result.get("failed", False))
        return result

    return run


@pytest.fixture
def ship(call):
    def run(version: str = "v1", image: str = "ok", **options) -> dict:
        quick = {"grace_period": 0, "drain": {"quiet_period": 0}, "confirm_timeout": 5}
        given = {"version": version, "deployment": manifest(version, image=image), **quick, **options}
        return call(rollout, **given)

    return run


# -- rollout ---------------------------------------------------------------------------------------------------------


def test_versions_are_shipped_and_taken_back_and_a_second_run_changes_nothing(ship, call, cluster):
    first, second = ship("v1"), ship("v2")
    assert (first["changed"], first["achieved"], first["msg"]) == (True, True, "v1 is live in slot blue.")
    assert (second["changed"], second["msg"]) == (True, "v2 is live in slot green; v1 in slot blue is retired.")
    assert [step["name"] for step in second["steps"]][-2:] == ["retire", "release_size"]
    cluster.writes.clear()
    third = ship("v2")
    assert (third["changed"], third["steps"], cluster.writes) == (False, [], [])
    assert third["envelope"]["verdict"] == "passed"
    back = call(rollout, state="rolled_back", grace_period=0, drain={"quiet_period": 0})
    assert (back["changed"], back["msg"]) == (True, "v1 is live in slot blue; v2 in slot green is retired.")
    assert call(rollout, state="aborted")["changed"] is False


def test_the_envelope_is_whole(ship):
    envelope = ship("v1")["envelope"]
    assert list(envelope) == [
        "operation",
        "subject",
        "started",
        "finished",
        "verdict",
        "changed",
        "timeline",
        "measurements",
        "evidence",
    ]
    assert (envelope["operation"], envelope["verdict"], envelope["changed"]) == ("rollout", "passed", True)
    assert envelope["subject"]["version"] == "v1"
    assert envelope["started"] < envelope["finished"]
    assert envelope["timeline"][-1]["event"] == "completed"


def test_a_refused_version_fails_the_task_with_the_same_keys(ship):
    ship("v1")
    result = ship("v2", image="crash")
    assert (result["failed"], result["changed"]) == (True, True)
    assert "no such table: plans" in result["msg"]
    assert result["envelope"]["verdict"] == "rolled_back"
    assert result["steps"]


def test_check_mode_writes_nothing_and_shows_the_difference(ship, cluster):
    ship("v1")
    cluster.writes.clear()
    result = ship("v2", _ansible_check_mode=True, _ansible_diff=True)
    assert (result["changed"], cluster.writes) == (True, [])
    assert result["msg"].startswith("Would run: v2 into slot green, replacing v1 in blue: hold_size blue, start green,")
    assert (result["diff"]["before"]["weights"], result["diff"]["after"]["weights"]) == (ALL_BLUE, ALL_GREEN)


def test_without_diff_mode_there_is_no_diff(ship):
    assert "diff" not in ship("v1")


@pytest.mark.parametrize("missing", ["version", "deployment"])
def test_present_needs_a_version_and_a_deployment(call, missing):
    given = {"version": "v1", "deployment": manifest()}
    del given[missing]
    assert missing in call(rollout, **given)["msg"]


def test_a_deployment_that_cannot_work_is_refused_before_the_server_is_asked(ship, server):
    result = ship("v1", deployment={"kind": "Pod"})
    assert "not an apps/v1 Deployment" in result["msg"]
    assert "envelope" not in result
    assert server.requests == []


@pytest.mark.parametrize("slots", [["blue"], ["blue", "blue"], ["a", "b", "c"], []])
def test_a_rollout_needs_two_different_slots(ship, slots):
    assert "two different slots" in ship("v1", slots=slots)["msg"]


def test_a_missing_router_is_said_without_an_envelope_of_a_run_that_never_began(ship, cluster):
    cluster.remove("HTTPRoute", APP)
    result = ship("v1")
    assert f"HTTPRoute {NAMESPACE}/{APP} does not exist. Next: apply the application's manifests" in result["msg"]
    assert "envelope" not in result


def test_a_server_that_is_away_is_said_after_the_patience(ship):
    result = ship("v1", host="http://127.0.0.1:1")
    assert re.search(r"no usable answer from http://127.0.0.1:1 for \d s: .*refused", result["msg"])


def test_a_wrong_token_is_said(ship):
    result = ship("v1", api_key="wrong")
    assert "answered 401: Unauthorized. Next: log in to the cluster again" in result["msg"]


def test_the_token_is_in_no_result_and_no_progress(ship, call, tmp_path):
    progress = tmp_path / "progress"
    results = [ship("v1", progress_file=str(progress)), call(rollout_info), ship("v9", api_key=TOKEN, slots=["a"])]
    assert TOKEN not in json.dumps(results) + progress.read_text()


def test_progress_is_appended_line_by_line(ship, tmp_path):
    progress = tmp_path / "progress"
    envelope = ship("v1", progress_file=str(progress))["envelope"]
    lines = [json.loads(line) for line in progress.read_text().splitlines()]
    assert [line for line in lines if line["event"] != "progress"] == envelope["timeline"]
    assert any("0/2 ready" in line["detail"] for line in lines if line["event"] == "progress")


@pytest.mark.parametrize("option", ["kubeconfig", "context"])
def test_a_cluster_that_cannot_be_found_is_said(ship, tmp_path, option, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    result = ship("v1", host=None, **{option: str(tmp_path / "nothing")})
    assert "Could not find the cluster" in result["msg"]


def test_the_environment_names_the_cluster_as_for_kubernetes_core(server, capsys, monkeypatch):
    monkeypatch.setenv("K8S_AUTH_HOST", server.url)
    monkeypatch.setenv("K8S_AUTH_API_KEY", TOKEN)
    with patch_module_args({"name": APP, "namespace": NAMESPACE}), pytest.raises(SystemExit):
        rollout_info.main()
    assert json.loads(capsys.readouterr().out)["rollout"]["phase"] == "none"


# -- rollout_info ----------------------------------------------------------------------------------------------------


def test_info_shows_where_things_stand_and_writes_nothing(ship, call, cluster):
    ship("v1")
    ship("v2", image="crash")
    cluster.writes.clear()
    result = call(rollout_info, _ansible_check_mode=True)
    shown = result["rollout"]
    assert (result["changed"], cluster.writes) == (False, [])
    assert (shown["phase"], shown["version"], shown["stable_slot"], shown["drift"]) == ("rolled_back", "v1", BLUE, [])
    assert shown["weights"] == ALL_BLUE
    assert (shown["slots"][BLUE]["ready"], shown["slots"][GREEN]["state"]) == (2, "retired")
    assert [entry["verdict"] for entry in shown["history"]] == ["rolled_back", "passed"]


def test_info_about_nothing_is_no_error(call, cluster):
    cluster.remove("HTTPRoute", APP)
    shown = call(rollout_info)["rollout"]
    assert shown["phase"] == "none"
    assert "does not exist" in shown["drift"][0]


def test_info_about_a_damaged_journal_says_what_to_do(call, cluster):
    metadata = {"name": f"{APP}-rollout", "namespace": NAMESPACE}
    cluster.put({"kind": "ConfigMap", "metadata": metadata, "data": {"state.json": "{"}})
    assert "does not hold a valid one" in call(rollout_info)["msg"]


# -- options ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("router", "kind", "name"),
    [
        (None, "HTTPRoute", APP),
        ({"kind": None, "name": None}, "HTTPRoute", APP),
        ({"kind": "Service", "name": "public"}, "Service", "public"),
        ({"kind": "Service", "name": None}, "Service", APP),
    ],
)
def test_the_router_defaults_to_the_route_of_the_same_name(router, kind, name):
    target = target_of({"name": APP, "namespace": NAMESPACE, "slots": ["a", "b"], "router": router})
    assert (target.router_kind, target.router_name, target.slots) == (kind, name, ("a", "b"))


def test_slots_that_cannot_be_are_an_operation_error():
    with pytest.raises(OperationError, match="use slots"):
        target_of({"name": APP, "namespace": NAMESPACE, "slots": ["a", "a"], "router": None})


def test_what_is_documented_is_what_is_accepted():
    """Types, defaults and choices of every option, documentation fragments included."""
    documented = yaml.safe_load(rollout.DOCUMENTATION)
    options = dict(documented["options"])
    for fragment in documented["extends_documentation_fragment"]:
        name = fragment.removeprefix("churnguard.ops.")
        module = importlib.import_module(f"ansible_collections.churnguard.ops.plugins.doc_fragments.{name}")
        options |= yaml.safe_load(module.ModuleDocFragment.DOCUMENTATION)["options"]
    accepted = rollout.argument_spec()
    assert set(options) == set(accepted)
    for name, entry in accepted.items():
        assert _documented(options[name]) == _accepted(entry), name


def _documented(entry: dict) -> dict:
    kept = {key: entry[key] for key in ("type", "default", "choices", "elements", "required") if key in entry}
    kept.setdefault("type", "str")
    return {**kept, "options": {name: _documented(sub) for name, sub in entry.get("suboptions", {}).items()}}


def _accepted(entry: dict) -> dict:
    kept = {key: entry[key] for key in ("type", "default", "choices", "elements", "required") if key in entry}
    return {**kept, "options": {name: _accepted(sub) for name, sub in entry.get("options", {}).items()}}
