"""One pod: a thread that runs its containers, reports its status, and takes it away when it is deleted."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import queue
import select
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from churnguard_lab import settings
from churnguard_lab.node import hooks, probes, process, records, status, volumes
from churnguard_lab.node.api import ApiError, NodeApi
from churnguard_lab.node.container import Container, Launch, StartRefused
from churnguard_lab.node.environment import ConfigError, Reference
from churnguard_lab.node.events import Event, EventWriter
from churnguard_lab.node.launch import Launcher
from churnguard_lab.node.records import ContainerRecord, PodRecord
from churnguard_lab.node.stopping import DEFAULT_GRACE_S, SHORTEST_TERM_S, deletion_deadline
from churnguard_lab.node.support import unsupported
from churnguard_lab.node.usage import Occupant

VOLUME_RETRY_S = 2.0
API_RETRY_S = (1.0, 2.0, 5.0)
#: After a refusal, which may be passing too: an API server that has just started knows no roles yet.
REFUSED_RETRY_S = 5.0
LONGEST_SLEEP_S = 60.0
_LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Node:
    """What all pods of the node share."""

    lab: settings.Settings
    api: NodeApi
    events: EventWriter
    pool: ThreadPoolExecutor
    pods_dir: Path
    finished: Callable[[str], None]


class PodWorker:
    """Runs one pod. `update`, `vanish` and `halt` may be called from any thread; all else happens in its own."""

    def __init__(self, node: Node, pod: Mapping[str, Any], record: PodRecord) -> None:
        self._node, self._pod, self._record = node, pod, record
        self.pod_ip = record.pod_ip
        spec = pod["spec"]
        self.grace = float(spec.get("terminationGracePeriodSeconds", DEFAULT_GRACE_S))
        self._folder = node.pods_dir / record.uid
        self._launcher = Launcher(node.lab, node.api, self._folder, record.pod_ip)
        policy = spec.get("restartPolicy", "Always")
        # An init container that ended well stays ended; one that failed is retried unless the pod never restarts.
        init_policy = "Never" if policy == "Never" else "OnFailure"
        self._init = [self._container(raw, init_policy) for raw in spec.get("initContainers") or ()]
        self._main = [self._container(raw, policy) for raw in spec["containers"]]
        self._inbox: queue.SimpleQueue[Callable[[float], None]] = queue.SimpleQueue()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK)
        self._wake_guard, self._closed = threading.Lock(), False
        self._thread = threading.Thread(target=self._run, name=f"pod-{record.name}", daemon=True)
        self._gone = self._done = self._volumes_ready = self._stale = False
        self._volumes_at = self._publish_at = 0.0
        self._api_failures = 0

    # -- from other threads ------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin: take over processes that are there, start the others."""
        self._thread.start()

    def update(self, pod: Mapping[str, Any]) -> None:
        """The API server has this newer object."""
        self._send(lambda _now: self._take(pod))

    def vanish(self) -> None:
        """The API server has no such pod any more."""
        self._send(lambda _now: self._set_gone())

    @property
    def namespace(self) -> str:
        """See renewal.Follower."""
        return self._record.namespace

    def followed(self) -> Collection[Reference]:
        """See renewal.Follower."""
        return volumes.volume_references(self._pod) if self._volumes_ready and not self._deleting else ()

    def renew(self, objects: Mapping[tuple[str, str], Mapping[str, bytes] | None]) -> None:
        """See renewal.Follower."""
        self._send(lambda _now: self._renew(objects))

    def log_paths(self) -> list[Path]:
        """The log files this pod writes to."""
        return [container.launch.log for container in self._init + self._main if container.launch]

    def occupants(self) -> list[Occupant]:
        """The containers that run now."""
        running = [(one, one.running) for one in self._init + self._main]
        return [
            Occupant(
                self._record.namespace, self._record.name, one.name, one.record.state.container_id, held.identity.pid
            )
            for one, held in running
            if held is not None
        ]

    def _send(self, message: Callable[[float], None]) -> None:
        self._inbox.put(message)
        with self._wake_guard:
            if not self._closed:  # afterwards the number of the eventfd may be another file's
                os.eventfd_write(self._wake, 1)

    # -- Host: what containers ask for -------------------------------------------------------------------------

    def prepare(self, container: Mapping[str, Any], run: int) -> Launch:
        """See container.Host."""
        return self._launcher.prepare(self._pod, container, run)

    def event(self, kind: str, reason: str, message: str, container: str | None) -> None:
        """See container.Host."""
        record = self._record
        self._node.events.put(Event(record.namespace, record.name, record.uid, kind, reason, message, container))

    def ask(self, container: Container, purpose: str, check: probes.Check, timeout: float) -> None:
        """See container.Host."""
        run = container.record.state.container_id
        environment = container.launch.environment if container.launch else {}
        folder = container.launch.folder if container.launch else self._folder

        def perform() -> None:
            try:
                success, detail = hooks.perform(check, timeout, environment, folder)
            except Exception as error:  # a probe that breaks has failed; its container must not wait for ever
                _LOG.exception("%s of %s/%s", purpose, self._record.namespace, self._record.name)
                success, detail = False, str(error)
            self._send(lambda now: container.answered(now, purpose, run, success, detail))

        self._node.pool.submit(perform)

    def changed(self) -> None:
        """See container.Host."""
        self._stale = True

    # -- the thread --------------------------------------------------------------------------------------------

    def _run(self) -> None:
        adopted = False
        try:
            while not self._done:
                try:
                    if not adopted:
                        self._adopt()
                        adopted = True
                    now = time.time()
                    self._step(now)
                    self._sleep(self._due(now) - time.time())
                except Exception:  # one pod's trouble must not end its supervision
                    _LOG.exception("pod %s/%s", self._record.namespace, self._record.name)
                    time.sleep(API_RETRY_S[-1])
        finally:
            with self._wake_guard:
                self._closed = True
                os.close(self._wake)
            self._node.finished(self._record.uid)

    def _step(self, now: float) -> None:
        while True:
            try:
                self._inbox.get_nowait()(now)
            except queue.Empty:
                break
        if self._deleting:
            self._end_containers(now)
        else:
            self._prepare_volumes(now)
        for container in self._init + self._main:
            container.step(now, self._may_start(container))
        if self._stale:
            records.save(self._folder, self._record)
            self._stale = False
        over = self._deleting and all(container.running is None for container in self._init + self._main)
        if now >= self._publish_at:
            self._report(now, over)

    def _due(self, now: float) -> float:
        times = [now + LONGEST_SLEEP_S]
        if self._publish_at > now:
            times.append(self._publish_at)
        if not self._deleting and not self._volumes_ready and not self._over:
            times.append(self._volumes_at)
        for container in self._init + self._main:
            due = container.due(now, self._may_start(container))
            if due is not None:
                times.append(due)
        return min(times)

    def _sleep(self, seconds: float) -> None:
        poller = select.poll()
        poller.register(self._wake, select.POLLIN)
        for container in self._init + self._main:
            if container.running is not None:
                poller.register(container.running.watch, select.POLLIN)
        if poller.poll(max(0.0, seconds) * 1000):
            with contextlib.suppress(BlockingIOError):
                os.eventfd_read(self._wake)

    # -- state -------------------------------------------------------------------------------------------------

    @property
    def _deleting(self) -> bool:
        return self._gone or "deletionTimestamp" in self._pod["metadata"]

    @property
    def _over(self) -> bool:
        return (self._pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")

    def _container(self, raw: Mapping[str, Any], policy: str) -> Container:
        record = self._record.containers.get(raw["name"])
        if record is None:
            record = ContainerRecord(status.ContainerState(raw["name"], raw["image"]))
            if raw in (self._pod["spec"].get("initContainers") or ()) or not self._pod["spec"].get("initContainers"):
                record.state.reason = "ContainerCreating"
            else:
                record.state.reason = "PodInitializing"
            self._record.containers[raw["name"]] = record
        return Container(self, raw, record, policy)

    def _take(self, pod: Mapping[str, Any]) -> None:
        if int(pod["metadata"]["resourceVersion"]) >= int(self._pod["metadata"]["resourceVersion"]):
            self._pod = pod

    def _set_gone(self) -> None:
        self._gone = True

    def _may_start(self, container: Container) -> bool:
        """Init containers run one after the other, then the main ones all at once."""
        if self._deleting or self._over or not self._volumes_ready:
            return False
        for earlier in self._init:
            if earlier is container:
                return True
            if not earlier.record.state.succeeded:
                return False
        return True

    def _adopt(self) -> None:
        """Take over the processes that an earlier agent recorded."""
        now = time.time()
        for container in self._init + self._main:
            record = container.record
            if record.identity is None or container.running is not None:
                continue
            self._volumes_ready = True
            running = process.adopt(record.identity)
            if running is None:
                container.lost(now)
                continue
            try:
                launch = self.prepare(container.spec, record.state.restart_count)
            except StartRefused as refused:
                _LOG.warning("adopting %s/%s: %s", self._record.namespace, self._record.name, refused)
                launch = None
            container.adopt(running, launch)
            _LOG.info("adopted %s/%s %s", self._record.namespace, self._record.name, container.name)

    def _prepare_volumes(self, now: float) -> None:
        if self._volumes_ready or self._over or now < self._volumes_at:
            return
        self._volumes_at = now + VOLUME_RETRY_S
        lacking = unsupported(self._pod)
        if lacking:
            self.event("Warning", "FailedCreatePodSandBox", "; ".join(lacking), None)
            return
        try:
            self._launcher.write_volumes(self._pod)
        except (ConfigError, OSError) as error:
            self.event("Warning", "FailedMount", f"MountVolume.SetUp failed: {error}", None)
            return
        self._volumes_ready = True

    def _renew(self, objects: Mapping[tuple[str, str], Mapping[str, bytes] | None]) -> None:
        if self._deleting or self._over:
            return
        try:
            if self._launcher.renew_volumes(self._pod, objects):
                _LOG.info("new content in volumes of %s/%s", self._record.namespace, self._record.name)
        except (ConfigError, OSError) as error:
            _LOG.warning("volumes of %s/%s stay: %s", self._record.namespace, self._record.name, error)

    def _end_containers(self, now: float) -> None:
        deadline = now + SHORTEST_TERM_S if self._gone else deletion_deadline(self._pod, now)
        for container in self._init + self._main:
            container.begin_stop(now, deadline, f"Stopping container {container.name}")

    # -- reporting ---------------------------------------------------------------------------------------------

    def _report(self, now: float, over: bool) -> None:
        try:
            if not self._gone:
                self._publish(now)
            if over:
                self._remove()
        except ApiError as error:
            self._api_failures += 1
            wait = API_RETRY_S[min(self._api_failures, len(API_RETRY_S)) - 1]
            self._publish_at = now + (wait if error.unavailable else REFUSED_RETRY_S)
            _LOG.warning("%s (again in %.0f s)", error, self._publish_at - now)
        else:
            self._api_failures, self._publish_at = 0, 0.0

    def _publish(self, now: float) -> None:
        """Write the status if the API server's differs from what is so."""
        record = self._record
        if self._deleting and not any(container.record.state.container_id for container in self._init + self._main):
            return  # nothing of it has run, or its files are gone already: that is no news about a pod that ends
        facts = status.PodFacts(
            record.pod_ip, settings.LOOPBACK, record.start_time, self._volumes_ready, self._deleting
        )
        wanted = status.pod_status(self._pod, self._states(self._init), self._states(self._main), facts, now)
        if self._over and not self._deleting:
            return
        if not status.differs(wanted, self._pod.get("status") or {}):
            return
        self._take(self._node.api.patch_pod_status(record.namespace, record.name, record.uid, wanted))

    def _remove(self) -> None:
        """Take the pod's files away, then its API object, as the kubelet does: a pod that is gone has left nothing.

        It is called again when the API server did not answer. If the agent is killed between the two, the next one
        finds the pod without a record, starts nothing of it, and comes here too.
        """
        record = self._record
        volumes.remove_tree(self._folder)
        if not self._gone:
            self._node.api.delete_pod(record.namespace, record.name, record.uid)
        self._done = True
        _LOG.info("ended %s/%s", record.namespace, record.name)

    @staticmethod
    def _states(containers: Sequence[Container]) -> list[status.ContainerState]:
        return [container.record.state for container in containers]
