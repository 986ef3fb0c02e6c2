"""Throwaway PostgreSQL clusters on loopback, for tests, drills and benchmarks.

PostgreSQL and pgBackRest refuse root, so root's clusters run as the user `postgres`. Below a private folder, which that
user cannot reach, the cluster lives in a folder of its own under /var/tmp (see `churnguard_lab.postgresql`).
"""

from __future__ import annotations

import contextlib
import getpass
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

import psutil

from churnguard_lab import postgresql
from churnguard_lab.settings import LOOPBACK

PROGRAMS = Path("/usr/lib/postgresql/15/bin")
PGBACKREST = "pgbackrest"
STANZA = "main"
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 60.0
COMMAND_TIMEOUT_S = 300.0
#: sockaddr_un holds 107 bytes and the name of PostgreSQL's socket takes 16 of them.
SOCKET_FOLDER_MAX = 90
SETTINGS = {
    "shared_buffers": "32MB",
    "max_connections": "30",
    "fsync": "off",
    "full_page_writes": "on",
    "log_min_messages": "info",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class Cluster:
    """One PostgreSQL cluster on loopback, with a pgBackRest repository on request.

    As a context manager it is created and started, and at the end stopped and deleted, its repository with it.
    `folder` and `repository` are moved below /var/tmp where the user `postgres` cannot reach them: use `data_dir`,
    `repository` and the other attributes, not the paths you gave. The cluster's stanza is "main".
    """

    user = "postgres"
    stanza = STANZA

    def __init__(
        self,
        folder: Path,
        *,
        port: int,
        settings: Mapping[str, str] | None = None,
        repository: Path | None = None,
        programs: Path = PROGRAMS,
    ) -> None:
        self.port = port
        self.password = secrets.token_urlsafe(18)
        self.programs = programs
        self.account = postgresql.system_account()
        self.folder = self._within_reach(folder.absolute())
        self.repository = self._within_reach(repository.absolute()) if repository else None
        self.data_dir = self.folder / "data"
        self.log_file = self.folder / "postgresql.log"
        self.pgbackrest_config = self.folder / "pgbackrest.conf"
        self.socket_dir = self._socket_dir()
        self._settings = {**SETTINGS, **(settings or {})}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Cluster:
        try:
            self.create()
            self.start()
        except BaseException:
            self.delete()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.delete()

    # --- life ---------------------------------------------------------------------------------------------------

    def create(self) -> None:
        """initdb, configuration and, with a repository, its stanza. Raises postgresql.ClusterError."""
        for folder in (self.folder, self.repository, self.socket_dir):
            if folder is not None:
                self._claim(folder)
        password = self._write(self.folder / "password", self.password)
        self.run(postgresql.initdb_command(self.programs / "initdb", self.data_dir, self.user, password))
        password.unlink()
        self._write(self.data_dir / "postgresql.conf", self._configuration())
        # The system's user comes in by the socket without a password: so does pgBackRest, which stores none.
        system_user = self.account.pw_name if self.account else getpass.getuser()
        self._write(self.data_dir / "pg_ident.conf", f"owner {system_user} {self.user}\n")
        self._write(
            self.data_dir / "pg_hba.conf",
            "local all,replication all peer map=owner\nhost all all 127.0.0.1/32 scram-sha-256\n"
            "host replication all 127.0.0.1/32 scram-sha-256\n",
        )
        if self.repository is not None:
            self._write(self.pgbackrest_config, self._pgbackrest_configuration(self.repository))
            self.pgbackrest("--no-online", "stanza-create")

    def start(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Start the server and wait until it answers. Raises postgresql.ClusterError with the end of its log."""
        if self._process is not None:
            # A server that was killed keeps its process id until somebody asks; the new one would take it for running.
            self._process.poll()
        with self.log_file.open("ab") as log:
            if self.account:
                os.chown(self.log_file, self.account.pw_uid, self.account.pw_gid)
            self._process = subprocess.Popen(
                [str(self.programs / "postgres"), "-D", str(self.data_dir)],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment(),
                start_new_session=True,
                **self.identity(),
            )
        probe = [str(self.programs / "pg_isready"), "-q", "-h", LOOPBACK, "-p", str(self.port), "-t", "2"]
        give_up = time.monotonic() + timeout_s
        while self.run(probe, check=False).returncode:
            if self._process.poll() is not None:
                raise postgresql.ClusterError(
                    f"PostgreSQL on port {self.port} ended ({self._process.returncode}): {self.log_tail()}"
                )
            if time.monotonic() > give_up:
                raise postgresql.ClusterError(f"no answer on port {self.port} in {timeout_s:.0f} s: {self.log_tail()}")
            time.sleep(0.05)

    def stop(self, mode: str = "fast") -> None:
        """Stop the server (`mode` as pg_ctl's) and wait for its end; nothing when it does not run."""
        if not self.running:
            return
        command = [str(self.programs / "pg_ctl"), "stop", "-D", str(self.data_dir), "-m", mode, "-w"]
        self.run([*command, "-t", f"{STOP_TIMEOUT_S:.0f}"], timeout_s=STOP_TIMEOUT_S + 10)
        self._reap()

    def kill(self) -> None:
        """kill -9 of the server and all that it started; nothing when it does not run."""
        if self._process is None or self._process.poll() is not None:
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            server = psutil.Process(self._process.pid)
            # The server is stopped first, so that it can start nothing between the listing and the end.
            server.suspend()
            tree = [server, *server.children(recursive=True)]
            for process in tree:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            psutil.wait_procs(tree, timeout=10)
        self._reap()

    def delete(self) -> None:
        """Kill the server and delete the cluster and its repository."""
        self.kill()
        for folder in (self.folder, self.repository, self.socket_dir):
            if folder is not None and folder.exists():
                shutil.rmtree(folder)

    # --- use ----------------------------------------------------------------------------------------------------

    @property
    def running(self) -> bool:
        """Whether the server that this object started still runs."""
        return self._process is not None and self._process.poll() is None

    def dsn(self, db: str = "postgres") -> dict[str, str | int]:
        """What psycopg2.connect takes."""
        return {
            "host": LOOPBACK,
            "port": self.port,
            "user": self.user,
            "password": self.password,
            "dbname": db,
            "connect_timeout": 10,
        }

    def log_tail(self, characters: int = 2000) -> str:
        """The end of the server's log."""
        if not self.log_file.exists():
            return "(no log)"
        return self.log_file.read_text(encoding="utf-8", errors="replace")[-characters:].strip()

    def pgbackrest(
        self, *arguments: str, check: bool = True, timeout_s: float = COMMAND_TIMEOUT_S
    ) -> subprocess.CompletedProcess[str]:
        """Run pgBackRest with this cluster's configuration and stanza, e.g. pgbackrest("backup", "--type=full")."""
        command = [PGBACKREST, f"--config={self.pgbackrest_config}", f"--stanza={STANZA}", *arguments]
        return self.run(command, check=check, timeout_s=timeout_s)

    def run(
        self, command: Sequence[str], *, check: bool = True, timeout_s: float = COMMAND_TIMEOUT_S
    ) -> subprocess.CompletedProcess[str]:
        """Run a program as the cluster's user. Raises postgresql.ClusterError when it fails and `check` is set."""
        try:
            result = subprocess.run(
                list(command),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                env=self._environment(),
                timeout=timeout_s,
                check=False,
                **self.identity(),
            )
        except FileNotFoundError as error:
            raise postgresql.ClusterError(f"there is no {command[0]}: run lab/install_packages") from error
        except subprocess.TimeoutExpired as error:
            raise postgresql.ClusterError(f"{command[0]} did not end within {timeout_s:.0f} s") from error
        if check and result.returncode:
            said = (result.stderr + result.stdout).strip()
            raise postgresql.ClusterError(f"{' '.join(command)} failed ({result.returncode}): {said}")
        return result

    def identity(self) -> dict[str, int | list[int]]:
        """What subprocess.Popen takes to run a program as the cluster's user."""
        if self.account is None:
            return {}
        return {"user": self.account.pw_uid, "group": self.account.pw_gid, "extra_groups": []}

    # --- inside -------------------------------------------------------------------------------------------------

    def _within_reach(self, folder: Path) -> Path:
        """`folder`, or its replacement below /var/tmp when the cluster's user cannot reach it."""
        if self.account is None:
            return folder
        gids = frozenset(os.getgrouplist(self.account.pw_name, self.account.pw_gid))
        existing = next(step for step in (folder, *folder.parents) if step.exists()).resolve()
        if postgresql.reachable(existing, self.account.pw_uid, gids):
            return folder
        return postgresql.fallback_home(folder).with_name(
            postgresql.fallback_home(folder).name.replace("-lab-", "-cluster-")
        )

    def _socket_dir(self) -> Path:
        if len(str(self.folder)) <= SOCKET_FOLDER_MAX:
            return self.folder
        return Path(tempfile.gettempdir()) / postgresql.fallback_home(self.folder).name.replace("-lab-", "-socket-")

    def _claim(self, folder: Path) -> None:
        folder.parent.mkdir(parents=True, exist_ok=True)
        owner: pwd.struct_passwd = self.account or pwd.getpwuid(os.geteuid())
        postgresql.claim(folder, owner.pw_uid, owner.pw_gid)

    def _write(self, path: Path, text: str) -> Path:
        """Write a file that the cluster's user alone may read."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        if self.account:
            os.chown(path, self.account.pw_uid, self.account.pw_gid)
        return path

    def _environment(self) -> dict[str, str]:
        return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "HOME": str(self.folder)}

    def _configuration(self) -> str:
        settings = {
            "listen_addresses": LOOPBACK,
            "port": str(self.port),
            "unix_socket_directories": str(self.socket_dir),
            **self._settings,
        }
        if self.repository is not None:
            settings |= {
                "archive_mode": "on",
                "archive_command": f"{PGBACKREST} --config={self.pgbackrest_config} --stanza={STANZA} archive-push %p",
                "wal_level": "replica",
                **self._settings,
            }
        return "".join("{} = '{}'\n".format(name, value.replace("'", "''")) for name, value in settings.items())

    def _pgbackrest_configuration(self, repository: Path) -> str:
        return "\n".join(
            [
                "[global]",
                f"repo1-path={repository}",
                "repo1-cipher-type=aes-256-cbc",
                f"repo1-cipher-pass={secrets.token_urlsafe(36)}",
                "repo1-retention-full=4",
                "compress-type=lz4",
                "start-fast=y",
                f"log-path={self.folder}",
                "log-level-file=off",
                "log-level-console=info",
                f"lock-path={self.folder / 'lock'}",
                f"spool-path={self.folder / 'spool'}",
                f"[{STANZA}]",
                f"pg1-path={self.data_dir}",
                f"pg1-port={self.port}",
                f"pg1-socket-path={self.socket_dir}",
                f"pg1-user={self.user}",
                "",
            ]
        )

    def _reap(self) -> None:
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=STOP_TIMEOUT_S)
