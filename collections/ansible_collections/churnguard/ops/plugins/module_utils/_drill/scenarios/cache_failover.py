# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cache's primary dies, and its Sentinels make a replica the primary. Internal: may change in any release.

Steady state, a ledger of acknowledged writes, the fault, a new primary, the first acknowledged write, the lost ones,
the old node as a replica, and the steady state again. The fault is a kill -9 of the primary: at once, after its link to
the replica was stalled (what it acknowledged meanwhile is lost), or after the replica was stopped for a while (which
loses nothing, because it is no partition).
"""

from __future__ import annotations

import functools
import ipaddress
import signal
from collections.abc import Iterable, Mapping
from typing import Any

from ..._common.background import reason
from ..._common.envelope import FAILED, PASSED
from ..._common.errors import OperationError
from ..._common.http import send
from ..._common.waiting import DONE, PENDING, Finding
from ..._redis import api, plan
from ..._redis.model import Address, Node
from .. import ledger as ledgers
from .. import processes
from ..cache_plan import (
    FAULTS,
    KILL,
    LINK_STALL,
    PARTITIONS,
    CacheSettings,
    check,
    first_taken,
    last_possible_ack,
    matrix,
    settings,
)
from ..link import Link
from ..model import Subject
from ..scenario import DrillContext, Refused, Scenario, in_order

SPEC: dict[str, dict[str, Any]] = {
    "sentinels": {"type": "list", "elements": "str", "required": True},
    "primary_name": {"type": "str", "required": True},
    "username": {"type": "str"},
    "password_file": {"type": "path"},
    "fault": {"type": "str", "choices": list(FAULTS), "default": KILL},
    "fault_seconds": {"type": "float", "default": 3.0},
    "stall_command": {"type": "list", "elements": "str", "default": []},
    "start_commands": {"type": "dict", "required": True},
    "wait_replicas": {"type": "int", "default": 0},
    "wait_ms": {"type": "int", "default": 100},
    "write_rate": {"type": "float", "default": 100.0},
    "steady_seconds": {"type": "float", "default": 3.0},
    "settle_seconds": {"type": "float", "default": 1.0},
    "failover_timeout": {"type": "float", "default": 60.0},
    "rejoin_timeout": {"type": "float", "default": 120.0},
    "failback": {"type": "bool", "default": True},
    "accept_urls": {"type": "list", "elements": "str", "default": []},
    "accept_headers": {"type": "dict", "default": {}},
}
_POLL_S = 0.1
_ACCEPT_S = 60.0
Evidence = Iterable[Mapping[str, Any]]


def subject(options: Mapping[str, Any], environment: str) -> Subject:
    """Raises Refused when an option is missing or wrong."""
    group = settings(options).group
    if environment == "production":
        raise Refused(
            "production",
            f"kill {group.name}'s primary",
            "nothing is ever broken there.",
            "drill in another environment.",
        )
    return Subject("cache_failover", "cache", f"redis {group.name}", group.name, environment)


def sentences(options: Mapping[str, Any]) -> list[str]:
    """What the drill would do."""
    drill = settings(options)
    before = {
        KILL: "",
        LINK_STALL: f"stall the link from the primary to its replica for {drill.fault_seconds:g} s",
    }.get(drill.fault, f"stop the replica's process for {drill.fault_seconds:g} s")
    return [
        f"write {drill.write_rate:g} numbers a second into the primary of {drill.group.name}",
        *([before] if before else []),
        "kill the primary (SIGKILL)",
        "wait until the Sentinels have made a replica the primary, and it acknowledges writes",
        "count the acknowledged writes that are lost, and start the old primary as a replica",
        *(["make the old primary the primary again"] if drill.failback else []),
    ]


def preflight(ctx: DrillContext) -> Evidence:
    """The steady state, and whether the primary is a process of this machine that may be killed."""
    if not api.HAS_REDIS:
        raise Refused("redis", "start the drill", "the library redis is missing.", "install redis.")
    drill = ctx.state["drill"] = settings(ctx.options)
    found = drill.group.checks()
    for name, problem in found:
        if problem:
            raise Refused("steady_state", "start a failover", f"{name}: {problem}.", "mend that first, then drill.")
    address = drill.group.primary()
    primary = drill.group.node(address) if address else None
    if primary is None:
        raise Refused("steady_state", "start a failover", "the primary does not answer.", "look at its log.")
    ctx.state["primary"], ctx.state["process"] = primary, own_process(primary)
    if str(primary.address) not in drill.start_commands:
        raise Refused(
            "start_command", f"kill {primary.address}", "no command was given that starts it again.", "start_commands."
        )
    yield from ({"kind": "preflight", "name": name, "verdict": PASSED, "reason": ""} for name, _reason in found)
    yield {
        "kind": "preflight",
        "name": "unacknowledged_bytes",
        "verdict": PASSED,
        "reason": f"{plan.unacknowledged_bytes(primary)} bytes, an upper bound of what would be lost now",
    }


def own_process(node: Node) -> processes.Process:
    """The process of a Redis on this machine. Raises Refused when that cannot be proven."""
    attempted = f"find the process of {node.address}"
    if not ipaddress.ip_address(node.address.host).is_loopback:
        raise Refused("loopback", attempted, "it does not listen on loopback.", "drill it by its provider's interface.")
    process = processes.find(node.pid)
    if process is None or "redis" not in process.command or str(node.address.port) not in process.command:
        words = process.words() if process else f"there is no process {node.pid}"
        raise Refused("primary_process", attempted, f"{words}.", "run the drill where Redis runs, as its user.")
    return process


def prepare(ctx: DrillContext) -> Evidence:
    """The ledger, and the proxy in the replica's link."""
    drill: CacheSettings = ctx.state["drill"]
    primary: Node = ctx.state["primary"]
    data = {"group": drill.group.as_data()}
    if drill.failback:
        ctx.record_resource("redis_primary", str(primary.address), data)
    key = ctx.state["key"] = f"churnguard:drill:{ctx.drill_id}"
    ctx.record_resource("redis_keys", key, data)
    writer = ctx.state["writer"] = drill.group.writer(key, drill.wait_replicas, drill.wait_ms)
    ledger = ctx.start_ledger(writer, drill.write_rate)
    begin = ctx.clock.monotonic()

    def look() -> Finding:
        last, waited = ledger.last(), ctx.clock.monotonic() - begin
        return Finding(DONE if last and waited >= drill.steady_seconds else PENDING, f"{len(ledger.acks())} writes")

    ctx.wait(look, drill.steady_seconds + 15, "write into the primary", _POLL_S)
    if drill.fault == LINK_STALL:
        _put_proxy_between(ctx, drill, primary, data)
    return []


