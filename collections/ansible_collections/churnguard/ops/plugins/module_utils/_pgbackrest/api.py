# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each command of pgBackRest as a function. Exit codes are not believed: what a command did is read from its output
and from the catalog. Internal: may change in any release."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from .._common.errors import OperationError
from .model import Catalog, Place, Verification
from .plan import Unreadable, parse_info, parse_verify
from .runner import Completed, Run

QUICK_S = 120.0
# With the indented lines that follow: they name the cause.
_ERROR = re.compile(r"^(?:\S+ \S+ P\d+\s+)?ERROR: (\[\d+\]: .*(?:\n[ \t]+.*)*)", re.MULTILINE)


def command(place: Place, verb: str, options: Sequence[str] = (), arguments: Sequence[str] = ()) -> list[str]:
    """The command line of one call. No secret is ever on it: they are in the configuration file."""
    line = [place.program, f"--config={place.config}", f"--stanza={place.stanza}"]
    if place.repo:
        line.append(f"--repo={place.repo}")
    return [*line, *options, verb, *arguments]


def complaint(done: Completed) -> str:
    """What pgBackRest gave as the reason, else all it said."""
    reasons = list(dict.fromkeys(" ".join(found.split()) for found in _ERROR.findall(f"{done.out}\n{done.err}")))
    return "; ".join(reasons) or done.said[-1000:] or f"exit code {done.code} and no word."


def info(place: Place, run: Run, timeout: float = QUICK_S) -> Catalog:
    """The catalog of the stanza. Raises OperationError."""
    done = run(
        command(place, "info", ["--output=json", "--log-level-console=off", "--log-level-stderr=error"]), timeout
    )
    what = f"read the catalog of stanza {place.stanza} ({place.config})"
    if done.code:
        raise OperationError(
            what, complaint(done), "check the configuration file and that the repository can be reached."
        )
    try:
        return parse_info(done.out, place.stanza)
    except Unreadable as error:
        raise OperationError(
            what, f"the answer cannot be read: {error}.", "check the version of pgBackRest."
        ) from error


def set_info(place: Place, label: str, run: Run, timeout: float = QUICK_S) -> dict[str, Any]:
    """What C(info --set) adds about one backup: C(tablespace), C(link) and C(error-list). Raises OperationError."""
    options = ["--output=json", f"--set={label}", "--log-level-console=off", "--log-level-stderr=error"]
    done = run(command(place, "info", options), timeout)
    try:
        if done.code:
            raise ValueError(complaint(done))
        return next(item for entry in json.loads(done.out) for item in entry["backup"] if item["label"] == label)
    except (ValueError, KeyError, TypeError, StopIteration) as error:
        raise OperationError(
            f"read backup {label} of stanza {place.stanza}", f"{error}", "look at it with pgbackrest info --set."
        ) from error


def stanza_create(place: Place, run: Run, online: bool = True, timeout: float = QUICK_S) -> Completed:
    """Create the stanza. What it answers is returned, also a failure: the catalog decides."""
    return run(command(place, "stanza-create", [] if online else ["--no-online"]), timeout)


def check(place: Place, run: Run, timeout: float = QUICK_S) -> None:
    """Have the server archive a segment and see it arrive. Raises OperationError."""
    done = run(command(place, "check", ["--log-level-console=info"]), timeout)
    if done.code or "successfully archived" not in done.said:
        raise OperationError(
            f"see WAL of stanza {place.stanza} arrive in the repository",
            complaint(done),
            "look at archive_command of the server and at its log.",
        )


def backup(
    place: Place,
    kind: str,
    run: Run,
    timeout: float,
    annotations: Mapping[str, str] | None = None,
    expire: bool = True,
    start_fast: bool = True,
) -> Completed:
    """Make a backup of type C(kind). What it answers is returned, also a failure: the catalog decides."""
    options = [f"--type={kind}", "--log-level-console=info", "--start-fast" if start_fast else "--no-start-fast"]
    options += [f"--annotation={key}={value}" for key, value in (annotations or {}).items()]
    if not expire:
        options.append("--no-expire-auto")
    return run(command(place, "backup", options), timeout)


def verify(place: Place, run: Run, timeout: float) -> Verification:
    """Read every file of the repository and compare it with its checksum. Raises OperationError only when nothing could
    be verified: broken files are findings."""
    # Verify prints nothing at all about a good repository unless it is verbose; and a second try of each broken file
    # comes 15 seconds after the first.
    options = ["--output=text", "--verbose", "--log-level-console=info", "--log-level-stderr=warn", "--job-retry=0"]
    done = run(command(place, "verify", options), timeout)
    found = parse_verify(f"{done.out}\n{done.err}")
    if found.status == "unknown":
        raise OperationError(
            f"verify the repository of stanza {place.stanza}",
            complaint(done),
            "run pgbackrest verify by hand and read its log.",
        )
    return found


def restore(
    place: Place, data_dir: str, label: str, run: Run, timeout: float, options: Sequence[str] = ()
) -> Completed:
    """Restore C(label) into the empty folder C(data_dir). What it answers is returned, also a failure."""
    line = [f"--pg1-path={data_dir}", f"--set={label}", "--log-level-console=info", "--archive-mode=off", *options]
    return run(command(place, "restore", line), timeout)


def list_archive(place: Place, archive_id: str, run: Run, timeout: float = QUICK_S) -> list[str]:
    """Paths of all files archived under C(archive_id), relative to it. Raises OperationError."""
    folder = f"archive/{place.stanza}/{archive_id}"
    options = ["--recurse", "--output=json", "--log-level-console=off", "--log-level-stderr=error"]
    line = [part for part in command(place, "repo-ls", options, [folder]) if not part.startswith("--stanza=")]
    done = run(line, timeout)
    try:
        if done.code:
            raise ValueError(complaint(done))
        return sorted(path for path, entry in json.loads(done.out).items() if entry["type"] == "file")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise OperationError(
            f"list the archived WAL {folder}", f"{error}", "check that the repository can be read."
        ) from error


def get_file(place: Place, path: str, run: Run, timeout: float = QUICK_S) -> str:
    """A small text file of the repository, deciphered. Raises OperationError."""
    done = run(command(place, "repo-get", ["--log-level-console=off", "--log-level-stderr=error"], [path]), timeout)
    if done.code:
        raise OperationError(
            f"read {path} of the repository", complaint(done), "check that the repository can be read."
        )
    return done.out


def archive_get(place: Place, pg_path: str, segment: str, target: str, run: Run, timeout: float = QUICK_S) -> Completed:
    """Fetch a WAL segment; C(pg_path) holds a pg_control of the same cluster. Code 1: it is not in the archive."""
    return run(
        command(place, "archive-get", [f"--pg1-path={pg_path}", "--no-archive-async"], [segment, target]), timeout
    )
