# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ElastiCache makes a replica the primary, because it was asked to (TestFailover). Internal: may change in any release.

What happened is read from AWS' events in their order: the call, the promotion, the old node's recovery. Writes are
counted through the group's endpoint where one is given; without it their loss is skipped, which fails the drill unless
that is allowed. TestFailover takes the primary away for real, and AWS allows it 15 times for a shard's account in 24 h.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any

from ..._aws.calls import Caller
from ..._common.clock import isoformat
from ..._common.envelope import FAILED, PASSED, SKIPPED
from ..._common.errors import OperationError
from ..._common.waiting import DONE, PENDING, Finding
from ..._elasticache import wait
from ..._elasticache.api import ElastiCacheApi
from ..._elasticache.model import Group, Shard, read_group
from ..._redis import api as redis_api
from ..._redis.model import parse_address
from ..._redis.writer import Writer
from .. import ledger as ledgers
from ..cache_plan import last_possible_ack
from ..model import Subject
from ..scenario import DrillContext, Refused, Scenario, in_order

SPEC: dict[str, dict[str, Any]] = {
    "replication_group_id": {"type": "str", "required": True},
    "node_group_id": {"type": "str", "default": "0001"},
    "region": {"type": "str"},
    "profile": {"type": "str"},
    "endpoint_url": {"type": "str"},
    "endpoint": {"type": "str"},
    "password_file": {"type": "path"},
    "ca_file": {"type": "path"},
    "tls": {"type": "bool", "default": True},
    "write_rate": {"type": "float", "default": 10.0},
    "steady_seconds": {"type": "float", "default": 10.0},
    "failover_timeout": {"type": "float", "default": 1800.0},
    "interval": {"type": "float", "default": 5.0},
}
# AWS' clock and the one here differ; events of the call may bear an earlier time.
_BEFORE = timedelta(seconds=60)
Evidence = Iterable[Mapping[str, Any]]
MakeApi = Callable[[DrillContext], ElastiCacheApi]


def connect(ctx: DrillContext) -> ElastiCacheApi:
    """By boto3, with the credentials that it finds. Raises Refused without the library."""
    try:
        import boto3
    except ImportError as error:
        raise Refused("boto3", "reach AWS", "the library boto3 is missing.", "install boto3.") from error
    options = ctx.options
    session = boto3.session.Session(profile_name=options["profile"], region_name=options["region"])
    return ElastiCacheApi(Caller(session.client("elasticache", endpoint_url=options["endpoint_url"]), ctx.clock))


def subject(options: Mapping[str, Any], environment: str) -> Subject:
    """The replication group, whose name production has to confirm."""
    name = options["replication_group_id"]
    return Subject("elasticache_failover", "cache", f"elasticache {name}", name, environment)


def sentences(options: Mapping[str, Any]) -> list[str]:
    """What the drill would do."""
    return [
        *([f"write to {options['endpoint']}"] if options["endpoint"] else []),
        f"call TestFailover for shard {options['node_group_id']} of {options['replication_group_id']}",
        "wait until AWS' events tell that a replica was promoted and the old primary is back",
    ]


def preflight(ctx: DrillContext) -> Evidence:
    """The group is available, has a replica, and fails over by itself."""
    group, shard = _see(ctx)
    attempted = f"fail over {group.id}"
    if group.status != "available":
        raise Refused("steady_state", attempted, f"its status is {group.status}.", "wait until it is available.")
    if not group.values.get("automatic_failover_enabled"):
        raise Refused("steady_state", attempted, "automatic failover is off.", "turn it on first.")
    if not shard.replicas:
        raise Refused("steady_state", attempted, f"shard {shard.id} has no replica.", "add one first.")
    ctx.state["before"] = shard.primary
    reason = f"available, primary {shard.primary or 'not told by AWS'}, {shard.replicas} replicas"
    return [{"kind": "preflight", "name": "steady_state", "verdict": PASSED, "reason": reason}]


def _see(ctx: DrillContext) -> tuple[Group, Shard]:
    """The group and the shard as they are now. Raises OperationError when one is missing."""
    name, shard_id = ctx.options["replication_group_id"].lower(), ctx.options["node_group_id"]
    described = ctx.state["api"].group(name)
    group = read_group(described) if described is not None else None
    shard = group.shard(shard_id) if group else None
    if group is None or shard is None:
        missing = f"there is no {'shard ' + shard_id if group else 'such group'}."
        raise OperationError(f"look at replication group {name}", missing, "check its name, region and account.")
    return group, shard


def prepare(ctx: DrillContext) -> Evidence:
    """The ledger, where an endpoint is given. Its list ends by itself (EXPIRE) a day after the last write."""
    options = ctx.options
    if not options["endpoint"]:
        return []
    if not redis_api.HAS_REDIS:
        raise OperationError("write to the endpoint", "the library redis is missing.", "install redis.")
    password = redis_api.read_password(options["password_file"]) if options["password_file"] else None
    access = redis_api.Access(password=password, tls=options["tls"], ca_file=options["ca_file"])
    client = redis_api.connect(parse_address(options["endpoint"]), access)
    ctx.state["key"] = f"churnguard:drill:{ctx.drill_id}"
    ctx.state["access"], ctx.state["writer"] = access, Writer(client, ctx.state["key"])
    ledger = ctx.start_ledger(ctx.state["writer"], options["write_rate"])
    begin = ctx.clock.monotonic()

    def look() -> Finding:
        steady = ledger.last() and ctx.clock.monotonic() - begin >= options["steady_seconds"]
        return Finding(DONE if steady else PENDING, f"{len(ledger.acks())} writes")

    ctx.wait(look, options["steady_seconds"] + 30, f"write to {options['endpoint']}")
    return []