def _put_proxy_between(ctx: DrillContext, drill: CacheSettings, primary: Node, data: Mapping[str, Any]) -> None:
    """Let the replica follow its primary through a proxy. The Sentinels put that right by themselves, but not before
    their failover-timeout has passed: what is stalled has to be stalled within it."""
    if len(primary.followers) != 1:
        raise OperationError(
            "stall the link to the replica", f"there are {len(primary.followers)}.", "use another fault."
        )
    replica = primary.followers[0].address
    ctx.record_resource("process", "the stalling proxy")
    lifetime = drill.steady_seconds + drill.fault_seconds + drill.failover_timeout + 300
    link = ctx.state["link"] = Link(drill.stall_command, str(primary.address), lifetime, ctx.drill_id)
    link.start()
    ctx.record_resource("redis_route", str(replica), data)
    through = Address("127.0.0.1", link.port)
    api.follow(replica, through, drill.group.access)
    ctx.state["replica"] = replica

    def look() -> Finding:
        node = drill.group.node(replica)
        why = plan.follows(node, through) if node else f"{replica} does not answer"
        return Finding(PENDING if why else DONE, why)

    ctx.wait(look, 30, f"let {replica} follow through the proxy", _POLL_S)


def fault(ctx: DrillContext) -> Evidence:
    """Stall or stop, if that is asked for; then kill -9."""
    drill: CacheSettings = ctx.state["drill"]
    primary: Node = ctx.state["primary"]
    told: dict[str, Any] = {"kind": "fault", "name": drill.fault, "partition": PARTITIONS[drill.fault], "seconds": 0.0}
    ctx.state["node"] = ctx.record_resource(
        "redis_node",
        str(primary.address),
        {"group": drill.group.as_data(), "start": list(drill.start_commands[str(primary.address)])},
    )
    if drill.fault == LINK_STALL:
        told |= _stall(ctx, drill)
    elif drill.fault != KILL:
        told |= _pause(ctx, drill, primary)
    process: processes.Process = ctx.state["process"]
    ctx.say(f"kill -9 of {process.words()}")
    process.signal(signal.SIGKILL)
    # Until it is gone it may still acknowledge.
    ctx.wait(lambda: Finding(PENDING if processes.alive(process) else DONE, process.words()), 10, "kill it", 0.002)
    ctx.mark("t_fault")
    return [told]


