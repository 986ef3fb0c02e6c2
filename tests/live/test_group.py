"""Three services released as one, on real parts: all or nothing, and frozen past the mark."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from watching import kill, playbook, steady
from world import ROUTES, SLOTS, Result, World, until

pytestmark = pytest.mark.lab

NAMES = ("a", "b", "c")
GROUP = "trio"


class Trio:
    """Services a, b and c with an HTTPRoute each, in the world's namespace, v1 live everywhere."""

    def __init__(self, world: World) -> None:
        self.world = world
        for name in NAMES:
            for slot in SLOTS:
                self._service(name, slot)
            self._route(name)

    def _service(self, name: str, slot: str) -> None:
        ports = [{"name": "http", "port": 80, "targetPort": 5000}]
        body = {
            "metadata": {"name": f"{name}-{slot}"},
            "spec": {"selector": {"app": name, "slot": slot}, "ports": ports},
        }
        self.world.core.create_namespaced_service(self.world.namespace, body)

    def _route(self, name: str) -> None:
        rules: list[dict[str, Any]] = [
            {
                "matches": [{"headers": [{"type": "Exact", "name": "x-churnguard-slot", "value": slot}]}],
                "backendRefs": [{"name": f"{name}-{slot}", "port": 80}],
            }
            for slot in SLOTS
        ]
        weights = dict(zip(SLOTS, (100, 0), strict=True))
        rules.append({"backendRefs": [{"name": f"{name}-{s}", "port": 80, "weight": w} for s, w in weights.items()]})
        body = {
            "apiVersion": "/".join(ROUTES),
            "kind": "HTTPRoute",
            "metadata": {"name": name, "namespace": self.world.namespace},
            "spec": {
                "parentRefs": [{"name": "churnguard", "namespace": "churnguard-gateway"}],
                "hostnames": [self.host(name)],
                "rules": rules,
            },
        }
        self.world.custom.create_namespaced_custom_object(*ROUTES, self.world.namespace, "httproutes", body)

    def host(self, name: str) -> str:
        return f"{name}.{self.world.host}"

    def arguments(self, version: str = "", state: str = "present", **overrides: Any) -> dict[str, Any]:
        """Of rollout_group; C(overrides) with a service's name are options of that service."""
        common = self.world.arguments("", state="aborted")
        own = {name: overrides.pop(name, {}) for name in NAMES}
        address = common["endpoint"]["url"]
        services: list[dict[str, Any]] = [
            {"name": name, "endpoint": {"url": address, "headers": {"Host": self.host(name)}}, **own[name]}
            for name in NAMES
        ]
        if state == "present":
            deployment = self.world.deployment(version)
            services = [{"version": version, "deployment": deployment, **service} for service in services]
        dropped = ("version", "smoke_tests", "endpoint", "name", "state")
        given = {key: value for key, value in common.items() if key not in dropped}
        return {**given, "name": GROUP, "state": state, "services": services, "grace_period": 1, **overrides}

    def run(self, *version: str, check: bool = False, **overrides: Any) -> Result:
        return self.world.run(self.arguments(*version, **overrides), "rollout_group", check)

    def info(self) -> dict[str, Any]:
        given = {"name": GROUP, "namespace": self.world.namespace, "kubeconfig": str(self.world.lab.kubeconfig)}
        result = self.world.run(given, "rollout_group_info")
        assert not result.failed, result.message
        return dict(result.output["group"])

    def served(self) -> dict[str, tuple[int, str]]:
        return {name: self.world.ask(host=self.host(name)) for name in NAMES}

    def replicas(self) -> dict[str, int]:
        found = self.world.apps.list_namespaced_deployment(self.world.namespace).items
        return {deployment.metadata.name: deployment.spec.replicas for deployment in found}

    @contextlib.contextmanager
    def load(self, folder: Path) -> Iterator[list[Any]]:
        """Traffic on all three while the block runs; the functions yielded give the summaries afterwards."""
        with contextlib.ExitStack() as stack:
            ledgers = [(folder / f"{name}.jsonl", self.host(name)) for name in NAMES]
            yield [stack.enter_context(self.world.load(path, rate=30, host=host)) for path, host in ledgers]


@pytest.fixture
def trio(world: World) -> Trio:
    made = Trio(world)
    first = made.run("v1")
    assert first.verdict == "passed", first.message
    assert made.served() == dict.fromkeys(NAMES, (200, "v1"))
    return made


def refused(trio: Trio) -> dict[str, Any]:
    """An analysis that finds the new version decisively bad although it answers well."""
    analysis = steady(trio.world)
    analysis["metrics"] = [{**analysis["metrics"][0], "query": "vector(9)", "hard_limit": 5.0}]
    return {"analysis": analysis, "grace_period": 20}


