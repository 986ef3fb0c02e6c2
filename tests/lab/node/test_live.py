"""The agent against the lab's API server."""

from __future__ import annotations

import base64
import re
import shutil
import signal
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from churnguard_lab import images
from churnguard_lab.node.agent import pod_processes

from ..waiting import until
from .conftest import TestNode

pytestmark = pytest.mark.lab

SLEEPS = "echo started; trap 'echo ended; exit 0' TERM; while :; do sleep 0.05; done"
IP = {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}


def get(pod: dict[str, Any], path: str = "/") -> Any:
    """Status and headers of the test server in a pod."""
    with urllib.request.urlopen(f"http://{pod['status']['podIP']}:5000{path}", timeout=5) as answer:
        return answer.status, answer.headers


def server(node: TestNode, name: str, **changes: Any) -> dict[str, Any]:
    """A ready pod of the test server."""
    images.build(node.lab.state_dir, "churnguard/test:v1", "testserver")
    variables = [
        IP,
        {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "SLOT", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['color']"}}},
    ]
    probe = {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 1}
    ports = [{"name": "http", "containerPort": 5000}]
    node.create(name, "churnguard/test:v1", env=variables, ports=ports, readinessProbe=probe, **changes)
    return node.running(name)


def folder(node: TestNode, pod: dict[str, Any]) -> Path:
    """Where the agent keeps a pod's files."""
    return node.lab.state_dir / "pods" / pod["metadata"]["uid"]


def test_a_pod_becomes_ready_and_serves(node: TestNode) -> None:
    pod = server(node, "ready")
    status, headers = get(pod)
    assert (status, headers["X-ChurnGuard-Pod"], headers["X-ChurnGuard-Slot"]) == (200, "ready", "blue")
    assert {item["type"]: item["status"] for item in pod["status"]["conditions"]} == dict.fromkeys(
        ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady"), "True"
    ) | {item["type"]: item["status"] for item in pod["status"]["conditions"] if item["type"] == "PodScheduled"}
    assert (pod["status"]["phase"], pod["status"]["hostIP"]) == ("Running", "127.0.0.1")
    until("its events", lambda: {"Pulled", "Started"} <= set(node.events("ready")))
    assert folder(node, pod).is_dir()
    node.delete("ready")
    node.gone("ready")
    assert not folder(node, pod).exists(), "as with a kubelet, a pod that is gone has left nothing"


def test_crash_loop(node: TestNode) -> None:
    image = node.image("crash", "echo about to fall; exit 7")
    node.create("crash", image, terminationMessagePolicy="FallbackToLogsOnError")
    status = node.waiting("crash", "CrashLoopBackOff")
    ended = status["lastState"]["terminated"]
    assert (ended["exitCode"], ended["reason"], ended["message"]) == (7, "Error", "about to fall")
    assert status["restartCount"] == 1
    until("the event", lambda: "BackOff" in node.events("crash"))
    until("the next restart", lambda: node.container("crash")["restartCount"] == 2)
    node.delete("crash", grace=0)


def test_a_missing_image_is_found_later(node: TestNode) -> None:
    node.create("image", "test/absent:1")
    status = node.waiting("image", "ImagePullBackOff")
    assert 'lab image "test/absent:1" does not exist' in status["state"]["waiting"]["message"]
    assert node.reasons("image")[:2] == ["ErrImagePull", "ImagePullBackOff"]
    until("the event", lambda: "Failed" in node.events("image"))
    node.image("absent", SLEEPS)
    node.running("image")
    node.delete("image")


def test_a_missing_secret_is_found_later_and_stays_secret(node: TestNode) -> None:
    value = "hush-4711"
    variable = {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "main"}}}
    image = node.image("secret", 'echo "length ${#KEY}"; sleep 60')
    node.create("secret", image, env=[variable])
    status = node.waiting("secret", "CreateContainerConfigError")
    assert status["state"]["waiting"]["message"] == 'secret "keys" not found'
    data = {"main": base64.b64encode(value.encode()).decode()}
    node.core.create_namespaced_secret(node.namespace, {"metadata": {"name": "keys"}, "data": data})
    pod = node.running("secret")
    until("its output", lambda: node.output("secret") == [f"length {len(value)}"])
    assert value not in (folder(node, pod) / "state.json").read_text()
    assert value not in node.log()
    node.delete("secret", grace=0)


