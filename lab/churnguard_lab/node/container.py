"""One container of a pod: decides when to start, probe, restart and end its process.

Nothing here waits: `step` does what is due and `due` tells when to come back. What needs the API server, another
thread or the disk goes through `Host`, the pod's side.
"""

from __future__ import annotations

import dataclasses
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from churnguard_lab.node import logs, probes, process
from churnguard_lab.node.records import ContainerRecord
from churnguard_lab.node.status import RUNNING, TERMINATED, WAITING, Termination
from churnguard_lab.node.stopping import HOOK, KILL, TERM, Stop, plan_stop

#: How long "ErrImagePull" is shown before "ImagePullBackOff".
PULL_ERROR_SHOWN_S = 1.0
CONFIG_RETRY_S = 2.0
START_ERROR_EXIT_CODE = 128
PULL_ERROR, PULL_BACKOFF = "ErrImagePull", "ImagePullBackOff"


class StartRefused(Exception):
    """A container cannot be started now; `reason` is what its waiting state shows."""

    def __init__(self, reason: str, message: str, *, pull: bool = False) -> None:
        super().__init__(message)
        self.reason = reason
        self.pull = pull


@dataclasses.dataclass(frozen=True)
class Launch:
    """All that a container's process needs. The environment holds secrets: it is never shown."""

    arguments: list[str]
    environment: dict[str, str] = dataclasses.field(repr=False)
    folder: Path = Path()
    log: Path = Path()
    image_id: str = ""
    container_id: str = ""


class Host(Protocol):
    """What a container needs from its pod's worker."""

    pod_ip: str
    grace: float

    def prepare(self, container: Mapping[str, Any], run: int) -> Launch:
        """Resolve a container for its start. Raises StartRefused."""

    def event(self, kind: str, reason: str, message: str, container: str | None) -> None:
        """Note an event (kind: Normal or Warning)."""

    def ask(self, container: Container, purpose: str, check: probes.Check, timeout: float) -> None:
        """Do a check in another thread; `container.answered` gets the result."""

    def changed(self) -> None:
        """What is written down of this pod is out of date."""