def moved(envelope: dict[str, Any]) -> list[str]:
    """The services whose traffic was moved, in that order."""
    return [event["data"]["service"] for event in envelope["timeline"] if event["event"] == "weights"]


def variables(trio: Trio, folder: Path) -> dict[str, Any]:
    """For the playbooks of groups; the connection is the lab inventory's."""
    given = trio.arguments(state="aborted")
    return {
        "group_release_name": GROUP,
        "group_release_namespace": trio.world.namespace,
        "group_release_kubeconfig": str(trio.world.lab.kubeconfig),
        "group_release_kube_context": "",
        "group_release_services": given["services"],
        "group_release_drain_quiet_period": 1,
        "group_release_confirm_requests": 5,
        "group_release_grace_period": 1,
        "report_root": str(folder / "reports"),
    }


def test_one_that_fails_its_analysis_takes_all_back_without_a_failed_request(trio: Trio, tmp_path: Path) -> None:
    with trio.load(tmp_path) as summaries:
        result = trio.run("v2", c=refused(trio))
        time.sleep(1)
    assert (result.verdict, result.failed) == ("rolled_back", True), result.message
    assert moved(result.output["envelope"]) == ["a", "b", "c", "c", "b", "a"]
    assert "taken back in this order: c, b, a" in result.message
    assert [summary()["failed"] for summary in summaries] == [0, 0, 0]
    assert all(set(summary()["by_version"]) == {"v1", "v2"} for summary in summaries)
    assert trio.served() == dict.fromkeys(NAMES, (200, "v1"))
    assert trio.replicas() == {f"{name}-{slot}": int(slot == "blue") for name in NAMES for slot in SLOTS}
    assert result.output["envelope"]["operation"] == "rollout_group"
    assert (trio.info()["phase"], trio.info()["lease"]["held"]) == ("rolled_back", False)
    again = trio.run(state="aborted")
    assert (again.failed, again.output["changed"]) == (False, False)


def test_past_the_mark_it_freezes_and_goes_on_once_the_reason_is_gone(trio: Trio, tmp_path: Path) -> None:
    with trio.load(tmp_path) as summaries:
        frozen = trio.run("v2", c=refused(trio), reversible_until="b")
        stands = trio.info()
        before = trio.world.versions()
        refusal = trio.run(state="aborted")
        untouched = trio.world.versions()
        passed = trio.run("v2", c={"grace_period": 1}, reversible_until="b")
        time.sleep(1)
    assert (frozen.verdict, frozen.failed) == ("failed", True)
    assert "is frozen: c failed after b" in frozen.message
    assert (stands["phase"], [one["state"] for one in stands["services"]]) == ("frozen", ["proved", "proved", "failed"])
    assert "after which nothing is taken back" in refusal.message
    assert untouched == before
    assert passed.verdict == "passed", passed.message
    assert [summary()["failed"] for summary in summaries] == [0, 0, 0]
    assert trio.served() == dict.fromkeys(NAMES, (200, "v2"))
    again = trio.run("v2", c={"grace_period": 1}, reversible_until="b")
    assert again.output["changed"] is False


def test_killed_in_the_middle_it_is_taken_back_by_its_journals_alone(trio: Trio, tmp_path: Path) -> None:
    world = trio.world
    with trio.load(tmp_path) as summaries:
        process = world.start(trio.arguments("v2", c={"grace_period": 120}), "rollout_group")
        until(lambda: trio.served()["c"] == (200, "v2"), 90, "c is on its new version")
        alone = world.run(world.arguments("v3", name="a", deployment=world.deployment("v2", build=False)))
        kill(process)
        shown = playbook("group_status", variables(trio, tmp_path))
        run = playbook("group_rollback", variables(trio, tmp_path))
        time.sleep(1)
    assert "group trio by" in alone.message
    assert "c v2: rolling out" in shown.stdout, shown.stdout
    assert run.returncode == 0, run.stdout
    assert "taken back in this order: c, b, a" in " ".join(run.stdout.split())
    kept = [json.loads(path.read_text()) for path in (tmp_path / "reports").rglob("*-rollout_group.json")]
    assert [(envelope["verdict"], moved(envelope)) for envelope in kept] == [("aborted", ["c", "b", "a"])]
    assert list((tmp_path / "reports").rglob("*.html"))
    assert [summary()["failed"] for summary in summaries] == [0, 0, 0]
    assert trio.served() == dict.fromkeys(NAMES, (200, "v1"))
