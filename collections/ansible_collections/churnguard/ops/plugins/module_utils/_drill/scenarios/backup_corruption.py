# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups that are broken on purpose: every one of them has to be caught. Internal: may change in any release.

A drill that cannot fail proves nothing. So the proof itself is drilled: first a good backup is restored and has to
pass, then each way of being broken is done to a copy, and has to be seen by the part whose work that is. A case that
could not be tried is skipped, and a skipped case fails the drill.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..._common.errors import OperationError
from ..._common.waiting import DONE, PENDING, Finding
from ..._postgres import manifest_session
from ..._postgres.connection import HAS_PSYCOPG2
from .. import preflight as interlocks
from ..model import Subject
from ..scenario import DrillContext, Refused, Scenario
from . import broken_repository, broken_rows, database
from .database import Database

SPEC: dict[str, dict[str, Any]] = {
    name: option for name, option in database.SPEC.items() if name not in ("verify_repository",)
}
# Two of them lie wholly behind the backup, so that one can be missing and the archive go on.
_SEGMENTS = 3
_DUMPS = {"half_dump_custom": "custom", "half_dump_plain": "plain"}


def subject(options: Mapping[str, Any], environment: str) -> Subject:
    """The repository is the source; nothing is done to it but reading."""
    source, backup = options["source"], options["pgbackrest"]
    place = f"{backup['stanza']} of {backup['config']} ({source['host']}:{source['port']})"
    return Subject("backup_corruption", "database", place, options["target"]["directory"], environment)


def plan(options: Mapping[str, Any]) -> list[str]:
    """What a run would do, in sentences."""
    cases = ", ".join([*broken_repository.CASES, *_DUMPS, *broken_rows.CASES])
    return [
        f"copy the repository below {options['target']['directory']}",
        "restore a good copy, which has to pass",
        f"break copies, each of which has to be caught: {cases}",
        "remove all copies and prove them gone",
    ]


def preflight(ctx: DrillContext) -> list[dict[str, Any]]:
    """Room for two databases and a repository, and no backup under way."""
    if not HAS_PSYCOPG2:
        raise Refused("psycopg2", "start the drill", "the library psycopg2 is missing.", "install psycopg2.")
    base = Database(ctx)
    ctx.state["database"] = base
    size = base.ask(base.to_source(), "SELECT sum(pg_database_size(oid))::bigint FROM pg_database")[0][0]
    needed = 2 * int(size) + broken_repository.size_of(broken_repository.repository_of(base))
    answers = [
        interlocks.backup_running(base.catalog().running),
        interlocks.disk(base.free_bytes(), needed, ctx.options["target"]["directory"]),
    ]
    interlocks.refuse(answers, f"drill {ctx.subject.source}")
    return answers


def prepare(ctx: DrillContext) -> list[dict[str, Any]]:
    """Enough archived WAL behind the backup, and the copy of the repository."""
    base: Database = ctx.state["database"]
    if ctx.options["backup"] != "none":
        base.back_up(ctx.options["backup"])
    stop = base.catalog().backups[-1].wal_stop
    for _number in range(_SEGMENTS):
        # A switch does nothing where nothing was written, so each has a message of its own.
        broken_rows.execute(base.to_source(), "SELECT pg_logical_emit_message(false, 'churnguard', 'drill')")
        broken_rows.execute(base.to_source(), "SELECT pg_switch_wal()")

    def look() -> Finding:
        newest = base.catalog().archives.get(base.catalog().backups[-1].archive_id, ("", ""))[1]
        behind = int(newest[-8:] or "0", 16) - int(stop[-8:], 16) if newest else 0
        return Finding(DONE if behind >= _SEGMENTS else PENDING, f"the archive is {behind} segments behind the backup")

    ctx.wait(look, 60, "have WAL archived behind the backup", 0.5)
    base.make_home()
    ctx.say("copying the repository")
    ctx.state["place"] = broken_repository.copy_repository(base)
    return []


def recover(ctx: DrillContext) -> list[dict[str, Any]]:
    """The control: the unbroken copy restores, and a clone of it passes the comparison."""
    base: Database = ctx.state["database"]
    session = base.session(place=ctx.state["place"])
    for step in (session.prepare, session.files, session.start, session.replay):
        step()
    options = base.manifest_options("text")
    ctx.state["manifest"] = manifest_session.capture(base.to_copy(), options)
    clone = _clone(base, "control")
    found = manifest_session.compare(base.to_copy(clone), ctx.state["manifest"], options)
    wrong = [f"{check['name']} {check['subject']}" for check in found["checks"] if check["verdict"] == "failed"]
    ctx.say(f"the good copy {found['verdict']}")
    reason = f"the good copy does not pass: {', '.join(wrong[:5])}" if wrong else ""
    return [{"kind": "integrity", "verdict": found["verdict"], "reason": reason, "checks": found["checks"]}]


