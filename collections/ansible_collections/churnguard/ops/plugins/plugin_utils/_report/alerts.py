# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The alerts of a report's time, from the notifications that arrived: what fired, when somebody was told, when it was
over. Reads one file. Internal: may change in any release."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import isoformat, parse_time
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError

from . import rollouts as facts
from .words import listing, number

# Fires always; that it arrives shows that others would.
WATCHDOG = "Watchdog"
MOST_LISTED = 60
_MOST_NAMED = 3
_MOST_TEXT = 400
_TEXTS = ("severity", "team")


def build(path: str | None, envelopes: list[dict[str, Any]], load: dict[str, Any] | None) -> dict[str, Any] | None:
    """The alerts that fired at any time of the operations, of the periods that reviews looked at, and of the load;
    oldest first. None without a C(path) and without anything to report on; a file that is not there is said in
    C(missing), as then nobody knows. Raises OperationError for one that cannot be read."""
    limits = span(envelopes, load)
    if not path or limits is None:
        return None
    start, end = limits
    found: dict[str, Any] = {
        "file": Path(path).name,
        "start": _iso(start),
        "end": _iso(end),
        "missing": not Path(path).exists(),
        "alerts": [],
        "left_out": 0,
        "open": 0,
        "watchdog": {"count": 0, "last": None},
        "unreadable": 0,
        "truncated": 0,
    }
    if found["missing"]:
        return found
    alerts = sorted(_read(path, found, limits).values(), key=lambda one: (one["fired"], one["name"]))
    within = [
        _ended(one) for one in alerts if one["fired_s"] <= end and (one["over_s"] is None or one["over_s"] >= start)
    ]
    found["open"] = sum(one["over"] is None for one in within)
    # What still fires is shown whatever else is left out.
    shown = sorted(within, key=lambda one: (one["over"] is not None, one["fired"]))[:MOST_LISTED]
    found["alerts"] = sorted(shown, key=lambda one: one["fired"])
    found["left_out"] = len(within) - len(shown)
    return found


def span(envelopes: list[dict[str, Any]], load: dict[str, Any] | None) -> tuple[float, float] | None:
    """Start and end (Unix s) of what the report is about."""
    moments = [facts.seconds(one[key]) for one in envelopes for key in ("started", "finished")]
    for envelope in envelopes:
        if envelope["operation"].endswith("_review"):
            moments += [one for one in (_seconds(envelope["subject"].get(key)) for key in ("start", "end")) if one]
    if load and load["started"]:
        moments += [facts.seconds(load["started"]), facts.seconds(load["finished"])]
    return (min(moments), max(moments)) if moments else None


def headline(found: dict[str, Any]) -> str:
    """One line for people."""
    if found["missing"]:
        return "Alerts: not known"
    total = len(found["alerts"]) + found["left_out"]
    if not total:
        return "No alert fired"
    fired = f"{number(total)} alert{'s' * (total != 1)} fired"
    if not found["open"]:
        return f"{fired}, {'all are' if total > 1 else 'it is'} over"
    return f"{fired}, {number(found['open'])} not resolved yet"


def notes(found: dict[str, Any] | None) -> list[str]:
    """What weakens the proof."""
    if not found:
        return []
    if found["missing"]:
        return [f"Alerts are not known: there is no file {found['file']} with the notifications."]
    said = []
    if found["open"]:
        names = list(dict.fromkeys(one["name"] for one in found["alerts"] if one["over"] is None))
        more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
        named = f"{', '.join(names[:_MOST_NAMED])}{more}" if more else listing(names)
        said.append(f"Not resolved yet: {named}.")
    if found["unreadable"]:
        said.append(f"{found['file']}: {number(found['unreadable'])} lines could not be read.")
    if found["truncated"]:
        said.append(f"{number(found['truncated'])} alerts were left out of their notifications by Alertmanager.")
    return said


def runbook(text: Any) -> str | None:
    """The address of a runbook, if it is one that a page may link to: http or https, without a password."""
    address = str(text or "").strip()
    try:
        parts = urlsplit(address)
        safe = parts.scheme in ("http", "https") and parts.hostname and parts.username is None
    except ValueError:
        return None
    return address if safe and not any(char.isspace() for char in address) else None