def _stall(ctx: DrillContext, drill: CacheSettings) -> dict[str, Any]:
    """Stall the link and prove by the replica's offset that nothing passes."""
    ctx.state["link"].stall()
    begin = ctx.clock.monotonic()
    ctx.clock.sleep(min(0.2, drill.fault_seconds))  # what the proxy had passed on by then is read by then
    first = drill.group.node(ctx.state["replica"])
    ctx.clock.sleep(max(0.0, drill.fault_seconds - (ctx.clock.monotonic() - begin)))
    last = drill.group.node(ctx.state["replica"])
    moved = last.offset - first.offset if first and last else None
    return {
        "seconds": round(ctx.clock.monotonic() - begin, 3),
        "replica_offset_moved": moved,
        "verdict": PASSED if moved == 0 else FAILED,
        "reason": "" if moved == 0 else "the replica went on reading, so the link was not stalled",
    }


def _pause(ctx: DrillContext, drill: CacheSettings, primary: Node) -> dict[str, Any]:
    """Stop the replica's process for a while."""
    replica = drill.group.node(primary.followers[0].address)
    if replica is None:
        raise OperationError("stop the replica's process", "the replica does not answer.", "look at its log.")
    process = own_process(replica)
    ctx.record_resource("paused_process", str(process.pid), {"pid": process.pid, "started": process.started})
    begin = ctx.clock.monotonic()
    process.signal(signal.SIGSTOP)
    try:
        ctx.clock.sleep(drill.fault_seconds)
    finally:
        process.signal(signal.SIGCONT)
    return {"seconds": round(ctx.clock.monotonic() - begin, 3)}


def detect(ctx: DrillContext) -> Evidence:
    """Until the Sentinels agree that the primary is down."""
    drill: CacheSettings = ctx.state["drill"]
    old = ctx.state["primary"].address

    def look() -> Finding:
        watches = drill.group.watches()
        seen = any(watch.down or watch.primary != old for watch in watches)
        return Finding(
            DONE if seen else PENDING, "; ".join(f"{watch.sentinel}: {sorted(watch.flags)}" for watch in watches)
        )

    ctx.wait(look, drill.failover_timeout, f"see {old} taken for down", _POLL_S)
    ctx.mark("t_detect")
    return []


def recover(ctx: DrillContext) -> Evidence:
    """Until another node is the primary."""
    drill: CacheSettings = ctx.state["drill"]
    old = ctx.state["primary"].address
    found = ctx.wait(
        lambda: drill.group.look_for_primary(other_than=old), drill.failover_timeout, "see a new primary", _POLL_S
    )
    ctx.mark("t_promoted")
    ctx.state["new"] = drill.group.primary()
    ctx.say(found.detail)
    return []


def accept(ctx: DrillContext) -> Evidence:
    """The first write that the new primary takes, read back, and an answer of the application."""
    drill: CacheSettings = ctx.state["drill"]
    begin, key = ctx.marks["t_fault"].monotonic, ctx.state["key"]

    def first() -> Finding:
        taken = first_taken(ctx.ledger.acks(), ctx.state["writer"].unconfirmed, begin)
        if taken is None:
            return Finding(PENDING, "no write was taken yet")
        there = taken[0] in api.members(ctx.state["new"], key, drill.group.access)
        return Finding(
            DONE if there else PENDING, f"write {taken[0]} {'reads back' if there else 'does not read back'}"
        )

    found = ctx.wait(first, drill.failover_timeout, "write into the new primary", _POLL_S)
    for url in drill.accept_urls:
        ctx.wait(functools.partial(_answers, url, drill.accept_headers), _ACCEPT_S, f"get {url}", _POLL_S)
    ctx.mark("t_accept")
    ctx.say(found.detail)
    return []


def _answers(url: str, headers: Mapping[str, str]) -> Finding:
    try:
        with send("GET", url, headers=dict(headers), timeout=5) as answer:
            return Finding(DONE, f"answered {answer.status}")
    except OSError as error:
        return Finding(PENDING, f"it {reason(error)}")


