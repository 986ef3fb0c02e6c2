"""Log files of pods: their lines, what a line says, and how to go on reading where one stopped."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

#: Fields of a line that have a column of their own; the others are in the column `fields`.
TEXTS = ("level", "logger", "message", "trace_id", "span_id", "request_id", "method", "route")
NUMBERS = ("status", "duration_ms")
#: What a line is: an object as the application writes it, text of somebody else, or the beginning of a line.
JSON, TEXT, UNFINISHED = "json", "text", "unfinished"
#: A line that is longer is cut, so that a process that writes no line ends does not fill the memory.
LONGEST = 1024 * 1024


@dataclasses.dataclass(frozen=True)
class Source:
    """One file of one container. A file that was set aside has the same pod and container as the one in use."""

    path: Path
    namespace: str
    pod: str
    container: str


def source(path: Path) -> Source:
    """What a file's name says: <namespace>_<pod>_<container>.log, or .log.1; of another name the pod is the name."""
    stem = path.name.partition(".log")[0]
    parts = stem.split("_")
    namespace, pod, container = parts if len(parts) == 3 else ("", stem, "")
    return Source(path, namespace, pod, container)


def log_files(folder: Path, since: datetime | None = None) -> list[Source]:
    """The files of a folder, what was set aside before what is in use. Left out are those whose last change lies before
    `since`: no line of theirs can be newer. A folder that is not there has none."""
    found = []
    for path in folder.glob("*.log*"):
        try:
            changed = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        except FileNotFoundError:
            continue
        if since is None or changed >= since:
            found.append(path)
    return [source(path) for path in sorted(found, key=lambda path: (source(path).pod, path.name), reverse=True)]


def moment(value: Any) -> datetime | None:
    """A time as RFC 3339, in UTC; None for anything else. Without a zone it is taken as UTC."""
    if not isinstance(value, str):
        return None
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError:
        return None
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).astimezone(UTC)


def decode(text: str) -> dict[str, Any] | None:
    """The object that a line holds; None when it holds none."""
    if not text.lstrip().startswith("{"):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def row(origin: Source, number: int, text: str, whole: bool, before: datetime) -> dict[str, Any]:
    """A line as a row of the table `logs`.

    `before` is the time of the line before it, which one without a time of its own takes.
    """
    entry = decode(text)
    kind = JSON if entry is not None else TEXT if whole else UNFINISHED
    entry = dict(entry or {"message": text})
    at = moment(entry.pop("timestamp", None)) or moment(entry.pop("time", None))
    made: dict[str, Any] = {
        "time": (at or before).astimezone(UTC).replace(tzinfo=None).isoformat(" "),
        "exact": at is not None,
        "namespace": origin.namespace,
        "pod": origin.pod,
        "container": origin.container,
        "kind": kind,
        "file": str(origin.path),
        "number": number,
    }
    for name in TEXTS:
        value = entry.pop(name, None)
        made[name] = value if value is None or isinstance(value, str) else json.dumps(value)
    status, duration = (_number(entry.pop(name, None)) for name in NUMBERS)
    made |= {"status": None if status is None else int(status), "duration_ms": duration}
    made["level"] = made["level"].lower() if made["level"] else None
    made["fields"] = json.dumps(entry) if entry else None
    return made


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


class Tail:
    """A file that is read line by line as it grows, is cut short, or is replaced by another of the same name."""

    def __init__(self, origin: Source) -> None:
        self.origin = origin
        self.number = 0
        self._file = origin.path.open("rb")
        self._rest = b""
        self._before = datetime.fromtimestamp(os.fstat(self._file.fileno()).st_mtime, UTC)

    def close(self) -> None:
        """Stop reading."""
        self._file.close()

    def new(self) -> Iterator[dict[str, Any]]:
        """Rows of the lines that were completed since the last call. The beginning of a line waits for its end."""
        yield from self.lines()
        while self._replaced():
            # What its writer wrote before it was set aside, to the last letter.
            yield from self.lines()
            yield from self.rest()
            self._file.close()
            self._file = self.origin.path.open("rb")
            self.number = 0
            yield from self.lines()

    def rest(self) -> Iterator[dict[str, Any]]:
        """The row of a line without an end, if there is one: its writer is at it, or died."""
        if self._rest:
            yield self._row(self._rest, whole=False)
            self._rest = b""

    def lines(self) -> Iterator[dict[str, Any]]:
        """Rows of the lines that were completed in the file that is open."""
        if os.fstat(self._file.fileno()).st_size < self._file.tell():
            self._file.seek(0)  # Cut short and written anew.
            self._rest = b""
        while chunk := self._file.read(LONGEST):
            *complete, self._rest = (self._rest + chunk).split(b"\n")
            for line in complete:
                if line.strip():
                    yield self._row(line, whole=True)
            if len(self._rest) > LONGEST:
                yield self._row(self._rest, whole=False)
                self._rest = b""

    def _replaced(self) -> bool:
        """Whether another file has the name now."""
        try:
            there = self.origin.path.stat()
        except FileNotFoundError:
            return False
        own = os.fstat(self._file.fileno())
        return (there.st_dev, there.st_ino) != (own.st_dev, own.st_ino)

    def _row(self, line: bytes, whole: bool) -> dict[str, Any]:
        self.number += 1
        text = line[:LONGEST].decode("utf-8", errors="replace").rstrip("\r")
        made = row(self.origin, self.number, text, whole, self._before)
        if made["exact"]:
            self._before = datetime.fromisoformat(made["time"]).replace(tzinfo=UTC)
        return made


def read(origin: Source) -> Iterator[dict[str, Any]]:
    """Every line of a file as a row, a line without an end too; none of a file that is gone by now."""
    try:
        tail = Tail(origin)
    except FileNotFoundError:
        return
    try:
        yield from tail.lines()
        yield from tail.rest()
    finally:
        tail.close()


class Follower:
    """Every file of a folder as it grows, and those that appear."""

    def __init__(self, folder: Path, from_the_end: bool = True) -> None:
        self._folder = folder
        self._tails: dict[Path, Tail] = {}
        if from_the_end:
            for _old in self.new():
                pass

    def new(self) -> list[dict[str, Any]]:
        """What was written since the last call, by time. Set-aside files are not opened: their end was read before."""
        rows = []
        for path in sorted(self._folder.glob("*.log")):
            if path not in self._tails:
                try:
                    self._tails[path] = Tail(source(path))
                except FileNotFoundError:
                    continue
            rows += self._tails[path].new()
        return sorted(rows, key=lambda made: made["time"])

    def close(self) -> None:
        """Stop reading."""
        for tail in self._tails.values():
            tail.close()