class Container:
    """Drives one container. `spec` is its part of the pod's spec; `policy` says when it is restarted."""

    def __init__(self, host: Host, spec: Mapping[str, Any], record: ContainerRecord, policy: str) -> None:
        self.host = host
        self.spec = spec
        self.record = record
        self.policy = policy
        self.launch: Launch | None = None
        self.running: process.Running | None = None
        self.stop: Stop | None = None
        self.stop_started = 0.0
        self.probes: dict[str, tuple[probes.Probe, probes.ProbeState]] = {}
        self.retry_at = 0.0
        self.shown_until = 0.0

    @property
    def name(self) -> str:
        """The container's name."""
        return self.spec["name"]

    @property
    def over(self) -> bool:
        """Whether it has ended and its policy starts it no more."""
        state = self.record.state
        if self.running is not None or state.phase != TERMINATED:
            return False
        return self.policy == "Never" or (self.policy == "OnFailure" and state.succeeded)

    def step(self, now: float, may_start: bool) -> None:
        """Do all that is due."""
        if self.running is not None:
            code = self.running.exit_code()
            if code is not None:
                self._ended(now, code)
        if self.running is not None:
            if self.stop is not None:
                self._continue_stop(now)
            else:
                self._ask_probes(now)
        elif may_start and not self.over:
            self._try_start(now)

    def due(self, now: float, may_start: bool) -> float | None:
        """When `step` is needed next (unix seconds), as far as time alone decides; None: only on an event."""
        if self.running is None:
            if not may_start or self.over:
                return None
            shown = self.record.state.reason == PULL_ERROR
            return max(now, min(self.retry_at, self.shown_until) if shown else self.retry_at)
        if self.stop is not None:
            return self.stop.due()
        times = [
            probes.due_at(probe, state, self.record.state.started_at or now)
            for probe, state in self.probes.values()
            if not state.outstanding and self._wanted(probe.kind)
        ]
        return min(times) if times else None

    def adopt(self, running: process.Running, launch: Launch | None) -> None:
        """Take over a process of an earlier agent, with the readiness it had."""
        self.running, self.launch = running, launch
        self._arm_probes()
        state = self.record.state
        for kind, passing in ((probes.STARTUP, state.started), (probes.READINESS, state.ready)):
            if kind in self.probes and passing:
                self.probes[kind][1].passing = True

    def begin_stop(self, now: float, deadline: float, message: str) -> None:
        """End the process by `deadline`: preStop, SIGTERM, SIGKILL. A stop under way is only shortened."""
        if self.running is None:
            return
        if self.stop is not None:
            self.stop.shorten(deadline)
            return
        hook = (self.spec.get("lifecycle") or {}).get("preStop")
        self.stop, self.stop_started = plan_stop(now, deadline, hook), now
        self.host.event("Normal", "Killing", message, self.name)
        self._continue_stop(now)

    def lost(self, now: float) -> None:
        """The process ended while no agent ran: how is unknown."""
        self._record_end(
            now, process.UNKNOWN_EXIT_CODE, process.UNKNOWN_REASON, "it ended while the node agent was away"
        )

    def answered(self, now: float, purpose: str, run: str, success: bool, detail: str) -> None:
        """Take in the result of a check asked for in the run with that container id."""
        if self.running is None or run != self.record.state.container_id:
            return
        if purpose == HOOK:
            if not success:
                self.host.event("Warning", "FailedPreStopHook", f"PreStopHook failed: {detail}", self.name)
            if self.stop is not None:
                self.stop.hook_done(now)
            return
        probe, state = self.probes[purpose]
        state.outstanding = False
        if not success:
            self.host.event("Warning", "Unhealthy", f"{purpose.capitalize()} probe failed: {detail}", self.name)
        if state.observe(probe, success):
            self._probe_changed(now, probe, state.passing is True)

    # -- start -------------------------------------------------------------------------------------------------

    def _try_start(self, now: float) -> None:
        state, record = self.record.state, self.record
        if state.reason == PULL_ERROR and now >= self.shown_until:
            self._wait_for(PULL_BACKOFF, f'Back-off pulling image "{self.spec["image"]}": {state.message}')
        if now < self.retry_at:
            return
        if record.failed_at is not None:
            left = record.restarts.remaining(record.failed_at, now)
            if left > 0:
                self.retry_at = now + left
                message = f"back-off {record.restarts.delay:g}s restarting failed container={self.name}"
                self._wait_for("CrashLoopBackOff", message)
                self.host.event("Warning", "BackOff", f"Back-off restarting failed container {self.name}", self.name)
                return
        try:
            run = state.restart_count + 1 if self._has_run() else 0
            launch = self.host.prepare(self.spec, run)
        except StartRefused as refused:
            self._refused(now, refused)
            return
        self._start(now, launch, run)

    def _refused(self, now: float, refused: StartRefused) -> None:
        self._wait_for(refused.reason, str(refused))
        self.host.event("Warning", "Failed", f"Error: {refused.reason}: {refused}", self.name)
        if not refused.pull:
            self.retry_at = now + CONFIG_RETRY_S
            return
        self.record.pulls.record(now, now)
        self.shown_until = now + PULL_ERROR_SHOWN_S
        self.retry_at = now + self.record.pulls.delay

    def _start(self, now: float, launch: Launch, run: int) -> None:
        record, state = self.record, self.record.state
        if record.failed_at is not None:
            record.restarts.record(record.failed_at, now)
        if state.terminated is not None:
            state.last = state.terminated
        state.terminated = None
        state.restart_count, state.container_id, state.image_id = run, launch.container_id, launch.image_id
        state.started_at, state.ready, state.started = now, False, False
        state.reason = state.message = ""
        self.stop, self.launch = None, launch
        self.host.event("Normal", "Pulled", f'Container image "{self.spec["image"]}" already present', self.name)
        try:
            record.log_offset = logs.rotate(launch.log)
            self.running = process.start(launch.arguments, launch.environment, launch.folder, launch.log)
        except (process.StartError, OSError) as error:
            self.host.event("Warning", "Failed", f"Error: {error}", self.name)
            self._record_end(now, START_ERROR_EXIT_CODE, "StartError", str(error))
            return
        state.phase, record.identity = RUNNING, self.running.identity
        self._arm_probes()
        self.host.event("Normal", "Started", f"Started container {self.name}", self.name)
        self.host.changed()

    def _arm_probes(self) -> None:
        state = self.record.state
        self.probes = {}
        for kind in probes.KINDS:
            probe = probes.parse_probe(kind, self.spec, self.host.pod_ip)
            if probe is not None:
                self.probes[kind] = (probe, probes.ProbeState())
        if probes.STARTUP not in self.probes:
            state.started = True
            state.ready = state.ready or probes.READINESS not in self.probes

    # -- probes ------------------------------------------------------------------------------------------------

    def _wanted(self, kind: str) -> bool:
        started = self.record.state.started
        return not started if kind == probes.STARTUP else started

    def _ask_probes(self, now: float) -> None:
        started_at = self.record.state.started_at or now
        for probe, state in self.probes.values():
            if state.outstanding or not self._wanted(probe.kind) or now < probes.due_at(probe, state, started_at):
                continue
            state.asked_at, state.outstanding = now, True
            self.host.ask(self, probe.kind, probe.check, probe.timeout)

    def _probe_changed(self, now: float, probe: probes.Probe, passing: bool) -> None:
        state = self.record.state
        if probe.kind == probes.READINESS:
            state.ready = passing
        elif probe.kind == probes.STARTUP and passing:
            state.started = True
            state.ready = probes.READINESS not in self.probes
        elif not passing:
            grace = probe.grace if probe.grace is not None else self.host.grace
            message = f"Container {self.name} failed {probe.kind} probe, will be restarted"
            self.begin_stop(now, now + grace, message)
        self.host.changed()

    # -- end ---------------------------------------------------------------------------------------------------

    def _continue_stop(self, now: float) -> None:
        if self.stop is None or self.running is None:
            return
        action = self.stop.action(now)
        pid = self.running.identity.pid
        if action == HOOK:
            self._run_hook(now)
        elif action == TERM:
            process.signal_group(pid, signal.SIGTERM)
        elif action == KILL:
            message = (
                f"Container {self.name} did not end on SIGTERM; killed after {now - self.stop_started:.0f}s, "
                "when its grace period was over"
            )
            self.host.event("Warning", "ExceededGracePeriod", message, self.name)
            process.signal_group(pid, signal.SIGKILL)

    def _run_hook(self, now: float) -> None:
        hook = self.spec["lifecycle"]["preStop"]
        if "sleep" in hook or self.stop is None:
            return
        try:
            check = probes.parse_check(hook, self.spec.get("ports") or (), self.host.pod_ip)
        except probes.ProbeError as error:
            self.answered(now, HOOK, self.record.state.container_id, False, str(error))
            return
        self.host.ask(self, HOOK, check, max(1.0, self.stop.deadline - now))

    def _ended(self, now: float, code: int) -> None:
        if self.running is None:
            return
        unknown = self.running.child is None
        # As with a container's process namespace: when its first process ends, all others do.
        process.signal_group(self.running.identity.pid, signal.SIGKILL)
        self.running.close()
        self.running = None
        if unknown:
            message = "started by an earlier node agent, whose processes' exit codes cannot be learned"
            self._record_end(now, code, process.UNKNOWN_REASON, message)
        else:
            self._record_end(now, code, "Completed" if code == 0 else "Error", self._last_words(code))

    def _record_end(self, now: float, code: int, reason: str, message: str) -> None:
        record, state = self.record, self.record.state
        state.phase, state.ready, state.started = TERMINATED, False, False
        state.terminated = Termination(code, reason, now, state.started_at, message, state.container_id)
        record.identity, record.failed_at = None, now
        self.stop, self.probes, self.retry_at = None, {}, 0.0
        self.host.changed()

    def _last_words(self, code: int) -> str:
        if code == 0 or self.spec.get("terminationMessagePolicy") != "FallbackToLogsOnError" or not self.launch:
            return ""
        return logs.tail(self.launch.log, self.record.log_offset)

    def _has_run(self) -> bool:
        state = self.record.state
        return state.terminated is not None or state.last is not None

    def _wait_for(self, reason: str, message: str) -> None:
        state = self.record.state
        if state.terminated is not None:
            state.last, state.terminated = state.terminated, None
        if (state.phase, state.reason, state.message) != (WAITING, reason, message):
            state.phase, state.reason, state.message = WAITING, reason, message
            self.host.changed()