def fault(ctx: DrillContext) -> Evidence:
    """TestFailover."""
    group, shard = _see(ctx)
    begun = ctx.clock.now()
    answered = ctx.state["api"].fail_over(group.id, shard.id) or begun
    ctx.mark("t_fault")
    ctx.state["since"] = answered - _BEFORE
    return [{"kind": "fault", "name": "test_failover", "partition": False, "shard": shard.id}]


def _events(ctx: DrillContext) -> tuple[wait.Failover, Group]:
    group, shard = _see(ctx)
    return wait.read_failover(ctx.state["api"].events(ctx.state["since"]), group, shard.id), group


def _await(ctx: DrillContext, attempted: str, moment: str) -> wait.Failover:
    """Until the events have told C(moment) of the failover."""
    seen = {}

    def look() -> Finding:
        seen["failover"] = _events(ctx)[0]
        told = getattr(seen["failover"], moment) is not None
        return Finding(DONE if told else PENDING, f"AWS' events do not tell that it was {moment} yet")

    ctx.wait(look, ctx.options["failover_timeout"], attempted, ctx.options["interval"])
    return seen["failover"]


def detect(ctx: DrillContext) -> Evidence:
    """Until AWS has an event of the call."""
    _await(ctx, "see the call among AWS' events", "called")
    ctx.mark("t_detect")
    return []


def recover(ctx: DrillContext) -> Evidence:
    """Until AWS has an event of the promotion."""
    failover = _await(ctx, "see a replica promoted", "promoted")
    ctx.mark("t_promoted")
    ctx.say(f"{failover.primary_after} is the primary")
    return []


def accept(ctx: DrillContext) -> Evidence:
    """The first acknowledged write; without an endpoint, the promotion is all that can be seen."""
    if ctx.ledger is not None:
        begin = ctx.marks["t_fault"].monotonic
        # It goes on being served until AWS takes the primary away, so only a write after the promotion counts.
        promoted = ctx.marks["t_promoted"].monotonic

        def look() -> Finding:
            last = ctx.ledger.last()
            return Finding(DONE if last and last.sent >= max(begin, promoted) else PENDING, "no write after it yet")

        ctx.wait(look, ctx.options["failover_timeout"], "write to the new primary")
    ctx.mark("t_accept")
    return []


def verify(ctx: DrillContext) -> Evidence:
    """The old node back, the group available with another primary, and the lost writes."""
    seen: dict[str, wait.Failover] = {}
    shard_id = ctx.options["node_group_id"]

    def look() -> Finding:
        seen["failover"], group = _events(ctx)
        return wait.failed_over(seen["failover"], group, shard_id, ctx.state["before"])

    ctx.wait(look, ctx.options["failover_timeout"], "see the old primary back", ctx.options["interval"])
    failover = seen["failover"]
    moments = {name: isoformat(getattr(failover, name)) for name in ("called", "promoted", "recovered")}
    yield {"kind": "events", "name": "aws_events", "verdict": PASSED, "messages": list(failover.messages), **moments}
    ctx.measure("promotion_s", (failover.promoted - failover.called).total_seconds(), "s")
    ctx.measure("old_primary_back_s", (failover.recovered - failover.called).total_seconds(), "s")
    yield _ledger(ctx)
    ctx.mark("t_verified")


def _ledger(ctx: DrillContext) -> dict[str, Any]:
    if ctx.ledger is None:
        return {"kind": "ledger", "name": "ledger", "verdict": SKIPPED, "reason": "no endpoint was given to write to"}
    if not ctx.ledger.stop():
        raise OperationError("end the ledger", "its last write does not return.", "look at the endpoint.")
    address, acks = parse_address(ctx.options["endpoint"]), ctx.ledger.acks()
    survived = set(redis_api.members(address, ctx.state["key"], ctx.state["access"]))
    redis_api.forget(address, ctx.state["key"], ctx.state["access"])
    # When the old primary stopped is not known to the millisecond: every acknowledged write counts.
    last = last_possible_ack(acks, acks[-1].acked if acks else 0.0)
    told = ledgers.evidence(acks, survived, last, ctx.ledger.written)
    ctx.measure("lost_acked_writes", told["lost"], "writes")
    window = told["window_s"]
    ctx.measure("rpo_s", window, "s", ctx.objectives.rpo_s)
    gap = max((after.acked - before.acked for before, after in zip(acks, acks[1:], strict=False)), default=None)
    ctx.measure("outage_s", gap, "s")
    return told | {"errors": dict(ctx.ledger.errors), "verdict": PASSED if acks else FAILED}


def cleanup(ctx: DrillContext) -> Evidence:
    """Close the connection."""
    if (writer := ctx.state.get("writer")) is not None:
        writer.close()
    return []


def build(make_api: MakeApi = connect) -> Scenario:
    """The scenario on the API that C(make_api) gives."""

    def begin(ctx: DrillContext) -> Evidence:
        ctx.state["api"] = make_api(ctx)
        return preflight(ctx)

    return Scenario(
        name="elasticache_failover",
        component="cache",
        phases={"preflight": begin, **in_order(prepare, fault, detect, recover, accept, verify, cleanup)},
        subject=subject,
        plan=sentences,
        needs=frozenset({"ledger", "events", "fault"}),
        measures=frozenset({"rto_s"}),
        spec=SPEC,
    )


ELASTICACHE_FAILOVER = build()
