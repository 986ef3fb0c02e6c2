"""Autoscalers on the real API server with the real autoscaling controller. The lab serves no metrics: an autoscaler
there keeps its Deployment within its limits and does nothing else."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import kubernetes
import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import Clock
from ansible_collections.churnguard.ops.plugins.module_utils._kubernetes.connection import (
    Connection,
    client_configuration,
)
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.api import RolloutApi
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.drift import look
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.model import Release, Rollout, Step, Target
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.sizes import (
    grow_to,
    hold_autoscalers,
    restore_autoscalers,
)
from chaos import AFTER, BEFORE, ChaosProxy
from world import APP, SLOTS, World, finished, until

pytestmark = pytest.mark.lab

# The autoscaling controller looks every 15 seconds (--horizontal-pod-autoscaler-sync-period), this machine is busy.
PATIENCE = 60
FAST = {"grace_period": 2, "confirm_requests": 3, "smoke_tests": None, "drain": {"quiet_period": 1, "timeout": 30}}


class Scalers:
    """The autoscalers of one application, applied by role app_manifests' field manager."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.target = Target(APP, world.namespace, SLOTS, "HTTPRoute", APP)
        self._autoscaling = kubernetes.client.AutoscalingV2Api(world.core.api_client)
        connection = Connection(client_configuration({"kubeconfig": str(world.lab.kubeconfig)}), Clock())
        self.api = RolloutApi(connection, self.target)

    def apply(self, least: int | None = 1, most: int = 5, force: bool = False) -> None:
        """Server-side apply, as the role does it; raises ApiException 409 on a conflict."""
        for slot in SLOTS:
            spec: dict[str, Any] = {
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": f"{APP}-{slot}"},
                "maxReplicas": most,
            }
            if least is not None:
                spec["minReplicas"] = least
            body = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "spec": spec}
            body["metadata"] = {"name": f"{APP}-{slot}"}
            self._autoscaling.patch_namespaced_horizontal_pod_autoscaler(
                f"{APP}-{slot}",
                self.world.namespace,
                body,
                field_manager="churnguard-ops",
                force=force,
                _content_type="application/apply-patch+yaml",
            )

    def edit(self, slot: str, manager: str, **spec: Any) -> None:
        self._autoscaling.patch_namespaced_horizontal_pod_autoscaler(
            f"{APP}-{slot}", self.world.namespace, {"spec": spec}, field_manager=manager
        )

    def scale(self, slot: str, replicas: int, manager: str) -> None:
        """Through the scale subresource, as kubectl and the autoscaling controller do."""
        self.world.apps.patch_namespaced_deployment_scale(
            f"{APP}-{slot}", self.world.namespace, {"spec": {"replicas": replicas}}, field_manager=manager
        )

    def bytes(self) -> str:
        """Spec and field managers of both, but for what the controller writes into the status."""
        found = {}
        for slot in SLOTS:
            hpa = self.api.get_autoscaler(f"{APP}-{slot}") or {}
            managers = [e for e in hpa["metadata"]["managedFields"] if not e.get("subresource")]
            found[slot] = [hpa["spec"], managers]
        return json.dumps(found)

    def least(self) -> dict[str, int]:
        return {slot: (self.api.get_autoscaler(f"{APP}-{slot}") or {})["spec"]["minReplicas"] for slot in SLOTS}

    def limits(self, slot: str) -> tuple[int, int]:
        spec = (self.api.get_autoscaler(f"{APP}-{slot}") or {})["spec"]
        return spec["minReplicas"], spec["maxReplicas"]


@pytest.fixture
def scalers(world: World) -> Iterator[Scalers]:
    yield Scalers(world)


def in_flight(world: World, replicas: int) -> Rollout:
    """v2 for green, of which nothing has been written, while v1 is live in blue."""
    deployed = world.apps.read_namespaced_deployment(f"{APP}-blue", world.namespace)
    digest = deployed.metadata.annotations["churnguard.ops/content-hash"]
    return Rollout(
        id="live0001",
        operation="deploy",
        strategy="blue_green",
        candidate=Release("green", "v2", "x", replicas),
        previous=Release("blue", "v1", digest, replicas),
        phase="running",
        steps=[Step("hold_size", "blue", status="done")],
        sides=[{"blue": 100, "green": 0}],
        started="2026-11-21T19:00:00.000Z",
        holder="test",
    )


def saved() -> None:
    """The journal of these tests is the Rollout object itself."""


def v1_with(world: World, replicas: int) -> None:
    world.deploy("v1", **FAST, deployment=world.deployment("v1", replicas=replicas))


