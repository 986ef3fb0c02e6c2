"""An application that is struck with kill -9 around single writes of a rollout, forward and back, by either strategy.

The next run resumes or takes back; what is then not as it should be is told in words.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from chaos import AFTER, BEFORE, ChaosProxy, killer
from churnguard_lab.settings import Settings
from processes import ModuleProcess
from world import World, finished

FAST = {"grace_period": 1, "confirm_requests": 3, "smoke_tests": None, "drain": {"quiet_period": 1, "timeout": 20}}
BLUE_GREEN, CANARY = "blue_green", "canary"
FORWARD, BACKWARD = "forward", "backward"


@dataclasses.dataclass(frozen=True)
class Point:
    """Where to strike: the number of the write from 1, before or after the server has seen it, and what follows."""

    direction: str
    number: int
    moment: str
    resume: bool

    def __str__(self) -> str:
        return f"{self.direction} write {self.number} {self.moment}, {'resume' if self.resume else 'abort'}"


@dataclasses.dataclass(frozen=True)
class Struck:
    """What came of it: whether the run was hit at all (it may have had fewer writes), and what is wrong."""

    point: Point
    hit: bool
    problem: str


def points(forward: int, backward: int) -> list[Point]:
    """Every write of a run that goes forward and of one that is taken back, from both sides, resumed and aborted by
    turns."""
    return [
        Point(direction, number, moment, (number % 2 == 0) == (moment == BEFORE))
        for direction, count in ((FORWARD, forward), (BACKWARD, backward))
        for number in range(1, count + 1)
        for moment in (BEFORE, AFTER)
    ]


def quick(world: World, version: str, **faults: Any) -> dict[str, Any]:
    deployment = world.deployment(version, **faults)
    deployment["spec"]["template"]["spec"]["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"] = 1
    return deployment


def arguments(world: World, version: str, **overrides: Any) -> dict[str, Any]:
    given = {**FAST, **overrides}
    if "deployment" not in given and given.get("state") is None:
        given["deployment"] = quick(world, version)
    return world.arguments(version, **given)


def judged(world: World, value: float) -> dict[str, Any]:
    """Options of a canary whose only metric has this value; above 0.5 it is bad beyond doubt at the first sample."""
    metric = {"name": "given", "kind": "value", "query": f"vector({value})", "limit": 0.5, "hard_limit": 0.5}
    return {
        "strategy": CANARY,
        "canary": {"weights": [50, 100], "hold": 1, "share_requests": 20},
        "analysis": {
            "prometheus_url": f"http://127.0.0.1:{world.lab.ports.prometheus}",
            "interval": 1,
            "max_hold": 60,
            "metrics": [metric],
        },
    }


def through(proxy: ChaosProxy, given: dict[str, Any]) -> dict[str, Any]:
    return {**{k: v for k, v in given.items() if k != "kubeconfig"}, "host": proxy.url, "api_patience": 5}


def is_served(world: World) -> str:
    """The version that answers; every slot with traffic must answer."""
    status, version = world.ask()
    assert status == 200, f"traffic is on a slot that does not serve: {status}"
    return version


class Walk:
    """One application that is struck again and again, at the points given to it."""

    def __init__(self, lab: Settings, strategy: str = BLUE_GREEN) -> None:
        self.world = World(lab)
        self.proxy = ChaosProxy(str(lab.kubeconfig))
        self.strategy = strategy
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

    def good(self, version: str) -> dict[str, Any]:
        """Arguments that ship a version to its end."""
        return arguments(self.world, version, **(judged(self.world, 0.0) if self.strategy == CANARY else {}))

    def bad(self, version: str) -> dict[str, Any]:
        """Arguments of a version that is taken back: a canary for its metric, else for never becoming ready."""
        if self.strategy == CANARY:
            return arguments(self.world, version, **judged(self.world, 1.0))
        return arguments(self.world, version, deployment=quick(self.world, version, never_ready=True), ready_timeout=2)

    def count_writes(self, given: dict[str, Any]) -> int:
        """Writes of an unbroken run, the release of the lock included."""
        self.proxy.reset()
        result = finished(self.world.start(through(self.proxy, given)), time.monotonic())
        if not result.failed:
            self.live = given["version"]
        return len(self.proxy.writes)

    def strike(self, point: Point) -> Struck:
        """Strike at one point, then resume or abort."""
        version = self.next_version()
        try:
            hit, problem = (self.forward if point.direction == FORWARD else self.backward)(version, point)
        except AssertionError as error:
            return Struck(point, True, str(error))
        return Struck(point, hit, problem or self.wrong())

    def forward(self, version: str, point: Point) -> tuple[bool, str]:
        """A good version, killed at one write; then resumed or aborted. Whether it was hit, and what is wrong."""
        given = self.good(version)
        hit = self.kill_at(given, point)
        serving = is_served(self.world)
        if serving not in (self.live, version):
            return hit, f"{serving} serves after the kill"
        if point.resume or not hit:
            self.end_with(given, version)
        else:
            self.end_with(arguments(self.world, "", state="aborted"), None)
        return hit, ""

    def backward(self, version: str, point: Point) -> tuple[bool, str]:
        """A bad version, killed on its way there or back."""
        given = self.bad(version)
        hit = self.kill_at(given, point)
        is_served(self.world)
        if point.resume:
            second = self.world.run(given)
            if second.failed != (second.verdict == "rolled_back"):
                return hit, f"the second run said {second.message}"
        else:
            self.end_with(arguments(self.world, "", state="aborted"), None)
        return hit, ""

    def kill_at(self, given: dict[str, Any], point: Point) -> bool:
        """Run and kill at the given write; False if the run ended before that write."""
        started: Future[ModuleProcess] = Future()
        self.proxy.reset(killer(lambda: started.result(60).pid, point.number, point.moment))
        process = self.world.start(through(self.proxy, given))
        started.set_result(process)
        process.communicate(timeout=180)
        self.proxy.reset()
        return process.returncode == -9

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


def writes(lab: Settings, strategy: str = BLUE_GREEN) -> tuple[int, int]:
    """How many writes a run forward has, and one that is taken back."""
    with Walk(lab, strategy) as walk:
        return walk.count_writes(walk.good("v2")), walk.count_writes(walk.bad("v3"))


def strike_all(
    lab: Settings, chosen: Sequence[Point], ledgers: Path, strategy: str = BLUE_GREEN, workers: int = 4
) -> tuple[list[Struck], dict[str, Any]]:
    """Strike at all points, several applications side by side, each under load. What came of each, and the requests
    sent and failed in all."""

    def share(number: int) -> tuple[list[Struck], dict[str, Any]]:
        with Walk(lab, strategy) as walk, walk.world.load(ledgers / f"strike-{number}.jsonl", rate=30) as summary:
            found = [walk.strike(point) for point in chosen[number::workers]]
        return found, summary()

    with ThreadPoolExecutor(workers) as pool:
        shares = list(pool.map(share, range(workers)))
    load = {key: sum(summary[key] for _found, summary in shares) for key in ("sent", "failed")}
    return [struck for found, _summary in shares for struck in found], load
