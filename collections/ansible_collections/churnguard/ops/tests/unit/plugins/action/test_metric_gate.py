# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What metric_gate's action plugin shows in a real play, against a real HTTP server that answers as Prometheus does."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.churnguard.ops.tests.unit.support.prometheus import Application, FakePrometheus

COLLECTIONS = Path(__file__).resolve().parents[7]


class TwoVersions(Application):
    """Serves requests with each query; v2 fails a third of them."""

    def answer(self, query):
        self.served("blue", "v1", 100, 0)
        self.served("green", "v2", 100, 33)
        return super().answer(query)


@pytest.fixture(scope="module")
def shown(tmp_path_factory) -> str:
    """What a play printed that judges two versions of one service, of which one is bad."""
    folder = tmp_path_factory.mktemp("play")
    with FakePrometheus(TwoVersions().answer) as prometheus:
        subjects = [
            {"name": "shop", "namespace": "prod", "slot": slot, "version": version}
            for slot, version in (("blue", "v1"), ("green", "v2"))
        ]
        quick = {"interval": 1, "duration": 2, "min_good_samples": 1, "max_hold": 2}
        given = {"prometheus_url": prometheus.url, "subjects": subjects, **quick}
        task = {"name": "judge", "ignore_errors": True, "churnguard.ops.metric_gate": given}
        (folder / "play.yml").write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": [task]}]))
        environment = {
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
            "ANSIBLE_LOCAL_TEMP": str(folder / "local"),
            "ANSIBLE_REMOTE_TEMP": str(folder / "remote"),
            "ANSIBLE_NOCOLOR": "1",
        }
        command = [Path(sys.executable).with_name("ansible-playbook"), "-i", "localhost,", "-c", "local", "play.yml"]
        command += ["-e", f"ansible_python_interpreter={sys.executable}"]
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
    printed, ended, _result = done.stdout.partition("fatal: [localhost]")
    assert ended, done.stdout + done.stderr
    return printed


def test_the_first_line_says_what_is_looked_at_and_how_long(shown):
    assert re.search(r"  2 services  judging +2 services by error_ratio, latency_p99", shown)


def test_each_look_at_each_service_is_one_line_with_its_figures(shown):
    assert re.search(r"  2 services  v1 look 1 +good +error_ratio 0%<=1%, ", shown)
    assert re.search(r"  2 services  v2 look 1 +BAD +! error_ratio \d[\d.]*%>1%, .*, fails\n", shown)
    assert max(len(line) for line in shown.splitlines() if "  2 services  " in line) <= 120


def test_what_was_decided_of_each_service_is_said(shown):
    assert re.search(r"failed +prod/shop \(v2 green\): error_ratio \d[\d.]* %", shown)
    assert re.search(r"passed +prod/shop \(v1 blue\): error_ratio 0 %", shown)
