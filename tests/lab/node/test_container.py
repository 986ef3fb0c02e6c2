"""One container on real processes, with time given by the test."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from churnguard_lab.node import process
from churnguard_lab.node.container import Container, Launch, StartRefused
from churnguard_lab.node.launch import container_id
from churnguard_lab.node.probes import Check
from churnguard_lab.node.records import ContainerRecord
from churnguard_lab.node.status import RUNNING, TERMINATED, WAITING, ContainerState

STAYS = "trap 'exit 0' TERM; touch started; while :; do sleep 0.02; done"
DEAF = "trap '' TERM; touch started; while :; do sleep 0.02; done"
PROBE = {"tcpSocket": {"port": 1}, "periodSeconds": 5}


class PodHost:
    """A pod's side, which remembers what its container asked for."""

    pod_ip = "127.0.16.1"
    grace = 30.0

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.script = STAYS
        self.refusal: StartRefused | None = None
        self.events: list[tuple[str, str]] = []
        self.asked: list[tuple[str, float]] = []

    def prepare(self, container: Mapping[str, Any], run: int) -> Launch:
        """The script of the test, or its refusal."""
        if self.refusal:
            raise self.refusal
        environment = {"PATH": os.environ["PATH"]}
        command = ["sh", "-c", self.script] if self.script else ["/nowhere/program"]
        identifier = container_id("u1", container["name"], run)
        return Launch(command, environment, self.folder / "work", self.folder / "c.log", "id", identifier)

    def event(self, _kind: str, reason: str, message: str, _container: str | None) -> None:
        """Remember an event."""
        self.events.append((reason, message))

    def ask(self, _container: Container, purpose: str, _check: Check, timeout: float) -> None:
        """Remember a question; the test answers it."""
        self.asked.append((purpose, timeout))

    def changed(self) -> None:
        """Nothing is written down here."""

    def reasons(self) -> list[str]:
        """The reasons of all events, in order."""
        return [reason for reason, _message in self.events]


class Driver:
    """A container, its host and a clock."""

    def __init__(self, folder: Path, policy: str = "Always", **spec: Any) -> None:
        self.host = PodHost(folder)
        record = ContainerRecord(ContainerState("c", "a:1"))
        self.container = Container(self.host, {"name": "c", "image": "a:1", **spec}, record, policy)
        self.state = record.state
        self.now = 1000.0

    def step(self, seconds: float = 0.0, may_start: bool = True) -> None:
        """Let time pass, then do what is due."""
        self.now += seconds
        self.container.step(self.now, may_start)

    def run(self, script: str) -> None:
        """Start with a script, and wait until it has set its traps."""
        self.host.script = script
        self.step()
        started = self.host.folder / "work" / "started"
        poller = select.poll()
        while not started.exists():
            poller.poll(10)

    def ended(self) -> None:
        """Wait for the process's end and have it noticed, without a restart yet."""
        assert self.container.running is not None
        poller = select.poll()
        poller.register(self.container.running.watch, select.POLLIN)
        assert poller.poll(5000)
        self.step(may_start=False)

    def answer(self, purpose: str, success: bool) -> None:
        """Answer a question of this run."""
        self.container.answered(self.now, purpose, self.state.container_id, success, "" if success else "no")


@pytest.fixture
def drive(tmp_path: Path) -> Iterator[Callable[..., Driver]]:
    """Makes drivers; ends their processes."""
    made: list[Driver] = []

    def make(policy: str = "Always", **spec: Any) -> Driver:
        made.append(Driver(tmp_path, policy, **spec))
        return made[-1]

    yield make
    for driver in made:
        if driver.container.running is not None:
            process.signal_group(driver.container.running.identity.pid, signal.SIGKILL)


def test_it_waits_for_its_turn(drive: Callable[..., Driver]) -> None:
    driver = drive()
    driver.step(may_start=False)
    assert driver.state.phase == WAITING
    assert driver.container.due(driver.now, False) is None
    assert driver.container.due(driver.now, True) == driver.now


def test_without_probes_it_is_ready_when_it_runs(drive: Callable[..., Driver]) -> None:
    driver = drive()
    driver.run(STAYS)
    assert (driver.state.phase, driver.state.ready, driver.state.started) == (RUNNING, True, True)
    assert driver.host.reasons() == ["Pulled", "Started"]
    assert driver.container.due(driver.now, True) is None