def _read(path: str, found: dict[str, Any], limits: tuple[float, float]) -> dict[tuple[str, str], dict[str, Any]]:
    """Each alert by its fingerprint and the time at which it fired; counts in C(found) what is no alert."""
    alerts: dict[tuple[str, str], dict[str, Any]] = {}
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            for line in stream:
                # A line without an end is being written.
                if not line.endswith("\n"):
                    break
                try:
                    _take(json.loads(line), alerts, found, limits)
                except (ValueError, KeyError, TypeError, AttributeError):
                    found["unreadable"] += 1
    except OSError as error:
        raise OperationError(
            f"read the notifications in {path}",
            f"{error.strerror}.",
            "name the file that the receiver of Alertmanager's webhooks writes, or none.",
        ) from error
    return alerts


def _take(record: Any, alerts: dict, found: dict[str, Any], limits: tuple[float, float]) -> None:
    """Add one notification: of each alert the first time it was told, and the first time its end was."""
    arrived = _required(record["arrived"])
    told = arrived.timestamp()
    within = limits[0] <= told <= limits[1]
    given = [(one, str(one["labels"].get("alertname") or "?"), _required(one["starts_at"])) for one in record["alerts"]]
    if within:
        found["truncated"] += int(record.get("truncated") or 0)
    for one, name, fired in given:
        if name == WATCHDOG:
            if within:
                found["watchdog"]["count"] += 1
                found["watchdog"]["last"] = isoformat(arrived)
            continue
        key = (str(one.get("fingerprint") or sorted(one["labels"].items())), isoformat(fired))
        entry = alerts.setdefault(key, _entry(one, name, fired))
        receiver = str(record.get("receiver") or "?")
        if receiver not in entry["receivers"]:
            entry["receivers"].append(receiver)
        if one["status"] == "resolved":
            if entry["told_over"] is None:
                over = _required(one["ends_at"])
                entry.update(over=isoformat(over), over_s=over.timestamp(), told_over=isoformat(arrived))
        elif entry["told"] is None:
            entry["told"] = isoformat(arrived)
            entry["told_after_s"] = round(max(told - fired.timestamp(), 0.0), 3)


def _entry(one: dict[str, Any], name: str, fired: datetime) -> dict[str, Any]:
    labels, annotations = dict(one["labels"]), dict(one.get("annotations") or {})
    where = {key: _cut(value) for key, value in sorted(labels.items()) if key not in ("alertname", *_TEXTS)}
    return {
        "name": _cut(name),
        **{key: _cut(labels.get(key)) for key in _TEXTS},
        "summary": _cut(annotations.get("summary")),
        "description": _cut(annotations.get("description")),
        "labels": where,
        "runbook": runbook(annotations.get("runbook_url")),
        "receivers": [],
        "fired": isoformat(fired),
        "fired_s": fired.timestamp(),
        "told": None,
        "told_after_s": None,
        "over": None,
        "over_s": None,
        "told_over": None,
    }


def _ended(one: dict[str, Any]) -> dict[str, Any]:
    """As the report shows it, with how long it fired; None while it does."""
    lasted = None if one["over_s"] is None else round(max(one["over_s"] - one["fired_s"], 0.0), 3)
    return {key: value for key, value in one.items() if key not in ("fired_s", "over_s")} | {"duration_s": lasted}


def _cut(text: Any) -> str:
    """One line of bounded length."""
    line = " ".join(str(text or "").split())
    return line if len(line) <= _MOST_TEXT else f"{line[: _MOST_TEXT - 2]}.."


def _required(value: Any) -> datetime:
    """A time with a zone. Raises ValueError for anything else."""
    moment = parse_time(str(value))
    if moment.tzinfo is None:
        raise ValueError(f"{value!r} has no zone")
    return moment


def _seconds(value: Any) -> float | None:
    try:
        return _required(value).timestamp()
    except ValueError:
        return None


def _iso(moment: float) -> str:
    return isoformat(datetime.fromtimestamp(moment, timezone.utc))
