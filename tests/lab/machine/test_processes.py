"""Ports and their holders, and a lab's processes: found by their mark, ended for certain."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from churnguard_lab import processes
from churnguard_lab.settings import MARKER_ENVIRONMENT

from ..waiting import until

Start = Callable[..., subprocess.Popen[str]]
#: Prints a line when it is set up, and then waits.
WAITS = "import time; print('up', flush=True); time.sleep(60)"
IGNORES = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {WAITS}"
TELLS = (
    "import signal, sys, time; handler = lambda number, frame: (print(number, flush=True), sys.exit(0));"
    "[signal.signal(number, handler) for number in (signal.SIGTERM, signal.SIGINT)];"
    "print('up', flush=True); time.sleep(60)"
)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a Python process that carries the mark of the lab in tmp_path."""
    started = []

    def run(code: str, mark: str | None = None, executable: str = sys.executable, **options: object):
        environment = os.environ | {MARKER_ENVIRONMENT: str(tmp_path) if mark is None else mark}
        made = subprocess.Popen([executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True, **options)
        started.append(made)
        assert made.stdout.readline() == "up\n"
        return made

    yield run
    for made in started:
        made.kill()
        made.wait()


def pids(state_dir: Path) -> set[int]:
    return {process.pid for process in processes.of_lab(state_dir)}


def test_free_port_is_not_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert processes.taken(port)
    assert not processes.taken(port)


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_conflict_names_port_part_and_holder(address: str) -> None:
    with socket.create_server((address, 0)) as server:
        port = server.getsockname()[1]
        (conflict,) = processes.conflicts({"etcd_peer": ("etcd", port)}, own=[])
    words = str(conflict)
    assert words.startswith(f"port {port} (etcd_peer, needed by etcd) is taken by process {os.getpid()} of ")
    assert Path("/proc/self/cmdline").read_bytes().split(b"\0")[0].decode() in words


def test_own_process_and_free_port_are_no_conflict() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert processes.conflicts({"redis": ("redis", port)}, own=[os.getpid()]) == []
    assert processes.conflicts({"redis": ("redis", port)}, own=[]) == []


def test_connection_that_lingers_does_not_block_a_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            accepted, _ = server.accept()
            accepted.close()  # closed first, so that TIME_WAIT is on the port
    assert processes.conflicts({"redis": ("redis", port)}, own=[]) == []


def test_holder_that_ended_is_still_described() -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    assert processes.describe(ended.pid) == f"process {ended.pid}"
    assert processes.describe(None) == "a process that this user may not see"


def test_lab_s_processes_are_those_with_its_mark(start: Start, tmp_path: Path) -> None:
    own = start(WAITS)
    start(WAITS, mark=str(tmp_path / "other"))
    start(WAITS, mark="")
    assert pids(tmp_path) == {own.pid}


def test_child_without_the_mark_counts_with_its_parent(start: Start, tmp_path: Path) -> None:
    spawns = "import subprocess, time; c = subprocess.Popen(['sleep', '60'], env={});" + WAITS.removeprefix(
        "import time;"
    )
    parent = start(spawns)
    (child,) = psutil.Process(parent.pid).children()
    assert pids(tmp_path) == {parent.pid, child.pid}
    processes.end_all(tmp_path)
    # Its parent is dead: whoever reaps it does so in its own time.
    until("the child has ended", lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def test_who_asks_is_spared_with_its_parents(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "import subprocess, sys; print('up', flush=True);"
        "print(subprocess.run([sys.executable, '-c', 'from churnguard_lab import processes; from pathlib import Path;"
        f"print(processes.end_all(Path(\\'{tmp_path}\\')))'], stdout=subprocess.PIPE, text=True).stdout, flush=True)"
    )
    monkeypatch.setenv(MARKER_ENVIRONMENT, str(tmp_path))
    asker = start(code)
    assert asker.communicate(timeout=60)[0].strip() == "[]"
    assert asker.returncode == 0


def test_daemon_that_hides_its_environment_is_found_where_it_works(start: Start, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    hidden = tmp_path / "redis-server"
    hidden.symlink_to(Path(sys.executable).resolve())
    daemon = start(WAITS, mark="", executable=str(hidden), cwd=tmp_path / "data")
    start(WAITS, mark="", cwd=tmp_path / "data")  # a person's program in the same folder
    assert pids(tmp_path) == {daemon.pid}


def test_end_asks_first_and_kills_what_does_not_listen(start: Start, tmp_path: Path) -> None:
    polite, stubborn = start(TELLS), start(IGNORES)
    began = time.monotonic()
    ended = processes.end_all(tmp_path, grace_s=1)
    assert 1 <= time.monotonic() - began < 50, "neither waits for its 60 s"
    assert polite.stdout.read() == f"{int(signal.SIGTERM)}\n"
    assert not psutil.pid_exists(stubborn.pid)
    assert sorted(words.split()[1] for words in ended) == sorted(map(str, (polite.pid, stubborn.pid)))
    assert processes.end_all(tmp_path) == []


def test_postgresql_is_told_not_to_wait_for_its_clients(start: Start, tmp_path: Path) -> None:
    named = tmp_path / "postgres"
    named.symlink_to(Path(sys.executable).resolve())
    server = start(TELLS, executable=str(named))
    processes.end_all(tmp_path)
    assert server.stdout.read() == f"{int(signal.SIGINT)}\n"


def test_lab_that_comes_back_all_the_time_is_given_up(start: Start, tmp_path: Path) -> None:
    code = (
        "import os, subprocess, sys, time\n"
        "print('up', flush=True)\n"
        "while True:\n"
        "    marked = {'CHURNGUARD_LAB': sys.argv[1]}\n"
        "    subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'], env=marked)\n"
    )
    respawner = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert respawner.stdout.readline() == "up\n"
        with pytest.raises(RuntimeError, match="keep coming back after 1 s"):
            give_up = time.monotonic() + 30
            while time.monotonic() < give_up:
                processes.end_all(tmp_path, grace_s=1, deadline_s=1)
    finally:
        respawner.kill()
        respawner.wait()
        with contextlib.suppress(RuntimeError):
            processes.end_all(tmp_path)
    assert pids(tmp_path) == set()
