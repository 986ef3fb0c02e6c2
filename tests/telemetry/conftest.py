"""Runs of the roles logging and tracing, and namespaces of their own in the lab's API server."""

from __future__ import annotations

import contextlib
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
for folder in ("lab", "lab/app", "collections"):
    sys.path.append(str(ROOT / folder))

from tests.roles.conftest import api, run_playbook  # noqa: E402, F401 - fixtures
from tests.roles.playing import Run  # noqa: E402

PARTS = ("logs", "agents", "traces", "app")


@pytest.fixture(scope="module")
def places(api: client.ApiClient) -> Iterator[dict[str, str]]:  # noqa: F811
    """Names of namespaces by part; that of the application is there. All of them are gone at the end."""
    core, rights = client.CoreV1Api(api), client.RbacAuthorizationV1Api(api)
    prefix = f"telemetry-{secrets.token_hex(3)}"
    names = {part: f"{prefix}-{part}" for part in PARTS}
    core.create_namespace({"metadata": {"name": names["app"]}})
    yield names
    for delete in (rights.delete_cluster_role, rights.delete_cluster_role_binding):
        with contextlib.suppress(client.ApiException):
            delete(names["agents"])
    for name in names.values():
        try:
            core.delete_namespace(name)
        except client.ApiException as error:
            assert error.status == 404, error
    deadline = time.monotonic() + 180
    while left := {one.metadata.name for one in core.list_namespace().items} & set(names.values()):
        assert time.monotonic() < deadline, f"still there 180 s after their deletion: {sorted(left)}"
        time.sleep(0.5)


@pytest.fixture(scope="module")
def collect(run_playbook: Callable[..., Run], places: dict[str, str]) -> Callable[..., Run]:  # noqa: F811
    """Runs both roles (or another playbook beside this file) against the lab, in the test's own namespaces."""
    given = {
        "logging_namespace": places["logs"],
        "logging_agent_namespace": places["agents"],
        "logging_grafana_namespace": places["app"],
        "logging_datasource": True,
        "tracing_namespace": places["traces"],
        "tracing_application_namespace": places["app"],
        "tracing_grafana_namespace": places["app"],
        "tracing_datasource": True,
        "tracing_gateway_replicas": 2,
        "tracing_prometheus_url": "http://prometheus-operated.monitoring.svc:9090",
    }

    def run(*options: str, playbook: str = "telemetry.yml", **variables: Any) -> Run:
        return run_playbook(HERE / playbook, "lab", *options, **(given | variables))

    return run
