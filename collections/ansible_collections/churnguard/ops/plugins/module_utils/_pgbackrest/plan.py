# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading pgBackRest's answers and deciding by them, without I/O. Internal: may change in any release."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from .._common.clock import isoformat
from .._common.envelope import FAILED, NOT_CHECKED, PASSED
from .model import ANSWERS_FOR, Backup, Catalog, Verification, VerifyFinding

_LOG = re.compile(r"^\S+ \S+ P\d+\s+(?P<level>[A-Z]+): (?P<text>.*)$")
_BROKEN = re.compile(
    r"^(?P<what>file missing|invalid checksum|invalid size|invalid result) '?(?P<path>[^':]+)'?(?P<rest>.*)$"
)
_KINDS = {
    "file missing": "missing",
    "invalid checksum": "checksum",
    "invalid size": "size",
    "invalid result": "unreadable",
}
_STATUS = re.compile(r"^\s*status: (?P<status>\w+)\s*$", re.MULTILINE)
_BACKUP = re.compile(
    r"backup: (?P<label>[0-9A-Z_-]+), status: (?P<status>[a-z -]+), total files checked: (?P<checked>\d+)"
)
_ARCHIVE = re.compile(r"archiveId: (?P<id>[\w.-]+), total WAL checked: (?P<checked>\d+)")
#: What a segment's file in the repository is called: name, SHA-1 of the plain content, suffix of the compression.
_SEGMENT_FILE = re.compile(r"(?P<segment>[0-9A-F]{24})-(?P<sha1>[0-9a-f]{40})(\.\w+)?$")


class Unreadable(ValueError):
    """pgBackRest's answer is not what this version of it is known to say; the message says where."""


