"""The controller: changes in, HAProxy in the wanted state, statuses out."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from churnguard_lab.gateway import plan, runtime
from churnguard_lab.gateway.api import Api
from churnguard_lab.gateway.haproxy import HAProxy, HAProxyError
from churnguard_lab.gateway.health import Metrics
from churnguard_lab.gateway.plan import Desired
from churnguard_lab.gateway.pools import Pool, Slot
from churnguard_lab.gateway.publishing import Outcome, Publisher
from churnguard_lab.gateway.render import Rendered, render
from churnguard_lab.gateway.store import KINDS, Change, DelayLine, View, snapshot
from churnguard_lab.gateway.watching import Watcher
from churnguard_lab.settings import Settings

_log = logging.getLogger(__name__)
#: Between two looks at HAProxy when nothing changes: a dead one is started, a wrong one set right.
_INSPECTION_S = 2.0
_RETRY_S = 0.5
MEMORY_FILE = "memory.json"


class DataPlane:
    """HAProxy kept at a desired state; remembers which pod has which slot, also across controllers."""

    def __init__(self, haproxy: HAProxy, memory: Path, front_port: int, admin_port: int, metrics: Metrics) -> None:
        self.haproxy = haproxy
        self._memory = memory
        self._ports = (front_port, admin_port)
        self._metrics = metrics
        self._remembered_ports, self.pools = load_memory(memory)
        self._written: Rendered | None = None

    def start_with_last_state(self) -> None:
        """Adopt a running HAProxy, or start one with the state of the last run, so that traffic does not wait for
        the API server. Raises HAProxyError."""
        if self.haproxy.workers():
            _log.info("HAProxy runs already: adopted")
            return
        self._metrics.starts.inc()
        if self._remembered_ports == self._ports:
            try:
                self.haproxy.start(None)
                return
            except HAProxyError as error:
                _log.warning("cannot start with the last state (%s): starting without routes", error)
        rendered = render(Desired(), *self._ports)
        self.haproxy.write(rendered)
        self.haproxy.start(rendered.structure)

    def sync(self, desired: Desired) -> None:
        """Bring HAProxy to `desired` and read back that it is there. Raises HAProxyError."""
        rendered = render(desired, *self._ports)
        workers = self.haproxy.workers()
        running = self.haproxy.actual(workers[0]).structure if workers else ""
        if running != rendered.structure:
            self.haproxy.check(rendered)
        if rendered != self._written:
            self.haproxy.write(rendered)
            save_memory(self._memory, self._ports, desired.pools)
            self._written = rendered
        if not workers:
            _log.warning("HAProxy does not run: starting it")
            self._metrics.starts.inc()
            self.haproxy.start(rendered.structure)
        elif running != rendered.structure:
            self._reload(rendered.structure)
        self._steer(desired, rendered.structure)
        self.pools = dict(desired.pools)

    def _reload(self, structure: str) -> None:
        started = time.monotonic()
        try:
            self.haproxy.reload(structure)
        except HAProxyError:
            self._metrics.reloads.labels("failed").inc()
            raise
        self._metrics.reloads.labels("done").inc()
        _log.info("reloaded to structure %s in %.2f s", structure, time.monotonic() - started)

    def _steer(self, desired: Desired, structure: str) -> None:
        """Set map and servers on the current worker and read them back; have leaving workers hand over to it."""
        current, *leaving = self.haproxy.workers()
        self._metrics.workers.set(1 + len(leaving))
        actual = self.haproxy.actual(current)
        commands = runtime.commands(desired, actual)
        if commands:
            self._apply(current, commands)
            actual = self.haproxy.actual(current)
        lacking = runtime.differences(desired, actual)
        if actual.structure != structure:
            lacking.append(f"it runs structure {actual.structure}, not {structure}")
        if lacking:
            raise HAProxyError(f"HAProxy worker {current} did not take the state: {'; '.join(lacking[:5])}")
        for worker in leaving:
            with contextlib.suppress(HAProxyError):  # it may end at any moment
                self._apply(worker, runtime.handover_commands(self.haproxy.actual(worker)))

    def _apply(self, worker: int, commands: list[str]) -> None:
        if commands:
            self.haproxy.apply(worker, commands)
            self._metrics.commands.inc(len(commands))
            _log.info("worker %d: %s", worker, "; ".join(commands))


def load_memory(path: Path) -> tuple[tuple[int, int] | None, dict[str, Pool]]:
    """The ports and the pools when the last controller ended; nothing when that is not known."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        front, admin = content["ports"]
        pools = {
            name: tuple(Slot(**slot) if slot else None for slot in slots) for name, slots in content["pools"].items()
        }
        return (front, admin), pools
    except FileNotFoundError:
        return None, {}
    except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
        _log.warning("cannot read %s (%r): pods get new slots", path, error)
        return None, {}