def test_volumes_are_mounted_by_their_tokens(node: TestNode) -> None:
    node.core.create_namespaced_config_map(node.namespace, {"metadata": {"name": "files"}, "data": {"greeting": "hi"}})
    image = node.image("volumes", "cat {mount:files}/greeting; touch {mount:work}/x && echo -wrote; sleep 60")
    mounts = [{"name": "files", "mountPath": "/files"}, {"name": "work", "mountPath": "/work"}]
    volumes = [{"name": "files", "configMap": {"name": "files"}}, {"name": "work", "emptyDir": {}}]
    node.create("volumes", image, volumeMounts=mounts, spec={"volumes": volumes})
    until("its output", lambda: node.output("volumes") == ["hi-wrote"])
    node.delete("volumes", grace=0)


def test_volumes_follow_what_they_hold(node: TestNode) -> None:
    image = node.image("follow", "while :; do cat {mount:f}/v || echo none; sleep 0.2; done")
    volumes = [{"name": "f", "configMap": {"name": "later", "optional": True}}]
    node.create("follow", image, volumeMounts=[{"name": "f", "mountPath": "/f"}], spec={"volumes": volumes})
    until("its start without the ConfigMap", lambda: "none" in node.output("follow"))
    for text in ("one", "two"):
        body = {"metadata": {"name": "later"}, "data": {"v": text + "\n"}}
        if text == "one":
            node.core.create_namespaced_config_map(node.namespace, body)
        else:
            node.core.replace_namespaced_config_map("later", node.namespace, body)
        until(f"the text {text!r}", lambda text=text: text in node.output("follow"), 60)
    node.core.delete_namespaced_config_map("later", node.namespace)
    count = len(node.output("follow"))
    until("the file to go", lambda: "none" in node.output("follow")[count:], 60)
    assert node.container("follow")["restartCount"] == 0
    node.delete("follow", grace=0)


def test_init_containers_run_first_and_in_order(node: TestNode) -> None:
    image = node.image("step", "sleep 0.2; exit 0")
    first = {"name": "first", "image": image}
    second = {"name": "second", "image": image}
    node.create("init", node.image("main", SLEEPS), spec={"initContainers": [first, second]})
    pod = node.running("init")
    ended = [item["state"]["terminated"] for item in pod["status"]["initContainerStatuses"]]
    assert [item["reason"] for item in ended] == ["Completed", "Completed"]
    assert ended[0]["finishedAt"] <= ended[1]["startedAt"]
    node.delete("init")


@pytest.mark.parametrize(("code", "phase"), [(0, "Succeeded"), (1, "Failed")])
def test_a_pod_that_never_restarts_ends(node: TestNode, code: int, phase: str) -> None:
    name = f"once-{code}"
    node.create(name, node.image(name, f"exit {code}"), grace=120, spec={"restartPolicy": "Never"})
    until(f"phase {phase}", lambda: (node.pod(name) or {})["status"]["phase"] == phase)
    assert node.container(name)["state"]["terminated"]["exitCode"] == code
    assert node.container(name)["restartCount"] == 0
    node.delete(name)
    node.gone(name)  # at once: there is nothing to wait the grace period for


def test_failed_liveness_restarts_the_container(node: TestNode) -> None:
    probe = {"exec": {"command": ["test", "!", "-e", "sick"]}, "periodSeconds": 1, "failureThreshold": 2}
    image = node.image("sick", "rm -f sick; trap 'exit 0' TERM; sleep 2; touch sick; while :; do sleep 0.05; done")
    node.create("sick", image, livenessProbe=probe)
    until("a restart", lambda: node.container("sick").get("restartCount"))
    assert "failed liveness probe" in until("the event", lambda: node.events("sick").get("Killing"))
    node.delete("sick", grace=0)


def test_pre_stop_delays_sigterm_while_the_pod_serves(node: TestNode) -> None:
    pod = server(node, "drain", grace=120, lifecycle={"preStop": {"sleep": {"seconds": 3}}})
    deleted = node.delete("drain")
    while time.monotonic() - deleted < 2:
        assert get(pod)[0] == 200
    assert node.gone("drain") - deleted >= 5, "3 s preStop and 2 s in which the server drains; no grace period more"


