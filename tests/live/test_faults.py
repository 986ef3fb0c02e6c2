"""Bad input, foreign hands, and servers that go away: a clear error, nothing lost."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import kubernetes
import pytest
import urllib3
from chaos import BEFORE, ChaosProxy
from world import APP, ROUTES, Result, World, finished, until

pytestmark = pytest.mark.lab


def refused(world: World, **overrides: object) -> Result:
    """A rollout of v2 that has to be refused without a write."""
    before = world.versions()
    result = world.run(world.arguments("v2", **overrides))
    assert result.failed
    assert "Next:" in result.message
    assert "Traceback" not in result.message
    assert world.versions() == before, "a refusal writes nothing"
    return result


def test_missing_image(world: World) -> None:
    deployment = world.deployment("v2")
    deployment["spec"]["template"]["spec"]["containers"][0]["image"] = ""
    assert "container 'app' has no image" in refused(world, deployment=deployment).message


def test_missing_version(world: World) -> None:
    result = world.run({name: value for name, value in world.arguments("v2").items() if name != "version"})
    assert result.failed
    assert "missing: version" in result.message


def test_unknown_slots(world: World) -> None:
    world.deploy("v1")
    assert "two different slots" in refused(world, slots=["blue", "blue"]).message
    result = refused(world, slots=["blue", "purple"])
    assert "purple" in result.message


def test_unknown_slot_in_the_route(world: World) -> None:
    world.deploy("v1")
    world.edit_route("stranger", purple=5)
    message = refused(world).message
    assert "unknown slot 'shop-purple'" in message
    assert "stranger" in message


def test_unreachable_api_server(world: World) -> None:
    begin = time.monotonic()
    result = world.run({**world.arguments("v2", kubeconfig=None), "host": "http://127.0.0.1:9", "api_patience": 2})
    assert result.failed
    assert "no usable answer from http://127.0.0.1:9" in result.message
    assert time.monotonic() - begin < 45, "the patience given is 2 s; without one it would be 60 s"


def test_kubeconfig_that_does_not_exist(world: World) -> None:
    result = world.run({**world.arguments("v2"), "kubeconfig": "/nonexistent/kubeconfig"})
    assert result.failed
    assert "find the cluster" in result.message


def test_no_permission_on_one_verb(world: World) -> None:
    """Everything but patching the route: the new slot comes up, traffic cannot be moved, all is taken back."""
    world.deploy("v1")
    token = _token_with(world, without=("httproutes", "patch"))
    arguments = world.arguments("v2", kubeconfig=None)
    result = world.run({**arguments, **_server(world), "api_key": token})
    assert result.failed
    assert "403" in result.message
    assert "let this user 'patch' httproutes (API group 'gateway.networking.k8s.io')" in result.message
    assert result.verdict == "rolled_back"
    assert world.weights() == {"blue": 100, "green": 0}
    assert world.replicas() == {"blue": 1, "green": 0}


def test_no_permission_to_read(world: World) -> None:
    token = _token_with(world, without=("configmaps", "get"))
    arguments = world.arguments("v2", kubeconfig=None)
    result = world.run({**arguments, **_server(world), "api_key": token})
    assert result.failed
    assert "let this user 'get' configmaps" in result.message


def _server(world: World) -> dict[str, str]:
    address = f"https://127.0.0.1:{world.lab.ports.kube_apiserver}"
    return {"host": address, "ca_cert": world.core.api_client.configuration.ssl_ca_cert}


def _token_with(world: World, without: tuple[str, str]) -> str:
    """A service account that may do what docs/rollout.md lists, except one verb on one resource."""
    needed = {
        ("", "configmaps"): ["get", "create", "update", "patch"],
        ("", "services"): ["get", "patch"],
        ("", "pods"): ["list"],
        ("apps", "deployments"): ["get", "create", "update", "patch"],
        ("autoscaling", "horizontalpodautoscalers"): ["get", "list", "patch"],
        ("coordination.k8s.io", "leases"): ["get", "create", "update"],
        ("gateway.networking.k8s.io", "httproutes"): ["get", "patch"],
    }
    rules = [
        {"apiGroups": [group], "resources": [plural], "verbs": [v for v in verbs if (plural, v) != without]}
        for (group, plural), verbs in needed.items()
    ]
    name = "deployer"
    world.core.create_namespaced_service_account(world.namespace, {"metadata": {"name": name}})
    world.rbac.create_namespaced_role(world.namespace, {"metadata": {"name": name}, "rules": rules})
    subject = {"kind": "ServiceAccount", "name": name, "namespace": world.namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
    world.rbac.create_namespaced_role_binding(
        world.namespace, {"metadata": {"name": name}, "subjects": [subject], "roleRef": role}
    )
    # The API server learns of new roles through a watch of its own.
    user = f"system:serviceaccount:{world.namespace}:{name}"
    until(lambda: _may_list_pods(world, user), 60, "the role counts")
    request = {"spec": {"audiences": None, "expirationSeconds": 600}}
    return str(world.core.create_namespaced_service_account_token(name, world.namespace, request).status.token)


def _may_list_pods(world: World, user: str) -> bool:
    asked = {"namespace": world.namespace, "verb": "list", "resource": "pods"}
    review = {"spec": {"user": user, "resourceAttributes": asked}}
    api = kubernetes.client.AuthorizationV1Api(world.core.api_client)
    return bool(api.create_subject_access_review(review).status.allowed)


def test_httproute_absent(world: World) -> None:
    world.deploy("v1")
    world.custom.delete_namespaced_custom_object(*ROUTES, world.namespace, "httproutes", APP)
    result = world.run(world.arguments("v2"))
    assert result.failed
    assert f"HTTPRoute {world.namespace}/{APP} does not exist" in result.message
    assert "site.yml" in result.message
    assert world.replicas() == {"blue": 1, "green": 0}


def test_selector_changed_by_hand(world: World) -> None:
    world.deploy("v1")
    patch = {"spec": {"selector": {"app": APP, "slot": "blue", "tier": "gold"}}}
    world.core.patch_namespaced_service(f"{APP}-blue", world.namespace, patch, field_manager="somebody")
    message = refused(world).message
    assert f"Service {world.namespace}/{APP}-blue selects" in message
    assert "somebody" in message
    assert world.info()["drift"]


def test_weights_moved_by_hand(world: World) -> None:
    world.deploy("v1")
    world.deploy("v2")
    world.edit_route("gitops", blue=30, green=70)
    result = world.run(world.arguments("v3"))
    assert result.failed
    assert "green 70 %, blue 30 %" in result.message
    assert "gitops" in result.message
    assert world.weights() == {"blue": 30, "green": 70}, "what somebody set is not overwritten"


def test_weights_moved_by_hand_while_baking(world: World) -> None:
    world.deploy("v1")
    process = world.start(world.arguments("v2", grace_period=60))
    begin = time.monotonic()
    until(lambda: world.info()["current"]["step"] == "bake", 60, "the rollout bakes")
    world.edit_route("gitops", blue=50)
    result = finished(process, begin)
    assert result.verdict == "failed"
    assert "gitops" in result.message
    assert world.replicas() == {"blue": 1, "green": 1}, "nothing is retired while others move traffic"


def test_a_paused_deployment_is_never_ready(world: World) -> None:
    world.deploy("v1")
    deployment = world.deployment("v2")
    deployment["spec"]["paused"] = True
    result = world.run(world.arguments("v2", deployment=deployment))
    assert result.verdict == "rolled_back"
    assert "paused" in result.message


def test_quota_is_named(world: World) -> None:
    world.deploy("v1")
    quota = {"metadata": {"name": "one"}, "spec": {"hard": {"pods": "1"}}}
    world.core.create_namespaced_resource_quota(world.namespace, quota)
    until(lambda: _quota_used(world) == "1", 30, "the quota controller has counted")
    result = world.run(world.arguments("v2"))
    assert result.verdict == "rolled_back"
    assert "exceeded quota" in result.message
    assert world.ask() == (200, "v1")


def _quota_used(world: World) -> str:
    status = world.core.read_namespaced_resource_quota("one", world.namespace).status
    return str((status.used or {}).get("pods"))


def test_two_deploys_at_once(world: World) -> None:
    world.deploy("v1")
    begin = time.monotonic()
    processes = [world.start(world.arguments(version)) for version in ("v2", "v3")]
    results = [finished(process, begin) for process in processes]
    won = [result for result in results if not result.failed]
    lost = [result for result in results if result.failed]
    assert len(won) == 1
    assert len(lost) == 1
    assert "holds Lease" in lost[0].message or "did not end" in lost[0].message
    assert world.info()["version"] == won[0].output["envelope"]["subject"]["version"]
    assert len(world.info()["history"]) == 2


def test_the_loser_leaves_at_once_and_names_the_holder(world: World) -> None:
    world.deploy("v1")
    process = world.start(world.arguments("v2", grace_period=120))
    try:
        until(lambda: world.info()["lease"]["held"], 60, "the first run holds the lock")
        second = world.run(world.arguments("v2"))
        assert second.failed
        assert f"(process {process.pid})" in second.message
        assert process.poll() is None, "it did not wait for the first"
    finally:
        process.kill()
        process.communicate()


def test_a_sleeping_holder_that_lost_the_lock_writes_nothing_more(world: World) -> None:
    world.deploy("v1")
    proxy = ChaosProxy(str(world.lab.kubeconfig))
    asleep, awake = threading.Event(), threading.Event()

    def strike(method: str, path: str, _number: int, moment: str) -> bool:
        # The first holder is held up right at the write that would move the traffic.
        if method == "PATCH" and "/httproutes/" in path and moment == BEFORE and not asleep.is_set():
            asleep.set()
            awake.wait(120)
        return False

    proxy.strike = strike
    try:
        arguments = world.arguments("v2", kubeconfig=None, lease_duration=3)
        begin = time.monotonic()
        process = world.start({**arguments, "host": proxy.url})
        assert asleep.wait(60)
        time.sleep(4)  # longer than the lease holds
        taken_over = world.run(world.arguments("", state="aborted", smoke_tests=None, lease_duration=3))
        assert taken_over.verdict == "aborted", taken_over.message
        settled = world.versions()
        awake.set()
        result = finished(process, begin)
    finally:
        awake.set()
        proxy.close()
    assert result.failed
    assert "taken over" in result.message
    assert world.weights() == {"blue": 100, "green": 0}
    assert {k: v for k, v in world.versions().items() if k != "route"} == {
        k: v for k, v in settled.items() if k != "route"
    }


@pytest.mark.parametrize("part", ["etcd", "kube-apiserver"])
def test_a_control_plane_part_killed_mid_rollout(world: World, tmp_path: Path, part: str) -> None:
    world.deploy("v1")
    with world.load(tmp_path / "ledger.jsonl") as summary:
        process = world.start(world.arguments("v2", grace_period=10))
        begin = time.monotonic()
        until(lambda: world.info()["current"]["step"] == "bake", 60, "the rollout bakes")
        _kill(world, part)
        result = finished(process, begin)
    assert not result.failed, result.message
    assert summary()["failed"] == 0
    assert world.ask() == (200, "v2")
    until(lambda: _is_ready(world), 60, "the control plane is whole again")


def _is_ready(world: World) -> bool:
    """Whether the API server says that it is ready, for the test that comes next."""
    try:
        world.core.api_client.call_api("/readyz", "GET", _preload_content=False, _request_timeout=5)
    except (kubernetes.client.ApiException, urllib3.exceptions.HTTPError):
        return False
    return True


def _kill(world: World, part: str) -> None:
    """End the part with SIGKILL; the supervisor brings it up again."""
    command = ["supervisorctl", "-c", str(world.lab.state_dir / "etc" / "supervisord.conf"), "signal", "KILL", part]
    subprocess.run([str(Path(sys.executable).with_name(command[0])), *command[1:]], check=True, capture_output=True)


def test_a_lost_journal_is_found_again_from_the_router(world: World) -> None:
    world.deploy("v1")
    world.core.delete_namespaced_config_map(f"{APP}-rollout", world.namespace)
    second = world.deploy("v2")
    assert second.output["envelope"]["subject"]["previous_version"] == "v1"
    assert world.replicas() == {"blue": 0, "green": 1}


def test_a_journal_that_cannot_be_read_is_named(world: World) -> None:
    world.deploy("v1")
    world.core.patch_namespaced_config_map(f"{APP}-rollout", world.namespace, {"data": {"state.json": "{"}})
    message = refused(world).message
    assert f"ConfigMap {world.namespace}/{APP}-rollout does not hold a valid one" in message


def test_abort_with_nothing_in_flight_changes_nothing(world: World) -> None:
    world.deploy("v1")
    before = world.versions()
    result = world.run(world.arguments("", state="aborted", smoke_tests=None))
    assert result.output["changed"] is False
    assert world.versions() == before


def test_rolling_back_without_an_earlier_release(world: World) -> None:
    world.deploy("v1")
    result = world.run(world.arguments("", state="rolled_back", smoke_tests=None))
    assert result.failed
    assert "knows no release before" in result.message
