# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The scratch target's marker: written before anything is created, and the only licence to remove it again.

The marker file lies beside the data folder and records the folder's identity (device and inode) as soon as it exists;
a second marker goes into the folder once its files are complete. A folder is only ever removed when both still fit.

Internal: may change in any release.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from .._common.clock import Clock, isoformat
from .._common.errors import OperationError
from .._common.waiting import DONE, PENDING, Finding, wait_until
from .._pgbackrest.runner import Runner
from .model import Refused, Target

PLANNED = "planned"
RESTORING = "restoring"
RESTORED = "restored"
STARTED = "started"
REACHED = "reached"
INNER_NAME = "churnguard_scratch.json"
STOP_GRACE_S = 20.0


@dataclass
class Marker:
    """What a marker file says. C(identity) is the data folder's device and inode, C(journal) each state's time."""

    word: str
    data_dir: str
    port: int
    state: str = PLANNED
    system_identifier: str = ""
    identity: list[int] | None = None
    created: list[str] = field(default_factory=list)
    journal: list[dict[str, str]] = field(default_factory=list)


def read_marker(target: Target) -> Marker | None:
    """The target's marker; None when there is none. Raises OperationError when it cannot be read."""
    try:
        with open(target.marker_file, encoding="utf-8") as file:
            return Marker(**json.load(file))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, TypeError) as error:
        raise OperationError(
            f"read the scratch marker {target.marker_file}", f"{error}.", "look at the file and who wrote it."
        ) from error


def write_marker(target: Target, marker: Marker, state: str, clock: Clock) -> None:
    """Record that the target enters C(state), on disk before the next step."""
    marker.state = state
    marker.journal.append({"at": isoformat(clock.now()), "state": state})
    aside = target.marker_file.with_name(f"{target.marker_file.name}.new")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        json.dump(asdict(marker), file)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(target.marker_file)
    folder = os.open(target.marker_file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def make_folders(target: Target, marker: Marker, run: Runner, clock: Clock) -> None:
    """Create the data folder and that of the tablespaces; what will be created is in the marker before."""
    marker.created = [str(target.data_dir), str(target.tablespaces), str(target.log_file)]
    write_marker(target, marker, PLANNED, clock)
    for path in (target.data_dir, target.tablespaces):
        path.mkdir(mode=0o700, exist_ok=True)
        path.chmod(0o700)
        run.own(str(path))
    marker.identity = identity_of(target.data_dir)
    write_marker(target, marker, RESTORING, clock)


def identity_of(folder: Path) -> list[int]:
    """Device and inode."""
    status = folder.lstat()
    return [status.st_dev, status.st_ino]


def write_inner(target: Target, marker: Marker, run: Runner) -> None:
    """Mark the complete folder from within."""
    inner = target.data_dir / INNER_NAME
    inner.write_text(json.dumps({"word": marker.word, "data_dir": marker.data_dir}), encoding="utf-8")
    inner.chmod(0o600)
    run.own(str(inner))


def is_own(target: Target, marker: Marker) -> bool:
    """Whether the data folder is the one that the marker was written for."""
    if marker.data_dir != os.path.realpath(target.data_dir):
        return False
    if not os.path.lexists(target.data_dir):
        return True
    if target.data_dir.is_symlink() or not target.data_dir.is_dir():
        return False
    if not any(target.data_dir.iterdir()):
        return True
    if marker.identity != identity_of(target.data_dir):
        return False
    if marker.state in (PLANNED, RESTORING):
        return True
    try:
        inner = json.loads((target.data_dir / INNER_NAME).read_text(encoding="utf-8"))
        return inner == {"word": marker.word, "data_dir": marker.data_dir}
    except (OSError, ValueError):
        return False


def processes_in(target: Target) -> list[int]:
    """Ids of the processes that work in the data folder (PostgreSQL's) or were told to restore into it."""
    path = os.path.realpath(target.data_dir)
    told = {f"--pg1-path={path}".encode(), f"--pg1-path={target.data_dir}".encode()}
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            cwd = str((entry / "cwd").readlink())
        except OSError:
            continue  # it has ended, or is not this user's: then it is no process of this target either
        server = words[0].startswith(b"postgres") or words[0].endswith(b"/postgres")
        if (server and cwd == path) or (b"pgbackrest" in words[0] and told & set(words)):
            found.append(int(entry.name))
    return sorted(found)


def stop_processes(target: Target, clock: Clock) -> int:
    """End the target's processes and wait until they are gone; how many there were. Raises OperationError."""
    first = processes_in(target)
    for kind, grace in ((signal.SIGQUIT, STOP_GRACE_S), (signal.SIGKILL, 5.0)):
        _send(processes_in(target), kind)

        def look() -> Finding:
            left = processes_in(target)
            return Finding(PENDING if left else DONE, ", ".join(str(pid) for pid in left))

        finding, _waited = wait_until(look, clock, grace, 0.1)
        if finding.done:
            return len(first)
    raise OperationError(
        f"end the processes of {target.data_dir}", f"{finding.detail} do not end.", f"kill -9 {finding.detail}"
    )


def _send(processes: Iterable[int], kind: signal.Signals) -> None:
    for pid in processes:
        try:
            os.kill(pid, kind)
        except ProcessLookupError:
            continue


def remove(target: Target, clock: Clock, check_only: bool = False) -> list[str]:
    """Remove a scratch target and prove it gone; the paths that were there. Raises Refused for anything else.

    The marker goes last, so that a removal that was cut off can be repeated.
    """
    attempted = f"remove the scratch target {target.data_dir}"
    marker = read_marker(target)
    if marker is None:
        if not os.path.lexists(target.data_dir):
            return []
        raise Refused(
            "not_scratch",
            attempted,
            f"there is no marker {target.marker_file}: it is not a target of this collection.",
            "if it really is to go, remove it by hand.",
        )
    if marker.word != target.marker:
        raise Refused(
            "other_marker",
            attempted,
            f"its marker is {marker.word!r}, not {target.marker!r}.",
            "give the marker that it was restored with.",
        )
    if not is_own(target, marker):
        raise Refused(
            "not_scratch",
            attempted,
            f"the folder is not the one that {target.marker_file} was written for: it was replaced since.",
            f"look what it is; if only the marker is left over, delete {target.marker_file}.",
        )
    paths = [target.data_dir, target.tablespaces, target.log_file, target.marker_file]
    there = [str(path) for path in paths if os.path.lexists(path)]
    if check_only:
        return there
    stop_processes(target, clock)
    for path in paths:
        _delete(path, attempted)
    left = [str(path) for path in paths if os.path.lexists(path)]
    if left or processes_in(target):
        raise OperationError(attempted, f"{', '.join(left) or 'its server'} is still there.", "remove it by hand.")
    return there


def _delete(path: Path, attempted: str) -> None:
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif os.path.lexists(path):
            path.unlink()
    except OSError as error:
        raise OperationError(attempted, f"{error.filename}: {error.strerror}.", f"rm -r -- {path}") from error
