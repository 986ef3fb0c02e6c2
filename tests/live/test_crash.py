"""kill -9 around every single write of a rollout, forward and back. The next run resumes or takes back; live traffic
is never left on a slot that is not ready, and no request fails."""

from __future__ import annotations

import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from chaos import AFTER, BEFORE, ChaosProxy, killer
from churnguard_lab.settings import Settings
from world import World, finished

pytestmark = pytest.mark.lab

FAST = {"grace_period": 1, "confirm_requests": 3, "smoke_tests": None, "drain": {"quiet_period": 1, "timeout": 20}}
WORKERS = 4


def arguments(world: World, version: str, **overrides: Any) -> dict[str, Any]:
    given = {**FAST, **overrides}
    if "deployment" not in given and given.get("state") is None:
        given["deployment"] = quick(world, version)
    return world.arguments(version, **given)


def quick(world: World, version: str, **faults: Any) -> dict[str, Any]:
    deployment = world.deployment(version, **faults)
    deployment["spec"]["template"]["spec"]["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"] = 1
    return deployment


def through(proxy: ChaosProxy, given: dict[str, Any]) -> dict[str, Any]:
    return {**{k: v for k, v in given.items() if k != "kubeconfig"}, "host": proxy.url, "api_patience": 5}


def is_served(world: World) -> str:
    """The version that answers; every slot with traffic must answer."""
    status, version = world.ask()
    assert status == 200, f"traffic is on a slot that does not serve: {status}"
    return version


def count_writes(world: World, proxy: ChaosProxy, given: dict[str, Any]) -> int:
    """Writes of an unbroken run, the release of the lock included."""
    proxy.reset()
    finished(world.start(through(proxy, given)), time.monotonic())
    return len(proxy.writes)


def strike_at(world: World, proxy: ChaosProxy, given: dict[str, Any], number: int, moment: str) -> bool:
    """Run and kill at the given write; False if the run ended before that write."""
    holder: list[subprocess.Popen[str]] = []
    proxy.reset(killer(lambda: holder[0].pid, number, moment))
    process = world.start(through(proxy, given))
    holder.append(process)
    process.communicate(timeout=120)
    proxy.reset()
    return process.returncode == -9


class Walk:
    """One application that is struck again and again, at the points given to it."""

    def __init__(self, lab: Settings) -> None:
        self.world = World(lab)
        self.proxy = ChaosProxy(str(lab.kubeconfig))
        self.number = 1
        self.live = "v1"

    def __enter__(self) -> Walk:
        self.world.create()
        self.world.deploy("v1", **FAST, deployment=quick(self.world, "v1"))
        return self

    def __exit__(self, *_: object) -> None:
        self.proxy.close()
        self.world.destroy()

    def next_version(self) -> str:
        self.number += 1
        return f"v{self.number}"

    def forward(self, number: int, moment: str, resume: bool) -> str:
        """A good version, killed at one write; then resumed or aborted. Returns what is wrong, or nothing."""
        version = self.next_version()
        given = arguments(self.world, version)
        struck = strike_at(self.world, self.proxy, given, number, moment)
        serving = is_served(self.world)
        if serving not in (self.live, version):
            return f"{serving} serves after the kill"
        if resume or not struck:
            self.end_with(given, version)
        else:
            self.end_with(arguments(self.world, "", state="aborted"), None)
        return self.wrong()

    def backward(self, number: int, moment: str, resume: bool) -> str:
        """A version that never becomes ready, killed while it is taken back."""
        version = self.next_version()
        bad = quick(self.world, version, never_ready=True)
        given = arguments(self.world, version, deployment=bad, ready_timeout=2)
        strike_at(self.world, self.proxy, given, number, moment)
        is_served(self.world)
        if resume:
            second = self.world.run(given)
            if second.failed != (second.verdict == "rolled_back"):
                return f"the second run said {second.message}"
        else:
            self.end_with(arguments(self.world, "", state="aborted"), None)
        return self.wrong()

    def end_with(self, given: dict[str, Any], version: str | None) -> None:
        result = self.world.run(given)
        assert not result.failed, result.message
        again = self.world.run(given)
        assert again.output["changed"] is False, f"a second call changed something: {again.message}"
        # An abort after the last write has nothing to take back: the new version stays.
        self.live = version or is_served(self.world)

    def wrong(self) -> str:
        # The lock may still be a dead run's: a run with nothing to do needs none, and the next one takes it over.
        info = self.world.info()
        if info["unfinished"] or info["drift"]:
            return f"not settled: {info}"
        if info["version"] != self.live or is_served(self.world) != self.live:
            return f"{info['version']} is stable, {is_served(self.world)} serves, {self.live} expected"
        running = [slot for slot, size in self.world.replicas().items() if size]
        if running != [info["stable_slot"]]:
            return f"slots {running} run, {info['stable_slot']} is stable"
        return ""


def walk(lab: Settings, points: list[tuple[str, int, str, bool]], ledger: Path) -> list[str]:
    """Strike at the points one after the other under load; what went wrong, in words."""
    wrong = []
    with Walk(lab) as walker, walker.world.load(ledger, rate=30) as summary:
        for direction, number, moment, resume in points:
            strike = walker.forward if direction == "forward" else walker.backward
            problem = strike(number, moment, resume)
            if problem:
                wrong.append(f"{direction} write {number} {moment}, {'resume' if resume else 'abort'}: {problem}")
    if summary()["failed"]:
        wrong.append(f"{summary()['failed']} of {summary()['sent']} requests failed")
    return wrong


def test_killed_at_every_write(lab: Settings, tmp_path: Path) -> None:
    with Walk(lab) as walker:
        forward = count_writes(walker.world, walker.proxy, arguments(walker.world, "v2"))
        bad = quick(walker.world, "v3", never_ready=True)
        given = arguments(walker.world, "v3", deployment=bad, ready_timeout=2)
        backward = count_writes(walker.world, walker.proxy, given)
    assert forward > 10
    assert backward > 5
    points = [
        (direction, number, moment, (number % 2 == 0) == (moment == BEFORE))
        for direction, count in (("forward", forward), ("backward", backward))
        for number in range(1, count + 1)
        for moment in (BEFORE, AFTER)
    ]
    shares = [points[start::WORKERS] for start in range(WORKERS)]
    with ThreadPoolExecutor(WORKERS) as pool:
        wrong = list(pool.map(lambda i: walk(lab, shares[i], tmp_path / f"ledger-{i}.jsonl"), range(WORKERS)))
    assert not [problem for share in wrong for problem in share]