def verify(ctx: DrillContext) -> Evidence:
    """The old node as a replica, the writes still there, and the lost ones by the ledger."""
    drill: CacheSettings = ctx.state["drill"]
    fault_at = ctx.marks["t_fault"].monotonic
    ctx.clock.sleep(drill.settle_seconds)
    if not drill.wait_replicas:
        _end_ledger(ctx)
    before = _members(ctx, drill)
    checks = _rejoin(ctx, drill)
    if drill.wait_replicas:
        # Only now there is a replica again that can confirm.
        ctx.wait(lambda: _confirmed(ctx, fault_at), drill.rejoin_timeout, "see a confirmed write", _POLL_S)
        _end_ledger(ctx)
    survived, acks = _members(ctx, drill), ctx.ledger.acks()
    gone = sorted(before - survived)
    checks.append(check("same_writes_after_rejoin", ctx.state["key"], _words(gone), 0, len(gone)))
    begin = last_possible_ack(acks, fault_at)
    late = [ack.seq for ack in ledgers.lost(acks, survived) if ack.sent > begin]
    checks.append(check("acknowledged_after_failover", ctx.state["key"], _words(late), 0, len(late)))
    yield _count(ctx, drill, survived, begin)
    yield matrix(checks)
    ctx.mark("t_verified")


def _end_ledger(ctx: DrillContext) -> None:
    if not ctx.ledger.stop():
        raise OperationError("end the ledger", "its last write does not return.", "look at the primary.")


def _members(ctx: DrillContext, drill: CacheSettings) -> set[int]:
    """The writes that the primary of now has."""
    ctx.wait(drill.group.look_for_primary, drill.failover_timeout, "find the primary", _POLL_S)
    return set(api.members(drill.group.primary(), ctx.state["key"], drill.group.access))


def _confirmed(ctx: DrillContext, begin: float) -> Finding:
    last = ctx.ledger.last()
    return Finding(DONE if last and last.sent >= begin else PENDING, "no write was confirmed by a replica yet")


def _words(numbers: list[int]) -> str:
    return f"{len(numbers)} are lost: {numbers[:20]}" if numbers else ""


def _count(ctx: DrillContext, drill: CacheSettings, survived: set[int], begin: float) -> dict[str, Any]:
    """The ledger's evidence, and the figures that follow from it."""
    acks, writer = ctx.ledger.acks(), ctx.state["writer"]
    told = ledgers.evidence(acks, survived, begin, ctx.ledger.written)
    told |= {"unconfirmed": len(writer.unconfirmed), "wait_replicas": drill.wait_replicas, "errors": ctx.ledger.errors}
    taken = first_taken(acks, writer.unconfirmed, begin)
    ctx.measure("lost_acked_writes", told["lost"], "writes", 0 if drill.wait_replicas else None)
    ctx.measure("rpo_s", ledgers.recovery_point(acks, survived, begin), "s", ctx.objectives.rpo_s)
    ctx.measure("outage_s", taken[2] - begin if taken else None, "s")
    if drill.wait_replicas:
        ctx.measure("confirmed_outage_s", ledgers.outage(acks, begin), "s")
    return told


def _rejoin(ctx: DrillContext, drill: CacheSettings) -> list[dict[str, Any]]:
    """Start the old primary; it has to follow the new one."""
    joined = ctx.remove(ctx.state["node"])
    steady = ctx.wait(drill.group.look_for_steady, drill.rejoin_timeout, "see the steady state again", 0.5)
    return [
        check("old_primary_follows", str(ctx.state["primary"].address), "", actual=joined.proof),
        check("steady_state", drill.group.name, "", actual=steady.detail),
    ]


def cleanup(ctx: DrillContext) -> Evidence:
    """Connections and the proxy; what was recorded is removed by the engine."""
    if (writer := ctx.state.get("writer")) is not None:
        writer.close()
    if (link := ctx.state.get("link")) is not None:
        link.stop()
    return []


CACHE_FAILOVER = Scenario(
    name="cache_failover",
    component="cache",
    phases=in_order(preflight, prepare, fault, detect, recover, accept, verify, cleanup),
    subject=subject,
    plan=sentences,
    spec=SPEC,
    needs=frozenset({"ledger", "integrity", "fault"}),
    measures=frozenset({"rto_s", "rpo_s", "outage_s", "lost_acked_writes"}),
)