def test_crash_loop(drive: Callable[..., Driver]) -> None:
    driver = drive(terminationMessagePolicy="FallbackToLogsOnError")
    driver.host.script = "echo boom; exit 3"
    driver.step()
    driver.ended()
    assert driver.state.terminated is not None
    assert (driver.state.terminated.exit_code, driver.state.terminated.reason) == (3, "Error")
    assert driver.state.terminated.message == "boom"
    waits = []
    for restart in range(1, 9):
        driver.step()
        if driver.state.phase == WAITING:
            assert driver.state.reason == "CrashLoopBackOff"
            waits.append(driver.container.due(driver.now, True) - driver.now)
            driver.step(waits[-1] - 0.1)
            assert driver.state.phase == WAITING
            driver.step(0.1)
        assert (driver.state.phase, driver.state.restart_count) == (RUNNING, restart)
        assert driver.state.last is not None
        assert driver.state.last.exit_code == 3
        driver.ended()
    assert waits == [10, 20, 40, 80, 160, 300, 300]
    assert driver.host.reasons().count("BackOff") == 7


@pytest.mark.parametrize(
    ("policy", "script", "over"),
    [
        ("Never", "exit 0", True),
        ("Never", "exit 1", True),
        ("OnFailure", "exit 0", True),
        ("OnFailure", "exit 1", False),
        ("Always", "exit 0", False),
    ],
)
def test_restart_policies(drive: Callable[..., Driver], policy: str, script: str, over: bool) -> None:
    driver = drive(policy)
    driver.host.script = script
    driver.step()
    driver.ended()
    assert driver.container.over is over
    driver.step()
    assert driver.state.phase == (TERMINATED if over else RUNNING)
    assert driver.state.restart_count == (0 if over else 1)


def test_an_image_that_is_missing_is_asked_for_again_and_again(drive: Callable[..., Driver]) -> None:
    driver = drive()
    driver.host.refusal = StartRefused("ErrImagePull", "no such image", pull=True)
    driver.step()
    assert (driver.state.reason, driver.state.message) == ("ErrImagePull", "no such image")
    assert driver.container.due(driver.now, True) == driver.now + 1
    driver.step(1)
    assert driver.state.reason == "ImagePullBackOff"
    assert "no such image" in driver.state.message
    assert driver.container.due(driver.now, True) == driver.now + 9
    driver.step(9)
    assert driver.state.reason == "ErrImagePull"
    driver.step(1)
    assert driver.container.due(driver.now, True) == driver.now + 19
    driver.host.refusal = None
    driver.step(19)
    assert (driver.state.phase, driver.state.restart_count) == (RUNNING, 0)


def test_a_missing_secret_is_awaited(drive: Callable[..., Driver]) -> None:
    driver = drive()
    driver.host.refusal = StartRefused("CreateContainerConfigError", 'secret "s" not found')
    driver.step()
    assert (driver.state.phase, driver.state.reason) == (WAITING, "CreateContainerConfigError")
    assert driver.container.due(driver.now, True) == driver.now + 2
    driver.host.refusal = None
    driver.step(2)
    assert driver.state.phase == RUNNING


def test_a_command_that_cannot_start_crash_loops(drive: Callable[..., Driver]) -> None:
    driver = drive()
    driver.host.script = ""
    driver.step()
    assert driver.state.terminated is not None
    assert (driver.state.terminated.exit_code, driver.state.terminated.reason) == (128, "StartError")
    assert "/nowhere/program" in driver.state.terminated.message
    driver.step()
    driver.step()
    assert driver.state.reason == "CrashLoopBackOff"


def test_readiness_follows_its_probe(drive: Callable[..., Driver]) -> None:
    driver = drive(readinessProbe={**PROBE, "failureThreshold": 2})
    driver.run(STAYS)
    assert not driver.state.ready
    driver.step(0.4)
    assert driver.host.asked == []
    driver.step(0.1)
    assert driver.host.asked == [("readiness", 1.0)]
    driver.step(10)
    assert len(driver.host.asked) == 1, "a probe is not asked twice at the same time"
    for success, ready in ((True, True), (False, True), (False, False), (True, True)):
        driver.answer("readiness", success)
        assert driver.state.ready is ready
        driver.step(5)
    assert len(driver.host.asked) == 5
    assert driver.host.reasons().count("Unhealthy") == 2


def test_the_startup_probe_holds_back_the_others(drive: Callable[..., Driver]) -> None:
    driver = drive(startupProbe=PROBE, readinessProbe=PROBE, livenessProbe=PROBE)
    driver.run(STAYS)
    driver.step(5)
    assert [purpose for purpose, _timeout in driver.host.asked] == ["startup"]
    driver.answer("startup", True)
    assert (driver.state.started, driver.state.ready) == (True, False)
    driver.step()
    assert sorted(purpose for purpose, _timeout in driver.host.asked) == ["liveness", "readiness", "startup"]
    driver.answer("readiness", True)
    assert driver.state.ready


