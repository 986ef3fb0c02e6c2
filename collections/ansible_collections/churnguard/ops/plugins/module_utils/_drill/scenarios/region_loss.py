# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A region is lost: database and traffic move to the other one, and back. Internal: may change in any release.

Every process of the first region is killed. The second region's database, a standby that streams, is promoted, and the
front door sends the traffic there. What was acknowledged and not yet streamed is lost, and counted. Then the first
region comes back as the follower, and takes over again by a planned switch, in which nothing may be lost.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
from collections.abc import Iterable, Mapping
from typing import Any

from ..._common.envelope import PASSED
from ..._common.errors import OperationError
from ..._common.waiting import DONE, PENDING, Finding
from ..._postgres import manifest_session, store
from ..._postgres.connection import HAS_PSYCOPG2, connector
from .. import database_node as nodes
from .. import ledger as ledgers
from .. import preflight as interlocks
from .. import processes
from ..heartbeat import Heartbeat, survivors, table_of
from ..homecoming import Homecoming
from ..model import Subject
from ..region_plan import longest_gap
from ..region_processes import alive, of_region
from ..remove_region import answers
from ..scenario import DrillContext, Refused, Scenario
from . import region_accept
from .region_settings import SPEC, Places, application_login, manifest_options, places

_POLL_S = 0.1
_LOOKS_DOWN = 3
_DETECT_S = 30.0
_KEPT = "postgresql.auto.conf"
Evidence = Iterable[Mapping[str, Any]]


def subject(options: Mapping[str, Any], environment: str) -> Subject:
    """Raises Refused in production, where nothing is broken."""
    first, second = options["first"], options["second"]
    if environment == "production":
        raise Refused(
            "production",
            f"lose region {first['name']}",
            "nothing is ever broken there.",
            "drill in another environment.",
        )
    place = f"{first['name']} ({first['host']}:{first['port']})"
    return Subject("region_loss", "application", place, second["name"], environment)


def sentences(options: Mapping[str, Any]) -> list[str]:
    """What a run would do."""
    first, second = options["first"]["name"], options["second"]["name"]
    return [
        *([f"make the region {second}, with a standby of {first}'s database"] if options["second"]["up"] else []),
        f"see {second}'s database follow {first}'s, and the front door send everything to {first}",
        f"write {options['ledger_rate']:g} rows a second for {options['ledger_seconds']:g} s, and go on",
        f"kill every process of {first} (SIGKILL)",
        f"promote {second}'s database, and move the traffic to {second}",
        "compare ledger and manifest, and read and write as the application does",
        f"start {first} again as the follower, and switch database and traffic back to it without a loss",
        *([f"remove the region {second}, and prove it gone"] if options["second"]["down"] else []),
    ]


def preflight(ctx: DrillContext) -> Evidence:
    """The first region is whole, may be lost, and is known well enough to be brought back."""
    if not HAS_PSYCOPG2:
        raise Refused("psycopg2", "start the drill", "the library psycopg2 is missing.", "install psycopg2.")
    slot = f"churnguard_drill_{hashlib.sha256(ctx.drill_id.encode()).hexdigest()[:12]}"
    where = ctx.state["places"] = places(ctx.options, slot, ctx.folder / _KEPT)
    home, first, attempted = where.pair.home, ctx.options["first"], f"drill {ctx.subject.source}"
    state = nodes.look(home)
    if state is None or not state.running or state.standby:
        words = state.words() if state else "no database there"
        raise Refused("steady_state", attempted, f"it is a {words}.", "name the region whose database is the primary.")
    served, size = home.ask(
        "SELECT current_setting('data_directory'), (SELECT sum(pg_database_size(oid))::bigint FROM pg_database)"
    )[0]
    if os.path.realpath(served) != str(home.home):
        raise Refused("data_dir", attempted, f"the server works in {served}.", "correct data_dir.")
    found = answers(first["url"], ctx.options["front_door"]["headers"])
    if not found.done:
        raise Refused("steady_state", attempted, f"{first['url']}: {found.detail}.", "release the application first.")
    running = of_region(first["process_variable"], first["process_value"], home.home)
    if not running:
        raise Refused(
            "processes", attempted, "no process of it was found here.", "run the drill where the region runs."
        )
    room = [interlocks.disk(shutil.disk_usage(home.home.parent).free, int(size), str(home.home.parent))]
    interlocks.refuse(room, attempted)
    yield from room
    yield _fine("steady_state", f"{state.words()}; {first['url']} answers")
    yield _fine("processes", f"{len(running)} processes")


def _fine(name: str, reason: str) -> dict[str, Any]:
    return {"kind": "preflight", "name": name, "verdict": PASSED, "reason": reason}


