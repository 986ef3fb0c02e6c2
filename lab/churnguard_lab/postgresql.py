"""The lab's PostgreSQL cluster: where it may live, and its creation.

PostgreSQL refuses to run as root, so root's lab runs it as the user `postgres`. That user must be able to reach the
cluster's folder; below a private folder (a home directory, mktemp -d) it cannot, and the cluster then lives in a folder
of its own under /var/tmp, with a link to it from the lab's state directory.

`python -m churnguard_lab.postgresql init --bin DIR` prints {"changed": bool, "home": path, "user": name or ""}.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from churnguard_lab import settings as lab_settings

SYSTEM_USER = "postgres"
FALLBACK_ROOT = Path("/var/tmp")
INITDB_TIMEOUT_S = 120


class ClusterError(Exception):
    """The cluster cannot be created; the message says why and what to do."""


def may_enter(status: os.stat_result, uid: int, gids: frozenset[int]) -> bool:
    """Whether a user may pass through the folder with this status (owner, then group, then others; no ACLs)."""
    if status.st_uid == uid:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid in gids:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)


def reachable(folder: Path, uid: int, gids: frozenset[int], status: Callable[[Path], os.stat_result] = os.stat) -> bool:
    """Whether a user may reach what lies in `folder` (absolute, without links): every folder lets it through."""
    return all(may_enter(status(step), uid, gids) for step in (folder, *folder.parents))


def fallback_home(state_dir: Path, root: Path = FALLBACK_ROOT) -> Path:
    """The cluster's folder outside the checkout: one for each state directory."""
    digest = hashlib.sha256(str(state_dir).encode("utf-8")).hexdigest()[:12]
    return root / f"churnguard-lab-{digest}"


def system_account() -> pwd.struct_passwd | None:
    """The account that must run PostgreSQL; None when the current user does it itself. Raises ClusterError."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(SYSTEM_USER)
    except KeyError as error:
        raise ClusterError(
            f"PostgreSQL does not run as root and there is no user {SYSTEM_USER}: run lab/install_packages"
        ) from error


def claim(folder: Path, uid: int, gid: int) -> None:
    """Make `folder` a private folder of that user. Raises ClusterError when something else is in its place.

    Its name under /var/tmp can be guessed, so a link or a folder of somebody else is refused, never used.
    """
    try:
        folder.mkdir(mode=0o700)
        os.chown(folder, uid, gid)
    except FileExistsError:
        status = folder.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != uid:
            raise ClusterError(
                f"{folder} exists and is not a folder of user {uid}: look who made it, then remove it"
            ) from None
        folder.chmod(0o700)


def prepare_home(state_dir: Path, account: pwd.struct_passwd | None, root: Path = FALLBACK_ROOT) -> Path:
    """The cluster's folder, made if need be. Raises ClusterError."""
    home = state_dir / "postgresql"
    if account is None:
        home.mkdir(mode=0o700, exist_ok=True)
        return home
    gids = frozenset(os.getgrouplist(account.pw_name, account.pw_gid))
    within_reach = reachable(state_dir.resolve(), account.pw_uid, gids)
    if within_reach and not home.is_symlink():
        claim(home, account.pw_uid, account.pw_gid)
        return home
    target = fallback_home(state_dir, root)
    if home.exists() and home.resolve() != target:
        raise ClusterError(
            f"user {account.pw_name} cannot reach the cluster in {home}: let it through the folders above, "
            "or start anew with make lab-down and lab_purge=true"
        )
    claim(target, account.pw_uid, account.pw_gid)
    if not home.is_symlink():
        home.symlink_to(target)
    return target


def init(settings: lab_settings.Settings, programs: Path, root: Path = FALLBACK_ROOT) -> dict[str, object]:
    """Create the cluster unless it is there, with the server programs of `programs`. Raises ClusterError."""
    account = system_account()
    home = prepare_home(settings.state_dir, account, root)
    result = {"changed": False, "home": str(home), "user": account.pw_name if account else ""}
    if (home / "data" / "PG_VERSION").exists():
        return result
    # Built aside and renamed, so that an interrupted run does not leave half a cluster that looks whole.
    for leftover in home.glob("new-*"):
        shutil.rmtree(leftover)
    aside = Path(tempfile.mkdtemp(prefix="new-", dir=home))
    password = aside / "password"
    password.write_text(settings.secret("postgresql"), encoding="utf-8")
    password.chmod(0o600)
    for path in (aside, password):
        if account:
            os.chown(path, account.pw_uid, account.pw_gid)
    _run_initdb(programs / "initdb", aside, password, account)
    (aside / "data").rename(home / "data")
    shutil.rmtree(aside)
    return result | {"changed": True}


def initdb_command(program: Path, data_dir: Path, user: str, password: Path) -> list[str]:
    """What makes a cluster of this lab; `password` is a file."""
    return [
        str(program),
        f"--pgdata={data_dir}",
        f"--username={user}",
        f"--pwfile={password}",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C.UTF-8",
        "--data-checksums",
        "--no-sync",
    ]


def _run_initdb(program: Path, aside: Path, password: Path, account: pwd.struct_passwd | None) -> None:
    command = initdb_command(program, aside / "data", SYSTEM_USER, password)
    identity = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if account else {}
    try:
        result = subprocess.run(
            command,
            cwd=aside,
            capture_output=True,
            text=True,
            timeout=INITDB_TIMEOUT_S,
            check=False,
            **identity,
        )
    except FileNotFoundError as error:
        raise ClusterError(f"there is no {program}: run lab/install_packages, or set lab_postgresql_bin") from error
    except subprocess.TimeoutExpired as error:
        raise ClusterError(f"{program} did not end within {INITDB_TIMEOUT_S} s") from error
    if result.returncode:
        raise ClusterError(f"{program} failed ({result.returncode}): {(result.stderr or result.stdout).strip()}")


def purge(state_dir: Path, root: Path = FALLBACK_ROOT) -> bool:
    """Delete the cluster's folder outside the state directory, if there is one; whether there was."""
    home = fallback_home(state_dir, root)
    if not home.exists():
        return False
    shutil.rmtree(home)
    return True


def main() -> int:
    """Command line; see the module's text."""
    parser = argparse.ArgumentParser(prog="python -m churnguard_lab.postgresql", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    creating = commands.add_parser("init")
    creating.add_argument("--config", help="lab.json; default: $CHURNGUARD_LAB_CONFIG, else .lab/lab.json")
    creating.add_argument("--bin", type=Path, default=Path("/usr/lib/postgresql/15/bin"), help="PostgreSQL's programs")
    deleting = commands.add_parser("purge", help="delete the cluster outside the checkout, if there is one")
    deleting.add_argument("--state-dir", type=Path, required=True)
    options = parser.parse_args()
    try:
        if options.command == "init":
            print(json.dumps(init(lab_settings.load(options.config), options.bin)))
        else:
            print(json.dumps({"changed": purge(options.state_dir.resolve())}))
    except (ClusterError, lab_settings.SettingsError, OSError) as error:
        print(f"PostgreSQL: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
