# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.wait import (
    deployment_finding,
    gone_finding,
    newest_warning,
)
from ansible_collections.churnguard.ops.tests.unit.support.objects import deployment, pod

SINCE = datetime(2026, 11, 21, 19, 0, 0, tzinfo=UTC)
HOPELESS = [
    "CrashLoopBackOff",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
]
UNSCHEDULED = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes."}


def live(replicas: int = 2, **status) -> dict:
    """A Deployment that is ready but for C(status)."""
    obj = deployment(replicas=replicas)
    obj["status"].update(status)
    return obj


def condition(kind: str, value: str, reason: str, at: str | None = "2026-11-21T19:00:00Z") -> dict:
    return {"type": kind, "status": value, "reason": reason, "message": "because", "lastUpdateTime": at}


def waiting(reason: str, message: str = "", last: dict | None = None) -> dict:
    container = {"name": "api", "ready": False, "state": {"waiting": {"reason": reason, "message": message}}}
    return {**container, "lastState": {"terminated": last}} if last else container


# -- counting --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("obj", "state", "text"),
    [
        (live(), "done", "2/2 ready"),
        (live(availableReplicas=1), "pending", "1/2 ready"),
        (live(availableReplicas=0), "pending", "0/2 ready"),
        (live(updatedReplicas=1), "pending", "1/2 ready, 1 updated, 1 old pods still there"),
        (live(updatedReplicas=0), "pending", "0/2 ready, 0 updated, 2 old pods still there"),
        (live(1), "done", "1/1 ready"),
    ],
)
def test_ready_is_updated_and_available_and_alone(obj, state, text):
    finding = deployment_finding(obj, [])
    assert (finding.state, finding.detail) == (state, text)


@pytest.mark.parametrize(
    ("obj", "state", "text"),
    [
        (live(14, updatedReplicas=14, availableReplicas=10), "done", "10/14 ready"),
        (live(14, updatedReplicas=14, availableReplicas=9), "pending", "9/14 ready"),
        (live(14, updatedReplicas=12, availableReplicas=12), "pending", "12/14 ready, 12 updated"),
        (live(6), "done", "6/6 ready"),
        (live(6, availableReplicas=5), "pending", "5/6 ready"),
    ],
)
def test_what_an_autoscaler_adds_beyond_what_is_enough_is_not_waited_for(obj, state, text):
    found = deployment_finding(obj, [], enough=10)
    assert (found.state, found.detail[: len(text)]) == (state, text)


def test_old_pods_that_still_run_beside_all_new_ones_are_waited_for():
    obj = deployment()
    obj["status"]["replicas"] = 3
    assert deployment_finding(obj, []).detail == "2/2 ready, 1 old pods still there"


def test_a_status_of_an_earlier_generation_says_nothing():
    finding = deployment_finding(live(observedGeneration=2), [])
    assert finding.state == "pending"
    assert "has not seen the change" in finding.detail


def test_no_status_yet():
    obj = deployment()
    del obj["status"]
    assert deployment_finding(obj, []).state == "pending"


def test_absent_replicas_mean_one():
    obj = live(1)
    del obj["spec"]["replicas"]
    assert deployment_finding(obj, []).detail == "1/1 ready"


def test_an_absent_deployment_is_beyond_hope():
    assert deployment_finding(None, []).failed


@pytest.mark.parametrize(("change", "text"), [({"paused": True}, "is paused"), ({"replicas": 0}, "is scaled to 0")])
def test_a_deployment_that_will_bring_up_no_pod_is_beyond_hope_however_ready_it_reads(change, text):
    obj = live(0)
    obj["spec"].update(change)
    finding = deployment_finding(obj, [])
    assert finding.failed
    assert text in finding.detail


# -- conditions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "state"),
    [
        (condition("Progressing", "False", "ProgressDeadlineExceeded"), "failed"),
        (condition("ReplicaFailure", "True", "FailedCreate"), "failed"),
        (condition("Progressing", "True", "ReplicaSetUpdated"), "pending"),
        (condition("Progressing", "Unknown", "DeploymentPaused"), "pending"),
        (condition("ReplicaFailure", "False", "FailedCreate"), "pending"),
        (condition("Available", "False", "MinimumReplicasUnavailable"), "pending"),
    ],
)
def test_conditions_that_end_the_wait(found, state):
    finding = deployment_finding(live(availableReplicas=0, conditions=[found]), [], SINCE)
    assert finding.state == state
    if finding.failed:
        assert f"{found['reason']}: because" in finding.detail


def test_a_missed_deadline_is_explained_by_what_a_pod_waits_for():
    found = {**condition("Progressing", "False", "ProgressDeadlineExceeded"), "message": "has timed out."}
    finding = deployment_finding(live(availableReplicas=1, conditions=[found]), [pod(conditions=[UNSCHEDULED])])
    assert finding.failed
    assert finding.detail.endswith("ProgressDeadlineExceeded: has timed out; pod p1 is Unschedulable: 0/3 nodes")


