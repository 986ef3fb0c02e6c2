# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the action plugin shows in a real play against a fake cluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
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
# Another machine, as far as the action plugin can tell.
NEARBY = '''
from ansible.plugins.connection.local import Connection as Local

DOCUMENTATION = """
name: nearby
short_description: this machine under another name
description: [For tests.]
author: churnguard.ops contributors
"""


class Connection(Local):
    transport = "nearby"
'''


@pytest.fixture(scope="module")
def play(tmp_path_factory) -> dict[str, str]:
    """What one real play of five tasks printed, by task; under "own lines" what went into the task's own
    progress file, and under "left" the progress files that were left behind."""
    folder = tmp_path_factory.mktemp("play")
    (folder / "temporary").mkdir()
    (folder / "connection_plugins").mkdir()
    (folder / "connection_plugins" / "nearby.py").write_text(NEARBY)
    cluster = FakeCluster(Clock(), see=0.0, start=0.2, end=0.1, sync=0.1)
    for obj in (service(BLUE), service(GREEN), route()):
        cluster.put(obj)
    with ApiServer(cluster) as server:
        given = {"name": APP, "namespace": NAMESPACE, "host": server.url, "version": "v1", "deployment": manifest()}
        quick = {"version": "v2", "grace_period": 1, "drain": {"quiet_period": 1}}
        tasks = [
            {"name": "checked", "check_mode": True, "churnguard.ops.rollout": given},
            {"name": "refused", "ignore_errors": True, "churnguard.ops.rollout": {**given, "slots": ["blue"]}},
            {"name": "shown", "churnguard.ops.rollout": given},
            {"name": "own file", "churnguard.ops.rollout": {**given, "progress_file": str(folder / "own")}},
            {"name": "elsewhere", "connection": "nearby", "churnguard.ops.rollout": {**given, **quick}},
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
    return {**printed, "left": " ".join(path.name for path in (folder / "temporary").glob("churnguard-progress-*"))}


def test_a_task_shows_progress_while_its_module_runs(play):
    before_result, _result = play["shown"].split("changed: [localhost]")
    assert f"  {APP} v1  planned          v1 into slot blue" in before_result
    assert "0/2 ready" in before_result
    assert "completed        v1 is live in slot blue." in before_result


def test_a_task_closes_with_a_table_of_its_steps(play):
    table = play["shown"].split(f"{APP} v1: passed after ")[1].splitlines()
    assert table[1].split() == ["step", "seconds", "samples", "verdict"]
    assert [row.split()[0] for row in table[2:] if row.startswith("  ")] == [
        "start",
        "ready",
        "smoke",
        "route",
        "confirm",
    ]
    assert all(row.endswith(" done") for row in table[2:7])


def test_where_the_module_runs_elsewhere_its_events_are_shown_when_it_has_ended(play):
    shown = play["elsewhere"].split("changed: [localhost]")[0]
    assert "runs on localhost over nearby" in shown
    assert "completed        v2 is live in slot green" in " ".join(shown.split("\n"))
    assert f"{APP} v2: passed after " in shown
    assert "2/2 ready)" not in shown


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
