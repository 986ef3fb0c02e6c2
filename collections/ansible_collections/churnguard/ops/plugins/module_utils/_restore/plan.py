# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Choosing a backup and judging a target, a walk through the WAL and a server's log, without I/O.

Internal: may change in any release.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from .._common.clock import isoformat, parse_time
from .._pgbackrest.model import Backup, Catalog, Verification
from .model import IMMEDIATE, LATEST, LSN, NAME, TIME, Chosen, Point, Refused, Walk

DEFAULT_SEGMENT_SIZE = 16 * 1024 * 1024
#: Replay keeps at most about max_wal_size of WAL, whose default is 1 GB: that many segments of the default size.
REPLAYED_SEGMENTS_KEPT = 64
#: Room beside the files: temporary files, the server's own new WAL.
SPACE_FACTOR = 1.1
_SEGMENT = re.compile(r"(?:^|/)(?P<name>[0-9A-F]{24})-[0-9a-f]{40}(?:\.\w+)?$")
_LSN = re.compile(r"^(?P<high>[0-9A-Fa-f]{1,8})/(?P<low>[0-9A-Fa-f]{1,8})$")
_NAME = re.compile(r"^[^\x00-\x1f'\\]{1,63}$")
_REACHED = re.compile(r"LOG:\s+(?P<text>recovery stopping (?:before|after|at) .*)$", re.MULTILINE)
_FATAL = re.compile(r"^.*\b(?:FATAL|PANIC):\s+.*$", re.MULTILINE)


# --- positions in the WAL -----------------------------------------------------------------------------------------


def parse_lsn(text: str) -> int:
    """An LSN such as 0/3000148 as a number. Raises ValueError."""
    found = _LSN.match(text)
    if not found:
        raise ValueError(f"{text!r} is not an LSN such as 0/3000148")
    return (int(found["high"], 16) << 32) | int(found["low"], 16)


