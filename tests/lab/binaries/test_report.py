"""Progress lines, and commands that are watched while they run."""

from __future__ import annotations

import io
import os
from pathlib import Path

import psutil
import pytest
from churnguard_lab.binaries.catalogue import BinariesError
from churnguard_lab.binaries.report import HEARTBEAT_S, Report, run

from ..waiting import until


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_pulse_writes_only_after_silence() -> None:
    clock, words = Clock(), io.StringIO()
    report = Report(words, clock)
    report.pulse("first")
    clock.now += HEARTBEAT_S - 0.1
    report.pulse("too early")
    clock.now += 0.1
    report.pulse("second")
    report.say("at once")
    assert words.getvalue() == "[   0 s] first\n[   5 s] second\n[   5 s] at once\n"


def sh(script: str, folder: Path, deadline_s: float = 20, lines: list[str] | None = None) -> str:
    seen = lines if lines is not None else []
    return run(
        ["sh", "-c", script],
        environment=os.environ,
        folder=folder,
        deadline_s=deadline_s,
        on_line=seen.append,
        on_tick=lambda: None,
    )


def test_lines_of_standard_error_are_passed_on_and_output_is_returned(tmp_path: Path) -> None:
    lines: list[str] = []
    output = sh("echo one >&2; echo out; echo two >&2", tmp_path, lines=lines)
    assert (lines, output) == (["one", "two"], "out\n")


def test_failure_shows_code_and_last_lines(tmp_path: Path) -> None:
    with pytest.raises(BinariesError, match=r"ended with 3\. Its last lines:\n  why"):
        sh("echo why >&2; exit 3", tmp_path)


def test_late_command_ends_with_all_it_started(tmp_path: Path) -> None:
    with pytest.raises(BinariesError, match="did not end within 1 s"):
        sh("sleep 300 & echo $! >pid; wait", tmp_path, deadline_s=1)
    pid = int((tmp_path / "pid").read_text())

    def has_ended() -> bool:
        try:
            return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    until("what it started has ended", has_ended)


def test_command_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BinariesError, match=r"cannot run /nowhere/go: No such file"):
        run(["/nowhere/go"], environment={}, folder=tmp_path, deadline_s=1, on_line=print, on_tick=lambda: None)
