"""Starts and ends the lab's parts through the supervisor, and waits until each answers.

    python -m churnguard_lab.supervise check --parts A B     are the ports free? (exit 1 names who holds them)
    python -m churnguard_lab.supervise up --start A B --ready A
    python -m churnguard_lab.supervise stop --parts A        end parts that keep their files, in order
    python -m churnguard_lab.supervise down                  end every process of this lab
    python -m churnguard_lab.supervise status

`check`, `up`, `stop` and `down` end with one line of JSON, {"changed": bool, ...}.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from churnguard_lab import parts as lab_parts
from churnguard_lab import processes
from churnguard_lab import settings as lab_settings

RPC_TIMEOUT_S = 15.0
SUPERVISOR_START_S = 20.0
STOP_TIMEOUT_S = 60.0
POLL_S = 0.1
LOG_LINES = 15
#: What the parts see of the caller's environment: the lab must not depend on who brought it up.
KEPT_ENVIRONMENT = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR")
#: Folders under the state directory that the parts write into and do not make themselves.
WORK_FOLDERS = ("run", "log", "data/redis")
GONE_STATES = ("FATAL", "EXITED", "UNKNOWN")
STOPPED_STATES = ("STOPPED", *GONE_STATES)
RUNNING_STATES = ("STARTING", "RUNNING", "BACKOFF")
_ERROR = re.compile(r"\b(error|fatal|panic|err)[\s:=]", re.IGNORECASE)


class LabError(Exception):
    """The lab cannot be brought to the wanted state; the message says which part, why, and what to do."""


class _Transport(xmlrpc.client.Transport):
    """XML-RPC that does not wait for ever."""

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        connection = super().make_connection(host)
        connection.timeout = RPC_TIMEOUT_S
        return connection


class Supervisor:
    """The supervisor of one lab, over its XML-RPC interface."""

    def __init__(self, settings: lab_settings.Settings) -> None:
        self._settings = settings
        url = f"http://lab:{settings.secret('supervisor')}@{lab_settings.LOOPBACK}:{settings.ports.supervisor}/RPC2"
        self._rpc = xmlrpc.client.ServerProxy(url, transport=_Transport(), allow_none=True).supervisor

    def pid(self) -> int | None:
        """Process id of the running supervisor; None when there is none, or one with another password.

        Raises LabError when it is there and does not answer: a busy lab is not taken for a dead one.
        """
        try:
            return int(self._rpc.getPID())
        except ConnectionError:
            return None
        except xmlrpc.client.ProtocolError as error:
            if error.errcode == http.client.UNAUTHORIZED:
                return None
            raise
        except TimeoutError as error:
            port = self._settings.ports.supervisor
            raise LabError(
                f"the supervisor on port {port} does not answer in {RPC_TIMEOUT_S:.0f} s: try again, or make lab-down"
            ) from error

    def states(self) -> dict[str, dict[str, Any]]:
        """Every program's supervisor record, by name."""
        return {record["name"]: record for record in self._rpc.getAllProcessInfo()}

    def launch(self) -> None:
        """Start the supervisor itself. Raises LabError when it does not answer in time."""
        for folder in WORK_FOLDERS:
            (self._settings.state_dir / folder).mkdir(parents=True, exist_ok=True)
        configuration = self._settings.state_dir / "etc" / "supervisord.conf"
        environment = {name: os.environ[name] for name in KEPT_ENVIRONMENT if name in os.environ}
        environment[lab_settings.MARKER_ENVIRONMENT] = str(self._settings.state_dir)
        command = [self._settings.python, "-m", "supervisor.supervisord", "-c", str(configuration)]
        try:
            result = subprocess.run(
                command,
                env=environment,
                cwd="/",
                capture_output=True,
                text=True,
                timeout=SUPERVISOR_START_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise LabError(f"the supervisor did not start within {SUPERVISOR_START_S:.0f} s") from error
        if result.returncode:
            raise LabError(f"the supervisor did not start: {(result.stderr or result.stdout).strip()}")
        give_up = time.monotonic() + SUPERVISOR_START_S
        while self.pid() is None:
            if time.monotonic() > give_up:
                raise LabError(
                    f"the supervisor did not answer within {SUPERVISOR_START_S:.0f} s:\n"
                    + tail(self._settings.log_dir / "supervisord.log")
                )
            time.sleep(POLL_S)

    def take_configuration(self) -> list[str]:
        """Make the supervisor use its configuration as it is on disk; returns the programs that were changed by it.

        Raises LabError when the configuration is wrong, or a changed program does not end.
        """
        try:
            added, changed, removed = self._rpc.reloadConfig()[0]
        except xmlrpc.client.Fault as fault:
            raise LabError(f"the supervisor refuses its configuration ({fault.faultString})") from fault
        self.stop([*changed, *removed])
        for name in [*changed, *removed]:
            self._rpc.removeProcessGroup(name)
        for name in [*added, *changed]:
            self._rpc.addProcessGroup(name)
        return [*added, *changed, *removed]

    def stop(self, names: Collection[str]) -> None:
        """End programs, all at once. Raises LabError when one does not end in time."""
        for name in names:
            self._rpc.stopProcessGroup(name, False)
        give_up = time.monotonic() + STOP_TIMEOUT_S
        while left := [name for name in names if self.states()[name]["statename"] not in STOPPED_STATES]:
            if time.monotonic() > give_up:
                raise LabError(f"these parts do not end within {STOP_TIMEOUT_S:.0f} s: {', '.join(left)}")
            time.sleep(POLL_S)

    def start(self, name: str) -> None:
        """Start one program, without waiting for it."""
        try:
            self._rpc.startProcess(name, False)
        except xmlrpc.client.Fault as fault:
            raise LabError(f"{name} cannot be started: {fault.faultString}") from fault


def telling(lines: Sequence[str], count: int = LOG_LINES) -> list[str]:
    """The end of a log, preceded by the last line that speaks of an error when the end itself has none.

    A program that is called wrongly says so first and then prints its whole usage.
    """
    end = list(lines[-count:])
    errors = [line for line in lines if _ERROR.search(line)]
    if errors and not any(_ERROR.search(line) for line in end):
        return [errors[-1], "...", *end]
    return end


def tail(path: Path) -> str:
    """The telling end of a log, indented; says so when there is none."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()[-1000:]
    except OSError as error:
        return f"  (no log {path}: {error.strerror})"
    return "\n".join(f"  {line}" for line in telling(lines)) if lines else f"  ({path} is empty)"


def check(settings: lab_settings.Settings, names: Collection[str]) -> None:
    """Raise LabError naming every needed port that something outside this lab holds."""
    ports = lab_parts.listener_ports(settings, names)
    blocked = processes.conflicts(ports, (process.pid for process in processes.of_lab(settings.state_dir)))
    if blocked:
        raise LabError(
            "\n".join(str(conflict) for conflict in blocked)
            + "\nEnd that process, or move the lab's ports with lab_port_base or lab_ports."
        )


def up(settings: lab_settings.Settings, names: Collection[str], wait_for: Collection[str]) -> dict[str, Any]:
    """Start what is not running of `names`, in order, and return when every part in `wait_for` is ready."""
    supervisor = Supervisor(settings)
    ended: list[str] = []
    launched = supervisor.pid() is None
    if launched:
        ended = processes.end_all(settings.state_dir)
        check(settings, names)
        supervisor.launch()
    reloaded = [] if launched else supervisor.take_configuration()
    running = {name for name, record in supervisor.states().items() if record["statename"] in RUNNING_STATES}
    missing = sorted(set(names) - set(supervisor.states()))
    if missing:
        raise LabError(f"the supervisor has no program {', '.join(missing)}: is it in lab_parts?")
    started = _bring_up(settings, supervisor, set(names), set(wait_for), running)
    changed = bool(launched or ended or reloaded or started)
    return {"changed": changed, "started": started, "reloaded": reloaded, "ended_leftovers": ended}


def _bring_up(
    settings: lab_settings.Settings,
    supervisor: Supervisor,
    names: set[str],
    wait_for: set[str],
    running: set[str],
) -> list[str]:
    """Start parts in waves and poll their probes; returns those it started."""
    started, ready = [], set[str]()
    pending: dict[str, float] = {}
    begun = set[str]()
    while not (wait_for <= ready and names <= begun):
        for name in lab_parts.startable(names, ready, begun):
            begun.add(name)
            pending[name] = time.monotonic() + lab_parts.PARTS[name].ready_within_s
            if name not in running:
                supervisor.start(name)
                started.append(name)
        states = supervisor.states()
        for name, give_up in list(pending.items()):
            if _is_ready(settings, name, states[name], late=time.monotonic() > give_up):
                ready.add(name)
                del pending[name]
        time.sleep(POLL_S)
    return started


def _is_ready(settings: lab_settings.Settings, name: str, record: dict[str, Any], *, late: bool) -> bool:
    """Whether a part answers. Raises LabError when it ended for good, or does not answer though its time is over."""
    log = settings.log_dir / f"{name}.log"
    if record["statename"] in GONE_STATES:
        reason = record.get("spawnerr") or record.get("description")
        raise LabError(f"{name} ended ({record['statename']}: {reason}). Last lines of {log}:\n{tail(log)}")
    try:
        lab_parts.PARTS[name].probe(settings)
    except lab_parts.NotReady as answer:
        if late:
            limit = lab_parts.PARTS[name].ready_within_s
            raise LabError(
                f"{name} is not ready after {limit:.0f} s: {answer}. Last lines of {log}:\n{tail(log)}"
            ) from answer
        return False
    return record["statename"] == "RUNNING"


def stop(settings: lab_settings.Settings, names: Collection[str]) -> dict[str, Any]:
    """End the named parts; the supervisor starts them again only when it is told to. Raises LabError."""
    supervisor = Supervisor(settings)
    if supervisor.pid() is None:
        return {"changed": False, "stopped": []}
    states = supervisor.states()
    running = [name for name in names if states.get(name, {}).get("statename") in RUNNING_STATES]
    supervisor.stop(running)
    return {"changed": bool(running), "stopped": running}


def down(state_dir: Path) -> dict[str, Any]:
    """End the supervisor, its programs, and whatever else the lab of `state_dir` left running.

    Works on the process table alone, so that a lab whose files are gone can be ended, too.
    """
    supervisors = [process for process in processes.of_lab(state_dir) if processes.supervises(process)]
    # On SIGTERM it ends its programs in order, the node agent first and etcd last.
    ended = processes.end(supervisors, grace_s=STOP_TIMEOUT_S)
    leftovers = processes.end_all(state_dir)
    return {"changed": bool(ended or leftovers), "supervisor": ended, "ended_leftovers": leftovers}


def status(settings: lab_settings.Settings) -> dict[str, str]:
    """Part -> state in words. Raises LabError when the supervisor does not run."""
    supervisor = Supervisor(settings)
    if supervisor.pid() is None:
        raise LabError("the lab is down: bring it up with make lab-up")
    words = {}
    for name, record in supervisor.states().items():
        words[name] = record["statename"].lower()
        if record["statename"] == "RUNNING":
            try:
                lab_parts.PARTS[name].probe(settings)
                words[name] = f"ready ({record['description']})"
            except lab_parts.NotReady as answer:
                words[name] = f"running, not ready: {answer}"
    return words


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m churnguard_lab.supervise",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", help="lab.json; default: $CHURNGUARD_LAB_CONFIG, else .lab/lab.json")
    commands = parser.add_subparsers(dest="command", required=True)
    known = sorted(lab_parts.PARTS)
    commands.add_parser("check").add_argument("--parts", nargs="+", choices=known, default=known)
    starting = commands.add_parser("up")
    starting.add_argument("--start", nargs="+", choices=known, default=known)
    starting.add_argument("--ready", nargs="*", choices=known, help="default: all that are started")
    commands.add_parser("stop").add_argument("--parts", nargs="+", choices=known, required=True)
    ending = commands.add_parser("down")
    ending.add_argument("--state-dir", type=Path, help="default: the one that lab.json names")
    commands.add_parser("status")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; see the module's text."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "down":
            state_dir = options.state_dir or lab_settings.load(options.config).state_dir
            print(json.dumps(down(state_dir.resolve())))
            return 0
        settings = lab_settings.load(options.config)
        if options.command == "check":
            check(settings, options.parts)
            print(json.dumps({"changed": False}))
        elif options.command == "up":
            print(json.dumps(up(settings, options.start, options.start if options.ready is None else options.ready)))
        elif options.command == "stop":
            print(json.dumps(stop(settings, options.parts)))
        else:
            for name, words in status(settings).items():
                print(f"{name:<26}{words}")
    except (LabError, lab_settings.SettingsError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    except (OSError, xmlrpc.client.Error, http.client.HTTPException) as error:
        print(f"{options.command}: the supervisor stopped answering ({error}); try again", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
