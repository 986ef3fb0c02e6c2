# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what is backed up to where its backups are, and the catalog as lines for a terminal. No I/O.

Internal: may change in any release."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

# What of a target finds its backups, by provider; the names are those of backup_catalog_info's sources.
_FOUND_BY = {
    "pgbackrest": ("stanza", "config", "repo", "pgbackrest", "system_user"),
    "rds": ("db_instance_identifier", "region"),
    "namespace_export": ("namespace", "path"),
    "bucket_sync": ("bucket", "region", "prefix"),
}
_HEADINGS = ("component", "provider", "location", "newest backup", "age", "limit", "size", "encr", "verified", "state")


def sources(targets: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The sources in which the backups of C(targets) have to be: each target's own and, where it has a second region,
    the one there. Raises KeyError for a target without component or provider, or with another provider."""
    found = []
    for target in targets:
        provider = target["provider"]
        common = {"component": target["component"], "provider": provider}
        place = {name: target[name] for name in _FOUND_BY[provider] if target.get(name) is not None}
        found.append({**common, **place, "copy": bool(target.get("copy"))})
        if provider == "rds" and target.get("copy_region"):
            found.append({**common, **place, "region": target["copy_region"], "copy": True})
        if provider == "namespace_export" and target.get("copy_bucket"):
            bucket = {"bucket": target["copy_bucket"], "region": target["copy_region"]}
            prefix = {"prefix": target["copy_prefix"]} if target.get("copy_prefix") else {}
            found.append({**common, "namespace": target["namespace"], **bucket, **prefix, "copy": True})
    return found


def table(catalog: Mapping[str, Any]) -> list[str]:
    """One aligned line for each source of a catalog below a heading, then every problem."""
    rows = [_HEADINGS]
    for component in catalog["components"]:
        for source in component["sources"]:
            rows.append(_row(catalog["backups"], component["component"], source))
        if not component["sources"]:
            rows.append((component["component"], "-", "-", "-", "-", "-", "-", "-", "-", component["state"]))
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return lines + [_problem(problem) for problem in catalog["problems"]]


def _row(backups: Iterable[Mapping[str, Any]], component: str, source: Mapping[str, Any]) -> tuple[str, ...]:
    place = (component, source["provider"], source["location"])
    mine = [one for one in backups if (one["component"], one["provider"], one["location"]) == place]
    newest = next((one for one in mine if one["age_s"] is not None and one["state"] != "failed"), {})
    limit = next(check["limit"] for check in source["checks"] if check["name"] == "freshness")
    encrypted = {True: "yes", False: "no"}.get(newest.get("encrypted"), "?" if newest else "-")
    return (
        component,
        source["provider"] + (" (copy)" if source["copy"] else ""),
        source["location"],
        newest.get("id") or "-",
        _span(newest.get("age_s")),
        "not checked" if limit is None else _span(limit),
        _bytes(newest.get("size_bytes")),
        encrypted,
        _verified(newest),
        source["state"],
    )


def _verified(backup: Mapping[str, Any]) -> str:
    """The last proof: a drill that restored it counts as much."""
    proof = max((when for when in (backup.get("verified_at"), backup.get("drill_passed_at")) if when), default="")
    return proof[:16].replace("T", " ") if proof else "-"


def _problem(problem: Mapping[str, Any]) -> str:
    where = f" in {problem['location']}" if problem["location"] else ""
    return f"{problem['state']}: {problem['component']}{where}: {problem['name']}: {problem['detail']}"


def _span(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    for unit, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.1f} {name}"
    return f"{seconds:.0f} s"


def _bytes(count: float | None) -> str:
    if count is None:
        return "-"
    for power, name in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
        if count >= 1 << power:
            return f"{count / (1 << power):.1f} {name}"
    return f"{count:.0f} B"
