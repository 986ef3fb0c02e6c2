"""The lab's own drill of a lost region, by its playbook: every process of this lab is killed, a second lab takes over
the real application and its database, and gives both back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psutil
import pytest
from churnguard_api.faults import Faults
from churnguard_lab import images, journey
from churnguard_lab.processes import of_lab
from world import World

SECRET = "churnguard-secrets"
VARIABLES = {"DATABASE_URL": "database-url", "REDIS_URL": "redis-url", "JWT_SECRET_KEY": "jwt-secret"}


def application(world: World) -> dict[str, Any]:
    """The real application, in the test's own namespace, on the lab's database and cache."""
    secret = world.core.read_namespaced_secret(SECRET, "churnguard-lab")
    world.core.create_namespaced_secret(
        world.namespace, {"metadata": {"name": SECRET}, "type": "Opaque", "data": secret.data}
    )
    deployment = world.deployment("v1", build=False)
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    images.build(world.lab.state_dir, container["image"], "api", Faults())
    container["env"] += [
        {"name": variable, "valueFrom": {"secretKeyRef": {"name": SECRET, "key": key}}}
        for variable, key in VARIABLES.items()
    ]
    container["env"].append({"name": "APP_VERSION", "value": "v1"})
    # The application's namespaces of a lab take nothing less.
    container["securityContext"] = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    user = {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}}
    deployment["spec"]["template"]["spec"]["securityContext"] = user
    return deployment


@pytest.mark.lab
def test_the_second_region_takes_over_gives_back_and_is_gone(world: World, tmp_path: Path) -> None:
    world.deploy("v1", deployment=application(world))
    before = {process.pid for process in of_lab(world.lab.state_dir)}
    done = journey.playbook(
        "dr_drill",
        f"region-loss-{world.namespace}",
        quiet=True,
        dr_drill_scenario="region_loss",
        dr_drill_dir=str(tmp_path),
        dr_drill_region_stall=1,
        app_manifests_namespace=world.namespace,
        app_release_endpoint_headers={"Host": world.host},
    )
    assert done.returncode == 0, done.output[-3000:]
    folder = next(tmp_path.glob("region_loss-*"))
    report = json.loads((folder / "report.json").read_text())
    known = {figure["name"]: figure["value"] for figure in report["measurements"]}
    # The stream stood still for a second: what was acknowledged in it is lost, and that is what the report says.
    assert known["lost_acked_writes"] > 0
    assert known["rpo_s"] >= 0.9
    assert known["move_back_lost_writes"] == 0
    answered = [entry["accepted"][0][-1] for entry in report["evidence"] if entry["kind"] == "acceptance"]
    assert answered == ["b", "a"]
    # Not one process of this lab is the same, and nothing of the other one is left.
    assert before.isdisjoint({process.pid for process in of_lab(world.lab.state_dir)})
    second = Path(f"{world.lab.state_dir}-second-region")
    assert not second.exists()
    assert of_lab(second) == []
    assert not [process for process in psutil.process_iter(["cmdline"]) if str(second) in str(process.info["cmdline"])]
    assert world.ask()[0] == 200