def test_failed_liveness_restarts(drive: Callable[..., Driver]) -> None:
    driver = drive(livenessProbe={**PROBE, "failureThreshold": 2})
    driver.run(STAYS)
    for _ in range(2):
        driver.step(5)
        driver.answer("liveness", False)
    assert ("Killing", "Container c failed liveness probe, will be restarted") in driver.host.events
    driver.ended()
    driver.step()
    assert (driver.state.phase, driver.state.restart_count) == (RUNNING, 1)


def test_answers_of_an_earlier_run_do_not_count(drive: Callable[..., Driver]) -> None:
    driver = drive(readinessProbe=PROBE)
    driver.run(STAYS)
    driver.container.answered(driver.now, "readiness", container_id("u1", "c", 7), True, "")
    assert not driver.state.ready


def test_a_deaf_container_is_killed_at_the_end_of_its_grace(drive: Callable[..., Driver]) -> None:
    driver = drive()
    driver.run(DEAF)
    driver.container.begin_stop(driver.now, driver.now + 5, "Stopping container c")
    driver.step(4.9, may_start=False)
    assert driver.container.running is not None
    assert driver.container.due(driver.now, False) == pytest.approx(driver.now + 0.1)
    driver.step(0.1, may_start=False)
    driver.ended()
    assert driver.state.terminated is not None
    assert driver.state.terminated.exit_code == 137
    assert [reason for reason in driver.host.reasons() if reason != "Pulled"] == [
        "Started",
        "Killing",
        "ExceededGracePeriod",
    ]
    assert "did not end on SIGTERM; killed after 5s" in driver.host.events[-1][1]


def test_pre_stop_sleep_comes_before_sigterm(drive: Callable[..., Driver]) -> None:
    driver = drive(lifecycle={"preStop": {"sleep": {"seconds": 5}}})
    driver.run(STAYS)
    driver.container.begin_stop(driver.now, driver.now + 30, "Stopping container c")
    driver.step(4.9, may_start=False)
    assert driver.container.running is not None
    assert driver.container.running.exit_code() is None
    driver.step(0.1, may_start=False)
    driver.ended()
    assert driver.state.succeeded


def test_a_failed_pre_stop_hook_does_not_keep_the_container(drive: Callable[..., Driver]) -> None:
    driver = drive(lifecycle={"preStop": {"exec": {"command": ["x"]}}})
    driver.run(STAYS)
    driver.container.begin_stop(driver.now, driver.now + 30, "Stopping container c")
    assert driver.host.asked == [("hook", 30.0)]
    driver.answer("hook", False)
    assert driver.host.events[-1] == ("FailedPreStopHook", "PreStopHook failed: no")
    driver.step(0, may_start=False)
    driver.ended()
    assert driver.state.succeeded


def test_a_second_stop_shortens_the_first(drive: Callable[..., Driver]) -> None:
    driver = drive()
    driver.run(DEAF)
    driver.container.begin_stop(driver.now, driver.now + 30, "restart")
    driver.container.begin_stop(driver.now, driver.now + 3, "delete")
    driver.step(3, may_start=False)
    driver.ended()
    assert driver.state.terminated is not None


def test_an_adopted_process_keeps_its_readiness_and_its_end_is_unknown(drive: Callable[..., Driver]) -> None:
    first = drive(readinessProbe=PROBE)
    first.run(STAYS)
    first.step(1)
    first.answer("readiness", True)
    identity = first.container.record.identity
    assert identity is not None
    second = drive(readinessProbe=PROBE)
    second.container.record = first.container.record
    second.state = first.state
    running = process.adopt(identity)
    assert running is not None
    second.container.adopt(running, None)
    assert (second.state.phase, second.state.ready) == (RUNNING, True)
    os.killpg(identity.pid, signal.SIGKILL)
    second.ended()
    assert second.state.terminated is not None
    assert (second.state.terminated.exit_code, second.state.terminated.reason) == (137, "ContainerStatusUnknown")
    second.step()
    assert second.state.restart_count == 1


def test_a_process_that_ended_without_an_agent_is_restarted(drive: Callable[..., Driver]) -> None:
    driver = drive()
    driver.state.phase, driver.state.started_at = RUNNING, 900.0
    driver.container.lost(driver.now)
    assert driver.state.terminated is not None
    assert driver.state.terminated.reason == "ContainerStatusUnknown"
    driver.step()
    assert (driver.state.phase, driver.state.restart_count) == (RUNNING, 1)
