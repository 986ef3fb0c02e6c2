"""What the tests of roles and playbooks share: running a playbook, and a namespace of one's own in the lab."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client, config

from tests.roles.playing import ROOT, Playbook, Run, play


@pytest.fixture(scope="session")
def run_playbook() -> Playbook:
    """Runs a playbook by name (of playbooks/) or path in an environment, with extra variables and options."""

    def run(playbook: str | Path, inventory: str, *options: str, **variables: Any) -> Run:
        path = playbook if isinstance(playbook, Path) else ROOT / "playbooks" / f"{playbook}.yml"
        return play(path, inventory, *options, **variables)

    return run


@pytest.fixture(scope="session")
def api() -> client.ApiClient:
    """A client of the lab's API server. Fails, and says why, when the lab is not up."""
    state = Path(os.environ.get("CHURNGUARD_LAB_DIR") or ROOT / ".lab")
    kubeconfig = state / "kubeconfig"
    if not kubeconfig.is_file():
        pytest.fail(f"no {kubeconfig}: this test needs the running lab (make lab-up)")
    connection = config.new_client_from_config(str(kubeconfig))
    try:
        client.VersionApi(connection).get_code(_request_timeout=5)
    except Exception as error:
        pytest.fail(f"the lab's API server does not answer (make lab-up): {error}")
    return connection


@pytest.fixture(scope="session")
def deleted_namespaces(api: client.ApiClient) -> Iterator[list[str]]:
    """Namespaces whose deletion has been asked for; at the end of the session they have to be gone."""
    names: list[str] = []
    yield names
    deadline = time.monotonic() + 180
    while left := {item.metadata.name for item in client.CoreV1Api(api).list_namespace().items} & set(names):
        assert time.monotonic() < deadline, f"still there 180 s after their deletion: {sorted(left)}"
        time.sleep(0.5)


@pytest.fixture
def namespace(api: client.ApiClient, deleted_namespaces: list[str]) -> Iterator[str]:
    """A name for a namespace that does not exist yet; whatever it holds afterwards is removed."""
    name = f"roles-{secrets.token_hex(4)}"
    yield name
    try:
        client.CoreV1Api(api).delete_namespace(name)
        deleted_namespaces.append(name)
    except client.ApiException as error:
        assert error.status == 404, error


@pytest.fixture
def in_namespace(namespace: str) -> dict[str, Any]:
    """The variables that move the lab's application into the test's namespace, under its own host name."""
    return {
        "app_manifests_namespace": namespace,
        "app_manifests_hostnames": [f"{namespace}.lab"],
    }
