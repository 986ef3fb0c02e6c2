# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods of the live application are lost under load, or their whole node. Internal: may change in any release.

Nothing is scaled: the processes are killed (SIGKILL), and it is the cluster's work to bring them back. A ledger of
requests through the gateway measures what users saw. Recovered is when every replica is ready again and requests are
answered one after the other.
"""

from __future__ import annotations

import signal
from collections.abc import Iterable, Mapping
from typing import Any

from ..._common.envelope import FAILED, PASSED
from ..._common.errors import OperationError
from ..._common.http import send
from ..._common.waiting import DONE, PENDING, Finding
from ..._kubernetes import connection
from ..._kubernetes.objects import Ref
from .. import application_plan as plans
from .. import pod_processes, processes
from ..background import Load
from ..model import Subject
from ..scenario import DrillContext, Refused, Scenario, in_order

POD, NODE = "pods", "node"
SPEC: dict[str, dict[str, Any]] = {
    "kubeconfig": {"type": "path"},
    "context": {"type": "str"},
    "namespace": {"type": "str", "required": True},
    "application": {"type": "str", "required": True},
    "url": {"type": "str", "required": True},
    "headers": {"type": "dict", "default": {}},
    "fault": {"type": "str", "choices": [POD, NODE], "default": POD},
    "share": {"type": "float", "default": 1.0},
    "container_variable": {"type": "str", "required": True},
    "node_command": {"type": "list", "elements": "str", "default": []},
    "load_command": {"type": "list", "elements": "str", "default": []},
    "request_rate": {"type": "float", "default": 20.0},
    "request_timeout": {"type": "float", "default": 2.0},
    "steady_seconds": {"type": "float", "default": 3.0},
    "answers_in_a_row": {"type": "int", "default": 20},
    "recovery_timeout": {"type": "float", "default": 300.0},
}
_POLL_S = 0.2
Evidence = Iterable[Mapping[str, Any]]


def subject(options: Mapping[str, Any], environment: str) -> Subject:
    """Raises Refused in production, and for options that do not fit together."""
    name = f"{options['namespace']}/{options['application']}"
    if environment == "production":
        raise Refused("production", f"kill pods of {name}", "nothing is ever broken there.", "drill in another one.")
    if options["fault"] == NODE and not options["node_command"]:
        raise Refused(
            "options", f"lose the node of {name}", "node_command is missing.", "say what its agent is called."
        )
    if not 0 < options["share"] <= 1 or not 0 < options["request_rate"] <= 200:
        raise Refused("options", f"drill {name}", "share or request_rate is out of bounds.", "0 to 1, and 1 to 200/s.")
    return Subject("application_failover", "application", name, name, environment)


def sentences(options: Mapping[str, Any]) -> list[str]:
    """What the drill would do."""
    lost = "its node's agent and every pod's processes" if options["fault"] == NODE else "its pods' processes"
    return [
        f"get {options['url']} {options['request_rate']:g} times a second",
        *(["start the load"] if options["load_command"] else []),
        f"kill {options['share']:.0%} of {options['application']}: {lost} (SIGKILL)",
        "wait until all replicas are ready and requests are answered",
        "count the requests that failed, and how long",
    ]


class Cluster:
    """The application's objects."""

    def __init__(self, ctx: DrillContext) -> None:
        options = ctx.options
        self._namespace, self._label = options["namespace"], f"app={options['application']}"
        params = {"kubeconfig": options["kubeconfig"], "context": options["context"]}
        self._connection = connection.Connection(connection.client_configuration(params), ctx.clock)

    def deployments(self) -> list[dict[str, Any]]:
        """All Deployments of the application."""
        return self._connection.list(Ref("Deployment", self._namespace), self._label)

    def pods(self, workloads: Iterable[plans.Workload]) -> list[dict[str, Any]]:
        """The pods of the workloads."""
        ref = Ref("Pod", self._namespace)
        return [pod for workload in workloads for pod in self._connection.list(ref, workload.selector)]

    def unready(self, workloads: Iterable[plans.Workload]) -> str:
        """Why they are not whole; empty when they are."""
        names = {workload.name for workload in workloads}
        found = [deployment for deployment in self.deployments() if deployment["metadata"]["name"] in names]
        missing = names - {deployment["metadata"]["name"] for deployment in found}
        return "; ".join([*filter(None, map(plans.unready, found)), *(f"{name} is gone" for name in sorted(missing))])


