# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the action plugin shows: its parts, and the whole in a real play against a fake cluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from ansible_collections.churnguard.ops.plugins.action.rollout import Narrator, Tail
from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import Clock
from ansible_collections.churnguard.ops.tests.unit.support.apiserver import ApiServer
from ansible_collections.churnguard.ops.tests.unit.support.cluster import FakeCluster
from ansible_collections.churnguard.ops.tests.unit.support.objects import (
    APP,
    BLUE,
    GREEN,
    NAMESPACE,
    manifest,
    route,
    service,
)

COLLECTIONS = Path(__file__).resolve().parents[7]
AT = "2026-11-21T19:33:07.123Z"


def line(event: str, detail: str) -> str:
    return json.dumps({"at": AT, "event": event, "detail": detail})


def say(narrator: Narrator, *said: tuple[float, str, str]) -> list[str]:
    """What is printed for lines (time, event, detail)."""
    return [text for now, event, detail in said for text in narrator.lines(line(event, detail), now)]


# -- the narrator ----------------------------------------------------------------------------------------------------


def test_every_event_is_shown_with_its_time_and_subject():
    shown = say(Narrator("api v2"), (0, "planned", "v2 into slot green"), (0, "planned", "v2 into slot green"))
    assert shown == ["19:33:07  api v2  planned          v2 into slot green"] * 2


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ([(100, "a"), (101, "a"), (104, "a")], ["a"]),
        ([(100, "a"), (101, "a"), (105, "a"), (106, "a"), (110, "a")], ["a", "a", "a"]),
        ([(100, "a"), (101, "b"), (102, "c")], ["a", "b", "c"]),
        ([(100, "a"), (100.2, "b"), (100.4, "c"), (101.1, "d")], ["a", "d"]),
    ],
    ids=["repeated", "every five seconds", "changing", "faster than one reads"],
)
def test_a_wait_is_shown_when_it_changes_and_else_every_few_seconds(said, shown):
    told = say(Narrator("x"), *((now, "progress", detail) for now, detail in said))
    assert [text.split()[-1] for text in told] == shown


def test_the_same_wait_after_an_event_is_shown_again():
    told = say(Narrator("x"), (100, "progress", "a"), (101, "ready", "b"), (102, "progress", "a"))
    assert [text.split()[-1] for text in told] == ["a", "b", "a"]


# -- following the file ----------------------------------------------------------------------------------------------


class Collecting(Narrator):
    """Keeps what it is given, and says when the expected number has come."""

    def __init__(self, expected: int) -> None:
        super().__init__("x")
        self.got: list[str] = []
        self.all = threading.Event()
        self._expected = expected

    def lines(self, raw: str, now: float):
        self.got.append(json.loads(raw)["detail"])
        if len(self.got) == self._expected:
            self.all.set()
        return iter(())


def test_lines_are_followed_while_they_are_written_and_whole(tmp_path):
    path = tmp_path / "progress"
    path.touch()
    narrator = Collecting(2)
    tail = Tail(str(path), narrator)
    tail.start()
    with path.open("a") as stream:
        stream.write(line("a", "first") + "\n" + line("b", "second")[:20])
        stream.flush()
        stream.write(line("b", "second")[20:] + "\n")
        stream.flush()
        assert narrator.all.wait(10)
        stream.write(line("c", "last") + "\n")
    tail.end()
    assert narrator.got == ["first", "second", "last"]
    assert not tail.is_alive()


# -- in a play -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def play(tmp_path_factory) -> dict[str, str]:
    """What one real play of four tasks printed, by task; under "own lines" what went into the task's own
    progress file, and under "left" the progress files that were left behind."""
    folder = tmp_path_factory.mktemp("play")
    (folder / "temporary").mkdir()
    cluster = FakeCluster(Clock(), see=0.0, start=0.2, end=0.1, sync=0.1)
    for obj in (service(BLUE), service(GREEN), route()):
        cluster.put(obj)
    with ApiServer(cluster) as server:
        given = {"name": APP, "namespace": NAMESPACE, "host": server.url, "version": "v1", "deployment": manifest()}
        tasks = [
            {"name": "checked", "check_mode": True, "churnguard.ops.rollout": given},
            {"name": "refused", "ignore_errors": True, "churnguard.ops.rollout": {**given, "slots": ["blue"]}},
            {"name": "shown", "churnguard.ops.rollout": given},
            {"name": "own file", "churnguard.ops.rollout": {**given, "progress_file": str(folder / "own")}},
        ]
        (folder / "play.yml").write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
        environment = {
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
            "ANSIBLE_LOCAL_TEMP": str(folder / "local"),
            "ANSIBLE_REMOTE_TEMP": str(folder / "remote"),
            "ANSIBLE_NOCOLOR": "1",
            "TMPDIR": str(folder / "temporary"),
        }
        command = [Path(sys.executable).with_name("ansible-playbook"), "-i", "localhost,", "-c", "local", "play.yml"]
        command += ["-e", f"ansible_python_interpreter={sys.executable}"]
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
        )
    printed = dict(part.split("]", 1) for part in done.stdout.split("TASK [")[1:])
    assert list(printed) == [task["name"] for task in tasks], done.stdout + done.stderr
    printed["own lines"] = (folder / "own").read_text()
    return {**printed, "left": " ".join(path.name for path in (folder / "temporary").glob("churnguard-rollout-*"))}


def test_a_task_shows_progress_while_its_module_runs(play):
    before_result, _result = play["shown"].split("changed: [localhost]")
    assert f"  {APP} v1  planned          v1 into slot blue" in before_result
    assert "0/2 ready" in before_result
    assert "completed        v1 is live in slot blue." in before_result


def test_a_refused_task_says_why(play):
    assert "two different slots" in play["refused"]


def test_check_mode_shows_no_progress_because_there_is_none(play):
    assert "changed: [localhost]" in play["checked"]
    assert APP not in play["checked"]


def test_a_progress_file_of_the_users_own_is_left_to_them(play):
    assert play["own file"].split("ok: [localhost]")[0].strip(" *\n") == ""
    assert "v1 is already live in slot blue" in play["own lines"]


def test_no_progress_file_is_left_behind(play):
    assert play["left"] == ""
