"""Five real faults of the lab, each with the alert that has to tell of it.

`prepare` brings about what was normal before, `strike` breaks it and says when, `repair` ends the fault, `undo` takes
away all that any of them made. `undo` needs nothing but the details that `plan` gave, so that another process can do it
(`undo_left` does, for the faults of a run that was killed), and may be run again.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import kubernetes
import redis
import urllib3
from churnguard_api.faults import Faults

from churnguard_lab import images, parts, supervise
from churnguard_lab.bench import say
from churnguard_lab.observability.asking import AskingError, Prometheus
from churnguard_lab.observability.journal import Details, Journal
from churnguard_lab.observability.stage import Stage, Traffic
from churnguard_lab.observability.waiting import until
from churnguard_lab.settings import LOOPBACK, Settings

SEEN_S = 60.0
#: What a fault that cannot be caused or taken back ends with.
FAILURES = (
    RuntimeError,
    OSError,
    images.ImageError,
    kubernetes.client.ApiException,
    redis.RedisError,
    supervise.LabError,
    urllib3.exceptions.HTTPError,
)


class Fault:
    """One fault in one run. `alert` has to fire for it; `job` is what Prometheus scrapes to see it."""

    name: ClassVar[str]
    alert: ClassVar[str]
    job: ClassVar[str]
    #: What the figure is to be read with.
    about: ClassVar[str]

    def __init__(self, lab: Settings, details: Details, stop: threading.Event | None = None) -> None:
        self.lab, self.details, self.stop = lab, details, stop
        self.prometheus = Prometheus(f"http://{LOOPBACK}:{lab.ports.prometheus}")

    @classmethod
    def plan(cls, lab: Settings) -> Details:
        """What `undo` has to know, as plain data, before anything is done."""
        raise NotImplementedError

    def labels(self) -> dict[str, str]:
        """Labels by which the notification about this fault is told from others of the same alert."""
        raise NotImplementedError

    def prepare(self) -> None:
        """What was normal before. Raises RuntimeError."""

    def strike(self) -> float:
        """Break it; the moment from which on it was broken, in Unix seconds. Raises RuntimeError."""
        raise NotImplementedError

    def repair(self) -> None:
        """End the fault. Raises RuntimeError."""
        raise NotImplementedError

    def undo(self) -> None:
        """Leave nothing of it. Raises RuntimeError."""
        raise NotImplementedError

    def seen(self, what: str, expression: str) -> None:
        """Wait until Prometheus has series for an expression. Raises TooLate."""
        until(f"Prometheus has {what} ({expression})", lambda: self.prometheus.query(expression), SEEN_S, self.stop)


class PodCrashLoop(Fault):
    """A version that ends with an error at once, as often as it is started."""

    name, alert, job = "pod_crash_loop", "PodCrashLooping", "kube-state-metrics"
    about = "from the start after the first crash; the second, right after it, is the first that makes the pod wait"

    @classmethod
    def plan(cls, lab: Settings) -> Details:
        return {"namespace": f"fault-{secrets.token_hex(3)}"}

    @property
    def stage(self) -> Stage:
        """The namespace that it is in."""
        return Stage(self.lab, self.details["namespace"], self.stop)

    def labels(self) -> dict[str, str]:
        return {"namespace": self.details["namespace"], "node": self.lab.node.name}

    def strike(self) -> float:
        stage = self.stage
        stage.create()
        stage.deploy("blue", "testserver", Faults(crash_after_s=0.0))
        # The first crash is answered by a start at once; from the second on the pod waits between its starts.
        until(f"a pod in {stage.namespace} has crashed and started anew", stage.restarts, SEEN_S, self.stop)
        return time.time()

    def repair(self) -> None:
        self.stage.delete_deployment("blue")

    def undo(self) -> None:
        self.stage.remove()


class ErrorBurst(Fault):
    """A version whose every answer is an error gets traffic."""

    name, alert, job = "error_burst", "HighErrorRate", "churnguard-api"
    about = (
        "from the first failed request; 40 requests/s, all fail; in the five minutes before only a few, which "
        "failed too and are the sample that the increase is counted from"
    )
    RATE, LONGEST_S = 40.0, 900.0

    def __init__(self, lab: Settings, details: Details, stop: threading.Event | None = None) -> None:
        super().__init__(lab, details, stop)
        self._traffic: Traffic | None = None

    @classmethod
    def plan(cls, lab: Settings) -> Details:
        return {"namespace": f"fault-{secrets.token_hex(3)}"}

    @property
    def stage(self) -> Stage:
        """The namespace that it is in."""
        return Stage(self.lab, self.details["namespace"], self.stop)

    def labels(self) -> dict[str, str]:
        return {"namespace": self.details["namespace"]}

    def prepare(self) -> None:
        stage = self.stage
        stage.create()
        stage.share_secret()
        stage.deploy("blue", "api")
        stage.deploy("green", "api", Faults(error_ratio=1.0))
        stage.await_ready("blue")
        stage.await_ready("green")
        stage.publish("green")
        until("the gateway serves the version that fails", lambda: stage.ask() == 500, SEEN_S, self.stop)
        self.seen(
            "its first failure", f'churnguard_requests_total{{namespace="{stage.namespace}", status_code="500"}} > 0'
        )

    def strike(self) -> float:
        self._traffic = Traffic(self.stage, self.RATE, self.LONGEST_S)
        return self._traffic.first(500)

    def repair(self) -> None:
        self.stage.send_to("blue")

    def undo(self) -> None:
        if self._traffic:
            self._traffic.stop()
        self.stage.remove()


class DiskFull(Fault):
    """A small file system of its own, filled to the last bytes."""

    name, alert, job = "disk_full", "NodeDiskAlmostFull", "node-exporter"
    about = "from before the write that fills it; a small ext4 file system on a loop device"
    MEGABYTES = 48

    @classmethod
    def plan(cls, lab: Settings) -> Details:
        folder = lab.state_dir / "run" / f"small-disk-{secrets.token_hex(3)}"
        return {"mount": str(folder), "image": f"{folder}.img"}

    @property
    def _mount(self) -> Path:
        return Path(self.details["mount"])

    def labels(self) -> dict[str, str]:
        return {"mountpoint": self.details["mount"]}

    def prepare(self) -> None:
        if os.geteuid() != 0:
            raise RuntimeError("only root can mount a small file system: run this as root")
        image = Path(self.details["image"])
        self._mount.mkdir(parents=True, exist_ok=True)
        with image.open("wb") as file:
            file.truncate(self.MEGABYTES * 2**20)
        # Without room that only root may use: "available" is what is free.
        _run("mkfs.ext4", "-q", "-m", "0", str(image))
        _run("mount", "-o", "loop", str(image), str(self._mount))
        self.seen("the file system", f'node_filesystem_avail_bytes{{mountpoint="{self._mount}"}}')

    def strike(self) -> float:
        room = os.statvfs(self._mount)
        moment = time.time()
        descriptor = os.open(self._mount / "filler", os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, int(room.f_bavail * room.f_frsize * 0.99))
        finally:
            os.close(descriptor)
        return moment

    def repair(self) -> None:
        (self._mount / "filler").unlink()

    def undo(self) -> None:
        if os.path.ismount(self._mount):
            # Whoever looks into it at this moment keeps it busy, but not in the way.
            _run("umount", "--lazy", str(self._mount))
        if self._mount.is_dir():
            self._mount.rmdir()
        Path(self.details["image"]).unlink(missing_ok=True)


class RedisFault(Fault):
    """Something that befalls the node that has `role`. Repairing it is all there is to undo."""

    job = "redis-exporter"
    role: ClassVar[str]
    #: A series of each node's that is 1 before.
    well: ClassVar[str]

    @classmethod
    def plan(cls, lab: Settings) -> Details:
        part, port = node_with_role(lab, cls.role)
        return {"part": part, "port": port}

    def labels(self) -> dict[str, str]:
        return _instance(self.prometheus, self.well, self.details["port"])

    def prepare(self) -> None:
        self.seen(f"the {self.role}", f"{self.well} == 1")
        self.labels()

    def repair(self) -> None:
        self.undo()


class RedisDown(RedisFault):
    """The primary is killed. The Sentinels make the replica the primary; the killed one stays down."""

    name, alert = "redis_down", "RedisDown"
    role, well = "master", "redis_up"
    about = "from SIGKILL to the primary"

    def strike(self) -> float:
        process = supervise.Supervisor(self.lab).states()[self.details["part"]]["pid"]
        if not process:
            raise RuntimeError(f"{self.details['part']} does not run: is the lab whole (make lab-up)?")
        moment = time.time()
        os.kill(process, signal.SIGKILL)
        return moment

    def undo(self) -> None:
        supervisor = supervise.Supervisor(self.lab)
        if supervisor.states()[self.details["part"]]["statename"] in supervise.STOPPED_STATES:
            supervisor.start(self.details["part"])
        _await_link(self.lab)


class ReplicationBroken(RedisFault):
    """The replica's password for its primary is no longer right, and its connection breaks off."""

    name, alert = "replication_broken", "RedisReplicationBroken"
    role, well = "slave", "redis_master_link_up"
    about = "from the end of the replica's connection to its primary, which then refuses it"

    def strike(self) -> float:
        with _redis(self.lab, self.details["port"]) as client:
            client.config_set("masterauth", "not-the-password")
            moment = time.time()
            client.execute_command("CLIENT", "KILL", "TYPE", "master")
            until(
                "the replica has lost its primary",
                lambda: client.info("replication").get("master_link_status") == "down",
                10,
            )
        return moment

    def undo(self) -> None:
        with _redis(self.lab, self.details["port"]) as client:
            client.config_set("masterauth", self.lab.secret("redis"))
            # A Sentinel may have had the wrong one written into its file meanwhile.
            client.config_rewrite()
        _await_link(self.lab)


