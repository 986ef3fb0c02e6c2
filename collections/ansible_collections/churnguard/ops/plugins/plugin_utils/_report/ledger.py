# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads load ledgers, one line at a time. The only part of the report that opens ledger files. Internal: may change
in any release.

A ledger is JSON lines: a header, then one line for each request, written when the request ended. So a line that is
cut off at the very end belongs to a request that is still being written down; any other unreadable line is a problem
that the report has to name, because a failure may hide in it.
"""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError

FORMAT = 1
TAIL_BYTES = 65536
KEPT_PROBLEMS = 20


class Entry(NamedTuple):
    """One request: C(due) in Unix seconds, C(latency) in seconds from due to its last byte."""

    due: float
    latency: float
    outcome: str
    answered: bool
    version: str | None
    slow: bool

    @property
    def ended(self) -> float:
        return self.due + self.latency


class Ledger(NamedTuple):
    """What a ledger says about itself. C(started) and C(last) (end of the last requests) are Unix seconds and
    None when the file holds no request yet."""

    path: str
    started: float | None
    last: float | None
    rate: float | None
    target: str | None
    host: str | None


class Problems:
    """Unreadable lines: all are counted, the first ones are kept."""

    def __init__(self) -> None:
        self.count = 0
        self.kept: list[dict[str, Any]] = []

    def add(self, path: str, line: int, error: str) -> None:
        self.count += 1
        if len(self.kept) < KEPT_PROBLEMS:
            self.kept.append({"file": Path(path).name, "line": line, "error": error})


def expand(patterns: list[str]) -> list[str]:
    """The ledger files that C(patterns) name, sorted, each once. A pattern may match nothing; a plain path must exist.

    Raises OperationError for a plain path that is not there.
    """
    found: set[str] = set()
    for pattern in patterns:
        path = os.path.expanduser(str(pattern))  # noqa: PTH111 - Path would eat a pattern's own characters
        if glob.has_magic(path):
            found.update(match for match in glob.glob(path) if Path(match).is_file())  # noqa: PTH207
        elif Path(path).is_file():
            found.add(path)
        else:
            raise OperationError(
                f"read the load ledger {path}", "there is no such file.", "correct the path, or leave it out."
            )
    return sorted(found)


def peek(path: str) -> Ledger:
    """Header and end of a ledger, as a rule without reading what is between.

    Raises OperationError when the file cannot be read or is not a ledger of a known format.
    """
    try:
        with open(path, "rb") as stream:
            first = stream.readline()
            stream.seek(max(0, stream.seek(0, os.SEEK_END) - TAIL_BYTES))
            tail = stream.read().splitlines()
    except OSError as error:
        raise OperationError(
            f"read the load ledger {path}", f"{error.strerror}.", "make it readable, or leave it out."
        ) from error
    if not first.strip():
        return Ledger(path, None, None, None, None, None)
    header = _header(path, first)
    ends = [entry.ended for entry in map(_read, tail) if isinstance(entry, Entry)]
    if not ends:
        # Nothing readable near the end; there may be further up.
        ends = [max((entry.ended for entry in entries(path, lambda *_problem: None)), default=None)]
    return Ledger(path, header["started"], max(ends), header.get("rate"), header.get("target"), header.get("host"))


def entries(path: str, on_problem: Callable[[str, int, str], None]) -> Iterator[Entry]:
    """All requests of a ledger in file order, holding one line at a time.

    C(on_problem) is called with path, line number and what is wrong for each line that cannot be read. A last line
    without a line end is passed over: it is still being written.
    """
    with open(path, "rb") as stream:
        for number, line in enumerate(stream, start=1):
            if number == 1:
                continue
            entry = _read(line)
            if isinstance(entry, Entry):
                yield entry
            elif line.endswith(b"\n"):
                on_problem(path, number, entry)


def _header(path: str, line: bytes) -> dict[str, Any]:
    try:
        header = json.loads(line)
        if header["ledger"] == FORMAT:
            header["started"] = float(header["started"])
            return header
        answer = f"its format is {header['ledger']!r}, this report reads {FORMAT}."
    except (ValueError, TypeError, KeyError):
        answer = f"line 1 is not a ledger's header: {_quote(line)}."
    raise OperationError(
        f"read the load ledger {path}", answer, "name only ledgers that the load generator wrote."
    ) from None


def _read(line: bytes) -> Entry | str:
    """The request on a line, or what is wrong with the line."""
    try:
        data = json.loads(line)
    except ValueError:
        return f"not JSON: {_quote(line)}"
    try:
        version = data["version"]
        return Entry(
            float(data["t"]),
            float(data["lat"]),
            str(data["outcome"]),
            data.get("status") is not None,
            None if version is None else str(version),
            bool(data.get("slow")),
        )
    except KeyError as error:
        return f"field {error} is missing: {_quote(line)}"
    except (TypeError, ValueError, AttributeError):
        return f"not a request: {_quote(line)}"


def _quote(line: bytes) -> str:
    text = line.decode("utf-8", "replace").strip()
    return repr(text if len(text) <= 80 else text[:77] + "...")
