"""Container logs."""

from __future__ import annotations

import os
from pathlib import Path

from churnguard_lab.node import logs


def test_the_tail_begins_where_the_run_began(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text("earlier run\n")
    offset = logs.rotate(path)
    with open(path, "a") as file:
        file.write("last words\n")
    assert logs.tail(path, offset) == "last words"
    assert logs.tail(path, 0) == "earlier run\nlast words"


def test_the_tail_is_bounded_like_the_kubelets(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text("".join(f"{number}\n" for number in range(1000)))
    assert logs.tail(path, 0).splitlines() == [str(number) for number in range(920, 1000)]
    path.write_text("x" * 5000)
    assert len(logs.tail(path, 0)) == logs.TAIL_BYTES


def test_no_log_is_no_message(tmp_path: Path) -> None:
    assert logs.tail(tmp_path / "none", 0) == ""
    assert logs.rotate(tmp_path / "none") == 0


def test_a_large_log_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text("x" * 11)
    assert logs.rotate(path, limit=10) == 0
    assert (tmp_path / "a.log.1").read_text() == "x" * 11
    assert not path.exists()


def test_an_offset_beyond_the_end_reads_from_the_start(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text("short\n")
    assert logs.tail(path, 500) == "short"


def test_the_oldest_logs_of_ended_pods_go_first(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.log" for number in range(5)]
    for number, path in enumerate(paths):
        path.touch()
        os.utime(path, (number, number))
    logs.prune(tmp_path, live=[paths[0]], keep=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.log", "3.log", "4.log"]
    logs.prune(tmp_path, (), keep=0, pattern="*.jsonl*")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.log", "3.log", "4.log"]
    logs.prune(tmp_path, (), keep=1, pattern="3*")
    logs.prune(tmp_path, (), keep=0, pattern="4*")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.log", "3.log"]
