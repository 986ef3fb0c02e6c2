# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running programs as the user that PostgreSQL and pgBackRest ask for. Internal: may change in any release."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from .._common.errors import OperationError

SYSTEM_USER = "postgres"


@dataclass(frozen=True)
class Completed:
    """What a program left behind."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """Both its streams: programs differ in where they tell what went wrong."""
        return "\n".join(part for part in (self.out.strip(), self.err.strip()) if part)


#: Runs a program (argument list, deadline in seconds) to its end. Raises OperationError when it cannot be run, or does
#: not end in time.
Run = Callable[[Sequence[str], float], Completed]


def account_of(user: str) -> pwd.struct_passwd | None:
    """The account to change to: None unless root asks. Raises OperationError for a user that does not exist."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(user)
    except KeyError as error:
        raise OperationError(
            f"run PostgreSQL's programs as {user}",
            "there is no such user on this machine.",
            "install PostgreSQL, or name its user in system_user.",
        ) from error


class Runner:
    """C(Run) as a user of the system, in a neutral folder and a plain locale."""

    def __init__(self, user: str = SYSTEM_USER) -> None:
        self.account = account_of(user)

    def __call__(self, command: Sequence[str], timeout: float) -> Completed:
        done = self._run(command, timeout, subprocess.PIPE)
        return Completed(done.returncode, _text(done.stdout), _text(done.stderr))

    def into(self, path: Path, command: Sequence[str], timeout: float) -> Completed:
        """Run a program with its output, which may be binary, into a new file that the caller owns."""
        with path.open("wb") as file:
            done = self._run(command, timeout, file)
        self.own(str(path.parent))
        self.own(str(path))
        return Completed(done.returncode, "", _text(done.stderr))

    def _run(
        self, command: Sequence[str], timeout: float, output: int | IO[bytes]
    ) -> subprocess.CompletedProcess[bytes]:
        identity: dict[str, Any] = {}
        home = str(Path.home())
        if self.account is not None:
            identity = {
                "user": self.account.pw_uid,
                "group": self.account.pw_gid,
                "extra_groups": [self.account.pw_gid],
            }
            home = self.account.pw_dir
        # Nothing of the caller's environment: PGBACKREST_* and PG* would change what the options say.
        environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "HOME": home, "TZ": "UTC"}
        try:
            return subprocess.run(
                list(command),
                cwd="/",
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.PIPE,
                timeout=timeout,
                check=False,
                umask=0o077,
                **identity,
            )
        except FileNotFoundError as error:
            raise OperationError(
                f"run {command[0]}", "there is no such program.", "install it, or say where it is."
            ) from error
        except PermissionError as error:
            raise OperationError(
                f"run {command[0]}", f"{error.strerror}.", "run as root or as the owner of the cluster."
            ) from error
        except subprocess.TimeoutExpired as error:
            raise OperationError(
                f"run {Path(command[0]).name}",
                f"it did not end within {timeout:.0f} s and was killed.",
                "look whether its repository or server answers, or raise the time-out.",
            ) from error

    def own(self, path: str) -> None:
        """Give C(path) to that user."""
        if self.account is not None:
            os.chown(path, self.account.pw_uid, self.account.pw_gid)


def _text(stream: bytes) -> str:
    return stream.decode("utf-8", errors="replace")