def test_the_owner_of_a_held_field_gets_it_back(world: World, scalers: Scalers) -> None:
    v1_with(world, 2)
    scalers.apply(1, most=1)
    before = scalers.bytes()
    rollout = in_flight(world, 2)
    rollout.previous.replicas = rollout.candidate.replicas = 2  # type: ignore[union-attr]
    hold_autoscalers(scalers.api, scalers.target, rollout, saved)
    assert scalers.limits("blue") == scalers.limits("green") == (2, 2)
    with pytest.raises(kubernetes.client.ApiException) as conflict:
        scalers.apply(3)
    assert conflict.value.status == 409
    assert 'conflict with \\"churnguard-rollout\\"' in conflict.value.body
    restore_autoscalers(scalers.api, scalers.target, rollout, saved)
    assert scalers.bytes() == before
    scalers.apply(3)
    assert scalers.least() == {"blue": 3, "green": 3}


def test_an_absent_floor_belongs_to_nobody_again(world: World, scalers: Scalers) -> None:
    v1_with(world, 2)
    scalers.apply(None)
    before = scalers.bytes()
    assert "f:minReplicas" not in before
    rollout = in_flight(world, 2)
    hold_autoscalers(scalers.api, scalers.target, rollout, saved)
    assert "f:minReplicas" in scalers.bytes()
    restore_autoscalers(scalers.api, scalers.target, rollout, saved)
    assert scalers.bytes() == before


def test_the_controller_keeps_the_held_size_without_metrics(world: World, scalers: Scalers) -> None:
    v1_with(world, 3)
    scalers.apply(1)
    rollout = in_flight(world, 3)
    hold_autoscalers(scalers.api, scalers.target, rollout, saved)
    scalers.scale("blue", 1, "somebody")
    until(lambda: world.replicas()["blue"] == 3, PATIENCE, "the autoscaler raises the slot to the held size")
    restore_autoscalers(scalers.api, scalers.target, rollout, saved)
    scalers.scale("blue", 1, "somebody")
    time.sleep(20)
    assert world.replicas()["blue"] == 1


def test_the_new_slot_grows_with_the_old_one(world: World, scalers: Scalers) -> None:
    v1_with(world, 2)
    scalers.apply(1)
    before = scalers.bytes()
    rollout = in_flight(world, 2)
    green = world.apps.read_namespaced_deployment(f"{APP}-blue", world.namespace)
    labels = {"app": APP, "slot": "green", "version": "v1"}
    green.metadata = {"name": f"{APP}-green"}
    green.spec.selector.match_labels = {"app": APP, "slot": "green"}
    green.spec.template.metadata.labels = labels
    world.apps.create_namespaced_deployment(world.namespace, green)
    hold_autoscalers(scalers.api, scalers.target, rollout, saved)
    scalers.scale("blue", 4, "kube-controller-manager")
    hold_autoscalers(scalers.api, scalers.target, rollout, saved)
    assert grow_to(scalers.api, rollout, 4, saved) is True
    assert world.replicas() == {"blue": 4, "green": 4}
    assert scalers.least() == {"blue": 4, "green": 4}
    restore_autoscalers(scalers.api, scalers.target, rollout, saved)
    assert scalers.bytes() == before


@pytest.mark.parametrize(
    ("change", "named", "manager", "timed"),
    [
        (lambda s: s.world.edit_route("argocd", blue=50, green=50), "HTTPRoute shop: spec.rules", "argocd", True),
        (lambda s: _select(s, "gold"), "Service shop-green: spec.selector", "kubectl-edit", True),
        # Of a write through the scale subresource the API server notes no time.
        (lambda s: s.scale("blue", 6, "kubectl"), "Deployment shop-blue: spec.replicas is 6", "kubectl", False),
        (lambda s: _pause(s), "Deployment shop-blue: spec.paused is True", "kubectl-rollout", True),
        (lambda s: s.apply(1, force=True), "HorizontalPodAutoscaler shop-blue: spec.min", "churnguard-ops", True),
    ],
    ids=["weights", "selector", "replicas", "paused", "autoscaler"],
)
def test_somebody_elses_write_is_named(
    world: World, scalers: Scalers, change: Callable[[Scalers], None], named: str, manager: str, timed: bool
) -> None:
    v1_with(world, 2)
    scalers.apply(1)
    rollout = in_flight(world, 2)
    hold_autoscalers(scalers.api, scalers.target, rollout, saved)
    assert look(scalers.api, scalers.target, rollout) == []
    change(scalers)
    found = [drift for drift in look(scalers.api, scalers.target, rollout) if str(drift).startswith(named)]
    assert [(drift.manager, bool(drift.time)) for drift in found] == [(manager, timed)]


def _select(scalers: Scalers, tier: str) -> None:
    patch = {"spec": {"selector": {"tier": tier}}}
    scalers.world.core.patch_namespaced_service(
        f"{APP}-green", scalers.world.namespace, patch, field_manager="kubectl-edit"
    )


def _pause(scalers: Scalers) -> None:
    patch = {"spec": {"paused": True}}
    scalers.world.apps.patch_namespaced_deployment(
        f"{APP}-blue", scalers.world.namespace, patch, field_manager="kubectl-rollout"
    )


# -- whole releases --------------------------------------------------------------------------------------------------


def baking(world: World) -> bool:
    return (world.info()["current"] or {}).get("step") == "bake"


