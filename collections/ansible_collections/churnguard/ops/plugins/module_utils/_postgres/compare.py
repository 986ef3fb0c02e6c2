# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares what a manifest holds with what was read from a copy. Pure. Internal: may change in any release."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from typing import Any

from .digest import Difference, differing
from .hashing import Buckets
from .model import FAILED, PASSED, SKIPPED, Check

#: What has to differ on a copy that runs beside its source: places, names, ports, and where WAL and logs go.
PLACE_SETTINGS = (
    "port", "listen_addresses", "unix_socket_*", "data_directory", "config_file", "hba_file", "ident_file",
    "external_pid_file", "cluster_name", "archive_*", "restore_command", "recovery_*", "primary_*",
    "promote_trigger_file", "synchronous_standby_names", "hot_standby*", "log_*", "logging_collector", "syslog_*",
    "event_source", "ssl_*_file", "ssl_*_dir", "stats_temp_directory", "application_name", "lc_messages",
)  # fmt: skip


def verdict_of(checks: Sequence[Check], allow_skipped: Sequence[str]) -> str:
    """passed only if something was checked, no check failed and none was skipped that may not be."""
    blocking = [check for check in checks if check.verdict == SKIPPED and not _allowed(check, allow_skipped)]
    failed = [check for check in checks if check.verdict == FAILED]
    proved = any(check.verdict == PASSED for check in checks)
    return PASSED if proved and not blocking and not failed else FAILED


def _allowed(check: Check, allow_skipped: Sequence[str]) -> bool:
    """C(allow_skipped) names checks, or one subject of a check as name:subject; patterns are understood."""
    return any(
        fnmatch.fnmatchcase(check.name, entry) or fnmatch.fnmatchcase(f"{check.name}:{check.subject}", entry)
        for entry in allow_skipped
    )


def table_checks(expected: Mapping[str, Any], actual: Mapping[str, Any]) -> list[Check]:
    """rows and content of every table of the manifest."""
    found = []
    for title in sorted(expected):
        found += _table(title, expected[title], actual.get(title))
    for title in sorted(set(actual) - set(expected)):
        found.append(Check("rows", title, FAILED, "it is not in the manifest", None, actual[title].get("rows")))
    return found


def _table(title: str, expected: Mapping[str, Any], actual: Mapping[str, Any] | None) -> list[Check]:
    count = Check("rows", title, PASSED, expected=expected.get("rows"))
    content = Check("content", title, PASSED, expected=expected.get("sum"))
    both = [count, content]
    if actual is None:
        for check in both:
            check.verdict, check.reason, check.actual = FAILED, "the table is missing", "missing"
        return both
    count.actual, content.actual, content.seconds = actual.get("rows"), actual.get("sum"), actual.get("seconds", 0.0)
    for side, entry in (("copy", actual), ("manifest", expected)):
        for verdict in (FAILED, SKIPPED):
            if verdict in entry:
                for check in both:
                    check.verdict, check.reason = verdict, f"{side}: {entry[verdict]}"
                return both
    if expected["rows"] != actual["rows"]:
        count.verdict, count.reason = FAILED, f"{actual['rows'] - expected['rows']:+d} rows"
    if expected["recipe"] != actual["recipe"]:
        content.verdict, content.reason = FAILED, "the columns are others"
    elif expected["sum"] != actual["sum"] or expected["rows"] != actual["rows"]:
        content.verdict, content.reason = FAILED, "the rows are others"
    return both


def bucket_differences(expected: Mapping[str, Any], actual: Mapping[str, Any]) -> list[Difference]:
    """The buckets in which a table's two digests differ; none where they cannot be laid side by side."""
    plan = expected.get("plan")
    if plan is None or actual.get("plan") != plan or expected["recipe"] != actual["recipe"]:
        return []
    if "buckets" not in expected or "buckets" not in actual:
        return []
    return differing(expected["buckets"], actual["buckets"], width_of(Buckets(**plan)))


def width_of(plan: Buckets) -> int:
    """Positions in a bucket of this plan are below it."""
    return 1 << (plan.bits if plan.kind == "integer" else 31)


def named_check(name: str, subject: str, expected: Mapping[str, str], actual: Mapping[str, str]) -> Check:
    """Two sets of definitions by name: what is missing, what is new, what is defined otherwise."""
    differences: list[dict[str, Any]] = []
    for title in sorted({*expected, *actual}):
        before, after = expected.get(title), actual.get(title)
        if before != after:
            kind = "missing" if after is None else "unexpected" if before is None else "changed"
            differences.append({"name": title, "kind": kind, "expected": before, "actual": after})
    check = Check(name, subject, FAILED if differences else PASSED, "", len(expected), len(actual))
    check.differences = differences
    if differences:
        more = f" and {len(differences) - 3} more" if len(differences) > 3 else ""
        check.reason = ", ".join(f"{one['name']} {one['kind']}" for one in differences[:3]) + more
    return check


def catalog_checks(expected: Mapping[str, Any], actual: Mapping[str, Any]) -> list[Check]:
    """A check for each kind of object. An index that is invalid on both sides is told, and no finding."""
    found = [named_check("catalog", kind, expected[kind], actual.get(kind, {})) for kind in sorted(expected)]
    for check in found:
        invalid = [name for name, text in actual.get(check.subject, {}).items() if "; INVALID" in text]
        if check.subject == "indexes" and invalid and check.verdict == PASSED:
            check.reason = f"invalid, as in the source: {', '.join(invalid)}"
    return found


def without(settings: Mapping[str, str], patterns: Sequence[str]) -> dict[str, str]:
    """The settings that no pattern names."""
    return {
        name: value
        for name, value in settings.items()
        if not any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
    }


def collation_checks(expected: Mapping[str, Any], actual: Mapping[str, Any]) -> list[Check]:
    """Definitions as in the manifest, and sorted now as when the indexes were built: else indexes on text are wrong."""
    definitions = [{name: entry["definition"] for name, entry in side.items()} for side in (expected, actual)]
    found = [named_check("collations", "definitions", *definitions)]
    for name, entry in sorted(actual.items()):
        if entry["recorded"] is not None:
            same = entry["recorded"] == entry["actual"]
            reason = "" if same else "the library sorts otherwise than when indexes were built: REINDEX them"
            check = Check("collations", name, PASSED if same else FAILED, reason, entry["recorded"], entry["actual"])
            found.append(check)
    return found