def parse_info(text: str, stanza: str) -> Catalog:
    """The catalog of C(stanza) from the output of C(info --output=json). Raises Unreadable."""
    try:
        document = json.loads(text)
        if not isinstance(document, list):
            raise ValueError("no list")
        entry = next((entry for entry in document if entry["name"] == stanza), None)
        if entry is None:
            return Catalog(stanza, 1, "missing stanza path", "none", (), {}, False)
        databases = {(item["id"], item.get("repo-key", 1)): item for item in entry.get("db", [])}
        backups = tuple(_backup(item, databases) for item in entry.get("backup", []))
        return Catalog(
            stanza,
            int(entry["status"]["code"]),
            str(entry["status"]["message"]),
            str(entry.get("cipher", "none")),
            tuple(sorted(backups, key=lambda backup: (backup.finished, backup.label))),
            {item["id"]: (item.get("min") or "", item.get("max") or "") for item in entry.get("archive", [])},
            bool(entry["status"].get("lock", {}).get("backup", {}).get("held", False)),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unreadable(f"{type(error).__name__}: {error} in {text[:200]!r}") from error


def _backup(item: dict[str, Any], databases: dict[tuple[int, int], dict[str, Any]]) -> Backup:
    repo = item["database"].get("repo-key", 1)
    database = databases[(item["database"]["id"], repo)]
    archive, lsn = item.get("archive") or {}, item.get("lsn") or {}
    return Backup(
        label=item["label"],
        type=item["type"],
        started=int(item["timestamp"]["start"]),
        finished=int(item["timestamp"]["stop"]),
        size=int(item["info"]["size"]),
        repository_size=int(item["info"]["repository"].get("delta") or 0),
        wal_start=archive.get("start") or "",
        wal_stop=archive.get("stop") or "",
        lsn_start=lsn.get("start") or "",
        lsn_stop=lsn.get("stop") or "",
        system_id=str(database["system-id"]),
        version=str(database["version"]),
        archive_id=f"{database['version']}-{database['id']}",
        prior=item.get("prior") or "",
        references=tuple(item.get("reference") or ()),
        page_errors=bool(item.get("error", False)),
        annotations=dict(item.get("annotation") or {}),
        repo=int(repo),
    )


def parse_verify(text: str) -> Verification:
    """What C(verify --output=text --verbose) said (both its streams). The exit code says nothing: it is 0 also when
    files are broken. Without a line of status nothing was verified, which is never ok."""
    findings: list[VerifyFinding] = []
    for line in text.splitlines():
        told = _LOG.match(line)
        if not told:
            continue
        broken = _BROKEN.match(told["text"])
        if broken:
            segment = _SEGMENT_FILE.search(broken["path"])
            findings.append(
                VerifyFinding(
                    _KINDS[broken["what"]],
                    broken["path"].strip(),
                    broken["rest"].lstrip(": ").strip(),
                    f"sha1 {segment['sha1']}" if segment else "",
                )
            )
        elif told["level"] in ("WARN", "ERROR"):
            findings.append(VerifyFinding("reported", "", told["text"].strip()))
    findings += [VerifyFinding("reported", "", line.strip()) for line in text.splitlines() if line.startswith("ERROR:")]
    statuses = {match["status"] for match in _STATUS.finditer(text)}
    backups = {match["label"]: match["status"].strip() for match in _BACKUP.finditer(text)}
    findings += [
        VerifyFinding("reported", label, f"backup is {status}")
        for label, status in backups.items()
        if status not in ("valid", "in-progress") and not any(label in finding.path for finding in findings)
    ]
    status = "unknown" if not statuses else "ok" if statuses == {"ok"} and not findings else "error"
    return Verification(
        status,
        tuple(findings),
        backups,
        # The summary is printed and logged; the same archive counts once.
        sum({match["id"]: int(match["checked"]) for match in _ARCHIVE.finditer(text)}.values()),
        sum({match["label"]: int(match["checked"]) for match in _BACKUP.finditer(text)}.values()),
    )


@dataclass(frozen=True)
class Need:
    """Whether a backup has to be made, and why; C(answering) is the one that makes it unnecessary."""

    wanted: bool
    reason: str
    answering: Backup | None = None


def need_backup(catalog: Catalog, wanted: str, max_age: float | None, now: float) -> Need:
    """Whether a backup of type C(wanted) has to be made at C(now) (epoch seconds). C(max_age) is in seconds; None
    always makes one. A backup with page errors answers for nothing."""
    if max_age is None:
        return Need(True, "no max_age is set, so each run makes a backup")
    able = [backup for backup in catalog.backups if backup.good and backup.type in ANSWERS_FOR[wanted]]
    if not able:
        return Need(True, f"there is no good backup that could stand for type {wanted}")
    newest = able[-1]
    age = now - newest.finished
    if age > max_age:
        return Need(True, f"the newest, {newest.label}, is {age:.0f} s old and may be {max_age:g} s old")
    return Need(False, f"{newest.label} ({newest.type}) is {age:.0f} s old and may be {max_age:g} s old", newest)


def made(before: Catalog, after: Catalog) -> Backup | None:
    """The backup that is in C(after) and was not in C(before); None when there is none."""
    known = {backup.label for backup in before.backups}
    fresh = [backup for backup in after.backups if backup.label not in known]
    return fresh[-1] if fresh else None


def shown(backup: Backup, now: float, verification: Verification | None = None) -> dict[str, Any]:
    """A backup as plain data for results, with its age at C(now) in seconds."""
    verified = NOT_CHECKED
    if verification is not None:
        state = verification.backups.get(backup.label, "")
        verified = PASSED if verification.status != "unknown" and state == "valid" else FAILED
    return {
        "label": backup.label,
        "type": backup.type,
        "started": isoformat(datetime.fromtimestamp(backup.started, timezone.utc)),
        "finished": isoformat(datetime.fromtimestamp(backup.finished, timezone.utc)),
        "age_s": round(now - backup.finished, 1),
        "size_bytes": backup.size,
        "repository_size_bytes": backup.repository_size,
        "wal_start": backup.wal_start,
        "wal_stop": backup.wal_stop,
        "lsn_start": backup.lsn_start,
        "lsn_stop": backup.lsn_stop,
        "system_identifier": backup.system_id,
        "postgresql_version": backup.version,
        "prior": backup.prior,
        "references": list(backup.references),
        "page_errors": backup.page_errors,
        "annotations": backup.annotations,
        "repo": backup.repo,
        "verified": verified,
    }


def judge_ages(catalog: Catalog, limits: dict[str, float | None], now: float) -> list[dict[str, Any]]:
    """For each wanted type of C(limits) (name to seconds) whether the newest good backup is young enough.

    States: ok, stale, missing, and not_checked for a limit that is not set - also then with the age.
    """
    checks = []
    for wanted, limit in limits.items():
        able = [backup for backup in catalog.backups if backup.good and backup.type in ANSWERS_FOR[wanted]]
        newest = able[-1] if able else None
        age = round(now - newest.finished, 1) if newest else None
        if limit is None:
            state, reason = NOT_CHECKED, "no limit is set"
        elif newest is None:
            state, reason = "missing", f"stanza {catalog.stanza} has no good backup of this kind ({catalog.message})"
        elif age is not None and age > limit:
            state, reason = "stale", f"{newest.label} is {age:.0f} s old, more than {limit:g} s"
        else:
            state, reason = "ok", f"{newest.label} is {age:.0f} s old"
        checks.append(
            {
                "name": f"{wanted}_age",
                "label": newest.label if newest else None,
                "age_s": age,
                "limit_s": limit,
                "state": state,
                "reason": reason,
            }
        )
    return checks