FAULTS: dict[str, type[Fault]] = {
    fault.name: fault for fault in (PodCrashLoop, ErrorBurst, RedisDown, ReplicationBroken, DiskFull)
}


def journal(lab: Settings) -> Journal:
    """What is broken in this lab."""
    return Journal(lab.state_dir / "run" / "fault.json")


@contextlib.contextmanager
def caused(fault: Fault) -> Iterator[Fault]:
    """A block in which a fault may be caused: written down before, and undone after it in all cases. Raises what
    undoing raises; the entry then stays for the next run."""
    book = journal(fault.lab)
    book.announce(fault.name, fault.details)
    try:
        yield fault
    finally:
        fault.undo()
        book.undone(fault.name)


@contextlib.contextmanager
def alone(lab: Settings) -> Iterator[None]:
    """A block that is the only one to cause faults in this lab. Raises RuntimeError when another process is in one."""
    path = lab.state_dir / "run" / "fault.lock"
    with path.open("w", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RuntimeError(f"another run causes faults in this lab ({path} is locked): wait for its end") from error
        yield


def undo_left(lab: Settings) -> list[str]:
    """Undo what a run that was killed has left broken; the names of its faults. Raises RuntimeError."""
    book = journal(lab)
    left = book.pending()
    for name, details in left.items():
        say(f"undo {name}, which a run before has left")
        FAULTS[name](lab, details).undo()
        book.undone(name)
    return sorted(left)


def _instance(prometheus: Prometheus, metric: str, port: int) -> dict[str, str]:
    """The label `instance` of the series about the Redis node on that port. Raises AskingError when none names it."""
    instances = [str(row["metric"].get("instance", "")) for row in prometheus.query(metric)]
    for instance in instances:
        if instance.removesuffix("/").endswith(f":{port}"):
            return {"instance": instance}
    raise AskingError(f"Prometheus has {metric} of {instances or 'nobody'}, but not of the node on port {port}")


def _nodes(lab: Settings) -> dict[str, int]:
    return {"redis": lab.ports.redis, "redis-replica": lab.ports.redis_replica}


def _redis(lab: Settings, port: int) -> redis.Redis:
    return redis.Redis(LOOPBACK, port, password=lab.secret("redis"), socket_timeout=5, decode_responses=True)


def node_with_role(lab: Settings, role: str) -> tuple[str, int]:
    """Part and port of the Redis that is the primary (master) or its replica (slave) now. Raises RuntimeError."""
    told: dict[str, str] = {}
    for part, port in _nodes(lab).items():
        try:
            with _redis(lab, port) as client:
                told[part] = str(client.info("replication")["role"])
        except redis.RedisError as error:
            told[part] = f"no answer ({error})"
        if told[part] == role:
            return part, port
    raise RuntimeError(f"no Redis node of the lab is a {role}: {told}. Is the lab whole (make lab-up)?")


def _await_link(lab: Settings) -> None:
    """Wait until one of the two nodes follows the other again. Raises TooLate."""

    def whole() -> bool:
        try:
            parts.PARTS["redis-replica"].probe(lab)
        except parts.NotReady:
            return False
        return True

    until("one Redis follows the other", whole, SEEN_S)


def _run(*command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except FileNotFoundError as error:
        raise RuntimeError(f"there is no {command[0]}: run lab/install_packages") from error
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed ({done.returncode}): {(done.stderr or done.stdout).strip()}")
