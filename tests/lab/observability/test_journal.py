"""What is broken in the lab is written down before it is broken."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

import pytest
from churnguard_lab.observability.journal import Journal

KILLED = """
import os, pathlib, signal, sys
from churnguard_lab.observability.journal import Journal
Journal(pathlib.Path(sys.argv[1])).announce("redis_down", {"part": "redis"})
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_an_entry_stays_until_it_is_undone(tmp_path):
    book = Journal(tmp_path / "run" / "fault.json")
    assert book.pending() == {}
    book.announce("a", {"x": 1})
    book.announce("b", {})
    assert Journal(tmp_path / "run" / "fault.json").pending() == {"a": {"x": 1}, "b": {}}
    book.undone("a")
    book.undone("a")
    assert book.pending() == {"b": {}}
    book.undone("b")
    assert list((tmp_path / "run").iterdir()) == []


def test_who_is_killed_leaves_the_entry_to_the_next(tmp_path):
    path = tmp_path / "fault.json"
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    assert Journal(path).pending() == {"redis_down": {"part": "redis"}}


def test_threads_do_not_lose_each_others_entries(tmp_path):
    path = tmp_path / "fault.json"
    threads = [threading.Thread(target=Journal(path).announce, args=(str(number), {})) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(Journal(path).pending()) == 20


def test_a_file_that_is_damaged_stops_everything(tmp_path):
    (tmp_path / "fault.json").write_text("{", encoding="utf-8")
    with pytest.raises(RuntimeError, match=r"cannot read .*fault.json, which says what is broken .* delete the file"):
        Journal(tmp_path / "fault.json").announce("a", {})
