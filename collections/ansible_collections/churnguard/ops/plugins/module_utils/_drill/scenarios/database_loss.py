# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The database is lost: it comes back from the repository, row by row. Internal: may change in any release.

Where the source is marked as a throwaway and C(inject_fault) is set, it is killed and its data directory moved away.
Everywhere else nothing is broken: the copy is restored beside the living source, and the moment at which the ledger was
stopped stands for the loss.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from ..._common.clock import parse_time
from ..._common.errors import OperationError
from ..._common.waiting import DONE, PENDING, Finding
from ..._postgres.connection import HAS_PSYCOPG2
from .. import ledger as ledgers
from .. import preflight as interlocks
from .. import processes
from ..heartbeat import Heartbeat, survivors, table_of
from ..model import Subject
from ..scenario import DrillContext, Refused, Scenario
from . import acceptance, database
from .database import Database, source_login

SPEC: dict[str, dict[str, Any]] = {
    **database.SPEC,
    "inject_fault": {"type": "bool", "default": False},
    "ledger": {
        "type": "dict",
        "default": {},
        "apply_defaults": True,
        "options": {
            "rate": {"type": "float", "default": 10.0},
            "seconds": {"type": "float", "default": 6.0},
            "switch_wal": {"type": "bool", "default": True},
        },
    },
    "max_lost_writes": {"type": "int"},
    "received_wal": {"type": "path"},
    "accept": acceptance.SPEC,
}
_DETECT_S = 30.0
_LOOKS_DOWN = 3


def subject(options: Mapping[str, Any], environment: str) -> Subject:
    """The source by address and folder; the target is the scratch folder, whose name production has to confirm."""
    source = options["source"]
    place = f"{source['host']}:{source['port']}" + (f" ({source['data_dir']})" if source["data_dir"] else "")
    return Subject("database_loss", "database", place, options["target"]["directory"], environment)


def plan(options: Mapping[str, Any]) -> list[str]:
    """What a run would do, in sentences."""
    source, target = options["source"], options["target"]
    kind, data_dir = options["backup"], source["data_dir"]
    wal = "the archive and the received WAL" if options["received_wal"] else "the archive"
    fault = f"kill the server with -9 and move {data_dir} away" if options["inject_fault"] else "break nothing"
    return [
        f"ask {source['host']}:{source['port']}, its repository and the disk whether a drill may run",
        f"make a {kind} backup" if kind != "none" else "use the newest backup",
        "take a manifest of the source" if not options["manifest"]["path"] else "read the given manifest",
        f"write {options['ledger']['rate']:g} heartbeats a second for {options['ledger']['seconds']:g} s",
        fault,
        f"restore to the end of {wal} below {target['directory']}, on port {target['port']}",
        "compare ledger and manifest with the copy",
        "have the application's read and write accepted by the copy",
        "remove the copy and prove it gone",
    ]


def preflight(ctx: DrillContext) -> list[dict[str, Any]]:
    """Everything a drill needs, looked at; raises Refused for what is not there."""
    if not HAS_PSYCOPG2:
        raise Refused("psycopg2", "start the drill", "the library psycopg2 is missing.", "install psycopg2.")
    base = Database(ctx)
    ctx.state["database"] = base
    served, size, standby = base.ask(
        base.to_source(),
        "SELECT current_setting('data_directory'), (SELECT sum(pg_database_size(oid))::bigint FROM pg_database), "
        "pg_is_in_recovery()",
    )[0]
    if standby:
        raise Refused("standby", f"drill {ctx.subject.source}", "it is a standby.", "name the primary.")
    answers = [
        interlocks.backup_running(base.catalog().running),
        interlocks.disk(base.free_bytes(), int(size), ctx.options["target"]["directory"]),
    ]
    if ctx.options["inject_fault"]:
        why = database.check_drillable(ctx.options["source"]["data_dir"], served, ctx.subject.environment)
        answers.append(interlocks.answer("drillable", "failed" if why else "passed", why or "marked as a throwaway"))
    if ctx.options["received_wal"]:
        answers += _received(base, Path(ctx.options["received_wal"]))
    interlocks.refuse(answers, f"drill {ctx.subject.source}")
    return answers


