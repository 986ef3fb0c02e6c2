# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the action plugin shows, and the plugin in a real play that watches a module of the same name at work."""

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

COLLECTIONS = Path(__file__).resolve().parents[8]
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


@pytest.fixture
def server():
    cluster = FakeCluster(Clock(), see=0.0, start=0.2, end=0.1, sync=0.1)
    for obj in (service(BLUE), service(GREEN), route()):
        cluster.put(obj)
    with ApiServer(cluster) as running:
        yield running


@pytest.fixture
def play(server, tmp_path):
    """Runs one task with ansible-playbook; returns its output and the progress files left behind."""

    def run(*flags: str, **options) -> tuple[str, list[Path]]:
        task = {"name": APP, "namespace": NAMESPACE, "host": server.url, "version": "v1", "deployment": manifest()}
        playbook = [
            {"hosts": "localhost", "gather_facts": False, "tasks": [{"churnguard.ops.rollout": task | options}]}
        ]
        (tmp_path / "play.yml").write_text(json.dumps(playbook))
        temporary = tmp_path / "temporary"
        temporary.mkdir(exist_ok=True)
        environment = {
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
            "ANSIBLE_LOCAL_TEMP": str(tmp_path / "local"),
            "ANSIBLE_REMOTE_TEMP": str(tmp_path / "remote"),
            "ANSIBLE_NOCOLOR": "1",
            "TMPDIR": str(temporary),
        }
        command = [
            Path(sys.executable).with_name("ansible-playbook"),
            "-i",
            "localhost,",
            "-c",
            "local",
            *flags,
            "play.yml",
        ]
        interpreter = ["-e", f"ansible_python_interpreter={sys.executable}"]
        done = subprocess.run(
            [*command, *interpreter], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
        )
        return done.stdout + done.stderr, list(temporary.glob("churnguard-rollout-*"))

    return run


def test_a_play_shows_progress_while_the_module_runs_and_leaves_nothing_behind(play):
    output, left = play()
    assert "changed=1" in output, output
    before_result = output.split("changed: [localhost]")[0]
    assert f"  {APP} v1  planned          v1 into slot blue" in before_result
    assert "0/2 ready" in before_result
    assert "completed        v1 is live in slot blue." in before_result
    assert left == []


def test_a_failing_play_leaves_nothing_behind_either(play):
    output, left = play(slots=["blue"])
    assert "two different slots" in output
    assert ("failed=1" in output, left) == (True, [])


def test_check_mode_shows_no_progress_because_there_is_none(play):
    output, left = play("--check")
    assert "changed=1" in output, output
    assert "planned          " not in output
    assert left == []


def test_a_progress_file_of_the_users_own_is_left_to_them(play, tmp_path):
    output, left = play(progress_file=str(tmp_path / "own"))
    assert "changed=1" in output, output
    assert "planned          " not in output
    assert "v1 is live in slot blue" in (tmp_path / "own").read_text()
    assert left == []
