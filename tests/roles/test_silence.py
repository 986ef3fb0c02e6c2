"""Silences around work, releases and drills, with a real Alertmanager: there meanwhile, gone whatever happens."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.alerting.alertmanager import Alertmanager
from tests.lab.ports import free_ports
from tests.roles.playing import ANSIBLE, ROOT, ansible_environment

sys.path[:0] = [str(ROOT / "collections")]

from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import parse_time  # noqa: E402

WORK = Path(__file__).with_name("silence.yml")
SECONDS = 600
# Far more than a run takes on a machine that is busy with others.
PATIENCE_S = 300.0


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alertmanager")
    config = folder / "alertmanager.yml"
    config.write_text("---\nroute:\n  receiver: nobody\nreceivers:\n  - name: nobody\n")
    with Alertmanager(folder, free_ports(1)[0], config) as running:
        yield running


@pytest.fixture
def work(run_playbook, server, tmp_path, request):
    """Runs the playbook of work under a name of the test's own."""
    given = {
        "work_alertmanager_url": server.url,
        "work_name": request.node.name,
        "work_said": str(tmp_path / "said.json"),
        "work_seconds": SECONDS,
    }

    def run(*options: str, **variables: Any):
        return run_playbook(WORK, "production", *options, **{**given, **variables})

    run.variables = given
    run.said = lambda: json.loads((tmp_path / "said.json").read_text())
    return run


def named(server, name: str, *states: str) -> list[dict[str, Any]]:
    return [one for one in server.silences(*states) if one["comment"].startswith(f"[churnguard:{name}]")]


def until(what: str, look) -> Any:
    """What C(look) finds, as soon as it is something."""
    give_up = time.monotonic() + PATIENCE_S
    while not (found := look()):
        assert time.monotonic() < give_up, f"not within {PATIENCE_S:.0f} s: {what}"
        time.sleep(0.2)
    return found


def killed_during(command: list[Any], environment: dict[str, str], what: str, look, log: Path) -> Any:
    """Starts a run, and kills it with SIGKILL when C(look) finds something: what it found."""
    with log.open("wb") as output:
        run = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
    try:
        found = until(f"{what}, see {log}", lambda: look() or run.poll() is not None)
        assert run.poll() is None, log.read_text()
        return found
    finally:
        run.send_signal(signal.SIGKILL)
        run.wait()


def test_it_is_there_meanwhile_and_gone_when_the_work_fails(work, server):
    checked = work("--check").passed()
    assert "0 of that name meanwhile" in checked.text
    assert work.said()["action"] == "created"
    assert named(server, work.variables["work_name"]) == []

    failed = work(work_fails=True)
    assert failed.code != 0 and "the work has failed" in failed.text
    assert "1 of that name meanwhile" in failed.text
    assert failed.changed == 1, "only the file that the test writes"
    (over,) = named(server, work.variables["work_name"])
    assert over["status"]["state"] == "expired"
    assert {one["name"]: (one["value"], one["isRegex"]) for one in over["matchers"]} == {
        "namespace": ("here", False),
        "alertname": ("DeploymentStuck|Pod.*", True),
    }
    said = work.said()
    assert (said["action"], said["warning"]) == ("created", "")
    (evidence,) = said["evidence"]
    assert evidence["kind"] == "silence" and evidence["alerts"] == ["DeploymentStuck", "Pod.*"]
    assert (parse_time(evidence["ends_at"]) - datetime.now(UTC)).total_seconds() < SECONDS


def test_an_alertmanager_that_is_away_stops_nothing_and_is_told(work):
    nowhere = f"http://127.0.0.1:{free_ports(1)[0]}"
    done = work(work_alertmanager_url=nowhere).passed()
    assert f"Nothing was silenced: Could not list the silences of {nowhere}" in done.text
    assert work.said()["warning"].startswith("Nothing was silenced: ")
    assert (work.said()["action"], work.said()["evidence"][0]["action"]) == ("none", "none")


def test_what_a_killed_run_has_left_ends_by_itself_and_the_next_run_extends_and_removes_it(work, server, tmp_path):
    name = work.variables["work_name"]
    variables = {**work.variables, "work_until": str(tmp_path / "end")}
    command = [ANSIBLE / "ansible-playbook", "-i", ROOT / "inventories" / "production", WORK, "-e"]
    said = tmp_path / "said.json"
    try:
        killed_during(
            [*command, json.dumps(variables)], ansible_environment(), "the work has begun", said.exists,
            tmp_path / "killed.log",
        )  # fmt: skip
        (left,) = named(server, name, "active")
        assert 0 < (parse_time(left["endsAt"]) - datetime.now(UTC)).total_seconds() <= SECONDS
    finally:
        # What the dead run had started waits for it.
        (tmp_path / "end").touch()

    # A run that was refused because another one is at work leaves that one its silence.
    work(work_began=False).passed()
    assert [one["id"] for one in named(server, name, "active")] == [left["id"]]

    work(work_seconds=3 * SECONDS).passed()
    assert work.said()["action"] == "extended"
    assert named(server, name, "active", "pending") == []
    (over,) = named(server, name)
    assert over["id"] == left["id"], "extended, not doubled"


