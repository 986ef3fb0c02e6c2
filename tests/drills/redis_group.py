"""A Redis primary, a replica and three Sentinels of a test's own, on free ports."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible_collections.churnguard.ops.plugins.module_utils._redis.group import Group, from_data
from ansible_collections.churnguard.ops.plugins.module_utils._redis.model import parse_address

from ..lab.ports import free_ports
from ..lab.waiting import until

NAME = "drilled"
PASSWORD = "word-of-a-test"


class RedisGroup:
    """Its processes; C(down_after_ms) is when a Sentinel takes a silent Redis for down."""

    def __init__(self, folder: Path, down_after_ms: int = 1000) -> None:
        self._folder = folder
        self._down_after_ms = down_after_ms
        self.ports = free_ports(5)
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self.password_file = folder / "password"
        self.password_file.touch(mode=0o600)
        self.password_file.write_text(PASSWORD, encoding="utf-8")

    @property
    def primary(self) -> str:
        """Where the primary is at first."""
        return f"127.0.0.1:{self.ports[0]}"

    @property
    def replica(self) -> str:
        """Where the replica is at first."""
        return f"127.0.0.1:{self.ports[1]}"

    def start(self) -> None:
        """Start all, and return when a failover would be possible."""
        common = f"requirepass {PASSWORD}\nbind 127.0.0.1\n"
        for number, port in enumerate(self.ports[:2]):
            follow = f"replicaof 127.0.0.1 {self.ports[0]}\n" if number else ""
            settings = f"masterauth {PASSWORD}\nsave ''\nrepl-diskless-sync-delay 0\n".replace("''", '""')
            self._write(port, common + settings + follow)
            self._launch(port)
        until("the replica follows", self._follows)
        # A Sentinel asks for the replicas at its start, and then every ten seconds.
        for port in self.ports[2:]:
            watched = f"{NAME} 127.0.0.1 {self.ports[0]} 2"
            self._write(
                port,
                f"{common}sentinel sentinel-pass {PASSWORD}\nsentinel monitor {watched}\n"
                f"sentinel auth-pass {NAME} {PASSWORD}\nsentinel failover-timeout {NAME} 6000\n"
                f"sentinel down-after-milliseconds {NAME} {self._down_after_ms}\n",
            )
            self._launch(port, "--sentinel")
        until("a failover is possible", lambda: self.group.look_for_steady().done)

    @property
    def group(self) -> Group:
        """The group as the drill sees it."""
        return from_data({**self.options(), "name": NAME})

    def options(self, start_as_replica: bool = True, **more: Any) -> dict[str, Any]:
        """What the drill is given. Without C(start_as_replica) a node that is started again thinks that it is the
        primary, and it takes the Sentinels ten seconds to tell it otherwise."""
        start = {f"127.0.0.1:{port}": self._again(port, start_as_replica) for port in self.ports[:2]}
        return {
            "sentinels": [f"127.0.0.1:{port}" for port in self.ports[2:]],
            "primary_name": NAME,
            "password_file": str(self.password_file),
            "stall_command": [sys.executable, "-m", "churnguard_lab.stall"],
            "start_commands": start,
            **more,
        }

    def kill(self, port: int) -> None:
        """kill -9 of the Redis there."""
        self._processes[port].kill()
        self._processes[port].wait()

    def stop(self) -> None:
        """End all, also those that a drill has started again."""
        for process in self._processes.values():
            process.kill()
            process.wait()
        for file in self._folder.glob("*/pid"):
            with contextlib.suppress(ProcessLookupError, ValueError):
                os.kill(int(file.read_text(encoding="utf-8")), signal.SIGKILL)

    def _follows(self) -> bool:
        primary = self.group.node(parse_address(self.primary))
        return primary is not None and any(follower.online for follower in primary.followers)

    def _write(self, port: int, content: str) -> None:
        home = self._folder / str(port)
        home.mkdir()
        (home / "redis.conf").write_text(f"port {port}\ndir {home}\n{content}", encoding="utf-8")

    def _launch(self, port: int, *more: str) -> None:
        home = self._folder / str(port)
        with open(home / "log", "wb") as log:
            command = ["redis-server", str(home / "redis.conf"), *more]
            self._processes[port] = subprocess.Popen(command, cwd=home, stdout=log, stderr=log)

    def _again(self, port: int, follow: bool) -> list[str]:
        home = self._folder / str(port)
        command = ["redis-server", str(home / "redis.conf"), "--daemonize", "yes", "--pidfile", str(home / "pid")]
        other = self.ports[0] if port == self.ports[1] else self.ports[1]
        return [*command, "--replicaof", "127.0.0.1", str(other)] if follow else command


@contextlib.contextmanager
def running(folder: Path) -> Iterator[RedisGroup]:
    """A started group, ended afterwards."""
    group = RedisGroup(folder)
    try:
        group.start()
        yield group
    finally:
        group.stop()