@pytest.mark.parametrize(
    ("at", "state"),
    [
        ("2026-11-21T18:59:58Z", "pending"),
        ("2026-11-21T18:59:59Z", "failed"),
        ("2026-11-21T19:00:30Z", "failed"),
        (None, "failed"),
    ],
)
def test_a_condition_from_before_the_slot_was_reused_is_ignored(at, state):
    found = condition("Progressing", "False", "ProgressDeadlineExceeded", at)
    obj = live(availableReplicas=0, conditions=[found])
    assert deployment_finding(obj, [], SINCE).state == state
    assert deployment_finding(obj, []).failed


# -- pods ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["containerStatuses", "initContainerStatuses"])
@pytest.mark.parametrize("reason", HOPELESS)
def test_a_container_that_cannot_start_ends_the_wait(reason, kind):
    stuck = pod("p2", **{kind: [waiting(reason, "said so")]})
    finding = deployment_finding(live(availableReplicas=1), [pod("p1"), stuck])
    assert finding.failed
    assert f"pod p2, container api: {reason}: said so" in finding.detail


@pytest.mark.parametrize("reason", ["ErrImagePull", "ContainerCreating", "PodInitializing"])
def test_a_container_that_may_still_start_is_waited_for(reason):
    stuck = pod(containerStatuses=[waiting(reason)])
    finding = deployment_finding(live(availableReplicas=1), [stuck])
    assert finding.state == "pending"
    assert finding.detail == f"1/2 ready; pod p1: {reason}"


def test_the_exit_code_and_the_last_words_are_told():
    last = {"exitCode": 137, "reason": "OOMKilled", "message": "cannot allocate\n"}
    stuck = pod(containerStatuses=[waiting("CrashLoopBackOff", "back-off 20s", last)])
    assert deployment_finding(live(availableReplicas=1), [stuck]).detail == (
        "pod p1, container api: CrashLoopBackOff: back-off 20s; "
        "it last ended with exit code 137 (OOMKilled), saying: cannot allocate"
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda p: p["metadata"].update(deletionTimestamp="2026-11-21T19:00:00Z"),
        lambda p: p["metadata"]["labels"].update(version="v0"),
        lambda p: p["metadata"]["labels"].pop("version"),
        lambda p: p["metadata"].pop("labels"),
    ],
    ids=["ending", "earlier version", "no version", "no labels"],
)
def test_a_crashed_pod_of_something_else_says_nothing_about_this_release(change):
    crashed = pod(containerStatuses=[waiting("CrashLoopBackOff")])
    assert deployment_finding(live(availableReplicas=1), [crashed]).failed
    change(crashed)
    assert deployment_finding(live(availableReplicas=1), [crashed]).state == "pending"


def test_a_pod_of_another_template_is_told_by_its_annotations():
    obj = live(availableReplicas=1)
    obj["spec"]["template"]["metadata"]["annotations"] = {"checksum/config": "2"}
    crashed = pod(containerStatuses=[waiting("CrashLoopBackOff")])
    assert deployment_finding(obj, [crashed]).state == "pending"
    crashed["metadata"]["annotations"] = {"checksum/config": "2", "injected": "x"}
    assert deployment_finding(obj, [crashed]).failed


def test_an_unschedulable_pod_says_why():
    finding = deployment_finding(live(availableReplicas=1), [pod(conditions=[UNSCHEDULED])])
    assert finding.state == "pending"
    assert finding.detail == "1/2 ready; pod p1 is Unschedulable: 0/3 nodes"


def test_a_pod_that_runs_and_is_not_ready_is_named():
    running = pod(containerStatuses=[{"name": "api", "ready": False, "state": {"running": {}}}])
    assert deployment_finding(live(availableReplicas=1), [running]).detail.endswith("pod p1 runs but is not ready")


# -- gone ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pods", "state", "detail"),
    [
        ([], "done", "all pods have ended"),
        ([pod("b"), pod("a", phase="Running")], "pending", "2 still ending: a, b"),
        ([pod("a", phase="Failed"), pod("b", phase="Succeeded")], "done", "all pods have ended"),
        ([pod("a", phase="Failed"), pod("b", phase="Running")], "pending", "1 still ending: b"),
    ],
)
def test_a_slot_is_gone_when_no_pod_runs(pods, state, detail):
    finding = gone_finding(pods)
    assert (finding.state, finding.detail) == (state, detail)


def test_the_newest_warning_about_a_slots_pods():
    def event(pod, text, at, field="lastTimestamp"):
        return {"involvedObject": {"kind": "Pod", "name": pod}, "reason": "Unhealthy", "message": text, field: at}

    events = [
        event("api-green-1", "late", "2026-11-21T19:00:05.000000Z", "eventTime"),
        event("api-green-2", "early", "2026-11-21T19:00:01Z"),
        event("api-blue-1", "other slot", "2026-11-21T19:00:09Z"),
    ]
    begin = datetime(2026, 11, 21, 19, 0, 0, tzinfo=UTC)
    assert newest_warning(events, "api-green", begin) == "Unhealthy: late"
    assert newest_warning(events, "web", begin) == ""
    assert newest_warning(events, "api-green", begin.replace(minute=1)) == "", "an hour-old warning explains nothing"