def segment_of(name: str, size: int) -> tuple[int, int]:
    """Timeline and number of a segment: PostgreSQL's XLogFromFileName."""
    return int(name[:8], 16), int(name[8:16], 16) * (0x100000000 // size) + int(name[16:24], 16)


def check_segment_name(name: str) -> None:
    """Raises ValueError for what is no WAL segment's name."""
    if not re.fullmatch(r"[0-9A-F]{24}", name):
        raise ValueError(f"{name!r} is not the name of a WAL segment, such as 000000010000000000000006")


def segment_name(timeline: int, number: int, size: int) -> str:
    """The name of a segment: PostgreSQL's XLogFileName."""
    each = 0x100000000 // size
    return f"{timeline:08X}{number // each:08X}{number % each:08X}"


def parse_history(text: str) -> list[tuple[int, int]]:
    """The ancestors in a timeline's history file: (timeline, LSN at which it was left), oldest first."""
    entries = []
    for line in text.splitlines():
        fields = line.split("#", 1)[0].split()
        if len(fields) >= 2 and fields[0].isdigit():
            entries.append((int(fields[0]), parse_lsn(fields[1])))
    return entries


def timeline_path(histories: Mapping[int, Sequence[tuple[int, int]]], begin: int) -> list[tuple[int, int]]:
    """The timelines that recovery to the latest follows from C(begin): (timeline, LSN from which it applies).

    C(histories) maps each timeline of the archive to its history file's entries.
    """
    latest = max((line for line, past in histories.items() if any(old == begin for old, _at in past)), default=begin)
    path, since = [], 0
    for line, left_at in histories.get(latest, ()):
        path.append((line, since))
        since = left_at
    path.append((latest, since))
    return path


def walk_names(
    files: Iterable[str],
    histories: Mapping[int, Sequence[tuple[int, int]]],
    start: str,
    archive_id: str,
    size: int = DEFAULT_SEGMENT_SIZE,
    until: str = "",
    received: Mapping[str, str] | None = None,
) -> Walk:
    """Which segments recovery from C(start) will read, in order, and which are missing before the newest one.

    C(files) are paths in the archive; C(until) is a segment that must be there, too; C(received) are the files by
    segment that C(pg_receivewal) has, and count where the archive has none. The walk ends at the first gap:
    what the archive holds behind it is in C(after_gap), where recovery cannot get.
    """
    archived = {found["name"] for path in files if (found := _SEGMENT.search(path))}
    further = {name: file for name, file in (received or {}).items() if name not in archived}
    present = archived | set(further)
    begin_line, first = segment_of(start, size)
    path = timeline_path(histories, begin_line)
    lines = {line for line, _at in path}
    numbers = {number for line, number in (segment_of(name, size) for name in present) if line in lines}
    last = max([number for number in numbers if number >= first], default=first)
    if until:
        last = max(last, segment_of(until, size)[1])
    walk = Walk(archive_id, size, received=further)
    for number in range(first, last + 1):
        # PostgreSQL tries the newest timeline that this segment can belong to, then its ancestors.
        able = [line for line, since in reversed(path) if since // size <= number]
        names = [segment_name(line, number, size) for line in able if line >= begin_line] or [
            segment_name(begin_line, number, size)
        ]
        there = next((name for name in names if name in present), None)
        if there is None:
            walk.missing.append(names[0])
        elif walk.missing:
            walk.after_gap.append(there)
        else:
            walk.segments.append(there)
    return walk


# --- which backup -------------------------------------------------------------------------------------------------


def read_point(kind: str, value: str | None) -> Point:
    """The recovery point that the options describe. Raises ValueError with what is wrong."""
    if kind in (LATEST, IMMEDIATE):
        if value:
            raise ValueError(f"point {kind} takes no value, but {value!r} was given")
        return Point(kind)
    if not value:
        raise ValueError(f"point {kind} needs a value")
    if kind == LSN:
        parse_lsn(value)
    elif kind == TIME:
        moment = parse_time(value)
        if moment.tzinfo is None:
            raise ValueError(f"{value!r} has no offset from UTC; write it as 2026-11-21T19:33:00Z")
        value = moment.astimezone(timezone.utc).isoformat(sep=" ", timespec="microseconds")
    elif not _NAME.match(value):
        raise ValueError(f"{value!r} cannot be the name of a restore point")
    return Point(kind, value)


def point_epoch(point: Point) -> float:
    """The time of a point of kind time, in seconds since the epoch."""
    return datetime.fromisoformat(point.value).timestamp()


def choose(catalog: Catalog, point: Point, label: str, allow_broken: bool = False) -> Chosen:
    """The newest good backup that ended before the point. Raises Refused when there is none.

    pgBackRest's own choice cannot be used: without a backup before a target time it takes the latest one and ignores
    the target.
    """
    attempted = f"choose a backup of stanza {catalog.stanza} for {describe(point)}"
    if not catalog.backups:
        raise Refused("no_backup", attempted, f"the catalog is empty ({catalog.message}).", "make a full backup first.")
    named = [backup for backup in catalog.backups if label in ("", backup.label)]
    if not named:
        known = ", ".join(backup.label for backup in catalog.backups[-10:])
        raise Refused("no_backup", attempted, f"there is no backup {label}.", f"choose one of these: {known}.")
    early = [backup for backup in named if _before(backup, point)]
    if not early:
        oldest = named[0]
        ended = isoformat(datetime.fromtimestamp(oldest.finished, timezone.utc))
        raise Refused(
            "no_backup_before_point",
            attempted,
            f"the oldest, {oldest.label}, ended at {ended} ({oldest.lsn_stop}), after that point.",
            "choose a later point, or restore from a repository that goes back further.",
        )
    good = [backup for backup in early if backup.good or allow_broken]
    if not good:
        raise Refused(
            "backup_broken",
            attempted,
            f"{early[-1].label} and all before it have page errors.",
            "repair the source and make a full backup; a broken one is only restored with ignore: [backup_broken].",
        )
    passed_over = [backup.label for backup in early if not backup.good and backup.finished > good[-1].finished]
    reason = "asked for by its label" if label else f"the newest good one that ended before {describe(point)}"
    if passed_over and not allow_broken:
        reason += f" ({', '.join(passed_over)} passed over: page errors)"
    return Chosen(good[-1], reason)


def _before(backup: Backup, point: Point) -> bool:
    if point.kind == TIME:
        # The catalog keeps whole seconds: a backup that ended within the target's second may have ended after it.
        return backup.finished + 1 <= point_epoch(point)
    if point.kind == LSN:
        return parse_lsn(backup.lsn_stop) <= parse_lsn(point.value)
    return True


def describe(point: Point) -> str:
    """The point in words."""
    return {LATEST: "the end of the archive", IMMEDIATE: "the end of the backup"}.get(
        point.kind, f"{point.kind} {point.value}"
    )


def until_of(point: Point, backup: Backup, size: int, require_wal: str) -> str:
    """The segment that must be in the archive for this point; the backup's last one at least."""
    timeline = segment_of(backup.wal_stop, size)[0]
    wanted = [backup.wal_stop]
    if point.kind == LSN:
        wanted.append(segment_name(timeline, parse_lsn(point.value) // size, size))
    if require_wal and point.kind != IMMEDIATE:
        wanted.append(require_wal)
    return max(wanted, key=lambda name: segment_of(name, size)[1])


# --- judgements ---------------------------------------------------------------------------------------------------


def broken_for(backup: Backup, found: Verification) -> list[str]:
    """What C(verify) found that a restore of this backup would read: files of its chain and whatever names none."""
    told = []
    for finding in found.findings:
        place = finding.path.split("/", 1)[0]
        if place in backup.chain or not finding.path or place not in found.backups:
            parts = [finding.path, finding.kind, finding.detail]
            for name, value in (("expected", finding.expected), ("actual", finding.actual)):
                if value:
                    parts.append(f"{name} {value}")
            told.append(" ".join(part for part in parts if part))
    return told


def check_gap(walk: Walk, backup: Backup, point: Point) -> str:
    """Why the names of the archive do not reach the point; empty when they do."""
    if not walk.missing:
        return ""
    first = walk.missing[0]
    if point.kind == TIME and walk.newest_commit is not None and walk.newest_commit > point_epoch(point):
        return ""
    lost = f"; {len(walk.after_gap)} segments behind it cannot be reached" if walk.after_gap else ""
    more = f" and {len(walk.missing) - 1} more" if len(walk.missing) > 1 else ""
    return f"WAL segment {first}{more} is missing between {backup.wal_start} and the newest{lost}"


def space_needed(backup: Backup, segments: int, size: int) -> int:
    """Bytes that a restore needs: the files, and the WAL that replay keeps at one time."""
    return int(backup.size * SPACE_FACTOR) + min(segments + 1, REPLAYED_SEGMENTS_KEPT) * size


@dataclass(frozen=True)
class Outcome:
    """Whether recovery has done what was asked. C(stopped_by) is the server's own line about it, else what was seen."""

    reached: bool
    stopped_by: str
    reason: str = ""


def reached(point: Point, log: str, walk: Walk, replayed_to: str) -> Outcome:
    """Whether a promoted server has reached its point: that it was promoted says nothing, for without a target
    PostgreSQL takes any unreadable segment as the end of the WAL."""
    lines = [match["text"] for match in _REACHED.finditer(log)]
    if point.kind != LATEST:
        if lines:
            return Outcome(True, lines[-1])
        return Outcome(False, "", f"the server's log does not say that it stopped at {describe(point)}")
    if not walk.segments:
        return Outcome(False, "", "no archived segment was known before the restore")
    if walk.missing:
        return Outcome(
            False,
            "",
            f"recovery ended at {replayed_to}: {walk.missing[0]} is not in the archive, and {len(walk.after_gap)} "
            "segments behind it were not replayed",
        )
    begin = segment_of(walk.last, walk.segment_size)[1] * walk.segment_size
    end = parse_lsn(replayed_to)
    if walk.received_to:
        if end > parse_lsn(walk.received_to):
            return Outcome(True, f"replayed to {replayed_to}, the end of the received WAL")
        return Outcome(
            False, "", f"recovery ended at {replayed_to}, and the received WAL has a record at {walk.received_to}"
        )
    kind = "received" if walk.last in walk.received else "archived"
    # A received segment whose records nobody has read may have none yet.
    if end > begin or (kind == "received" and end == begin):
        return Outcome(True, f"replayed to {replayed_to} in {walk.last}, the newest {kind} segment")
    stopped_in = segment_name(segment_of(walk.last, walk.segment_size)[0], end // walk.segment_size, walk.segment_size)
    return Outcome(
        False,
        "",
        f"recovery ended at {replayed_to} in segment {stopped_in}, and the archive goes on to {walk.last}",
    )


def fatal_lines(log: str) -> list[str]:
    """The lines with which a server says why it ended. Clients that come too early are not the reason."""
    harmless = ("the database system is starting up", "the database system is not yet accepting connections")
    return [line.strip() for line in _FATAL.findall(log) if not any(text in line for text in harmless)]


def name_reason(point: Point) -> str:
    """Why a restore point cannot be found."""
    return f"no archived segment holds a restore point named {point.value}" if point.kind == NAME else ""