def test_a_pod_that_ignores_sigterm_is_killed_after_its_grace(node: TestNode) -> None:
    node.create("deaf", node.image("deaf", "trap '' TERM; while :; do sleep 0.05; done"), grace=4)
    node.running("deaf")
    deleted = node.delete("deaf")
    assert node.gone("deaf") - deleted >= 4
    message = until("the event", lambda: node.events("deaf").get("ExceededGracePeriod"))
    assert re.search(r"did not end on SIGTERM; killed after [45]s", message)


def test_what_the_node_cannot_do_is_said(node: TestNode) -> None:
    volumes = [{"name": "v", "hostPath": {"path": "/"}}]
    node.create("host", node.image("host", SLEEPS), spec={"volumes": volumes})
    assert "hostPath" in until("the event", lambda: node.events("host").get("FailedCreatePodSandBox"))
    node.delete("host")
    node.gone("host")


def test_pods_outlive_a_killed_agent_and_the_next_one_adopts_them(node: TestNode) -> None:
    pod = server(node, "kept")
    server(node, "orphan")
    orphan = node.pod("orphan")
    before = node.processes(pod)
    node.end(signal.SIGKILL)
    node.delete("orphan", grace=0)
    node.gone("orphan")
    assert get(pod)[0] == 200
    assert get(orphan)[0] == 200
    node.start()
    until("it is adopted", lambda: f"adopted {node.namespace}/kept c" in node.log())
    assert node.processes(pod) == before
    until("the orphan's processes are ended", lambda: not node.processes(orphan))
    assert node.container("kept")["restartCount"] == 0
    subprocess.run(["kill", "-9", str(before[0])], check=True)
    until("it is restarted", lambda: node.container("kept")["restartCount"] == 1)
    ended = node.container("kept")["lastState"]["terminated"]
    assert (ended["reason"], ended["exitCode"]) == ("ContainerStatusUnknown", 137)
    node.running("kept")
    node.delete("kept")
    node.gone("kept")


def test_a_pod_whose_files_an_agent_took_away_before_it_was_killed_ends_too(node: TestNode) -> None:
    """Files first, then the API object: between the two the next agent finds a pod that it knows nothing of."""
    # What the API server refuses to forget: that a container ended which is never restarted.
    first = {"name": "first", "image": node.image("first", "exit 0")}
    node.create("half", node.image("half", SLEEPS), spec={"restartPolicy": "Never", "initContainers": [first]})
    pod = node.running("half")
    node.end(signal.SIGKILL)
    shutil.rmtree(folder(node, pod))
    node.delete("half")
    node.start()
    node.gone("half")
    assert not folder(node, pod).exists()


def test_the_api_server_may_be_away_for_some_seconds(node: TestNode) -> None:
    pod = server(node, "steady")
    falls = node.image("falls", "trap 'exit 0' TERM; while [ ! -e fall ]; do sleep 0.05; done; rm fall; exit 1")
    node.create("falls", falls)
    uid = node.running("falls")["metadata"]["uid"]
    node.relay.cut()
    (node.lab.state_dir / "pods" / uid / "containers" / "c" / "fall").touch()
    node.delete("steady")
    time.sleep(6)
    assert get(pod)[0] == 200, "the agent cannot know yet that the pod was deleted"
    until("it is healthy nevertheless", lambda: node.health().get("status") == "healthy")
    assert node.container("falls")["restartCount"] == 0
    node.relay.mend()
    until("the restart is reported", lambda: node.container("falls")["restartCount"] == 1)
    node.running("falls")
    node.gone("steady")
    node.delete("falls")


def test_a_second_agent_is_refused(node: TestNode) -> None:
    for options in ((), ("--stop-all",)):
        done = subprocess.run(node.command(*options), capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 1
        assert "another node agent works on" in done.stderr


def test_sigterm_leaves_the_pods_and_stop_all_ends_them(node: TestNode) -> None:
    pod = server(node, "last")
    node.end()
    assert node.agent is not None
    assert node.agent.returncode == 0
    assert get(pod)[0] == 200
    done = subprocess.run(node.command("--stop-all"), capture_output=True, text=True, timeout=30, check=True)
    assert "ended" in done.stdout
    assert pod_processes(node.lab.state_dir) == {}
    node.start()
    until("it is restarted", lambda: node.container("last")["restartCount"] == 1)
    node.running("last")
