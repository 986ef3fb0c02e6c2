"""Starting, waiting and ending, with a real supervisor that runs a real Redis on spare ports."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from churnguard_lab import parts, processes, settings, supervise
from lab_document import DOCUMENT, LISTENERS

from ..ports import free_ports
from ..waiting import until

REDIS = "/usr/bin/redis-server"
SUPERVISOR = """
[supervisord]
logfile={lab}/log/supervisord.log
pidfile={lab}/run/supervisord.pid
directory={lab}/run
environment=PYTHONPATH="{path}"
{user}
[inet_http_server]
port=127.0.0.1:{port}
username=lab
password=word
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
{programs}
"""
PROGRAM = """
[program:{name}]
command={command}
autostart=false
autorestart=true
startsecs=1
startretries=1
redirect_stderr=true
stdout_logfile={lab}/log/{name}.log
"""


@dataclasses.dataclass
class Lab:
    """A lab of which only some parts are configured."""

    settings: settings.Settings

    @property
    def config(self) -> Path:
        return self.settings.state_dir / "lab.json"

    def configure(self, **programs: str) -> None:
        """Write the supervisor's configuration: part -> command."""
        lab, port = self.settings.state_dir, self.settings.ports.supervisor
        sections = [PROGRAM.format(name=name, command=command, lab=lab) for name, command in programs.items()]
        user = "user=root" if os.geteuid() == 0 else ""
        text = SUPERVISOR.format(lab=lab, port=port, user=user, path=":".join(sys.path), programs="".join(sections))
        (lab / "etc" / "supervisord.conf").write_text(text)

    def redis(self, *options: str) -> str:
        """The command of a Redis that the lab's probe accepts."""
        given = ["--bind 127.0.0.1", f"--port {self.settings.ports.redis}", "--requirepass word", *options]
        return " ".join([REDIS, *given, f"--dir {self.settings.state_dir}/data/redis"])

    def up(self, *names: str) -> dict:
        return supervise.up(self.settings, names, names)

    def pid(self, name: str) -> int:
        return supervise.Supervisor(self.settings).states()[name]["pid"]


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    ports = dict(zip(LISTENERS, free_ports(len(LISTENERS)), strict=True))
    document = DOCUMENT | {"state_dir": str(tmp_path), "python": sys.executable, "ports": ports}
    (tmp_path / "lab.json").write_text(json.dumps(document))
    for folder in ("etc", "secrets"):
        (tmp_path / folder).mkdir()
    for secret in ("supervisor", "redis"):
        (tmp_path / "secrets" / secret).write_text("word")
    made = Lab(settings.load(tmp_path / "lab.json"))
    yield made
    processes.end_all(tmp_path)


def test_up_down_and_both_again(lab: Lab) -> None:
    lab.configure(redis=lab.redis())
    first = lab.up("redis")
    assert (first["changed"], first["started"]) == (True, ["redis"])
    pid = lab.pid("redis")
    assert lab.up("redis") == {"changed": False, "started": [], "reloaded": [], "ended_leftovers": []}
    assert lab.pid("redis") == pid
    assert "ready" in supervise.status(lab.settings)["redis"]
    assert supervise.down(lab.settings.state_dir)["changed"] is True
    assert processes.of_lab(lab.settings.state_dir) == []
    assert not processes.taken(lab.settings.ports.redis)
    assert supervise.down(lab.settings.state_dir) == {"changed": False, "supervisor": [], "ended_leftovers": []}


def test_part_that_was_killed_comes_back(lab: Lab) -> None:
    lab.configure(redis=lab.redis())
    lab.up("redis")
    pid = lab.pid("redis")
    os.kill(pid, signal.SIGKILL)

    def is_back() -> bool:
        return supervise.status(lab.settings)["redis"].split()[0] == "ready" and lab.pid("redis") != pid

    until("Redis is back", is_back)


def test_orphans_of_a_killed_supervisor_are_ended_by_down(lab: Lab) -> None:
    lab.configure(redis=lab.redis())
    lab.up("redis")
    pid = lab.pid("redis")
    kill_supervisor(lab)
    assert psutil.pid_exists(pid)
    answer = supervise.down(lab.settings.state_dir)
    assert answer["changed"] is True
    assert any(str(pid) in words for words in answer["ended_leftovers"])
    assert not psutil.pid_exists(pid)


def test_orphans_of_a_killed_supervisor_do_not_stop_the_next_up(lab: Lab) -> None:
    lab.configure(redis=lab.redis())
    lab.up("redis")
    pid = lab.pid("redis")
    kill_supervisor(lab)
    answer = lab.up("redis")
    assert any(str(pid) in words for words in answer["ended_leftovers"])
    assert lab.pid("redis") != pid


