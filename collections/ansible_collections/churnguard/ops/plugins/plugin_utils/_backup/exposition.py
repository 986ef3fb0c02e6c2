# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of backups and drills as metrics in Prometheus' text format. No I/O.

Moments in Unix seconds, not ages: an age that was written once stands still when its writer dies.

Internal: may change in any release."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

BACKUPS, DRILLS = "backups", "drills"
# Those of backup_catalog_info; all of them are written, so that a state that is over reads 0 and not what it last was.
STATES = ("missing", "failed", "stale", "unverified", "ok")
_ENDED = ("passed", "failed")

# Name, help, names of the labels, and rows of their values with the value of the series.
Row = tuple[tuple[str, ...], float]
Family = tuple[str, str, tuple[str, ...], list[Row]]


def families(part: str, found: Mapping[str, Any], now: float) -> Iterator[Family]:
    """The metrics of C(part): C(found) is what backup_catalog_info (backups) or dr_drill_info (drills) returns, C(now)
    when it was asked, in Unix seconds. Raises KeyError, TypeError or ValueError for anything else."""
    yield from _PARTS[part](found)
    yield (
        "churnguard_continuity_updated_timestamp_seconds",
        "When backups or drills were last looked at.",
        ("part",),
        [((part,), float(now))],
    )


def render(part: str, found: Mapping[str, Any], now: float) -> str:
    """The same as text, with HELP and TYPE. Raises as families does, and ImportError without prometheus_client."""
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.core import GaugeMetricFamily

    made = []
    for name, text, labels, rows in families(part, found, now):
        family = GaugeMetricFamily(name, text, labels=labels)
        for values, value in rows:
            family.add_metric(values, value)
        made.append(family)
    registry = CollectorRegistry()
    registry.register(_Given(made))
    return generate_latest(registry).decode("utf-8")


def _backups(catalog: Mapping[str, Any]) -> Iterator[Family]:
    newest: dict[tuple[str, str], float] = {}
    states: list[Row] = []
    for component in catalog["components"]:
        name = str(component["component"])
        states += [((name, state), float(component["state"] == state)) for state in STATES]
        for source in component["sources"]:
            when = _newest(catalog["backups"], name, source)
            if when is not None:
                key = (name, "true" if source["copy"] else "false")
                # Of several places the one that is farthest behind: a young backup in one hides no old one in another.
                newest[key] = min(newest.get(key, when), when)
    yield (
        "churnguard_backup_last_success_timestamp_seconds",
        "When the newest usable backup of the component ended, in the place that is farthest behind.",
        ("component", "copy"),
        sorted(newest.items()),
    )
    yield "churnguard_backup_state", "1 for the state of the component's backups.", ("component", "state"), states


def _newest(backups: Iterable[Mapping[str, Any]], component: str, source: Mapping[str, Any]) -> float | None:
    """When the newest usable backup of a source ended; None without one. Rows do not say which of them is usable, the
    check of the source does: it has that backup's age."""
    age = {check["name"]: check["value"] for check in source["checks"]}["freshness"]
    place = (component, source["provider"], source["location"])
    return next(
        (
            _seconds(row["finished"])
            for row in backups
            if age is not None and row["age_s"] == age
            if (row["component"], row["provider"], row["location"]) == place
        ),
        None,
    )


def _drills(history: Mapping[str, Any]) -> Iterator[Family]:
    # A scenario that has to be drilled and never was is there, too: nothing could be told of a series that is not.
    last: dict[str, Mapping[str, Any] | None] = {one["scenario"]: one["last"] for one in history["scenarios"]}
    for drill in history["drills"]:
        if drill["verdict"] in _ENDED:
            last.setdefault(drill["scenario"], drill)
    ran = [((name,), _seconds(drill["started"]) if drill else 0.0) for name, drill in sorted(last.items())]
    passed = [((name,), float(drill["verdict"] == "passed")) for name, drill in sorted(last.items()) if drill]
    yield (
        "churnguard_drill_last_run_timestamp_seconds",
        "When the last drill of the scenario that ended by itself began; 0 if there is none.",
        ("scenario",),
        ran,
    )
    yield "churnguard_drill_passed", "Whether that drill met its objectives.", ("scenario",), passed


_PARTS: dict[str, Callable[[Mapping[str, Any]], Iterator[Family]]] = {BACKUPS: _backups, DRILLS: _drills}


def _seconds(when: str) -> float:
    moment = datetime.fromisoformat(when.replace("Z", "+00:00"))
    if moment.tzinfo is None:
        raise ValueError(f"{when} has no time zone")
    return moment.timestamp()


class _Given:
    """A collector of families that are there already."""

    def __init__(self, given: list[Any]) -> None:
        self._given = given

    def collect(self) -> list[Any]:
        return self._given