def prepare(ctx: DrillContext) -> Evidence:
    """The second region, following; the manifest; the ledger, and what brings the first region back."""
    where: Places = ctx.state["places"]
    home, slot = where.pair.home, where.pair.slot
    kept = ctx.folder / _KEPT
    kept.touch(mode=0o600)
    kept.write_text((home.home / _KEPT).read_text(encoding="utf-8"), encoding="utf-8")
    if where.own_slot:
        ctx.record_resource("replication_slot", f"{slot} on {home.address}", {"slot": slot, "node": home.as_data()})
        nodes.ensure_slot(home, slot)
    _make_second_region(ctx, where)
    yield from _replicating(ctx, where)
    heartbeat = _make_ledger(ctx, where)
    # The ledger's table is in the catalog of both; its rows are the ledger's to compare.
    ctx.say("taking the manifest of the first region's database")
    manifest = manifest_session.capture(home.connect(), manifest_options(ctx.options))
    store.save(str(ctx.folder / "manifest.json"), manifest)
    ctx.state["manifest"] = manifest
    _start_ledger(ctx, heartbeat)


def _make_second_region(ctx: DrillContext, where: Places) -> None:
    second, front = ctx.options["second"], ctx.options["front_door"]
    if not second["up"]:
        return
    undo = {
        "down": list(second["down"]),
        "folders": [*second["folders"], second["data_dir"]],
        "addresses": [where.pair.away.address, front["admin"]],
    }
    ctx.record_resource("second_region", second["name"], undo)
    ctx.record_resource("process", "commands of the drill")
    words = [word.replace("{slot}", where.pair.slot) for word in second["up"]]
    ctx.say(f"making the region {second['name']}")
    marked = {processes.MARKER: ctx.drill_id}
    nodes.run_command(words, f"make the region {second['name']}", marked, ctx.options["up_timeout"])


def _replicating(ctx: DrillContext, where: Places) -> Evidence:
    """The second region is ready to take over."""
    pair, limit, front = where.pair, ctx.options["max_lag_bytes"], ctx.options["front_door"]

    def follows() -> Finding:
        found = nodes.lag(pair.home, pair.slot)
        if found is None:
            return Finding(PENDING, f"nobody streams through {pair.slot}")
        good = found[0] == "streaming" and found[1] <= limit
        return Finding(DONE if good else PENDING, f"{found[0]}, {found[1]} bytes behind")

    yield _fine("replication", ctx.wait(follows, 60, f"see {pair.away.address} follow", _POLL_S).detail)
    away = nodes.look(pair.away)
    if away is None or not away.standby or not away.running:
        raise OperationError(f"look at {pair.away.address}", "it is no standby.", "name a standby of the first region.")
    url, headers = ctx.options["second"]["url"], front["headers"]
    found = ctx.wait(lambda: answers(url, headers), 60, f"get {url}", _POLL_S)
    yield _fine("second_region", f"{url}: {found.detail}")
    if (serving := where.door.serving()) != {ctx.options["first"]["server"]}:
        raise OperationError(
            f"look at {where.door.admin}",
            f"it serves {', '.join(sorted(serving)) or 'nothing'}.",
            f"send everything to {ctx.options['first']['server']} first.",
        )
    yield _fine("front_door", f"{where.door.admin} serves {ctx.options['first']['server']} alone")


def _make_ledger(ctx: DrillContext, where: Places) -> Heartbeat:
    home, away = where.pair.home, where.pair.away
    login = {"login_host": home.host, "login_port": home.port, "login_user": home.user, "login_db": home.database}
    undo = {"login": login, "password_file": home.password_file}
    ctx.record_resource("heartbeat_table", table_of(ctx.drill_id), undo)
    heartbeat = Heartbeat(nodes.either([home, away]), ctx.drill_id)
    heartbeat.create()
    return heartbeat


def _start_ledger(ctx: DrillContext, heartbeat: Heartbeat) -> None:
    ledger = ctx.start_ledger(heartbeat.write, ctx.options["ledger_rate"])
    begin, seconds = ctx.clock.monotonic(), ctx.options["ledger_seconds"]

    def look() -> Finding:
        enough = ctx.clock.monotonic() - begin >= seconds and ledger.last() is not None
        return Finding(DONE if enough else PENDING, f"{len(ledger.acks())} writes are acknowledged")

    ctx.wait(look, seconds + 30, f"write to {ctx.subject.source}", _POLL_S)


