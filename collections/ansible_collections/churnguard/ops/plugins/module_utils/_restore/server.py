# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The scratch server: isolated configuration, start, and a watch over its recovery that believes its log and its own
answers, never pg_ctl's exit code. Internal: may change in any release."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from .._common.clock import Clock
from .._common.errors import OperationError
from .._common.waiting import DONE, FAILED, PENDING, Finding, wait_until
from .._pgbackrest.runner import Runner
from . import received
from .model import LOOPBACK, Request, Say, Target
from .plan import fatal_lines

LOOK_EVERY_S = 0.25
QUICK_S = 30.0
#: A server that was told to start and has no process after that long has not started.
BIRTH_S = 10.0
_OPTIONS_OF_CONTROL = {
    "max_connections setting": "max_connections",
    "max_worker_processes setting": "max_worker_processes",
    "max_wal_senders setting": "max_wal_senders",
    "max_prepared_xacts setting": "max_prepared_transactions",
    "max_locks_per_xact setting": "max_locks_per_transaction",
}


@dataclass(frozen=True)
class State:
    """What the server says of itself."""

    in_recovery: bool
    replayed_to: str
    last_commit: str


def control_data(request: Request, run: Runner) -> dict[str, str]:
    """What pg_controldata says of the restored folder. Raises OperationError."""
    done = run([str(request.programs / "pg_controldata"), "-D", str(request.target.data_dir)], QUICK_S)
    pairs = (line.split(":", 1) for line in done.out.splitlines() if ":" in line)
    fields = {name.strip(): value.strip() for name, value in pairs}
    if done.code or "Database system identifier" not in fields:
        raise OperationError(
            f"read the control file of {request.target.data_dir}", done.said or "no answer", "check programs."
        )
    return fields


def isolation(target: Target, control: dict[str, str], major: int) -> dict[str, str]:
    """The settings that keep a copy from acting on the world; they stand last in the copy's own configuration, so that
    it stays isolated when somebody starts it by hand."""
    settings = {
        "listen_addresses": "127.0.0.1" if target.access == LOOPBACK else "",
        "port": str(target.port),
        "unix_socket_directories": str(target.data_dir),
        "unix_socket_permissions": "0700",
        "hba_file": str(target.data_dir / "pg_hba.conf"),
        "ident_file": str(target.data_dir / "pg_ident.conf"),
        "external_pid_file": "",
        "archive_mode": "off",
        "archive_command": "",
        "primary_conninfo": "",
        "primary_slot_name": "",
        "synchronous_standby_names": "",
        "archive_cleanup_command": "",
        "recovery_end_command": "",
        "shared_preload_libraries": "",
        "session_preload_libraries": "",
        "local_preload_libraries": "",
        "ssl": "off",
        "hot_standby": "on",
        "logging_collector": "off",
        "log_destination": "stderr",
        "log_min_messages": "info",
        "log_line_prefix": "%m [%p] ",
        "lc_messages": "C",
        "shared_buffers": "128MB",
        "cluster_name": "scratch",
    }
    if major >= 15:
        settings["archive_library"] = ""
    # A standby refuses to start with less than its primary had.
    settings |= {option: control[name] for name, option in _OPTIONS_OF_CONTROL.items() if name in control}
    return settings


def may_set(settings: dict[str, str]) -> list[str]:
    """Which of a caller's settings would undo the isolation."""
    free = {"shared_buffers", "cluster_name", "log_min_messages"}
    fixed = set(isolation(Target(Path("/"), 0, ""), {}, 99)) | set(_OPTIONS_OF_CONTROL.values()) | {"data_directory"}
    return sorted(name for name in settings if name in fixed - free or name.startswith(("recovery_", "restore_")))


def configure(request: Request, control: dict[str, str], run: Runner) -> None:
    """Write the copy's isolated configuration."""
    target = request.target
    major = int((target.data_dir / "PG_VERSION").read_text(encoding="ascii").split(".")[0])
    settings = {**isolation(target, control, major), **target.settings}
    if request.received is not None:
        # pgBackRest's own, earlier in the file, knows the archive alone.
        settings["restore_command"] = received.restore_command(request.place, str(target.data_dir), request.received)
    told = "".join("{} = '{}'\n".format(name, value.replace("'", "''")) for name, value in settings.items())
    with open(target.data_dir / "postgresql.auto.conf", "a", encoding="utf-8") as file:
        file.write(f"\n# Isolation of a scratch copy.\n{told}")
    rules = "local all all trust\n"
    if target.access == LOOPBACK:
        rules += "host all all 127.0.0.1/32 scram-sha-256\n"
    # Trust is for whoever can enter the data folder, which is private to the system's user.
    _put(target.data_dir / "pg_hba.conf", rules, run)
    _put(target.data_dir / "pg_ident.conf", "", run)
    if not (target.data_dir / "postgresql.conf").exists():
        _put(target.data_dir / "postgresql.conf", "", run)