def verify(ctx: DrillContext) -> list[dict[str, Any]]:
    """Every case; how many there were, and how many were caught."""
    results = []
    for name, attempt in _cases(ctx):
        try:
            seen, how = attempt()
        except OperationError as error:
            seen, how = False, str(error)
        word = "skipped" if seen is None else "passed" if seen else "failed"
        ctx.say(f"{name}: {'caught' if seen else 'NOT TRIED' if seen is None else 'NOT CAUGHT'}, {how}")
        results.append({"kind": "broken_backup", "name": name, "verdict": word, "reason": how})
    caught = sum(1 for result in results if result["verdict"] == "passed")
    ctx.measure("broken_backups_caught", caught, "backups", None, "passed" if caught == len(results) else "failed")
    ctx.measure("broken_backups_total", len(results), "backups")
    return results


def _cases(ctx: DrillContext) -> Iterator[tuple[str, Callable[[], tuple[Any, str]]]]:
    base, place = ctx.state["database"], ctx.state["place"]
    for name, case in broken_repository.CASES.items():
        yield name, lambda case=case: case(base, place)
    for name, form in _DUMPS.items():
        yield name, lambda form=form: _half_dump(ctx, form)
    for name, (breaker, layers) in broken_rows.CASES.items():
        yield name, lambda name=name, breaker=breaker, layers=layers: _broken_clone(ctx, name, breaker, layers)


def _clone(base: Database, name: str) -> str:
    """A database in the copy's server with the content of the good one."""
    clone = f"drill_{name}"
    broken_rows.execute(base.to_copy("template1"), f'CREATE DATABASE {clone} TEMPLATE "{base.source["database"]}"')
    return clone


def _broken_clone(ctx: DrillContext, name: str, breaker: Any, layers: frozenset[str]) -> tuple[Any, str]:
    base: Database = ctx.state["database"]
    clone = _clone(base, name)
    done = broken_rows.break_clone(base.to_copy(clone), breaker)
    if not done:
        return None, "this database has nothing that could be broken like that"
    return _seen_by(base, clone, ctx.state["manifest"], layers, done)


def _seen_by(
    base: Database, clone: str, manifest: dict[str, Any], layers: frozenset[str], done: str
) -> tuple[bool, str]:
    failed = broken_rows.failed_checks(base.to_copy(clone), manifest, base.manifest_options("text"))
    right = [check for check in failed if check["name"] in layers]
    told = "; ".join(f"{check['name']} {check['subject']}: {check['reason']}" for check in (right or failed)[:2])
    return bool(right), f"{done}: {told or 'no check failed'}"


def _half_dump(ctx: DrillContext, form: str) -> tuple[Any, str]:
    """A dump, cut in half, and loaded: whatever the tools answer, the comparison has to fail."""
    base: Database = ctx.state["database"]
    programs, folder = ctx.options["programs"], base.home / f"dump_{form}"
    folder.mkdir()
    base.run.own(str(folder))
    path, clone = folder / "dump", f"drill_dump_{form}"
    way = ["-h", str(base.target.data_dir), "-p", str(base.target.port), "-U", base.source["user"]]
    dumped = base.run([f"{programs}/pg_dump", *way, "-F", form, "-f", str(path), base.source["database"]], base.timeout)
    if dumped.code:
        raise OperationError("dump the good copy", f"{dumped.said}.", "look at the copy's log.")
    with open(path, "r+b") as stream:
        stream.truncate(path.stat().st_size // 2)
    broken_rows.execute(base.to_copy("template1"), f"CREATE DATABASE {clone} TEMPLATE template0")
    load = [f"{programs}/psql", *way, "-X", "-q", "-f", str(path), "-d", clone]
    if form == "custom":
        load = [f"{programs}/pg_restore", *way, "-d", clone, str(path)]
    loaded = base.run(load, base.timeout)
    layers = frozenset({"rows", "content", "catalog"})
    return _seen_by(base, clone, ctx.state["manifest"], layers, f"half a dump, loaded with exit code {loaded.code}")


BACKUP_CORRUPTION = Scenario(
    name="backup_corruption",
    component="database",
    phases={"preflight": preflight, "prepare": prepare, "recover": recover, "verify": verify},
    subject=subject,
    plan=plan,
    needs=frozenset({"integrity", "broken_backup"}),
    measures=frozenset({"broken_backups_caught", "broken_backups_total"}),
    spec=SPEC,
)
