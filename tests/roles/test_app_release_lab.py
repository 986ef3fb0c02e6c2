"""The playbooks' journey on the lab, in a namespace of its own: ship, ship again, refuse, take back, look."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client

from tests.roles.playing import ROOT, Playbook, Run, ansible_environment

pytestmark = pytest.mark.lab

STATE = Path(os.environ.get("CHURNGUARD_LAB_DIR") or ROOT / ".lab")
# Crashes as soon as it is started, so that the pods never become ready.
LONG_BAKE = {"app_release_grace_period": 120}
VERSIONS = {"v1": [], "v2": [], "v3": ["--crash-after", "0.1"]}


def images(*arguments: str) -> None:
    """Run the lab's image builder."""
    paths = f"{ROOT / 'lab'}{os.pathsep}{ROOT / 'lab' / 'app'}"
    environment = ansible_environment(PYTHONPATH=paths, CHURNGUARD_LAB_CONFIG=str(STATE / "lab.json"))
    command = [sys.executable, "-m", "churnguard_lab.images", *arguments]
    subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=30)


@pytest.fixture
def playbook(
    run_playbook: Playbook, namespace: str, in_namespace: dict[str, Any], tmp_path: Path
) -> Iterator[Callable[..., Run]]:
    """Runs a playbook for an application of its own: light images, short watches, reports in a temporary folder."""
    repository = f"{namespace}/api"
    for version, faults in VERSIONS.items():
        images("build", f"{repository}:{version}", "--kind", "testserver", *faults)
    variables = {
        **in_namespace,
        "app_manifests_image_repository": repository,
        "app_manifests_replicas": 1,
        "app_manifests_hpa_min_replicas": 1,
        "app_release_grace_period": 2,
        "app_release_drain_quiet_period": 2,
        "app_release_confirm_requests": 5,
        "report_root": str(tmp_path / "reports"),
        "report_ledger_paths": [],
    }

    def run(name: str, *options: str, **more: Any) -> Run:
        return run_playbook(name, "lab", *options, **{**variables, **more})

    yield run
    shutil.rmtree(STATE / "images" / namespace)


@pytest.fixture
def credentials(api: client.ApiClient, namespace: str) -> Callable[[], None]:
    """Creates the Secret, as something outside the playbooks would; the light images do not look at the values."""

    def create() -> None:
        values = dict.fromkeys(["database-url", "redis-url", "jwt-secret"], "not-used")
        secret = {"metadata": {"name": "churnguard-secrets"}, "stringData": values}
        client.CoreV1Api(api).create_namespaced_secret(namespace, secret)

    return create


def envelopes(reports: Path) -> list[dict[str, Any]]:
    """All result envelopes on record, oldest first."""
    found = sorted(reports.glob("lab/2*/envelopes/*.json"), key=lambda path: path.name)  # not latest, a link
    return [json.loads(path.read_text(encoding="utf-8")) for path in found]


def test_nothing_is_started_without_credentials(playbook, namespace, api):
    run = playbook("deploy", app_release_version="v1")
    assert run.code != 0
    assert f"Secret {namespace}/churnguard-secrets does not exist or lacks the keys" in run.text
    assert client.AppsV1Api(api).list_namespaced_deployment(namespace).items == []
    # What has been done so far stays: the Secret can be created in the namespace now.
    assert client.CoreV1Api(api).read_namespace(namespace).status.phase == "Active"


def test_a_deploy_that_somebody_aborts_fails_and_the_command_does_not(playbook, credentials):
    playbook("site").passed()
    credentials()
    playbook("deploy", app_release_version="v1").passed()
    with ThreadPoolExecutor() as pool:
        deploy = pool.submit(playbook, "deploy", app_release_version="v2", **LONG_BAKE)
        command: Run | None = None
        # Before the rollout has begun there is nothing to abort, which is no error.
        while not deploy.done() and (command is None or "Asked: abort" not in command.text):
            command = playbook("control", app_release_command="abort", app_release_command_by="jo@desk")
            assert command.code == 0, command.output
    run = deploy.result()
    assert run.code != 0
    assert "v2 was aborted: aborted by jo@desk" in run.text


def test_the_journey(playbook, credentials, namespace, tmp_path):
    reports = tmp_path / "reports"
    playbook("site").passed()
    credentials()

    run = playbook("status")
    assert run.code == 0, run.output
    assert f"churnguard-api in {namespace}: nothing has been shipped yet" in run.text

    run = playbook("deploy", "--check", app_release_version="v1")
    assert run.code == 0, run.output
    assert "Would run: v1 into slot blue" in run.text
    assert envelopes(reports) == []

    run = playbook("deploy", app_release_version="v1")
    assert run.code == 0, run.output
    assert "v1 is live in slot blue" in run.text

    run = playbook("deploy", app_release_version="v1")
    assert (run.code, run.changed) == (0, 0), run.output

    run = playbook("deploy", app_release_version="v2")
    assert run.code == 0, run.output
    assert "v2 is live in slot green" in run.text

    run = playbook("deploy", app_release_version="v3")
    assert run.code != 0
    assert "v3 was refused" in run.text and "Slot green with v2 kept all traffic" in run.text
    assert [envelope["verdict"] for envelope in envelopes(reports)] == ["passed", "passed", "passed", "rolled_back"]
    report = json.loads((reports / "lab" / "latest" / "report.json").read_text(encoding="utf-8"))
    assert [(item["version"], item["verdict"]) for item in report["rollouts"]] == [("v3", "rolled_back")]

    run = playbook("rollback")
    assert run.code == 0, run.output
    assert "v1 is live in slot blue" in run.text

    run = playbook("status")
    assert run.code == 0, run.output
    assert f"churnguard-api in {namespace}: v1 is live in slot blue, before it was v2" in run.text
    assert "blue v1 100 % 1/1" in run.text and "green v2 0 % 0/0" in run.text
    assert "Lock: free" in run.text
