"""The agent: watches the pods bound to its node and keeps one worker for each."""

from __future__ import annotations

import fcntl
import logging
import threading
import time
from collections import deque
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any

from churnguard_lab import settings
from churnguard_lab.node import launch, logs, network, process, records, volumes
from churnguard_lab.node.api import ApiError, NodeApi
from churnguard_lab.node.events import EventWriter
from churnguard_lab.node.records import PodRecord
from churnguard_lab.node.renewal import Renewal
from churnguard_lab.node.status import parse_timestamp
from churnguard_lab.node.usage import Occupant
from churnguard_lab.node.worker import Node, PodWorker

RELIST_S = 1.0
#: Threads for probes and preStop actions; each is bounded by its own timeout.
CHECK_THREADS = 32
ORPHAN_GRACE_S = 2.0
REMEMBERED_PODS = 1000
_LOG = logging.getLogger(__name__)


class AgentError(Exception):
    """The agent cannot run; the message says why and what to do."""


def pods_dir(lab: settings.Settings) -> Path:
    """The folder of all pods' state."""
    return lab.state_dir / "pods"


def lock(folder: Path) -> IO[str]:
    """Make sure that one agent alone works on these pods; it holds as long as the file is open. Raises AgentError."""
    folder.mkdir(parents=True, exist_ok=True)
    file = open(folder / "agent.lock", "w")  # noqa: SIM115 (held open for the life of the agent)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise AgentError(f"another node agent works on {folder}: end it first") from error
    return file


class Agent:
    """Keeps the node's pods as the API server has them."""

    def __init__(self, lab: settings.Settings, api: NodeApi) -> None:
        self._lab, self._api = lab, api
        self._network = network.parse_network(lab.node.pod_network)
        events = EventWriter(api, lab.node.name)
        events.start()
        pool = ThreadPoolExecutor(CHECK_THREADS, thread_name_prefix="check")
        self._node = Node(lab, api, events, pool, pods_dir(lab), self._finished)
        self._workers: dict[str, PodWorker] = {}
        # Pods taken away here, of which changes may still arrive: they must not be started again.
        self._ended: deque[str] = deque(maxlen=REMEMBERED_PODS)
        self._addresses: dict[str, str] = {}
        self._last_address: str | None = None
        self._guard = threading.Lock()
        self.synced_at: float | None = None

    @property
    def pods(self) -> int:
        """How many pods the agent looks after."""
        return len(self._workers)

    def occupants(self) -> list[Occupant]:
        """The containers that run now."""
        return [one for worker in self._followers() for one in worker.occupants()]

    def run(self, stop: threading.Event) -> None:
        """Follow the API server until `stop` is set; an API server that is away is asked again every second."""
        known, broken = records.load_all(self._node.pods_dir)
        self._addresses = {uid: record.pod_ip for uid, record in known.items()}
        if known:
            self._last_address = max(known.values(), key=lambda record: record.start_time).pod_ip
        for folder in broken:
            _LOG.warning("pod folder without a readable record: %s", folder)
        Renewal(self._api, self._followers).start(stop)
        first = True
        while not stop.is_set():
            try:
                pods, version = self._api.list_pods(self._lab.node.name)
                if first:
                    self._end_orphans({pod["metadata"]["uid"] for pod in pods}, known, broken)
                    first = False
                self._sync(pods, known)
                self._follow(version, stop)
            except ApiError as error:
                level = logging.INFO if error.status == 410 else logging.WARNING
                _LOG.log(level, "%s (listing again in %.0f s)", error, RELIST_S)
                stop.wait(RELIST_S)

    def _followers(self) -> list[PodWorker]:
        with self._guard:
            return list(self._workers.values())

    def _follow(self, version: str, stop: threading.Event) -> None:
        """Take in changes, one watch after the other; returns (or raises ApiError) when a new list is needed."""
        while not stop.is_set():
            self.synced_at = time.time()
            for kind, pod in self._api.watch_pods(self._lab.node.name, version):
                version = pod["metadata"]["resourceVersion"]
                self.synced_at = time.time()
                if kind == "DELETED":
                    self._vanish(pod["metadata"]["uid"])
                elif kind in ("ADDED", "MODIFIED"):
                    self._update(pod, {})
                if stop.is_set():
                    return

    def _sync(self, pods: list[dict[str, Any]], known: Mapping[str, PodRecord]) -> None:
        for pod in pods:
            self._update(pod, known)
        present = {pod["metadata"]["uid"] for pod in pods}
        with self._guard:
            vanished = set(self._workers) - present
        for uid in vanished:
            self._vanish(uid)

    def _update(self, pod: Mapping[str, Any], known: Mapping[str, PodRecord]) -> None:
        uid = pod["metadata"]["uid"]
        with self._guard:
            if uid in self._ended:
                return
            worker = self._workers.get(uid)
            if worker is None:
                record = known.get(uid) or self._new_record(pod)
                self._addresses[uid] = record.pod_ip
                worker = self._workers[uid] = PodWorker(self._node, pod, record)
                worker.start()
                return
        worker.update(pod)

    def _vanish(self, uid: str) -> None:
        with self._guard:
            worker = self._workers.get(uid)
        if worker is not None:
            worker.vanish()

    def _new_record(self, pod: Mapping[str, Any]) -> PodRecord:
        address = network.allocate(self._network, set(self._addresses.values()), self._last_address)
        self._last_address = address
        metadata, present = pod["metadata"], pod.get("status") or {}
        started = parse_timestamp(present["startTime"]) if present.get("startTime") else time.time()
        return PodRecord(metadata["uid"], metadata["namespace"], metadata["name"], address, started)

    def _finished(self, uid: str) -> None:
        with self._guard:
            self._workers.pop(uid, None)
            self._ended.append(uid)
            self._addresses.pop(uid, None)
            live = [path for worker in self._workers.values() for path in worker.log_paths()]
        logs.prune(self._lab.log_dir / "pods", live)
        logs.prune(self._lab.log_dir / "traces", (), pattern="*.jsonl*")

    def _end_orphans(self, present: set[str], known: dict[str, PodRecord], broken: list[Path]) -> None:
        """End what an earlier agent left: processes of pods that are gone, and those it had no time to write down."""
        kept = {
            container.state.container_id
            for uid, record in known.items()
            if uid in present
            for container in record.containers.values()
            if container.identity is not None and process.is_alive(container.identity)
        }
        orphans = [pid for pid, owner in pod_processes(self._lab.state_dir).items() if owner not in kept]
        if orphans:
            _LOG.warning("ending %d processes without a pod: %s", len(orphans), orphans)
            process.end(orphans, ORPHAN_GRACE_S)
        for uid in set(known) - present:
            volumes.remove_tree(self._node.pods_dir / uid)
            del known[uid]
            self._addresses.pop(uid, None)
        for folder in broken:
            volumes.remove_tree(folder)


def pod_processes(state_dir: Path) -> dict[int, str]:
    """Process id -> container id, of all pod processes of the lab of `state_dir`."""
    found = {}
    for pid in process.marked(settings.MARKER_ENVIRONMENT, str(state_dir)):
        owner = process.variable(pid, launch.CONTAINER_ENVIRONMENT)
        if owner:
            found[pid] = owner
    return found
