# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The interlocks between a restore and any folder, port or machine that is not a scratch target. They only look.

Internal: may change in any release.
"""

from __future__ import annotations

import configparser
import errno
import os
import re
import socket
import struct
from dataclasses import dataclass
from pathlib import Path

from .._common.errors import OperationError
from .._pgbackrest.model import Place
from .model import Refused, Request, Target
from .scratch import Marker, is_own, processes_in, read_marker

#: PostgreSQL's socket and pgBackRest's command lines go into places where quoting differs.
_PLAIN_PATH = re.compile(r"^/[A-Za-z0-9/._-]+$")
#: sockaddr_un holds 107 bytes; the socket's name takes up to 17 of them with its slash.
DATA_DIR_MAX = 90
_NEXT = "choose a scratch folder and port of their own; see docs/backups.md for the interlocks."


@dataclass(frozen=True)
class Source:
    """What pgBackRest's configuration says of the stanza's own cluster: folders, ports and repositories here."""

    data_dirs: tuple[Path, ...]
    ports: tuple[int, ...]
    repositories: tuple[Path, ...]


def read_source(place: Place) -> Source:
    """The stanza's cluster by its configuration file; values that are secrets are not kept. Raises OperationError."""
    parser = configparser.ConfigParser(interpolation=None, strict=False, delimiters=("=",), comment_prefixes=("#",))
    try:
        with open(place.config, encoding="utf-8") as file:
            parser.read_file(file)
    except (OSError, configparser.Error, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else type(error).__name__
        raise OperationError(
            f"read the configuration of pgBackRest in {place.config}", f"{reason}.", "name the right file in config."
        ) from error
    # As pgBackRest does: the stanza's section over the global one.
    options: dict[str, str] = {}
    for section in ("global", place.stanza):
        if parser.has_section(section):
            options.update(parser.items(section))
    if not parser.has_section(place.stanza):
        raise OperationError(
            f"find stanza {place.stanza} in {place.config}",
            "there is no such section.",
            f"use one of: {', '.join(name for name in parser.sections() if ':' not in name and name != 'global')}.",
        )
    here = [name for name in options if re.fullmatch(r"pg\d+-path", name)]
    ports = [int(options.get(name.replace("-path", "-port"), "5432")) for name in here]
    repositories = [value for name, value in options.items() if re.fullmatch(r"repo\d+-path", name)]
    return Source(tuple(Path(options[name]) for name in here), tuple(ports), tuple(Path(path) for path in repositories))


def system_identifier(data_dir: Path) -> str:
    """The identifier of the cluster in a folder; empty when there is no cluster. It is pg_control's first field."""
    try:
        with open(data_dir / "global" / "pg_control", "rb") as file:
            return str(struct.unpack("=Q", file.read(8))[0])
    except (FileNotFoundError, NotADirectoryError, struct.error):
        return ""


def check_target(request: Request, source: Source) -> None:
    """Refuse a target that is not provably scratch. Reads only. Raises Refused."""
    target = request.target
    attempted = f"restore stanza {request.place.stanza} into {target.data_dir}"
    if request.confirm != str(target.data_dir):
        raise Refused(
            "confirm",
            attempted,
            f"confirm is {request.confirm!r}.",
            "type the target's data_dir into confirm exactly as it is.",
        )
    _check_path(target, attempted)
    _check_same_path(request, source, attempted)
    if len(str(target.data_dir)) > DATA_DIR_MAX:
        limit = f"more than {DATA_DIR_MAX}: the server's socket lies in it"
        raise Refused("path", attempted, f"it has {len(str(target.data_dir))} characters, {limit}.", _NEXT)
    _check_deny(request, attempted)
    _check_folder(target, attempted)
    _check_port(target, source, attempted)


def _check_path(target: Target, attempted: str) -> None:
    text = str(target.data_dir)
    if not _PLAIN_PATH.match(text) or text != os.path.normpath(text) or len(target.data_dir.parts) < 3:
        raise Refused("path", attempted, "that is not a plain absolute path at least two folders deep.", _NEXT)
    if target.data_dir.is_symlink() or target.tablespaces.is_symlink():
        raise Refused("same_path", attempted, f"it is a link to {os.path.realpath(target.data_dir)}.", _NEXT)
    if not target.data_dir.parent.is_dir():
        raise Refused("path", attempted, f"{target.data_dir.parent} is not a folder.", "create it, then try again.")


def _related(one: Path, other: Path) -> bool:
    """Whether two folders are the same, or one is within the other, links resolved."""
    first, second = Path(os.path.realpath(one)), Path(os.path.realpath(other))
    return first == second or first in second.parents or second in first.parents


def _check_same_path(request: Request, source: Source, attempted: str) -> None:
    target = request.target
    received = () if request.received is None else (request.received,)
    for kind, paths in (
        ("the source's data folder", source.data_dirs),
        ("the repository", source.repositories),
        ("the folder of received WAL", received),
    ):
        for path in paths:
            if _related(target.data_dir, path) or _related(target.tablespaces, path):
                raise Refused(
                    "same_path",
                    attempted,
                    f"it is, holds or lies in {kind} {path} (really {os.path.realpath(target.data_dir)}).",
                    _NEXT,
                )


def _check_deny(request: Request, attempted: str) -> None:
    target = request.target
    # Without asking a name server, which may be away on the day of a restore.
    hosts = {socket.gethostname(), socket.gethostname().split(".")[0]}
    found = system_identifier(target.data_dir)
    unmarked = read_marker(target) is None
    for entry in request.deny:
        if entry.startswith("/"):
            held = _related(target.data_dir, Path(entry))
        else:
            held = entry in hosts or (entry == found and unmarked)
        if held:
            raise Refused("deny", attempted, f"{entry} is on the deny list.", _NEXT, {"entry": entry})


def _check_folder(target: Target, attempted: str) -> None:
    marker = read_marker(target)
    if marker is not None:
        _check_marker(target, marker, attempted)
        return
    found = system_identifier(target.data_dir)
    if found:
        raise Refused(
            "own_system",
            attempted,
            f"it holds the cluster with system identifier {found} and no scratch marker ({target.marker_file}).",
            _NEXT,
            {"system_identifier": found},
        )
    for path in (target.data_dir, target.tablespaces, target.log_file):
        if path.is_dir() and not any(path.iterdir()):
            continue
        if os.path.lexists(path):
            raise Refused(
                "not_scratch", attempted, f"{path} is there, and no scratch marker ({target.marker_file}).", _NEXT
            )


def _check_marker(target: Target, marker: Marker, attempted: str) -> None:
    if marker.word != target.marker:
        raise Refused(
            "other_marker",
            attempted,
            f"its marker is {marker.word!r}, and this restore's is {target.marker!r}.",
            "remove it with state absent and its own marker, or choose another folder.",
        )
    if not is_own(target, marker):
        raise Refused(
            "not_scratch",
            attempted,
            f"the folder is not the one that {target.marker_file} was written for: it was replaced since.",
            "look what it is; then choose another folder.",
        )


def _check_port(target: Target, source: Source, attempted: str) -> None:
    attempted = f"{attempted} on port {target.port}"
    if target.port in source.ports:
        raise Refused("same_port", attempted, "that is the source's own port.", _NEXT)
    if read_marker(target) is not None and processes_in(target):
        return  # our own server of an earlier run, which the restore ends first
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", target.port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise OperationError(attempted, f"{error.strerror}.", "choose another port.") from error
            raise Refused("same_port", attempted, "something listens there.", _NEXT) from error


def free_bytes(target: Target) -> int:
    """Bytes that are free for others than root where the target lies."""
    status = os.statvfs(target.data_dir.parent)
    return status.f_bavail * status.f_frsize


def check_space(target: Target, needed: int, attempted: str) -> dict[str, int]:
    """Refuse when the target's file system has less free than the restore needs. Returns both, in bytes."""
    free = free_bytes(target)
    facts = {"needed_bytes": needed, "free_bytes": free}
    if free < needed:
        raise Refused(
            "disk_space",
            attempted,
            f"it needs {needed} bytes and {free} are free below {target.data_dir.parent}.",
            "make room, or choose a target on a larger file system.",
            facts,
        )
    return facts