def fault(ctx: DrillContext) -> Evidence:
    """kill -9 of every process of the region; if wanted, after its stream to the other one has stood still."""
    where: Places = ctx.state["places"]
    pair, first = where.pair, ctx.options["first"]
    goes = bool(ctx.options["second"]["up"])
    away = {"slot": pair.slot, "node": pair.away.as_data(), "goes": goes}
    if where.own_slot:
        ctx.record_resource("replication_slot", f"{pair.slot} on {pair.away.address}", away)
    ctx.record_resource("traffic", where.door.admin, {"door": where.door.as_data(), "to": first["server"]})
    region = {"pair": pair.as_data(), "start": list(first["start"]), "url": first["url"], "goes": goes}
    region["headers"] = dict(ctx.options["front_door"]["headers"])
    ctx.state["region"] = ctx.record_resource("region", first["name"], region)
    stalled = _stall(ctx, where)
    lost = of_region(first["process_variable"], first["process_value"], pair.home.home)
    ctx.say(f"kill -9 of {len(lost)} processes of {first['name']}")
    killed = _kill(ctx, first, lost, pair.home)
    ctx.mark("t_fault")
    return [{"kind": "fault", "name": "region", "killed": killed, "stalled_s": stalled}]


def _stall(ctx: DrillContext, where: Places) -> float:
    """Let the stream to the other region stand still: its sender is stopped, so that nothing more leaves the region."""
    seconds = ctx.options["stall_seconds"]
    if not seconds:
        return 0.0
    sql = "SELECT active_pid FROM pg_replication_slots WHERE slot_name = %s"
    sender = processes.find(int(where.pair.home.ask(sql, (where.pair.slot,))[0][0]))
    if sender is None:
        raise OperationError("stall the replication", "its sender has ended.", "look at the standby's log.")
    ctx.record_resource("paused_process", str(sender.pid), {"pid": sender.pid, "started": sender.started})
    sender.signal(signal.SIGSTOP)
    ctx.clock.sleep(seconds)
    return float(seconds)


def _kill(ctx: DrillContext, first: Mapping[str, Any], lost: list[processes.Process], home: nodes.Node) -> int:
    """All at once, and again what they have started meanwhile."""
    count = 0

    def look() -> Finding:
        nonlocal lost, count
        count += len(lost)
        for process in lost:
            process.signal(signal.SIGKILL)
        left = alive(lost)
        lost = of_region(first["process_variable"], first["process_value"], home.home)
        return Finding(PENDING if left or lost else DONE, "; ".join(item.words() for item in [*left, *lost][:3]))

    ctx.wait(look, 20, f"kill {first['name']}", 0.02)
    return count


def detect(ctx: DrillContext) -> Evidence:
    """Down is what users get no answer from, through the front door, three times in a row."""
    front, down = ctx.options["front_door"], 0

    def look() -> Finding:
        nonlocal down
        down = 0 if answers(front["url"], front["headers"]).done else down + 1
        return Finding(DONE if down >= _LOOKS_DOWN else PENDING, f"{down} of {_LOOKS_DOWN} looks found it down")

    ctx.wait(look, _DETECT_S, f"notice that {ctx.subject.source} is lost", _POLL_S)
    ctx.mark("t_detect")
    ctx.mark("t_declare")
    return []


def recover(ctx: DrillContext) -> Evidence:
    """First the proof that the old primary takes no write; then the promotion, and the traffic."""
    where: Places = ctx.state["places"]
    pair, first = where.pair, ctx.options["first"]
    left = of_region(first["process_variable"], first["process_value"], pair.home.home)
    if left or nodes.running(pair.home):
        words = "; ".join(process.words() for process in left[:3]) or "its database answers"
        raise OperationError(
            f"fence {first['name']}", f"it is not gone: {words}.", "end it, or both would take writes."
        )
    fenced = f"no process of {first['name']} is left, and {pair.home.address} does not answer"
    before = nodes.look(pair.away)
    nodes.promote(pair.away)
    ctx.mark("t_promoted")
    after = nodes.look(pair.away)
    if before is None or after is None or after.standby or after.timeline <= before.timeline:
        raise OperationError(f"promote {pair.away.address}", "its timeline is the old one.", "read its log.")
    ctx.say(f"{pair.away.name}: {after.words()}")
    nodes.ensure_slot(pair.away, pair.slot)
    begin = ctx.marks["t_fault"].monotonic

    def written() -> Finding:
        last = ctx.ledger.last()
        return Finding(DONE if last and last.sent >= begin else PENDING, "no write is acknowledged yet")

    ctx.wait(written, ctx.options["timeout"], f"write to {pair.away.address}", 0.02)
    where.door.move(ctx.options["second"]["server"])
    ctx.say(f"the front door sends the traffic to {ctx.options['second']['name']}")
    return [
        {"kind": "fence", "name": "fence", "verdict": PASSED, "reason": fenced},
        {"kind": "promotion", "name": "promotion", "from_timeline": before.timeline, "to_timeline": after.timeline},
    ]