def preflight(ctx: DrillContext) -> Evidence:
    """All replicas ready, their processes found on this machine, and an answer through the gateway."""
    if not connection.HAS_KUBERNETES:
        raise Refused("kubernetes", "start the drill", "the library kubernetes is missing.", "install kubernetes.")
    cluster = ctx.state["cluster"] = Cluster(ctx)
    workloads = ctx.state["workloads"] = plans.serving(cluster.deployments())
    attempted = f"drill {ctx.subject.source}"
    if not workloads:
        raise Refused("steady_state", attempted, "no Deployment of it wants pods.", "release it first.")
    if why := cluster.unready(workloads):
        raise Refused("steady_state", attempted, f"{why}.", "mend that first, then drill.")
    found = ctx.state["containers"] = _processes(ctx, cluster)
    if any(not running for running in found.values()):
        raise Refused("processes", attempted, "not every container has processes here.", "run it on the node.")
    if ctx.options["fault"] == NODE:
        ctx.state["agent"] = _agent(ctx.options["node_command"])
    _get(ctx)
    words = ", ".join(f"{workload.name} with {workload.replicas} pods" for workload in workloads)
    yield {"kind": "preflight", "name": "steady_state", "verdict": PASSED, "reason": f"{words}, all ready"}
    yield {"kind": "preflight", "name": "processes", "verdict": PASSED, "reason": f"{len(found)} containers"}


def _processes(ctx: DrillContext, cluster: Cluster) -> dict[str, list[processes.Process]]:
    """Container id -> its processes, by the variable that the node gives them."""
    variable = ctx.options["container_variable"]
    ids = plans.containers(cluster.pods(ctx.state["workloads"]))
    return {identifier: pod_processes.having(variable, identifier) for identifier in sorted(ids)}


def _agent(words: list[str]) -> processes.Process:
    """The one process whose command line has all C(words). Raises Refused."""
    found = pod_processes.called(words)
    if len(found) != 1:
        shown = "; ".join(process.words() for process in found) or "none"
        raise Refused("node_process", f"find the agent {words}", f"found: {shown}.", "name exactly one.")
    return found[0]


def _get(ctx: DrillContext) -> None:
    """One request through the gateway. Raises what the library raises, also for an answer of 400 and more."""
    options = ctx.options
    with send("GET", options["url"], headers=dict(options["headers"]), timeout=options["request_timeout"]) as answer:
        answer.read()


def prepare(ctx: DrillContext) -> Evidence:
    """The load, and the ledger of requests."""
    if ctx.options["load_command"]:
        ctx.record_resource("process", "the load")
        load = ctx.state["load"] = Load(ctx.options["load_command"], ctx.drill_id, ctx.folder / "load.log")
        load.start()
    ledger = ctx.start_ledger(lambda number: _get(ctx), ctx.options["request_rate"])
    begin, seconds = ctx.clock.monotonic(), ctx.options["steady_seconds"]

    def look() -> Finding:
        steady = plans.in_a_row(ledger.acks(), begin) and ctx.clock.monotonic() - begin >= seconds
        return Finding(DONE if steady else PENDING, f"{len(ledger.acks())} answers")

    ctx.wait(look, seconds + 30, "see requests answered", _POLL_S)
    return []


def fault(ctx: DrillContext) -> Evidence:
    """kill -9 of the chosen pods' processes; of the node's agent before, where the node is lost."""
    found: dict[str, list[processes.Process]] = ctx.state["containers"]
    count = max(1, round(len(found) * (1.0 if ctx.options["fault"] == NODE else ctx.options["share"])))
    lost = ctx.state["lost"] = dict(list(found.items())[:count])
    killed = [process for running in lost.values() for process in running]
    if ctx.options["fault"] == NODE:
        killed.insert(0, ctx.state["agent"])
    ctx.say(f"kill -9 of {len(killed)} processes of {count} pods")
    ctx.mark("t_fault")
    for process in killed:
        process.signal(signal.SIGKILL)
    alive = [process for process in killed if processes.alive(process)]
    ctx.wait(lambda: _gone(alive), 10, "kill them", 0.01)
    return [{"kind": "fault", "name": ctx.options["fault"], "pods": count, "of": len(found), "killed": len(killed)}]