def test_an_autoscalers_shrink_during_the_bake_is_undone(world: World, scalers: Scalers, tmp_path: Path) -> None:
    v1_with(world, 3)
    scalers.apply(1)
    before = scalers.bytes()
    with world.load(tmp_path / "ledger.jsonl", rate=50) as summary:
        begin = time.monotonic()
        process = world.start(world.arguments("v2", **{**FAST, "grace_period": 40}))
        until(lambda: baking(world), PATIENCE, "the bake begins")
        assert scalers.least() == {"blue": 3, "green": 3}
        assert world.replicas() == {"blue": 3, "green": 3}
        # What an autoscaler writes that decided before it saw the hold; the load has left blue.
        scalers.scale("blue", 1, "kube-controller-manager")
        until(lambda: world.replicas()["blue"] == 3, PATIENCE, "blue has its size back while v2 bakes")
        result = finished(process, begin)
    assert not result.failed, result.message
    assert world.replicas() == {"blue": 0, "green": 3}
    assert scalers.bytes() == before
    assert summary()["failed"] == 0


def test_ten_pods_stay_ten_while_the_load_halves_and_the_canary_fails(
    world: World, scalers: Scalers, tmp_path: Path
) -> None:
    """An autoscaler had brought the stable version from four pods to ten. Half the traffic goes to the canary, the
    load halves, the autoscaler would shrink; then the canary is taken back, and ten pods are there for all of it."""
    v1_with(world, 4)
    scalers.apply(4, most=12)
    scalers.scale("blue", 10, "horizontal-pod-autoscaler")
    until(lambda: world.ready("blue") == 10, 60, "ten pods of the stable version are ready")
    before = scalers.bytes()
    bad = world.deployment("v2", error_ratio=0.2, replicas=4)
    analysis = {"prometheus_url": f"http://127.0.0.1:{world.lab.ports.prometheus}", "interval": 5, "max_hold": 60}
    canary = {"weights": [50, 100], "hold": 30, "share_requests": 20}
    given = {**FAST, "strategy": "canary", "canary": canary, "analysis": analysis, "deployment": bad}
    sizes: list[int] = []
    with world.load(tmp_path / "half.jsonl", rate=40) as lasting:
        with world.load(tmp_path / "other_half.jsonl", rate=40) as ending:
            process, begin = world.start(world.arguments("v2", **given)), time.monotonic()
            until(lambda: world.weights()["green"] == 50, 60, "half of the traffic is the canary's")
            assert world.ready("green") == 10
        try:
            assert scalers.limits("blue") == (10, 12)
            while process.poll() is None and time.monotonic() < begin + 120:
                sizes.append(world.ready("blue"))
                time.sleep(0.5)
            result = finished(process, begin)
        finally:
            process.kill()
        time.sleep(1)
    assert result.verdict == "rolled_back", result.message
    assert (lasting()["failed"], ending()["failed"]) == (0, 0)
    assert min(sizes) == 10
    assert scalers.bytes() == before


def kill_at_autoscaler_write(pid: Callable[[], int], number: int, moment: str) -> Callable[[str, str, int, str], bool]:
    """A strike around the `number`-th write to an autoscaler."""
    seen = 0

    def strike(_method: str, path: str, _count: int, when: str) -> bool:
        nonlocal seen
        if "horizontalpodautoscalers" not in path:
            return False
        seen += when == BEFORE
        if seen != number or when != moment:
            return False
        subprocess.run(["kill", "-9", str(pid())], check=True)
        return True

    return strike


@pytest.mark.parametrize(
    ("resume", "points"),
    [(True, [(1, AFTER), (4, BEFORE), (6, AFTER)]), (False, [(2, BEFORE), (3, AFTER), (5, BEFORE)])],
    ids=["resumed", "aborted"],
)
def test_killed_around_every_write_to_an_autoscaler(
    world: World, scalers: Scalers, resume: bool, points: list[tuple[int, str]]
) -> None:
    """Two writes hold both, four put them back; the next run finishes or takes back, and all is as it was. Each write
    is struck once here; the unit tests strike each on both sides, in both directions."""
    v1_with(world, 2)
    scalers.apply(1)
    before = scalers.bytes()
    proxy = ChaosProxy(str(world.lab.kubeconfig))
    version = 1
    struck = []
    try:
        for number, moment in points:
            version += 1
            holder: list[subprocess.Popen[str]] = []
            proxy.reset(kill_at_autoscaler_write(lambda h=holder: h[0].pid, number, moment))
            given = world.arguments(f"v{version}", **FAST)
            through = {k: v for k, v in given.items() if k != "kubeconfig"}
            process = world.start({**through, "host": proxy.url, "api_patience": 5})
            holder.append(process)
            process.communicate(timeout=120)
            struck.append(process.returncode == -9)
            again = given if resume else world.arguments("", **FAST, state="aborted")
            result = world.run(again)
            assert not result.failed, f"write {number} {moment}: {result.message}"
            assert scalers.bytes() == before, f"write {number} {moment}"
            assert world.info()["unfinished"] is False
    finally:
        proxy.close()
    assert struck == [True] * len(points)