def save_memory(path: Path, ports: tuple[int, int], pools: Mapping[str, Pool]) -> None:
    """Remember for the next controller what HAProxy was told."""
    slots = {name: [dataclasses.asdict(slot) if slot else None for slot in pool] for name, pool in pools.items()}
    partial = path.with_name(path.name + ".part")
    partial.write_text(json.dumps({"ports": ports, "pools": slots}), encoding="utf-8")
    partial.replace(path)


class Controller:
    """Joins watchers, data plane and publisher; `run` is the loop."""

    def __init__(self, settings: Settings, api: Api, data_plane: DataPlane, metrics: Metrics) -> None:
        self._settings = settings
        self._data_plane = data_plane
        self._metrics = metrics
        self._seen = View()  # what the API server said
        self._effective = View()  # what counts by now
        self._delayed = DelayLine(settings.gateway.sync_delay_s)
        self._lock = threading.Lock()
        self._wake = threading.Condition(self._lock)
        self._stopping = False
        self._problem = "no sync yet"
        self._watchers = {kind: Watcher(api, kind, self._take, metrics) for kind in KINDS}
        self._publisher = Publisher(
            api, self._seen, self._lock, settings.gateway.gateway_class, settings.ports.gateway, metrics
        )

    def run(self) -> None:
        """Serve until `stop` is called."""
        for watcher in self._watchers.values():
            watcher.start()
        self._publisher.start()
        wait = 0.0
        while not self._await_work(wait):
            due = self._take_due()
            if not self._effective.is_complete:
                wait = _INSPECTION_S
                continue
            started = time.monotonic()
            is_done = self._sync()
            for seen_at, _ in due:
                if is_done:
                    self._metrics.propagation_seconds.observe(time.monotonic() - seen_at)
            if due:
                self._metrics.sync_seconds.observe(time.monotonic() - started)
            wait = _INSPECTION_S if is_done else _RETRY_S

    def stop(self) -> None:
        """End `run`; may be called from a signal handler's thread."""
        with self._wake:
            self._stopping = True
            self._wake.notify_all()

    def health(self) -> tuple[bool, dict[str, object]]:
        """Whether traffic is served as the API server asked, and what is wrong. An API server that is away is told
        but does not make the gateway unhealthy: HAProxy serves on."""
        api = {kind.plural: watcher.problem for kind, watcher in self._watchers.items() if watcher.problem}
        return not self._problem, {"problem": self._problem, "api": api}

    def _take(self, change: Change) -> None:
        with self._wake:
            self._seen.apply(change)
            self._delayed.push(time.monotonic(), change)
            self._wake.notify_all()

    def _await_work(self, wait: float) -> bool:
        """Sleep until a change counts or `wait` seconds are over; true when the controller should end."""
        deadline = time.monotonic() + wait
        with self._wake:
            while not self._stopping:
                due = self._delayed.next_due()
                remaining = min(deadline, due if due is not None else deadline) - time.monotonic()
                if remaining <= 0:
                    break
                self._wake.wait(remaining)
            return self._stopping

    def _take_due(self) -> list[tuple[float, Change]]:
        with self._lock:
            due = self._delayed.pop(time.monotonic())
        for _, change in due:
            self._effective.apply(change)
        return due

    def _sync(self) -> bool:
        desired = plan.build(
            snapshot(self._effective, self._settings.gateway.gateway_class),
            self._data_plane.pools,
            self._settings.ports.gateway,
        )
        try:
            self._data_plane.sync(desired)
            problem = ""
        except (HAProxyError, OSError) as error:
            problem = str(error)
            if problem != self._problem:
                _log.error("%s", problem)
        self._problem = problem
        self._metrics.syncs.labels("failed" if problem else "done").inc()
        self._publisher.publish(Outcome(desired, problem))
        return not problem