def _received(base: Database, folder: Path) -> list[dict[str, Any]]:
    """Whether there is a folder of received WAL, and whether the server waits for what writes it."""
    there = folder.is_dir()
    found = interlocks.answer(
        "received_wal", "passed" if there else "failed", str(folder) if there else f"{folder} is no folder"
    )
    commit, names, receivers = base.ask(
        base.to_source(),
        "SELECT current_setting('synchronous_commit'), current_setting('synchronous_standby_names'), (SELECT count(*) "
        "FROM pg_stat_replication WHERE state = 'streaming' AND sync_state IN ('sync', 'quorum'))",
    )[0]
    waits = bool(names) and commit not in ("off", "local") and receivers > 0
    words = f"synchronous_commit is {commit}, synchronous_standby_names is {names!r}, {receivers} are synchronous"
    return [found, interlocks.answer("synchronous", "passed" if waits else "not_checked", words)]


def prepare(ctx: DrillContext) -> list[dict[str, Any]]:
    """A backup if one is wanted, the repository verified, the manifest, and the ledger running."""
    base: Database = ctx.state["database"]
    if ctx.options["backup"] != "none":
        base.back_up(ctx.options["backup"])
    found = [base.verify()] if ctx.options["verify_repository"] else []
    ctx.state["manifest"] = base.capture()
    _start_ledger(ctx, base)
    return found


def _start_ledger(ctx: DrillContext, base: Database) -> None:
    wanted = ctx.options["ledger"]
    if not ctx.options["inject_fault"]:
        login = {name: value for name, value in source_login(ctx.options).items() if name != "login_password"}
        ctx.record_resource("heartbeat_table", table_of(ctx.drill_id), {"login": login})
    heartbeat = Heartbeat(base.to_source(), ctx.drill_id)
    ctx.state["heartbeat"] = heartbeat
    heartbeat.create()
    ctx.start_ledger(heartbeat.write, wanted["rate"])
    ctx.say(f"writing {wanted['rate']:g} heartbeats a second for {wanted['seconds']:g} s")
    begin = ctx.clock.monotonic()
    switched = not wanted["switch_wal"]

    def look() -> Finding:
        nonlocal switched
        elapsed = ctx.clock.monotonic() - begin
        if not switched and elapsed >= wanted["seconds"] / 2 and ctx.ledger.last():
            # What is written from here on is not archived when the fault comes: the loss that an archive alone allows.
            separate = Heartbeat(base.to_source(), ctx.drill_id)
            separate.switch_wal()
            separate.close()
            switched = True
        enough = switched and elapsed >= wanted["seconds"] and ctx.ledger.last() is not None
        return Finding(DONE if enough else PENDING, f"{len(ctx.ledger.acks())} heartbeats are acknowledged")

    ctx.wait(look, wanted["seconds"] + 30, f"write heartbeats to {ctx.subject.source}", 0.1)


def fault(ctx: DrillContext) -> list[dict[str, Any]]:
    """The loss: done to a throwaway, assumed for everything else."""
    if not ctx.options["inject_fault"]:
        ctx.ledger.stop()
        ctx.mark("t_fault")
        ctx.say("from here on, the source counts as lost; nothing was done to it")
        return []
    data_dir = Path(os.path.realpath(ctx.options["source"]["data_dir"]))
    moved = data_dir.with_name(f"{data_dir.name}.lost-{ctx.drill_id}")
    ctx.record_resource("moved_directory", str(data_dir), {"moved_to": str(moved)})
    ctx.say(f"killing the server of {data_dir} with -9 and moving its data directory away")
    _kill(ctx, data_dir)
    ctx.mark("t_fault")
    data_dir.rename(moved)
    return []


def _kill(ctx: DrillContext, data_dir: Path) -> None:
    """kill -9 of the server and all that it started. The server is stopped first, so that it starts nothing more."""
    pid = int((data_dir / "postmaster.pid").read_text(encoding="ascii").split("\n", 1)[0])
    server = next((process for process in processes.working_in(data_dir) if process.pid == pid), None)
    if server is None:
        raise OperationError(
            f"kill the server of {data_dir}", f"process {pid} does not work in it.", "look who runs on that folder."
        )
    server.signal(signal.SIGSTOP)
    for process in [server, *processes.working_in(data_dir)]:
        process.signal(signal.SIGKILL)

    def look() -> Finding:
        left = processes.working_in(data_dir)
        return Finding(PENDING if left else DONE, f"{len(left)} processes are still there")

    ctx.wait(look, 10, f"kill the server of {data_dir}", 0.02)


