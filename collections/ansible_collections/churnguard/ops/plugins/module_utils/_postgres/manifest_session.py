# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Capture a manifest of a database, and hold a restored copy against one. Internal: may change in any release."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from .._common.clock import Clock, isoformat
from .._common.errors import OperationError
from . import amcheck, connection, dump, foreign_keys, hashing, locate, sequences, store
from .compare import (
    PLACE_SETTINGS,
    bucket_differences,
    catalog_checks,
    collation_checks,
    named_check,
    table_checks,
    verdict_of,
    without,
)
from .connection import Connect
from .gather import Reading, read_all, reading, table_entry
from .hashing import Buckets
from .model import CHECKS, FAILED, PASSED, SKIPPED, Check, Options, Query, Table

Say = Callable[[str], None]


def _quiet(_text: str) -> None:
    """Nobody listens."""


def capture(connect: Connect, options: Options, clock: Clock | None = None, say: Say = _quiet) -> dict[str, Any]:
    """The manifest of a database as it is now, or as C(options.snapshot) has it; with C(options.dump) also a dump of
    exactly that state. Raises OperationError."""
    clock = clock or Clock()
    begin = clock.monotonic()
    created = isoformat(clock.now())
    with reading(connect, options, clock) as state, dump.dumping(state.session, state.snapshot, options.dump) as dumped:
        say(f"{len(state.tables)} tables of {state.identity['database']} under snapshot {state.snapshot}")
        # What a constraint was never checked for may be there: it is counted now, to be compared with later.
        doubtful = [key for key in state.keys if not key.validated]
        found = read_all(state, options, {}, foreign_keys.queries(doubtful))
        written = dumped.finish() if dumped else None
        keys = _described(state)
    manifest = {
        "format": store.FORMAT,
        "created": created,
        "seconds": round(clock.monotonic() - begin, 3),
        "source": state.identity,
        "snapshot": state.snapshot,
        "session": connection.SESSION,
        "hash": options.hash,
        "include": list(options.include),
        "exclude": list(options.exclude),
        "foreign_keys": keys,
        "dump": written,
        **found,
    }
    return store.seal(manifest)


def survey(connect: Connect, options: Options) -> list[dict[str, Any]]:
    """The tables that a capture would read: {name, bytes} each. Raises OperationError."""
    with reading(connect, options, Clock()) as state:
        return [{"name": table.title, "bytes": table.blocks * hashing.BLOCK} for table in state.tables]


def _described(state: Reading) -> dict[str, dict[str, Any]]:
    """Every foreign key: whether it is validated and, if not, how many rows break it at the source."""
    counted = {title: answers[0] for title, answers in state.of("foreign_keys").items()}
    found: dict[str, dict[str, Any]] = {}
    for key in state.keys:
        answer = counted.get(key.title)
        known = answer is not None and answer.verdict == PASSED
        found[key.title] = {"validated": key.validated, "orphans": int(answer.rows[0][0]) if known else None}
    return found


def compare(
    connect: Connect,
    manifest: Mapping[str, Any],
    options: Options,
    clock: Clock | None = None,
    reference: Connect | None = None,
    say: Say = _quiet,
) -> dict[str, Any]:
    """Hold a database against a manifest: {checks: the integrity matrix, verdict, seconds}. Objects are taken by the
    manifest's patterns and rows hashed its way; C(reference) opens sessions on the original, if it is still as it was
    captured. Raises OperationError."""
    clock = clock or Clock()
    begin = clock.monotonic()
    manifest = store.verify(dict(manifest), "the manifest")
    if manifest["session"] != connection.SESSION:
        raise OperationError(
            "compare with the manifest", "it was captured with other session settings.", "capture it with this release."
        )
    checks: list[Check] = [dump.check(manifest["dump"] or {}, options.dump["path"])] if options.dump else []
    options = replace(
        options,
        hash=manifest["hash"],
        include=tuple(manifest["include"]),
        exclude=tuple(manifest["exclude"]),
        snapshot=None,
    )
    with reading(connect, options, clock) as state:
        say(f"{len(state.tables)} tables of {state.identity['database']} against {len(manifest['tables'])}")
        more = foreign_keys.queries(state.keys) if "foreign_keys" in options.checks else []
        more += sequences.extreme_queries(state.filled) if "sequences" in options.checks else []
        # Dealing rows into ranges takes a third of the time, and says nothing more of tables that are as they were.
        actual = read_all(state, replace(options, locate=False), manifest["tables"], more)
        checks += _row_checks(state, manifest, actual, options, reference)
        checks += _catalog_layers(manifest, actual, options)
        if "sequences" in options.checks:
            checks += _sequence_checks(state, manifest, actual)
        if "foreign_keys" in options.checks:
            checks += _foreign_key_checks(state, manifest)
        relations = {table.title: hashing.relation(table) for table in state.tables if table.heap}
    if "amcheck" in options.checks:
        may_create = options.may_create and not state.identity["in_recovery"]
        checks += amcheck.run(connect, relations, replace(options, may_create=may_create), clock)
    checks.sort(key=lambda check: CHECKS.index(check.name) if check.name in CHECKS else -1)
    return {
        "verdict": verdict_of(checks, options.allow_skipped),
        "checks": [check.plain() for check in checks],
        "seconds": round(clock.monotonic() - begin, 3),
        "source": manifest["source"],
        "target": state.identity,
    }


