"""Real processes: started, recognised, adopted, ended."""

from __future__ import annotations

import dataclasses
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from churnguard_lab.node import process

from ..waiting import until

ENVIRONMENT = {"PATH": os.environ["PATH"], "CHURNGUARD_TEST": "value"}


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., process.Running]]:
    """Starts shell commands as container processes; ends them all."""
    started: list[process.Running] = []

    def run(script: str) -> process.Running:
        started.append(process.start(["sh", "-c", script], ENVIRONMENT, tmp_path / "work", tmp_path / "log" / "a.log"))
        return started[-1]

    yield run
    for item in started:
        process.signal_group(item.identity.pid, signal.SIGKILL)
        if item.child is not None:
            item.child.wait(30)
        item.close()


def wait(running: process.Running, seconds: float = 60) -> int | None:
    """The exit code, after the pidfd told of the end."""
    poller = select.poll()
    poller.register(running.watch, select.POLLIN)
    assert poller.poll(seconds * 1000)
    return running.exit_code()


@pytest.mark.parametrize(("script", "code"), [("exit 0", 0), ("exit 3", 3), ("kill -TERM $$", 143)])
def test_exit_codes(start: Callable[..., process.Running], script: str, code: int) -> None:
    assert wait(start(script)) == code


def test_output_is_appended_and_the_environment_is_only_what_was_given(
    start: Callable[..., process.Running], tmp_path: Path
) -> None:
    wait(start("echo one; env | sort | cut -d= -f1 >&2"))
    wait(start("echo two"))
    lines = (tmp_path / "log" / "a.log").read_text().split()
    assert lines[0] == "one"
    assert lines[-1] == "two"
    assert set(lines[1:-1]) <= {"PATH", "CHURNGUARD_TEST", "PWD", "SHLVL", "OLDPWD", "_"}
    assert "CHURNGUARD_TEST" in lines


@pytest.mark.parametrize("command", [["/nowhere/program"], ["no-such-program"], ["/etc/passwd"]])
def test_what_cannot_start_says_why(command: list[str], tmp_path: Path) -> None:
    with pytest.raises(process.StartError, match=command[0]):
        process.start(command, ENVIRONMENT, tmp_path, tmp_path / "log")


def test_a_running_process_is_adopted_by_its_identity(start: Callable[..., process.Running]) -> None:
    running = start("sleep 60")
    adopted = process.adopt(running.identity)
    assert adopted is not None
    assert adopted.exit_code() is None
    process.signal_group(running.identity.pid, signal.SIGKILL)
    assert wait(adopted) == process.UNKNOWN_EXIT_CODE
    adopted.close()


def test_another_process_under_the_same_id_is_not_adopted(start: Callable[..., process.Running]) -> None:
    identity = start("sleep 60").identity
    assert process.adopt(dataclasses.replace(identity, started=identity.started + 1)) is None
    assert process.adopt(dataclasses.replace(identity, boot="another boot")) is None


def test_an_ended_process_is_not_alive_even_before_it_is_reaped(start: Callable[..., process.Running]) -> None:
    running = start("exit 0")
    poller = select.poll()
    poller.register(running.watch, select.POLLIN)
    assert poller.poll(60_000)
    assert not process.is_alive(running.identity)
    assert process.adopt(running.identity) is None


def test_a_signal_reaches_the_whole_group(start: Callable[..., process.Running], tmp_path: Path) -> None:
    running = start("sleep 61 & echo $! > child; wait")
    noted = tmp_path / "work" / "child"
    child = int(until("the child's number", lambda: noted.exists() and noted.read_text().strip()))
    process.signal_group(running.identity.pid, signal.SIGTERM)
    assert wait(running) == 143
    until("the child has ended", lambda: process.start_ticks(child) is None)


def test_marked_processes_are_found(start: Callable[..., process.Running]) -> None:
    pid = start("sleep 60").identity.pid
    until("it is found", lambda: pid in process.marked("CHURNGUARD_TEST", "value"))
    assert pid not in process.marked("CHURNGUARD_TEST", "val")
    assert process.variable(pid, "CHURNGUARD_TEST") == "value"
    assert process.variable(pid, "CHURNGUARD") is None
    assert process.variable(2**22 + 1, "CHURNGUARD_TEST") is None


def test_end_kills_what_does_not_listen() -> None:
    deaf = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import signal,time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(60)",
        ],
        stdout=subprocess.PIPE,
    )
    good = subprocess.Popen(["sleep", "60"])
    assert deaf.stdout is not None
    deaf.stdout.readline()
    assert process.end([deaf.pid, good.pid], 2) == [deaf.pid]
    assert (deaf.wait(30), good.wait(30)) == (-signal.SIGKILL, -signal.SIGTERM)
    deaf.stdout.close()
