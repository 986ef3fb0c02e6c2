# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One of two PostgreSQL servers of which one follows the other: looked at, promoted, made to follow. Internal: may
change in any release."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .._common.errors import OperationError
from .._pgbackrest.runner import Runner
from .._postgres.connection import Connect, connector, open_session, rows
from . import processes
from .region_plan import State, control_state, lsn_bytes, settings_without

COMMAND_S = 300.0
SIGNAL, AUTO_CONF = "standby.signal", "postgresql.auto.conf"
# Beside the data directory: a rebuild replaces all that is in it.
PASSWORDS, REBUILDING = ".churnguard-drill.pgpass", ".churnguard-drill.rebuilding"
_STARTING_S = 60.0
_FOLLOWING = frozenset({"primary_conninfo", "primary_slot_name"})
_LOOK = """SELECT pg_is_in_recovery(),
  CASE WHEN pg_is_in_recovery() THEN greatest((SELECT timeline_id FROM pg_control_checkpoint()),
         (SELECT coalesce(max(received_tli), 0) FROM pg_stat_wal_receiver))
       ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int END,
  CASE WHEN pg_is_in_recovery() THEN coalesce(pg_last_wal_replay_lsn(), '0/0') ELSE pg_current_wal_lsn() END"""


@dataclass(frozen=True)
class Node:
    """A server and all that is needed to handle it: plain data, which a journal may hold.

    C(start) and C(stop) are commands that start the database, and stop it in order, whoever supervises it;
    C(password_file) holds the password of C(user), who may replicate.
    """

    name: str
    host: str
    port: int
    data_dir: str
    user: str
    database: str
    password_file: str
    programs: str
    system_user: str
    start: Sequence[str]
    stop: Sequence[str]
    config_file: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)

    def as_data(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def home(self) -> Path:
        """The data directory as the server's user can reach it."""
        return Path(os.path.realpath(self.data_dir))

    @property
    def passwords(self) -> Path:
        """The file with which it logs in to the server that it follows."""
        return self.home.with_name(f"{self.home.name}{PASSWORDS}")

    @property
    def rebuilding(self) -> Path:
        """There while its files are replaced."""
        return self.home.with_name(f"{self.home.name}{REBUILDING}")

    def password(self) -> str:
        """Raises OperationError."""
        try:
            return Path(self.password_file).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise OperationError(
                f"read the password of {self.address}", f"{error}.", "correct password_file."
            ) from error

    def connect(self, database: str = "") -> Connect:
        """Opens sessions as the superuser."""
        login = {
            "login_host": self.host,
            "login_port": self.port,
            "login_user": self.user,
            "login_password": self.password(),
            "login_db": database or self.database,
        }
        return connector(login)

    def ask(self, sql: str, parameters: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """All rows of a reading statement. Raises OperationError."""
        session = open_session(self.connect(), None, 60)
        try:
            return rows(session, sql, parameters)
        finally:
            session.close()

    def do(self, sql: str, parameters: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """A statement that changes something, in a transaction of its own or in none. Raises OperationError."""
        try:
            session = self.connect()()
        except Exception as error:
            raise OperationError(f"connect to {self.address}", f"{_text(error)}.", "read the server's log.") from None
        try:
            session.autocommit = True
            return rows(session, sql, parameters)
        finally:
            session.close()

    def program(self, name: str, *arguments: str) -> str:
        """Run one of PostgreSQL's programs as its user; what it says. Raises OperationError when it fails."""
        done = self.run([str(Path(self.programs) / name), *arguments])
        if done.code:
            raise OperationError(f"run {name} for {self.address}", f"{done.said[-800:]}.", "read the server's log.")
        return done.out

    def run(self, command: list[str]) -> Any:
        return Runner(self.system_user)(command, COMMAND_S)

    def command(self, words: Sequence[str], attempted: str) -> None:
        """Run one of the user's commands. Raises OperationError when it fails."""
        run_command(words, f"{attempted} {self.address}", self.environment)


def from_data(data: Mapping[str, Any]) -> Node:
    """The node that as_data() gave."""
    return Node(**data)


def run_command(
    words: Sequence[str], attempted: str, environment: Mapping[str, str], seconds: float = COMMAND_S
) -> str:
    """Run a command of the settings to its end; its output. Raises OperationError."""
    shown = " ".join(words)
    try:
        done = subprocess.run(
            list(words),
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **environment},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise OperationError(attempted, f"{error}.", f"see why this command fails: {shown}") from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-800:]
        raise OperationError(attempted, f"it ended with {done.returncode}: {said}.", f"run it by hand: {shown}")
    return done.stdout


# --- looking ----------------------------------------------------------------------------------------------------------


def look(node: Node) -> State | None:
    """What the database is now; None when its data directory does not exist. Raises OperationError when a server is
    there that cannot be asked."""
    broken = node.rebuilding.exists()
    if not node.home.is_dir():
        return State(running=False, standby=True, broken=True) if broken else None
    if running(node):
        standby, timeline, lsn = node.ask(_LOOK)[0]
        return State(True, bool(standby), int(timeline), lsn_bytes(lsn), broken=broken)
    said = node.program("pg_controldata", f"--pgdata={node.home}")
    try:
        return control_state(said, (node.home / SIGNAL).exists(), broken)
    except ValueError as error:
        raise OperationError(
            f"read the control file in {node.home}", f"{error}.", "use the programs of its version."
        ) from error


def running(node: Node) -> bool:
    """Whether a server answers there; one that is starting is waited for. Raises OperationError."""
    give_up = time.monotonic() + _STARTING_S
    while (code := _ready(node)) == 1 and time.monotonic() < give_up:
        time.sleep(0.2)
    if code not in (0, 2):
        raise OperationError(f"ask {node.address}", f"pg_isready ends with {code}.", "read the server's log.")
    return code == 0


def _ready(node: Node) -> int:
    """pg_isready's word: 0 it accepts connections, 1 it is starting or ending, 2 nobody answers, 3 wrong arguments."""
    command = [str(Path(node.programs) / "pg_isready"), "-q", "-h", node.host, "-p", str(node.port), "-t", "3"]
    return int(node.run(command).code)


def has_slot(node: Node, slot: str) -> bool:
    """Whether the replication slot exists."""
    return bool(node.ask("SELECT 1 FROM pg_replication_slots WHERE slot_name = %s", (slot,)))


def lag(primary: Node, slot: str) -> tuple[str, int] | None:
    """State and bytes behind of the standby that streams through the slot; None when none does."""
    found = primary.ask(
        "SELECT r.state, pg_wal_lsn_diff(pg_current_wal_lsn(), r.replay_lsn)::bigint FROM pg_stat_replication r "
        "JOIN pg_replication_slots s ON s.active_pid = r.pid WHERE s.slot_name = %s",
        (slot,),
    )
    return (found[0][0], int(found[0][1] or 0)) if found else None


# --- changing ---------------------------------------------------------------------------------------------------------


def ensure_slot(node: Node, slot: str) -> None:
    """Make the physical replication slot, unless it is there."""
    if not has_slot(node, slot):
        node.do("SELECT pg_create_physical_replication_slot(%s, true)", (slot,))


def promote(node: Node) -> None:
    """Make a standby the primary. The checkpoint puts the new timeline into the control file, which pg_rewind reads."""
    node.do("SELECT pg_promote(true, 60)")
    if node.ask("SELECT pg_is_in_recovery()")[0][0]:
        raise OperationError(f"promote {node.address}", "it is still in recovery.", "read the server's log.")
    node.do("CHECKPOINT")


def rebuild(node: Node, source: Node, slot: str, kept: str) -> tuple[str, str]:
    """Bring a stopped server's files to the state of C(source), a running primary, as a standby of it. Returns how it
    was done, and why not by pg_rewind.

    pg_rewind copies what differs since the two parted. Where one was cut short its result cannot be trusted: then, and
    where it fails, pg_basebackup copies everything anew. C(kept) is the content of its own postgresql.auto.conf.
    """
    again = node.rebuilding.exists()
    forget_lock(node)
    ensure_slot(source, slot)
    write(node, node.rebuilding, "")
    write(node, node.passwords, f"*:*:*:{source.user}:{_escaped(source.password())}\n")
    why = "an earlier rebuild was cut short" if again else _rewind(node, source)
    if why:
        _copy_anew(node, source, slot)
    follow(node, source, slot, kept)
    node.rebuilding.unlink()
    return ("pg_basebackup", why) if why else ("pg_rewind", "")


def forget_lock(node: Node) -> None:
    """Wait until the process in the lock file of a killed server is gone altogether: while nobody has collected its
    remains, PostgreSQL takes it for a living one and does not start."""
    lock, give_up = node.home / "postmaster.pid", time.monotonic() + _STARTING_S
    pid = lock.read_text(encoding="ascii").split("\n", 1)[0].strip() if lock.exists() else ""
    while pid and processes.find(int(pid)) is None and Path("/proc", pid).exists() and time.monotonic() < give_up:
        time.sleep(0.1)


def _rewind(node: Node, source: Node) -> str:
    """Why it could not be done; empty when it was."""
    arguments = [f"--target-pgdata={node.home}", f"--source-server={_conninfo(node, source)} dbname=postgres"]
    arguments += [f"--config-file={os.path.realpath(node.config_file)}"] if node.config_file else []
    try:
        node.program("pg_rewind", *arguments)
    except OperationError as error:
        return error.answer
    return ""


def _copy_anew(node: Node, source: Node, slot: str) -> None:
    """A fresh copy beside the old one, which it replaces."""
    fresh = node.home.with_name(f"{node.home.name}.churnguard-drill")
    for path in (fresh, node.home):
        if path.exists():
            shutil.rmtree(path)
    arguments = [f"--dbname={_conninfo(node, source)}", f"--pgdata={fresh}", f"--slot={slot}"]
    node.program("pg_basebackup", *arguments, "--wal-method=stream", "--checkpoint=fast")
    fresh.rename(node.home)


def follow(node: Node, source: Node, slot: str, kept: str) -> None:
    """Have a stopped server follow C(source) when it starts; C(kept) is its own postgresql.auto.conf."""
    write(node, node.passwords, f"*:*:*:{source.user}:{_escaped(source.password())}\n")
    told = _conninfo(node, source).replace("'", "''")
    lines = f"primary_conninfo = '{told}'\nprimary_slot_name = '{slot}'\n"
    write(node, node.home / AUTO_CONF, settings_without(kept, _FOLLOWING) + lines)
    write(node, node.home / SIGNAL, "")


def stop_following(node: Node, kept: str) -> None:
    """Give a primary its own postgresql.auto.conf back, and remove what following needed."""
    write(node, node.home / AUTO_CONF, kept)
    node.do("SELECT pg_reload_conf()")
    node.passwords.unlink(missing_ok=True)


def write(node: Node, path: Path, text: str) -> None:
    """A file that only the server's user can read, whole or not at all."""
    aside = path.with_name(f".{path.name}.new")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    Runner(node.system_user).own(str(aside))
    aside.rename(path)


def either(nodes: Sequence[Node], database: str = "") -> Connect:
    """Opens sessions on whichever of the nodes takes writes, as an application's own address list does."""
    first = nodes[0]
    login = {
        "login_host": ",".join(node.host for node in nodes),
        "login_port": ",".join(str(node.port) for node in nodes),
        "login_user": first.user,
        "login_password": first.password(),
        "login_db": database or first.database,
    }
    return functools.partial(connector(login), target_session_attrs="read-write")


def _conninfo(node: Node, source: Node) -> str:
    """As libpq reads it; the password is in the file."""
    where = f"host={source.host} port={source.port} user={source.user} passfile={node.passwords}"
    return f"{where} application_name={node.name}"


def _escaped(password: str) -> str:
    return password.replace("\\", "\\\\").replace(":", "\\:")


def _text(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")
