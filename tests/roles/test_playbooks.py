"""The same playbooks serve every environment, and what an environment lacks is named before anything is touched."""

from __future__ import annotations

import json
import socket
import subprocess
from pathlib import Path

import pytest

from tests.roles.playing import ANSIBLE, ROOT, ansible_environment

ENVIRONMENTS = sorted(path.name for path in (ROOT / "inventories").iterdir() if path.is_dir())
REAL = [name for name in ENVIRONMENTS if name != "lab"]
PLAYBOOKS = sorted((ROOT / "playbooks").glob("*.yml"))

RELEASE_NEEDS = {
    "app_release_version": "v2",
    "app_release_endpoint_url": "https://api.churnguard.invalid",
    "app_release_kube_context": "some-context",
}
MANIFESTS_NEED = {
    "app_manifests_kube_context": "some-context",
    "app_manifests_hostnames": ["api.churnguard.invalid"],
    "app_manifests_image_repository": "registry.churnguard.invalid/churnguard/api",
    "app_manifests_database_peers": [{"ipBlock": {"cidr": "192.0.2.0/24"}}],
    "app_manifests_cache_peers": [{"ipBlock": {"cidr": "192.0.2.0/24"}}],
}
NEEDS = {**RELEASE_NEEDS, **MANIFESTS_NEED}


def ansible(program: str, *arguments: str | Path) -> str:
    """The standard output of an Ansible program that succeeds."""
    ended = subprocess.run(
        [ANSIBLE / program, *arguments],
        cwd=ROOT,
        env=ansible_environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_the_environments_are_the_known_ones():
    assert ENVIRONMENTS == ["development", "lab", "production", "staging"]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_playbook_parses(environment):
    inventory = ROOT / "inventories" / environment
    listed = ansible("ansible-playbook", "--syntax-check", "-i", inventory, *PLAYBOOKS)
    assert listed.count("playbook: ") == len(PLAYBOOKS) > 0


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_inventory_is_data_about_one_environment(environment):
    listed = json.loads(ansible("ansible-inventory", "-i", ROOT / "inventories" / environment, "--list"))
    assert listed["controller"]["hosts"] == ["localhost"]
    variables = listed["_meta"]["hostvars"]["localhost"]
    assert variables["churnguard_environment"] == environment
    assert variables["app_manifests_namespace"] == f"churnguard-{environment}"
    assert variables["ansible_connection"] == "local"


@pytest.mark.parametrize("environment", REAL)
def test_a_real_environment_holds_nothing_that_only_its_owner_knows(environment):
    listed = json.loads(ansible("ansible-inventory", "-i", ROOT / "inventories" / environment, "--list"))
    invented = {*NEEDS, "app_manifests_kubeconfig"} & set(listed["_meta"]["hostvars"]["localhost"])
    # The release uses the same context as the manifests: a reference, not a value.
    assert invented == {"app_release_kube_context"}


def test_production_has_the_guides_figures():
    listed = json.loads(ansible("ansible-inventory", "-i", ROOT / "inventories" / "production", "--list"))
    variables = listed["_meta"]["hostvars"]["localhost"]
    assert variables["app_release_grace_period"] == 300
    assert variables["app_manifests_replicas"] == 3
    assert (variables["app_manifests_hpa_min_replicas"], variables["app_manifests_hpa_max_replicas"]) == (3, 20)


def test_deploy_names_every_missing_variable_before_any_call(run_playbook):
    of_the_release = run_playbook("deploy", "production")
    assert of_the_release.code != 0
    assert "missing required arguments: " + ", ".join(sorted(RELEASE_NEEDS)) in of_the_release.text

    of_the_manifests = run_playbook("deploy", "production", **RELEASE_NEEDS)
    assert of_the_manifests.code != 0
    assert "missing required arguments: " + ", ".join(sorted(MANIFESTS_NEED)) in of_the_manifests.text
    for run in (of_the_release, of_the_manifests):
        assert "Look at the object that splits the traffic" not in run.output


@pytest.mark.parametrize(
    ("playbook", "missing"),
    [
        ("site", sorted(set(MANIFESTS_NEED) - {"app_manifests_image_repository"})),
        ("rollback", ["app_release_endpoint_url", "app_release_kube_context"]),
        ("status", ["app_release_kube_context"]),
    ],
)
def test_the_other_playbooks_name_what_they_miss(run_playbook, playbook, missing):
    run = run_playbook(playbook, "production")
    assert run.code != 0
    assert "missing required arguments: " + ", ".join(missing) in run.text


@pytest.mark.parametrize("version", ["latest", "", "v1/2"])
def test_deploy_refuses_a_version_that_cannot_be_traced(run_playbook, version):
    run = run_playbook("deploy", "production", **{**NEEDS, "app_release_version": version})
    assert run.code != 0
    assert f"version '{version}'. The version is the image's tag" in run.text
    assert "Nothing was sent to the cluster" in run.text
    assert "Look at the object that splits the traffic" not in run.output


@pytest.mark.parametrize("repository", ["churnguard/api:v2", ""])
def test_deploy_refuses_what_is_no_repository(run_playbook, repository):
    run = run_playbook("deploy", "production", **{**NEEDS, "app_manifests_image_repository": repository})
    assert run.code != 0
    assert f"image '{repository}', version 'v2'" in run.text
    assert "Look at the object that splits the traffic" not in run.output


def kubeconfig_for(port: int, tmp_path: Path) -> str:
    """A kubeconfig of a cluster at C(port) of this machine."""
    path = tmp_path / "kubeconfig"
    cluster = {"name": "some", "cluster": {"server": f"https://127.0.0.1:{port}"}}
    context = {"name": "some-context", "context": {"cluster": "some", "user": "some"}}
    user = {"name": "some", "user": {"token": "none"}}
    content = {"apiVersion": "v1", "kind": "Config", "clusters": [cluster], "contexts": [context], "users": [user]}
    path.write_text(json.dumps(content), encoding="utf-8")
    return str(path)


def test_an_api_server_that_refuses_connections_is_named(run_playbook, tmp_path):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    run = run_playbook("site", "production", **NEEDS, app_manifests_kubeconfig=kubeconfig_for(port, tmp_path))
    assert run.code != 0
    assert f"port={port}" in run.text and "Connection refused" in run.text
    assert "Next: see whether the API server runs" in run.text


def test_an_api_server_that_never_answers_ends_the_run_in_time(run_playbook, tmp_path):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(8)
        kubeconfig = kubeconfig_for(listener.getsockname()[1], tmp_path)
        run = run_playbook(
            "site", "production", **NEEDS, app_manifests_kubeconfig=kubeconfig, app_manifests_request_timeout=3
        )
    assert run.code != 0
    assert "Timed out after 3 second(s). Next: see whether the API server runs" in run.text


def test_a_context_that_the_kubeconfig_lacks_is_named(run_playbook, tmp_path):
    kubeconfig = kubeconfig_for(1, tmp_path)
    run = run_playbook(
        "site", "production", **{**NEEDS, "app_manifests_kube_context": "other"}, app_manifests_kubeconfig=kubeconfig
    )
    assert run.code != 0
    assert "Expected object with name other" in run.text