def _row_checks(
    state: Reading, manifest: Mapping[str, Any], actual: Mapping[str, Any], options: Options, reference: Connect | None
) -> list[Check]:
    checks = [check for check in table_checks(manifest["tables"], actual["tables"]) if check.name in options.checks]
    tables = {table.title: table for table in state.tables}
    original = None
    try:
        for check in checks:
            if check.name != "content" or check.verdict != FAILED or check.subject not in tables:
                continue
            expected = manifest["tables"].get(check.subject, {})
            found = _dealt(state, tables[check.subject], expected, actual["tables"][check.subject], options)
            differences = bucket_differences(expected, found)
            if differences and reference is not None and original is None:
                original = connection.open_session(reference)
            if differences:
                plan = Buckets(**expected["plan"])
                table = tables[check.subject]
                check.differences = locate.located(state.session, table, options.hash, plan, differences, original)
                check.reason += (
                    f" in {len(differences)} of {len({*expected['buckets'], *found['buckets']})} ranges of keys"
                )
    finally:
        if original is not None:
            original.close()
    return checks


def _dealt(
    state: Reading, table: Table, expected: Mapping[str, Any], found: Mapping[str, Any], options: Options
) -> Mapping[str, Any]:
    """A table that is not as in the manifest, read again under the same snapshot and dealt as there; as it was found
    where that cannot tell which rows they are."""
    plan = expected.get("plan") if options.locate else None
    if plan is None or list(table.key) != expected.get("key") or expected.get("recipe") != found["recipe"]:
        return found
    buckets = Buckets(**plan)
    queries = hashing.content_queries([table], options.hash, {table.title: buckets}, options.workers)
    return table_entry(table, options.hash, buckets, state.crew.ask(queries))


def _catalog_layers(manifest: Mapping[str, Any], actual: Mapping[str, Any], options: Options) -> list[Check]:
    ignored = (*PLACE_SETTINGS, *options.ignore_settings)
    layers: dict[str, Callable[[], list[Check]]] = {
        "catalog": lambda: catalog_checks(manifest["catalog"], actual["catalog"]),
        "roles": lambda: [named_check("roles", "roles and grants", manifest["roles"], actual["roles"])],
        "settings": lambda: [
            named_check(
                "settings", "server", without(manifest["settings"], ignored), without(actual["settings"], ignored)
            )
        ],
        "extensions": lambda: [named_check("extensions", "versions", manifest["extensions"], actual["extensions"])],
        "collations": lambda: collation_checks(manifest["collations"], actual["collations"]),
    }
    return [check for name, make in layers.items() if name in options.checks for check in make()]


def _sequence_checks(state: Reading, manifest: Mapping[str, Any], actual: Mapping[str, Any]) -> list[Check]:
    furthest: dict[str, dict[str, int | None]] = {}
    unread: dict[str, str] = {}
    seconds: dict[str, float] = {}
    for subject, (answer,) in state.of("sequences").items():
        title, _bar, column = subject.partition("|")
        seconds[title] = seconds.get(title, 0.0) + answer.seconds
        if answer.verdict == PASSED:
            furthest.setdefault(title, {})[column] = answer.rows[0][0]
        else:
            unread[title] = f"{column}: {answer.reason}"
    checks = sequences.compare(manifest["sequences"], actual["sequences"], furthest)
    for check in checks:
        check.seconds = seconds.get(check.subject, 0.0)
        if check.verdict == PASSED and check.subject in unread:
            check.verdict, check.reason = SKIPPED, unread[check.subject]
    return checks


def _foreign_key_checks(state: Reading, manifest: Mapping[str, Any]) -> list[Check]:
    """A check for each foreign key of the copy; those that the copy lacks are the catalog's finding."""
    answers = state.of("foreign_keys")
    checks = []
    for key in state.keys:
        cannot = foreign_keys.countable(key)
        known = (manifest["foreign_keys"].get(key.title) or {}).get("orphans")
        check = Check("foreign_keys", key.title, PASSED, expected=known or 0)
        checks.append(check)
        if cannot:
            check.verdict, check.reason = SKIPPED, cannot
            continue
        (answer,) = answers[key.title]
        check.seconds = answer.seconds
        if answer.verdict != PASSED:
            check.verdict, check.reason = answer.verdict, answer.reason
            continue
        check.actual = int(answer.rows[0][0])
        _judge_orphans(check, key.validated, known is not None)
        if check.verdict == FAILED:
            check.differences = _samples(state, foreign_keys.sample_sql(key))
    return checks


def _judge_orphans(check: Check, validated: bool, known: bool) -> None:
    """Orphans fail, unless the constraint is NOT VALID and the source had as many."""
    if not validated:
        check.reason = f"NOT VALID: {check.actual} rows without a parent"
        check.reason += f", {check.expected} at the source" if known else ", not counted at the source"
    elif check.actual:
        check.reason = f"{check.actual} rows without a parent"
    if check.actual != check.expected:
        check.verdict = FAILED


def _samples(state: Reading, sql: str) -> Sequence[Any]:
    answer = connection.ask(state.session, Query("foreign_keys", "samples", sql), Clock())
    return [row[0] for row in answer.rows]