def verify(ctx: DrillContext) -> Evidence:
    """Which acknowledged writes the other region has, and whether everything else is as it was."""
    away = ctx.state["places"].pair.away
    survived = survivors(away.ask, ctx.drill_id)
    fault_at, acks = ctx.marks["t_fault"].monotonic, ctx.ledger.acks()
    told = ledgers.evidence(acks, survived, fault_at, ctx.ledger.written)
    ctx.state["lost"] = {ack.seq for ack in ledgers.lost(acks, survived) if ack.acked <= fault_at}
    ctx.measure("rpo_s", ledgers.recovery_point(acks, survived, fault_at), "s", ctx.objectives.rpo_s)
    ctx.measure("lost_acked_writes", told["lost"], "writes", ctx.options["max_lost_writes"])
    ctx.measure("outage_s", ledgers.outage(acks, fault_at), "s")
    ctx.say(f"{told['lost']} of {told['acked_before_fault']} acknowledged writes are lost")
    found = manifest_session.compare(away.connect(), ctx.state["manifest"], manifest_options(ctx.options))
    failed = [f"{check['name']} {check['subject']}" for check in found["checks"] if check["verdict"] == "failed"]
    why = f"{', '.join(failed[:5])} differ" if failed else ""
    ctx.mark("t_verified")
    return [told, {"kind": "integrity", "verdict": found["verdict"], "reason": why, "checks": found["checks"]}]


def accept(ctx: DrillContext) -> Evidence:
    """A read through the front door that the second region answers, and a write as the application's user."""
    found = region_accept.run(ctx, "second", connector(application_login(ctx.options, "second")))
    ctx.mark("t_accept")
    return found


def move_back(ctx: DrillContext) -> Evidence:
    """The first region started, following; then the switch, the traffic, and replication in its old direction."""
    where: Places = ctx.state["places"]
    pair, first = where.pair, ctx.options["first"]
    begin = ctx.clock.monotonic()
    ctx.say(f"starting {first['name']} again")
    nodes.run_command(first["start"], f"start {first['name']}", {})

    def ready() -> None:
        headers = ctx.options["front_door"]["headers"]
        ctx.wait(lambda: answers(first["url"], headers), ctx.options["timeout"], f"get {first['url']}", _POLL_S)

    way = Homecoming(pair, ctx.clock, ctx.say, ready)
    state = way.run()
    where.door.move(first["server"])
    ctx.say(f"the front door sends the traffic to {first['name']} again: {state.words()}")
    moved = ctx.clock.monotonic()
    yield from region_accept.run(ctx, "first", connector(application_login(ctx.options, "first")))

    def written() -> Finding:
        last = ctx.ledger.last()
        return Finding(DONE if last and last.sent >= moved else PENDING, "no write is acknowledged yet")

    ctx.wait(written, ctx.options["timeout"], f"write to {pair.home.address}", _POLL_S)
    yield {"kind": "move_back", "name": "move_back", "steps": way.steps, "rebuilt_by": way.rebuilt_by}
    yield from _replicating(ctx, where)
    if not ctx.ledger.stop():
        raise OperationError(
            "end the ledger", "its last write does not return.", "look at the first region's database."
        )
    _measure_move_back(ctx, way, begin)


def _measure_move_back(ctx: DrillContext, way: Homecoming, begin: float) -> None:
    """Nothing that either region acknowledged since the promotion may be missing; what the fault lost stays lost."""
    acks = ctx.ledger.acks()
    there = survivors(ctx.state["places"].pair.home.ask, ctx.drill_id)
    gone = [ack.seq for ack in ledgers.lost(acks, there) if ack.seq not in ctx.state["lost"]]
    ctx.measure("move_back_lost_writes", len(gone), "writes", 0)
    gap = longest_gap(acks, *way.switched) if way.switched else None
    ctx.measure("move_back_outage_s", gap, "s", ctx.objectives.rto_s)
    ctx.measure("move_back_s", ctx.clock.monotonic() - begin, "s")
    ctx.say(f"moved back; {len(gone)} acknowledged writes were lost by that")


REGION_LOSS = Scenario(
    name="region_loss",
    component="application",
    phases={
        "preflight": preflight,
        "prepare": prepare,
        "fault": fault,
        "detect": detect,
        "recover": recover,
        "verify": verify,
        "accept": accept,
        "move_back": move_back,
    },
    subject=subject,
    plan=sentences,
    needs=frozenset({"fault", "fence", "ledger", "integrity", "acceptance", "move_back"}),
    measures=frozenset(
        {"rto_s", "rpo_s", "lost_acked_writes", "outage_s", "move_back_outage_s", "move_back_lost_writes"}
    ),
    spec=SPEC,
)