def _put(path: Path, text: str, run: Runner) -> None:
    if path.is_symlink():
        path.unlink()
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    run.own(str(path))


def prove_isolation(request: Request, run: Runner) -> dict[str, str]:
    """What the server would run with, by its own reading of all its files. Raises OperationError when it would act on
    the world."""
    target = request.target
    expected = {
        "data_directory": str(target.data_dir),
        "archive_mode": "off",
        "archive_command": "",
        "primary_conninfo": "",
        "listen_addresses": "127.0.0.1" if target.access == LOOPBACK else "",
        "port": str(target.port),
        "hba_file": str(target.data_dir / "pg_hba.conf"),
        "shared_preload_libraries": "",
    }
    seen = {}
    for name in expected:
        done = run([str(request.programs / "postgres"), *_arguments(target), "-C", name], QUICK_S)
        if done.code:
            raise OperationError(f"read the configuration of {target.data_dir}", done.said[-500:], "see the file.")
        seen[name] = done.out.strip()
    # With archiving off, PostgreSQL shows its archive command as disabled.
    wrong = [
        f"{name} is {seen[name]!r}"
        for name, value in expected.items()
        if seen[name] not in (value, "(disabled)" if name == "archive_command" else value)
    ]
    if wrong:
        raise OperationError(
            f"isolate the copy in {target.data_dir}", f"{'; '.join(wrong)}.", "look for includes in postgresql.conf."
        )
    return seen


def _arguments(target: Target) -> list[str]:
    # data_directory in a restored postgresql.conf would lead the server to the source's own folder.
    return ["-D", str(target.data_dir), "-c", f"data_directory={target.data_dir}"]


def start(request: Request, run: Runner) -> None:
    """Tell the server to start; whether it does is for the looks to find out."""
    target = request.target
    # The log is the system user's, and must exist as his before pg_ctl appends to it.
    target.log_file.touch(mode=0o600)
    run.own(str(target.log_file))
    line = [str(request.programs / "pg_ctl"), "start", "-W", "-s", "-D", str(target.data_dir)]
    run([*line, "-l", str(target.log_file), "-o", f"-c data_directory={target.data_dir}"], QUICK_S)


def log_of(target: Target) -> str:
    """The server's log so far."""
    try:
        return target.log_file.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""


def query(request: Request, sql: str, run: Runner) -> list[str] | None:
    """The fields of the one row that the server answers; None while it takes no connection."""
    target = request.target
    line = [str(request.programs / "psql"), "-XAtqw", "-F", "\t", "-h", str(target.data_dir), "-p", str(target.port)]
    done = run([*line, "-U", request.superuser, "-d", "template1", "-c", sql], QUICK_S)
    return done.out.rstrip("\n").split("\t") if done.code == 0 else None


def state(request: Request, run: Runner) -> State | None:
    """How far the server is; None while it takes no connection."""
    row = query(
        request,
        "SELECT pg_is_in_recovery(), coalesce(pg_last_wal_replay_lsn()::text, ''), coalesce(to_char("
        "pg_last_xact_replay_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'), '')",
        run,
    )
    return State(row[0] == "t", row[1], row[2]) if row is not None else None


def process_of(target: Target) -> int | None:
    """The server's process id if it lives."""
    try:
        pid = int((target.data_dir / "postmaster.pid").read_text(encoding="ascii").split("\n", 1)[0])
        os.kill(pid, 0)
        return pid
    except (FileNotFoundError, ValueError, ProcessLookupError):
        return None
    except PermissionError:
        return pid


def await_state(request: Request, run: Runner, clock: Clock, say: Say, promoted: bool, timeout: float) -> State:
    """Wait until the server takes connections and, with C(promoted), has left recovery. Raises OperationError as soon
    as it is dead, with its own words."""
    target = request.target
    begin = clock.monotonic()
    latest: list[State] = []

    def look() -> Finding:
        found = state(request, run)
        if found is not None:
            latest[:] = [found]
            if not promoted or not found.in_recovery:
                return Finding(DONE, "")
            return Finding(PENDING, f"replayed to {found.replayed_to}")
        if process_of(target) is None and (fatal_lines(log_of(target)) or clock.monotonic() - begin > BIRTH_S):
            return Finding(FAILED, "the server has ended")
        return Finding(PENDING, "the server takes no connection yet")

    finding, waited = wait_until(
        look, clock, timeout, LOOK_EVERY_S, lambda pending, seconds: say(f"{pending.detail} ({seconds:.0f} s)")
    )
    if finding.done:
        return latest[0]
    attempted = f"recover the copy in {target.data_dir}"
    fatal = fatal_lines(log_of(target))
    if finding.failed:
        said = " / ".join(fatal[-3:]) or log_of(target)[-500:].strip() or "it left no log"
        raise OperationError(attempted, f"the server died: {said}", f"read {target.log_file}; then state absent.")
    raise OperationError(
        attempted,
        f"{finding.detail} after {waited:.0f} s.",
        f"read {target.log_file}, raise timeout, or remove the target with state absent.",
    )