@pytest.mark.parametrize("playbook", ["rollback", "group_rollback"])
def test_a_rollback_that_fails_leaves_no_silence_and_one_without_alertmanager_goes_on(
    run_playbook, server, tmp_path, playbook
):
    release, name = {
        "rollback": ("app_release", "release shop-production/churnguard-api"),
        "group_rollback": ("group_release", "group release shop-production/shop"),
    }[playbook]
    variables = {
        f"{release}_namespace": "shop-production",
        f"{release}_kube_context": "nobody",
        f"{release}_kubeconfig": str(tmp_path / "no-kubeconfig"),
        f"{release}_endpoint_url": "http://127.0.0.1:9",
        "group_release_name": "shop",
        "report_root": str(tmp_path / "reports"),
    }
    run = run_playbook(playbook, "production", **variables, **{f"{release}_alertmanager_url": server.url})
    assert run.code != 0 and "Could not find the cluster" in run.text, run.output
    assert "Nothing was silenced" not in run.text
    (over,) = named(server, name)
    assert over["status"]["state"] == "expired"
    matchers = {one["name"]: one["value"] for one in over["matchers"]}
    assert matchers["alertname"] == "DeploymentStuck" and matchers["namespace"] == "shop-production"

    nowhere = f"http://127.0.0.1:{free_ports(1)[0]}"
    alone = run_playbook(playbook, "production", **variables, **{f"{release}_alertmanager_url": nowhere})
    assert alone.code != 0 and "Could not find the cluster" in alone.text
    assert f"Nothing was silenced: Could not list the silences of {nowhere}" in alone.text


def test_the_cleanup_after_a_killed_drill_removes_its_silence(run_playbook, server, tmp_path):
    state = tmp_path / "state"
    stage, scratch = free_ports(2)
    variables = {
        "dr_drill_scenario": "database_loss",
        "dr_drill_prometheus_url": "",
        "dr_drill_metrics_export": {},
        "dr_drill_alertmanager_url": server.url,
        "dr_drill_silence_alerts": {"database_loss": ["PostgresDown"]},
        "dr_drill_scratch_dirs": [str(tmp_path / "scratch")],
        "dr_drill_stage_port": stage,
        "dr_drill_scratch_port": scratch,
        "report_root": str(tmp_path / "reports"),
    }
    place = {"CHURNGUARD_LAB_DIR": str(state)}
    other = server.silence("[churnguard:drill lab cache_failover]", {"alertname": "RedisDown"})
    foreign = server.silence("[churnguard:drill staging database_loss]", {"alertname": "PostgresDown"})
    command = [ANSIBLE / "ansible-playbook", "-i", ROOT / "inventories" / "lab", ROOT / "playbooks" / "dr_drill.yml"]
    journals = state / "drills"
    try:
        killed_during(
            [*command, "-e", json.dumps(variables)], ansible_environment(**place), "the drill has begun",
            lambda: list(journals.glob("database_loss-*/journal.jsonl")), tmp_path / "killed.log",
        )  # fmt: skip
        assert len(named(server, "drill lab database_loss", "active")) == 1
        (folder,) = journals.glob("database_loss-*")
        end_module(folder)
        cleaned = run_playbook("dr_cleanup", "lab", env=place, dr_drill_id=folder.name, **variables).passed()
        assert named(server, "drill lab database_loss", "active", "pending") == [], cleaned.output
        assert {other, foreign} <= {one["id"] for one in server.silences("active")}
        # Without an id it is about all drills of this environment that are not running.
        run_playbook("dr_cleanup", "lab", env=place, **variables).passed()
        live = {one["id"] for one in server.silences("active")}
        assert other not in live and foreign in live
    finally:
        python = [sys.executable, "-m", "churnguard_lab.drill_stage", "down"]
        paths = {**os.environ, "PYTHONPATH": str(ROOT / "lab")}
        ended = [*python, "--folder", state / "drill-source", "--port", str(stage)]
        subprocess.run(ended, check=True, env=paths, timeout=120)


def end_module(folder: Path) -> None:
    """Kill what the dead run had started: the module, by its open journal."""
    journal = (folder / "journal.jsonl").resolve()
    for pid in holders(journal):
        os.kill(pid, signal.SIGKILL)
    until("nobody has the drill's journal open", lambda: not holders(journal))


def holders(file: Path) -> list[int]:
    """The processes that have the file open."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(link.readlink() == file for link in (process / "fd").iterdir()):
                found.append(int(process.name))
        except OSError:
            continue
    return found
