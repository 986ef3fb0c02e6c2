# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules rollout_control and rollout_watchdog as Ansible runs them, against a fake cluster behind a real HTTP
server and with the real clock."""

from __future__ import annotations

import importlib
import json
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
import yaml
from ansible.module_utils.testing import patch_module_args
from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import Clock, isoformat
from ansible_collections.churnguard.ops.plugins.module_utils._rollout import control
from ansible_collections.churnguard.ops.plugins.module_utils._rollout import journal as codec
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.control import Request
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.model import Journal, Pace, Rollout
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.strategies import canary
from ansible_collections.churnguard.ops.plugins.modules import rollout_control, rollout_info, rollout_watchdog
from ansible_collections.churnguard.ops.tests.unit.support.apiserver import ApiServer
from ansible_collections.churnguard.ops.tests.unit.support.cluster import FakeCluster, Write
from ansible_collections.churnguard.ops.tests.unit.support.objects import (
    ALL_BLUE,
    APP,
    BLUE,
    GREEN,
    NAMESPACE,
    deployment,
    journal,
    release,
    rollout,
    route,
    service,
    target,
)

TOKEN = "s3cret-of-the-robot"
FAST = {"see": 0.0, "start": 0.1, "crash": 0.1, "rot": 0.5, "end": 0.1, "sync": 0.1}
CONTROL = f"{APP}-rollout-control"
QUARTER = {GREEN: 25, BLUE: 75}


class Site:
    """A canary of v2 that holds 25 % in the fake cluster; nobody runs it but what a test says."""

    def __init__(self) -> None:
        self.cluster = FakeCluster(Clock(), **FAST)
        for obj in (service(BLUE), service(GREEN), route(QUARTER), deployment(), deployment(GREEN, "v2")):
            obj["metadata"].pop("resourceVersion")
            self.cluster.put(obj)
        self.rollout = rollout(canary(release(GREEN, "v2"), release(), target(), Pace(((25, 60.0),), (), 30.0)))
        for step in self.rollout.steps[: [step.name for step in self.rollout.steps].index("hold")]:
            codec.enter(self.rollout, step, "2026-11-21T19:00:00.000Z")
            codec.leave(self.rollout, step, "2026-11-21T19:00:00.000Z")
        self.save()
        self.lease(60)

    def save(self, **changes) -> None:
        """Write the journal, with changes of the rollout."""
        self.rollout = replace(self.rollout, **changes)
        self.cluster.put(codec.write(journal(release(), rollout=self.rollout), target()))

    @property
    def journal(self) -> Journal:
        return codec.read(self.cluster.find("ConfigMap", f"{APP}-rollout"), target())

    def lease(self, left: float, holder: str = "runner@ci (process 7)") -> None:
        """The lock as it is C(left) seconds before it runs out."""
        renewed = isoformat(Clock().now() - timedelta(seconds=60 - left))
        spec = {"holderIdentity": holder, "leaseDurationSeconds": 60, "renewTime": renewed}
        self.cluster.put(
            {"kind": "Lease", "metadata": {"name": f"{APP}-rollout", "namespace": NAMESPACE}, "spec": spec}
        )

    @property
    def requests(self) -> list[Request]:
        return control.read(self.cluster.find("ConfigMap", CONTROL))

    def when_asked(self, act: Callable[[Request], None]) -> None:
        """Let whoever runs the rollout do something about a request, a moment later."""

        def watch(write: Write) -> None:
            if write.ref.name == CONTROL:
                request = self.requests[-1]
                threading.Timer(0.2, act, [request]).start()

        self.cluster.watchers.append(watch)

    def answers(self, effect: str) -> None:
        """The runner handles each request at once, to that effect."""

        def act(request: Request) -> None:
            entry = {"id": request.id, "command": request.command, "by": request.by, "step": 7, "effect": effect}
            self.save(audit=[*self.rollout.audit, entry])

        self.when_asked(act)


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.fixture
def call(site, capsys):
    """Runs a module and returns its result."""
    with ApiServer(site.cluster, TOKEN) as server:

        def run(module, **options) -> dict:
            given = {"name": APP, "namespace": NAMESPACE, "host": server.url, "api_key": TOKEN, "api_patience": 2}
            given = {key: value for key, value in {**given, **options}.items() if value is not None}
            with patch_module_args(given), pytest.raises(SystemExit) as ended:
                module.main()
            result = json.loads(capsys.readouterr().out)
            assert (ended.value.code == 0) == (not result.get("failed", False))
            return result

        yield run


@pytest.fixture
def ask(call, site):
    def run(command: str, **options) -> dict:
        site.cluster.writes.clear()
        return call(rollout_control, command=command, **options)

    return run


# -- rollout_control -------------------------------------------------------------------------------------------------


def test_a_request_is_left_answered_and_returned_with_its_audit(ask, site):
    site.answers("paused at hold green at 25 %")
    result = ask("pause", by="kim", reason="look at it")
    assert (result["changed"], result["handled"]["effect"]) == (True, "paused at hold green at 25 %")
    assert "pause by kim: look at it" in result["msg"]
    assert result["request"]["id"] == result["handled"]["id"] == site.requests[-1].id
    envelope = result["envelope"]
    assert (envelope["operation"], envelope["verdict"]) == ("rollout_control", "passed")
    assert envelope["subject"]["version"] == "v2"
    assert envelope["evidence"][0]["kind"] == "audit"
    assert envelope["measurements"][0]["name"] == "control_answered_s"


def test_only_the_request_is_written(ask, site):
    ask("promote", wait=False)
    assert [write.ref.name for write in site.cluster.writes] == [CONTROL]
    assert site.requests[0].step == site.rollout.cursor + 1


def test_who_asks_is_the_user_of_this_machine_unless_said(ask, site):
    assert "@" in ask("abort", wait=False)["request"]["by"]
    assert "(process" not in site.requests[0].by


def test_the_same_again_is_not_asked_twice(ask, site):
    first = ask("pause", wait=False)
    again = ask("pause", wait=False)
    assert (again["changed"], site.cluster.writes, len(site.requests)) == (False, [], 1)
    assert again["request"] == first["request"]


def test_check_mode_asks_nothing_and_shows_what_would_be_pending(ask, site):
    result = ask("abort", by="kim", _ansible_check_mode=True, _ansible_diff=True)
    assert (result["changed"], site.cluster.writes, result["handled"]) == (True, [], None)
    assert result["diff"] == {"before": {"pending": []}, "after": {"pending": ["abort by kim"]}}
    assert result["msg"] == "Would ask: abort by kim."


def test_nobody_answers_in_time(ask, site):
    result = ask("pause", wait_timeout=1)
    assert (result["failed"], result["changed"], result["envelope"]["verdict"]) == (True, True, "failed")
    assert "nobody has handled it within 1 s; it stays pending" in result["msg"]
    assert site.requests


@pytest.mark.parametrize("command", ["pause", "resume", "abort"])
def test_with_nothing_in_flight_these_change_nothing(ask, site, command):
    site.save(phase="passed")
    result = ask(command)
    assert (result["changed"], site.cluster.writes) == (False, [])
    assert "no rollout is in flight; the last one, of v2, ended as passed" in result["msg"]
    assert "request" not in result


@pytest.mark.parametrize("command", ["approve", "promote", "retry"])
def test_with_nothing_in_flight_these_are_errors_that_say_what_to_do(ask, site, command):
    site.save(phase="aborted")
    result = ask(command)
    assert (result["failed"], site.cluster.writes) == (True, [])
    assert "Next: start one with playbooks/deploy.yml" in result["msg"]


def test_nothing_was_ever_shipped(ask, site):
    site.cluster.remove("ConfigMap", f"{APP}-rollout")
    assert ask("abort")["msg"] == "Nothing to abort: no rollout is in flight."


def test_an_orphan_is_said_and_nothing_is_asked(ask, site):
    site.lease(-5)
    result = ask("abort")
    assert (result["failed"], site.cluster.writes) == (True, [])
    assert "runner@ci (process 7), who ran it, has given no sign of life, so nobody would answer" in result["msg"]
    assert "playbooks/watchdog.yml" in result["msg"]


def test_a_runner_that_dies_while_one_waits_is_said(ask, site):
    site.when_asked(lambda _request: site.lease(-1))
    result = ask("pause", wait_timeout=20)
    assert result["failed"]
    assert "has gone, so nobody will answer" in result["msg"]


@pytest.mark.parametrize(
    ("command", "phase", "failed"),
    [
        ("promote", "passed", False),
        ("abort", "passed", True),
        ("abort", "rolled_back", False),
        ("pause", "aborted", True),
    ],
)
def test_the_rollout_may_end_before_it_reads(ask, site, command, phase, failed):
    site.when_asked(lambda _request: site.save(phase=phase))
    result = ask(command, wait_timeout=20)
    assert result.get("failed", False) == failed
    assert f"ended as {phase} before it was read" in result["msg"]


def test_it_may_stop_half_way_before_it_reads(ask, site):
    site.when_asked(lambda _request: site.save(phase="halted", reason="weights were moved"))
    assert "stopped half-way before it was read: weights were moved" in ask("pause", wait_timeout=20)["msg"]


def test_what_others_asked_is_kept(ask, site):
    ask("pause", by="first", wait=False)
    ask("abort", by="second", wait=False)
    assert [request.by for request in site.requests] == ["first", "second"]


def test_what_somebody_wrote_by_hand_does_not_stop_it(ask, site):
    site.cluster.put(
        {"kind": "ConfigMap", "metadata": {"name": CONTROL, "namespace": NAMESPACE}, "data": {"requests.json": "{"}}
    )
    assert ask("pause", wait=False)["changed"]
    assert [request.command for request in site.requests] == ["pause"]


def test_full_goes_with_promote_only(ask):
    assert "full goes with command=promote only" in ask("abort", full=True)["msg"]


def test_who_may_not_write_requests_is_told_the_verb(ask, site):
    site.cluster.refused[("create", "ConfigMap")] = 403
    assert "let this user 'create' configmaps" in ask("pause")["msg"]


def test_a_request_is_shown_by_info_until_it_is_handled(ask, call, site):
    ask("pause", by="kim", wait=False)
    assert call(rollout_info)["rollout"]["current"]["pending"] == ["pause by kim"]


# -- rollout_watchdog ------------------------------------------------------------------------------------------------


QUICK = {"drain": {"quiet_period": 0}, "confirm_timeout": 5}


def test_all_applications_of_a_namespace_are_looked_at(call, site):
    site.lease(-40)
    result = call(rollout_watchdog, name=None, **QUICK)
    assert (result["changed"], [a["action"] for a in result["applications"]]) == (True, ["taken_back"])
    assert (site.journal.rollout.phase, site.journal.stable.version) == ("aborted", "v1")
    assert result["applications"][0]["envelope"]["verdict"] == "aborted"
    assert (result["envelope"]["operation"], result["envelope"]["verdict"]) == ("rollout_watchdog", "passed")
    assert call(rollout_watchdog, name=None)["changed"] is False


def test_a_rollout_that_somebody_runs_is_left_alone(call, site):
    result = call(rollout_watchdog)
    assert (result["changed"], result["applications"][0]["state"]) == (False, "healthy")
    assert "is run by runner@ci (process 7); nothing to do." in result["msg"]
    assert site.cluster.writes == []


def test_the_policy_report_fails_and_touches_nothing(call, site):
    site.lease(-40)
    result = call(rollout_watchdog, policy="report")
    assert (result["failed"], result["changed"], site.cluster.writes) == (True, False, [])
    assert "is orphaned: the lock of runner@ci (process 7) ran out" in result["msg"]


def test_check_mode_writes_nothing_and_shows_the_difference(call, site):
    site.lease(-40)
    result = call(rollout_watchdog, _ansible_check_mode=True, _ansible_diff=True)
    assert (result["changed"], site.cluster.writes) == (True, [])
    assert result["diff"][0]["before"]["weights"] == QUARTER
    assert result["diff"][0]["after"]["weights"] == ALL_BLUE
    assert result["applications"][0]["envelope"] is None


def test_it_looks_again_until_its_time_is_over(call, site):
    site.lease(0.5)
    result = call(rollout_watchdog, orphaned_after=1, watch_seconds=6, interval=1, **QUICK)
    assert result["applications"][0]["action"] == "taken_back"


def test_a_namespace_without_journals(call, site):
    site.cluster.remove("ConfigMap", f"{APP}-rollout")
    assert "has a journal; nothing to watch" in call(rollout_watchdog, name=None)["msg"]


def test_one_damaged_journal_does_not_hide_an_orphan(call, site):
    site.lease(-40)
    labels = {"app.kubernetes.io/managed-by": "churnguard.ops"}
    metadata = {"name": "aardvark-rollout", "namespace": NAMESPACE, "labels": labels}
    site.cluster.put({"kind": "ConfigMap", "metadata": metadata, "data": {"state.json": "{"}})
    result = call(rollout_watchdog, name=None, **QUICK)
    assert [a["state"] for a in result["applications"]] == ["unreadable", "orphaned"]
    assert (result["failed"], result["applications"][1]["action"]) == (True, "taken_back")


def test_who_may_not_list_is_told_so(call, site):
    site.cluster.refused[("list", "ConfigMap")] = 403
    assert "let this user 'list' configmaps" in call(rollout_watchdog, name=None)["msg"]


# -- options ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", [rollout_control, rollout_watchdog])
def test_what_is_documented_is_what_is_accepted(module):
    """Types, defaults and choices of every option; the module's own come before those of fragments."""
    documented = yaml.safe_load(module.DOCUMENTATION)
    options: dict = {}
    for fragment in documented["extends_documentation_fragment"]:
        name = fragment.removeprefix("churnguard.ops.")
        source = importlib.import_module(f"ansible_collections.churnguard.ops.plugins.doc_fragments.{name}")
        options |= yaml.safe_load(source.ModuleDocFragment.DOCUMENTATION)["options"]
    options |= documented["options"]
    accepted = module.argument_spec()
    assert set(options) == set(accepted)
    for name, entry in accepted.items():
        assert _kept(options[name], "suboptions") == _kept(entry, "options"), name


def _kept(entry: dict, nested: str) -> dict:
    kept = {key: entry[key] for key in ("type", "default", "choices", "elements", "required") if key in entry}
    kept.setdefault("type", "str")
    return {**kept, "options": {name: _kept(sub, nested) for name, sub in entry.get(nested, {}).items()}}


def test_the_journal_of_the_test_site_is_one_that_the_engine_could_have_written(site):
    read: Rollout | None = site.journal.rollout
    assert read is not None
    assert (read.unfinished, read.steps[read.cursor].name) == (True, "hold")
