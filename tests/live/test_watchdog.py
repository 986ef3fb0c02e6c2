"""The watchdog on real parts: a controller is killed, and nothing is left half-way."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import kubernetes
import pytest
from churnguard_api.faults import Faults
from churnguard_lab import images
from watching import (
    BIN,
    LEASE_SECONDS,
    ROOT,
    WATCHDOG,
    canary,
    connection,
    install_watchdog,
    kill,
    reach,
    server,
    token_of,
    watch,
)
from world import APP, World, until

pytestmark = pytest.mark.lab

V1_SERVES = {"blue": 100, "green": 0}


def killed(world: World, step: str, **overrides: Any) -> float:
    """v1 is live, v2 was being shipped, and its controller was killed in C(step); when that was."""
    given = {"grace_period": 120, "lease_duration": LEASE_SECONDS, **overrides}
    process = world.start(world.arguments("v2", **given))
    reach(world, step)
    return kill(process)


def test_an_orphan_in_the_bake_is_taken_back_without_a_failed_request(world: World, tmp_path: Path) -> None:
    world.deploy("v1")
    with world.load(tmp_path / "ledger.jsonl", rate=50) as summary:
        died = killed(world, "bake")
        result = watch(world, watch_seconds=LEASE_SECONDS + 10)
    assert not result.failed, result.message
    assert result.output["applications"][0]["action"] == "taken_back"
    assert "ran out" in result.message
    assert (world.weights(), world.replicas()) == (V1_SERVES, {"blue": 1, "green": 0})
    assert summary()["failed"] == 0
    ended = result.output["applications"][0]["envelope"]
    assert (ended["verdict"], ended["timeline"][0]["event"]) == ("aborted", "orphaned")
    assert world.info()["keeper"]["state"] == "idle"
    # The watch began at the kill, and ended with the way back.
    assert time.monotonic() - died < LEASE_SECONDS + 10 + 30 + 30


def test_a_canary_killed_while_it_held_is_back_within_the_lease_and_30_s(world: World, tmp_path: Path) -> None:
    world.deploy("v1")
    with world.load(tmp_path / "ledger.jsonl", rate=50) as summary:
        process = world.start(canary(world))
        reach(world, "hold", 50)
        died = kill(process)
        watchdog = world.start(
            {
                **connection(world),
                "name": APP,
                "orphaned_after": 2,
                "interval": 1,
                "watch_seconds": 60,
                "endpoint": world.arguments()["endpoint"],
                "confirm_requests": 5,
                "drain": {"quiet_period": 1, "timeout": 30},
            },
            "rollout_watchdog",
        )
        try:
            until(lambda: world.weights() == V1_SERVES, LEASE_SECONDS + 30, "the stable version has all traffic again")
            back = time.monotonic() - died
            until(lambda: world.info()["phase"] == "aborted", 60, "the rollout has ended")
        finally:
            watchdog.communicate(timeout=120)
    assert back <= LEASE_SECONDS + 30
    assert summary()["failed"] == 0
    assert world.replicas() == {"blue": 1, "green": 0}


def test_with_only_the_old_version_to_retire_it_is_finished(world: World) -> None:
    world.deploy("v1")
    killed(world, "drain", grace_period=0, drain={"quiet_period": 25, "timeout": 60})
    result = watch(world, watch_seconds=LEASE_SECONDS + 10)
    assert result.output["applications"][0]["action"] == "finished", result.message
    assert world.weights() == {"blue": 0, "green": 100}
    assert world.info()["version"] == "v2"


def test_a_rollout_that_is_run_is_left_alone(world: World) -> None:
    world.deploy("v1")
    process = world.start(world.arguments("v2", grace_period=60, lease_duration=LEASE_SECONDS))
    try:
        reach(world, "bake")
        result = watch(world, watch_seconds=LEASE_SECONDS + 4)
        assert not result.failed, result.message
        assert result.output["changed"] is False
        assert result.output["applications"][0]["state"] == "healthy"
        assert world.weights() == {"blue": 0, "green": 100}
    finally:
        kill(process)


def test_report_only_says_so_and_check_mode_writes_nothing(world: World) -> None:
    world.deploy("v1")
    killed(world, "bake")
    until(lambda: world.info()["lease"]["held"] is False, 30, "the lock has run out")
    time.sleep(3)
    before = world.versions()
    told = watch(world, policy="report")
    assert (told.failed, told.output["changed"]) == (True, False)
    assert "is orphaned" in told.message
    planned = watch(world, check=True)
    assert planned.output["changed"] is True
    assert planned.output["diff"][0]["after"]["weights"] == V1_SERVES
    assert world.versions() == before
    # Without an address to probe, the way back is not confirmed by requests, and says so.
    taken_back = watch(world, endpoint=None)
    assert not taken_back.failed, taken_back.message
    measured = taken_back.output["applications"][0]["envelope"]["measurements"]
    assert "not_checked" in {figure["verdict"] for figure in measured}
    assert world.weights() == V1_SERVES


# -- in the cluster --------------------------------------------------------------------------------------------------


def cron_job(world: World) -> dict[str, Any]:
    api = kubernetes.client.BatchV1Api(world.core.api_client)
    made = api.read_namespaced_cron_job(WATCHDOG, world.namespace)
    return dict(world.core.api_client.sanitize_for_serialization(made))


def test_what_is_installed_passes_restricted_and_goes_again(world: World) -> None:
    labels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn", "audit")}
    world.core.patch_namespace(world.namespace, {"metadata": {"labels": labels}})
    checked = install_watchdog(world, "--check")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert not world.core.list_namespaced_service_account(
        world.namespace, field_selector=f"metadata.name={WATCHDOG}"
    ).items, "check mode writes nothing"

    installed = install_watchdog(world)
    assert installed.returncode == 0, installed.stdout + installed.stderr
    assert "changed=1" in installed.stdout
    assert "would violate" not in installed.stdout + installed.stderr
    again = install_watchdog(world)
    assert "changed=0" in again.stdout, again.stdout

    spec = cron_job(world)["spec"]
    assert spec["concurrencyPolicy"] == "Forbid"
    template = spec["jobTemplate"]["spec"]["template"]
    pod = {"metadata": {"name": "one", "labels": template["metadata"]["labels"]}, "spec": template["spec"]}
    world.core.create_namespaced_pod(world.namespace, pod, dry_run="All", field_validation="Strict")
    template["spec"]["containers"][0]["securityContext"].pop("capabilities")
    with pytest.raises(kubernetes.client.ApiException) as refused:
        world.core.create_namespaced_pod(world.namespace, pod, dry_run="All")
    assert "violates PodSecurity" in refused.value.body

    removed = install_watchdog(world, app_release_watchdog_state="absent", app_release_watchdog_image="")
    assert removed.returncode == 0, removed.stdout + removed.stderr
    assert not world.rbac.list_namespaced_role(world.namespace, field_selector=f"metadata.name={WATCHDOG}").items


def test_without_an_image_nothing_is_installed(world: World) -> None:
    refused = install_watchdog(world, app_release_watchdog_image="")
    assert refused.returncode != 0
    assert "needs app_release_watchdog_image" in " ".join(refused.stdout.split())


def with_autoscalers_and_a_flag(world: World) -> dict[str, Any]:
    """What a rollout may have to put back beside traffic; the options of the rollout that knows the flag."""
    autoscalers = kubernetes.client.AutoscalingV2Api(world.core.api_client)
    for slot in ("blue", "green"):
        workload = {"apiVersion": "apps/v1", "kind": "Deployment", "name": f"{APP}-{slot}"}
        spec = {"scaleTargetRef": workload, "minReplicas": 1, "maxReplicas": 4}
        body = {"metadata": {"name": f"{APP}-{slot}"}, "spec": spec}
        autoscalers.create_namespaced_horizontal_pod_autoscaler(world.namespace, body)
    flag = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "on"}
    document = json.dumps({"flags": {"new-prices": flag}})
    body = {"metadata": {"name": "churnguard-flags"}, "data": {"flags.json": document}}
    world.core.create_namespaced_config_map(world.namespace, body)
    return {"feature_flags": {"config_map": "churnguard-flags", "switch_off": ["new-prices"]}}


def smallest(world: World) -> dict[str, int]:
    autoscalers = kubernetes.client.AutoscalingV2Api(world.core.api_client)
    found = autoscalers.list_namespaced_horizontal_pod_autoscaler(world.namespace).items
    return {item.metadata.name: item.spec.min_replicas for item in found}


def test_its_service_account_can_take_back_and_nothing_more(world: World) -> None:
    world.deploy("v1", deployment=world.deployment("v1", replicas=2))
    flags = with_autoscalers_and_a_flag(world)
    # Installed, but not due: what runs here is the module with a token of that very account.
    assert install_watchdog(world, app_release_watchdog_schedule="0 0 1 1 *").returncode == 0
    killed(world, "bake", **flags)
    assert smallest(world) == {f"{APP}-blue": 2, f"{APP}-green": 2}, "held while the rollout is in flight"
    token = token_of(world, WATCHDOG)
    result = watch(world, kubeconfig=None, **server(world), api_key=token, watch_seconds=LEASE_SECONDS + 10)
    assert not result.failed, result.message
    assert result.output["applications"][0]["action"] == "taken_back"
    assert world.weights() == V1_SERVES
    assert smallest(world) == {f"{APP}-blue": 1, f"{APP}-green": 1}
    kept = world.core.read_namespaced_config_map("churnguard-flags", world.namespace).data["flags.json"]
    assert json.loads(kept)["flags"]["new-prices"]["state"] == "DISABLED"

    configuration = kubernetes.client.Configuration()
    configuration.host, configuration.ssl_ca_cert = server(world)["host"], server(world)["ca_cert"]
    configuration.api_key["BearerToken"] = f"Bearer {token}"
    reviews = kubernetes.client.AuthorizationV1Api(kubernetes.client.ApiClient(configuration))

    def may(verb: str, resource: str, name: str = "", group: str = "") -> bool:
        attributes = {"namespace": world.namespace, "verb": verb, "resource": resource, "name": name, "group": group}
        review = reviews.create_self_subject_access_review({"spec": {"resourceAttributes": attributes}})
        return bool(review.status.allowed)

    assert may("patch", "deployments", f"{APP}-blue", "apps")
    assert not may("patch", "deployments", "another", "apps")
    assert not may("create", "deployments", group="apps")
    assert not may("delete", "deployments", f"{APP}-blue", "apps")
    assert not may("get", "secrets", "churnguard-secrets")
    assert not may("list", "configmaps")
    assert not may("get", "configmaps", "another")
    assert not may("update", "leases", "another", "coordination.k8s.io")
    assert not may("update", "configmaps", f"{APP}-rollout-control")
    assert not may("create", "pods")


def test_the_cron_job_takes_an_orphan_back_by_itself(world: World) -> None:
    """The very CronJob of the role, run by the real controllers. The lab's node has no files of its own for a pod: the
    image stands for an execution environment, and what a kubelet would project comes by variables."""
    world.deploy("v1")
    image = f"{world.namespace}/watchdog:1"
    command = ("env", "HOME={mount:tmp}", f"PATH={BIN}:/usr/bin:/bin", f"ANSIBLE_CONFIG={ROOT / 'ansible.cfg'}")
    images.build(world.lab.state_dir, image, "command", Faults(), command)
    assert install_watchdog(world, "--check").returncode == 0
    secret = {"metadata": {"name": "way-in"}, "stringData": {"token": "not-yet"}}
    world.core.create_namespaced_secret(world.namespace, secret)
    ways = server(world)
    variables = [
        {"name": "K8S_AUTH_HOST", "value": ways["host"]},
        {"name": "K8S_AUTH_SSL_CA_CERT", "value": ways["ca_cert"]},
        {"name": "K8S_AUTH_API_KEY", "valueFrom": {"secretKeyRef": {"name": "way-in", "key": "token"}}},
    ]
    # Not due yet: its token is made from the service account that is installed with it.
    assert (
        install_watchdog(
            world, app_release_watchdog_env=variables, app_release_watchdog_schedule="0 0 1 1 *"
        ).returncode
        == 0
    )
    token = {"stringData": {"token": token_of(world, WATCHDOG, 1200)}}
    world.core.patch_namespaced_secret("way-in", world.namespace, token)
    installed = install_watchdog(world, app_release_watchdog_env=variables)
    assert installed.returncode == 0, installed.stdout + installed.stderr
    killed(world, "bake")
    until(lambda: world.weights() == V1_SERVES, 60 + LEASE_SECONDS + 60, "the CronJob has moved traffic back")
    until(lambda: world.info()["phase"] == "aborted", 60, "the rollout has ended")
    info = world.info()
    assert info["current"]["reason"]
    assert world.replicas() == {"blue": 1, "green": 0}
    jobs = kubernetes.client.BatchV1Api(world.core.api_client)
    until(
        lambda: any(job.status.succeeded for job in jobs.list_namespaced_job(world.namespace).items),
        90,
        "the job of the CronJob has succeeded",
    )
    assert json.dumps(cron_job(world)).count(token["stringData"]["token"]) == 0