def kill_supervisor(lab: Lab) -> None:
    pid = supervise.Supervisor(lab.settings).pid()
    os.kill(pid, signal.SIGKILL)
    until("the supervisor is gone", lambda: not supervise.Supervisor(lab.settings).pid())


def test_supervisor_with_another_password_is_replaced(lab: Lab) -> None:
    lab.configure(redis=lab.redis())
    lab.up("redis")
    pid = lab.pid("redis")
    (lab.settings.state_dir / "secrets" / "supervisor").write_text("other")
    path = lab.settings.state_dir / "etc" / "supervisord.conf"
    path.write_text(path.read_text().replace("password=word", "password=other"))
    assert any(str(pid) in words for words in lab.up("redis")["ended_leftovers"])
    assert lab.pid("redis") != pid


def test_supervisor_that_is_silent_is_not_taken_for_dead(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.configure(redis=lab.redis())
    lab.up("redis")
    process = psutil.Process(supervise.Supervisor(lab.settings).pid())
    process.suspend()
    try:
        with (
            monkeypatch.context() as patched,
            pytest.raises(supervise.LabError, match="does not answer in .* try again, or make lab-down"),
        ):
            patched.setattr(supervise, "RPC_TIMEOUT_S", 0.5)
            lab.up("redis")
    finally:
        process.resume()
    assert "ready" in supervise.status(lab.settings)["redis"]


def test_lab_whose_files_are_gone_can_be_ended(lab: Lab) -> None:
    lab.configure(redis=lab.redis())
    lab.up("redis")
    (lab.settings.state_dir / "lab.json").unlink()
    (lab.settings.state_dir / "secrets" / "supervisor").unlink()
    assert supervise.down(lab.settings.state_dir)["changed"] is True
    assert processes.of_lab(lab.settings.state_dir) == []


def test_taken_port_is_named_before_anything_starts(lab: Lab) -> None:
    lab.configure(redis=lab.redis())
    port = lab.settings.ports.redis
    with (
        socket.create_server(("127.0.0.1", port)),
        pytest.raises(supervise.LabError, match=rf"port {port} \(redis, needed by redis\) .*{os.getpid()}"),
    ):
        lab.up("redis")
    assert processes.of_lab(lab.settings.state_dir) == []


def test_running_lab_does_not_conflict_with_itself(lab: Lab) -> None:
    lab.configure(redis=lab.redis())
    lab.up("redis")
    supervise.check(lab.settings, ["redis"])


def test_part_that_does_not_start_is_named_with_its_log(lab: Lab) -> None:
    lab.configure(redis=lab.redis("--maxmemory nonsense"))
    with pytest.raises(supervise.LabError) as raised:
        lab.up("redis")
    words = str(raised.value)
    assert words.startswith("redis ended (FATAL: ")
    assert str(lab.settings.log_dir / "redis.log") in words
    assert "argument must be a memory value" in words


def test_part_whose_program_is_missing_is_named(lab: Lab) -> None:
    lab.configure(redis="/nowhere/redis-server")
    with pytest.raises(
        supervise.LabError, match="redis cannot be started: .*can't find command '/nowhere/redis-server'"
    ):
        lab.up("redis")


def test_part_that_never_answers_is_named_in_time(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    silent = dataclasses.replace(parts.PARTS["redis"], ready_within_s=2)
    monkeypatch.setitem(parts.PARTS, "redis", silent)
    lab.configure(redis="/bin/sleep 60")
    began = time.monotonic()
    with pytest.raises(supervise.LabError, match="redis is not ready after 2 s: Redis: "):
        lab.up("redis")
    assert time.monotonic() - began < 50, "the part would not have ended for 60 s"


def test_changed_configuration_restarts_that_part_alone(lab: Lab) -> None:
    web = f"{sys.executable} -m moto.server -H 127.0.0.1 -p {lab.settings.ports.moto}"
    lab.configure(redis=lab.redis(), moto=web)
    lab.up("redis", "moto")
    before = {name: lab.pid(name) for name in ("redis", "moto")}
    lab.configure(redis=lab.redis("--maxmemory 10mb"), moto=web)
    answer = lab.up("redis", "moto")
    assert (answer["reloaded"], answer["started"]) == (["redis"], ["redis"])
    assert lab.pid("redis") != before["redis"]
    assert lab.pid("moto") == before["moto"]
    lab.configure(redis=lab.redis("--maxmemory 10mb"))
    assert lab.up("redis")["reloaded"] == ["moto"]
    assert not processes.taken(lab.settings.ports.moto)


def test_part_without_a_program_is_named(lab: Lab) -> None:
    lab.configure(redis=lab.redis())
    with pytest.raises(supervise.LabError, match="no program moto: is it in lab_parts"):
        lab.up("redis", "moto")


def test_broken_configuration_is_shown(lab: Lab) -> None:
    (lab.settings.state_dir / "etc" / "supervisord.conf").write_text("[supervisord]\nloglevel=loud\n")
    with pytest.raises(supervise.LabError, match="the supervisor did not start: .*bad logging level name 'loud'"):
        lab.up("redis")


def test_configuration_broken_later_is_shown_and_stops_nothing(lab: Lab) -> None:
    lab.configure(redis=lab.redis())
    lab.up("redis")
    pid = lab.pid("redis")
    path = lab.settings.state_dir / "etc" / "supervisord.conf"
    path.write_text(path.read_text().replace("startsecs=1", "startsecs=loud"))
    with pytest.raises(supervise.LabError, match="the supervisor refuses its configuration .*loud"):
        lab.up("redis")
    assert lab.pid("redis") == pid


def test_status_of_a_lab_that_is_down(lab: Lab) -> None:
    with pytest.raises(supervise.LabError, match="the lab is down: bring it up with make lab-up"):
        supervise.status(lab.settings)


def test_command_line(lab: Lab) -> None:
    lab.configure(redis=lab.redis())

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "churnguard_lab.supervise", "--config", str(lab.config), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)

    assert json.loads(run("check", "--parts", "redis").stdout) == {"changed": False}
    assert json.loads(run("up", "--start", "redis").stdout)["started"] == ["redis"]
    assert run("status").stdout.startswith("redis ")
    assert json.loads(run("down").stdout)["changed"] is True
    failed = run("status")
    assert (failed.returncode, failed.stderr) == (1, "the lab is down: bring it up with make lab-up\n")


@pytest.mark.parametrize(
    ("wanted", "ready", "begun", "expected"),
    [
        ({"etcd", "kube-apiserver", "node"}, set(), set(), ["etcd"]),
        ({"etcd", "kube-apiserver", "node"}, set(), {"etcd"}, []),
        ({"etcd", "kube-apiserver", "node"}, {"etcd"}, {"etcd"}, ["kube-apiserver"]),
        ({"etcd", "node", "redis"}, set(), set(), ["etcd", "node", "redis"]),
        ({"kube-apiserver", "gateway", "node"}, {"kube-apiserver"}, {"kube-apiserver"}, ["node", "gateway"]),
        (set(), {"etcd"}, set(), []),
    ],
)
def test_startable(wanted: set[str], ready: set[str], begun: set[str], expected: list[str]) -> None:
    assert parts.startable(wanted, ready, begun) == expected


def test_every_port_belongs_to_one_part() -> None:
    owners = [listener for part in parts.PARTS.values() for listener in part.listens]
    assert sorted([*owners, "supervisor"]) == sorted(LISTENERS)


def test_every_prerequisite_is_a_part() -> None:
    assert {before for part in parts.PARTS.values() for before in part.after} <= set(parts.PARTS)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], []),
        (["a", "b"], ["a", "b"]),
        (["old", "a", "b", "c"], ["a", "b", "c"]),
        (
            ["Error: wrong flag", "usage 1", "usage 2", "usage 3"],
            ["Error: wrong flag", "...", "usage 1", "usage 2", "usage 3"],
        ),
        (["error one", "error two", "x", "y", "z"], ["error two", "...", "x", "y", "z"]),
        (["error one", "x", "FATAL two", "z"], ["x", "FATAL two", "z"]),
        (["terrors ", "x", "y", "z"], ["x", "y", "z"]),
        (["Error: one", "x", "y", "one of: [info, error]"], ["Error: one", "...", "x", "y", "one of: [info, error]"]),
    ],
)
def test_telling_lines(lines: list[str], expected: list[str]) -> None:
    assert supervise.telling(lines, count=3) == expected


def test_tail_of_no_log(tmp_path: Path) -> None:
    assert supervise.tail(tmp_path / "none.log") == f"  (no log {tmp_path}/none.log: No such file or directory)"
    (tmp_path / "empty.log").touch()
    assert supervise.tail(tmp_path / "empty.log") == f"  ({tmp_path}/empty.log is empty)"