def detect(ctx: DrillContext) -> list[dict[str, Any]]:
    """Down is what does not answer three times in a row; without a fault there is nothing to notice."""
    if ctx.options["inject_fault"]:
        connect, down = ctx.state["database"].to_source(), 0

        def look() -> Finding:
            nonlocal down
            try:
                connect().close()
            except Exception:
                down += 1
            else:
                down = 0
            return Finding(DONE if down >= _LOOKS_DOWN else PENDING, f"{down} of {_LOOKS_DOWN} looks found it down")

        ctx.wait(look, _DETECT_S, f"notice that {ctx.subject.source} is down", 0.1)
        ctx.ledger.stop()
    ctx.mark("t_detect")
    ctx.mark("t_declare")
    return []


def recover(ctx: DrillContext) -> list[dict[str, Any]]:
    """The restore, step by step, each with its clock."""
    base: Database = ctx.state["database"]
    base.make_home()
    session = base.session()
    session.prepare()
    ctx.mark("t_point_chosen")
    ctx.say(f"restoring {session.chosen.backup.label}: {session.chosen.reason}")
    ctx.mark("t_infra_ready")
    session.files()
    ctx.mark("t_files")
    session.start()
    ctx.mark("t_consistent")
    session.replay()
    ctx.mark("t_promoted")
    restored = session.result()
    ctx.state["restored"] = restored
    ctx.say(f"the copy is up: {restored.stopped_by}")
    backup = restored.backup
    return [
        {
            "kind": "backup",
            "label": backup["label"],
            "type": backup["type"],
            "finished": backup["finished"],
            "age_s": backup["age_s"],
            "size_bytes": backup["size_bytes"],
            "selection": restored.selection,
        },
        {
            "kind": "restore",
            "wal": restored.wal,
            "timeline": restored.timeline,
            "recovery_target": restored.recovery_target,
            "stopped_by": restored.stopped_by,
            "last_replayed_commit": restored.last_replayed_commit,
            "system_identifier": restored.system_identifier,
            "isolation": restored.isolation,
            "durations": restored.durations,
        },
    ]


def verify(ctx: DrillContext) -> list[dict[str, Any]]:
    """Which acknowledged writes came back, and whether everything else is as the manifest has it."""
    base: Database = ctx.state["database"]
    copy = base.to_copy()
    survived = survivors(lambda sql, parameters: base.ask(copy, sql, parameters), ctx.drill_id)
    fault_at = ctx.marks["t_fault"].monotonic
    acks = ctx.ledger.acks()
    point = ledgers.recovery_point(acks, survived, fault_at)
    found = ledgers.evidence(acks, survived, fault_at, ctx.ledger.written)
    if point is None:
        point = _beyond_the_ledger(ctx)
        found["reason"] = "no heartbeat came back; the recovery point is that of the last replayed commit"
    ctx.measure("rpo_s", point, "s", ctx.objectives.rpo_s)
    ctx.measure("lost_acked_writes", found["lost"], "writes", ctx.options["max_lost_writes"])
    ctx.say(f"{found['lost']} of {found['acked_before_fault']} acknowledged writes are lost")
    # The manifest is from before the drill's own table.
    heartbeat = Heartbeat(copy, ctx.drill_id)
    heartbeat.drop()
    heartbeat.close()
    matrix = base.compare(ctx.state["manifest"])
    ctx.mark("t_verified")
    return [found, matrix]


def _beyond_the_ledger(ctx: DrillContext) -> float | None:
    """The recovery point by the server's own clock, when the loss reaches back behind the first heartbeat."""
    last = ctx.state["restored"].last_replayed_commit
    if last is None:
        return None
    lost_at: datetime = parse_time(ctx.marks["t_fault"].at)
    return max(0.0, (lost_at - parse_time(last)).total_seconds())


def accept(ctx: DrillContext) -> list[dict[str, Any]]:
    """The first read and write of the application on the copy."""
    base: Database = ctx.state["database"]
    found = acceptance.run(ctx, base.to_copy())
    ctx.mark("t_accept")
    return found


DATABASE_LOSS = Scenario(
    name="database_loss",
    component="database",
    phases={
        "preflight": preflight,
        "prepare": prepare,
        "fault": fault,
        "detect": detect,
        "recover": recover,
        "verify": verify,
        "accept": accept,
    },
    subject=subject,
    plan=plan,
    needs=frozenset({"backup", "ledger", "integrity", "acceptance"}),
    measures=frozenset({"rto_s", "rpo_s", "lost_acked_writes"}),
    spec=SPEC,
)