def _gone(killed: list[processes.Process]) -> Finding:
    left = [process.words() for process in killed if processes.alive(process)]
    return Finding(PENDING if left else DONE, "; ".join(left))


def detect(ctx: DrillContext) -> Evidence:
    """Until the cluster itself no longer says that the lost containers run."""
    cluster: Cluster = ctx.state["cluster"]

    def look() -> Finding:
        why = plans.renewed(cluster.pods(ctx.state["workloads"]), ctx.state["lost"])
        return Finding(PENDING if why else DONE, why)

    ctx.wait(look, ctx.options["recovery_timeout"], "see the loss noticed", _POLL_S)
    ctx.mark("t_detect")
    return []


def recover(ctx: DrillContext) -> Evidence:
    """Until every replica is ready again."""
    cluster: Cluster = ctx.state["cluster"]

    def look() -> Finding:
        why = cluster.unready(ctx.state["workloads"])
        return Finding(PENDING if why else DONE, why or "every replica is ready")

    ctx.wait(look, ctx.options["recovery_timeout"], "see every replica ready", _POLL_S)
    ctx.mark("t_infra_ready")
    return []


def accept(ctx: DrillContext) -> Evidence:
    """Until requests are answered one after the other."""
    begin, wanted = ctx.marks["t_infra_ready"].monotonic, ctx.options["answers_in_a_row"]

    def look() -> Finding:
        count = plans.in_a_row(ctx.ledger.acks(), begin)
        return Finding(DONE if count >= wanted else PENDING, f"{count} of {wanted} requests in a row are answered")

    ctx.wait(look, ctx.options["recovery_timeout"], "see requests answered", _POLL_S)
    ctx.mark("t_accept")
    return []


def verify(ctx: DrillContext) -> Evidence:
    """What users saw, and that the pods are those of before or their like."""
    if not ctx.ledger.stop():
        raise OperationError("end the ledger", "its last request does not return.", "look at the gateway.")
    acks, begin = ctx.ledger.acks(), ctx.marks["t_fault"].monotonic
    found = [gap for gap in plans.gaps(acks, ctx.ledger.written) if gap.end >= begin]
    ctx.measure("outage_s", plans.outage(found, begin), "s", ctx.objectives.rto_s)
    ctx.measure("failed_requests", sum(gap.failed for gap in found), "requests")
    # Requests are the application's only state; what it stores is the database's and the cache's to lose.
    ctx.measure("rpo_s", None, "s", ctx.objectives.rpo_s)
    yield {
        "kind": "requests",
        "name": "requests",
        "sent": ctx.ledger.written,
        "answered": len(acks),
        "failed": ctx.ledger.written - len(acks),
        "gaps": [{"failed": gap.failed, "seconds": round(gap.end - gap.begin, 3)} for gap in found[:20]],
        "errors": dict(ctx.ledger.errors),
        "verdict": PASSED if acks and acks[-1].seq == ctx.ledger.written else FAILED,
    }
    yield {
        "kind": "data",
        "name": "application_data",
        "verdict": "not_checked",
        "reason": "the application keeps nothing itself; its database and its cache have drills of their own",
    }
    ctx.mark("t_verified")


def cleanup(ctx: DrillContext) -> Evidence:
    """End the load."""
    if (load := ctx.state.get("load")) is not None:
        load.stop()
    return []


APPLICATION_FAILOVER = Scenario(
    name="application_failover",
    component="application",
    phases=in_order(preflight, prepare, fault, detect, recover, accept, verify, cleanup),
    subject=subject,
    plan=sentences,
    needs=frozenset({"requests", "fault"}),
    measures=frozenset({"rto_s", "outage_s", "failed_requests"}),
    spec=SPEC,
)
