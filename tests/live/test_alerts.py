"""From a fault of the running lab to the notification that the sink wrote down, also while monitoring itself is hit.

Each fault is written down before it is caused, and undone whatever happens: see churnguard_lab.observability.faults.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from churnguard_lab import settings, supervise
from churnguard_lab.observability import faults
from churnguard_lab.observability.asking import AskingError, Prometheus
from churnguard_lab.observability.waiting import told, until

pytestmark = pytest.mark.lab

#: Beyond an alert's `for`: how long a busy machine may take. What it takes is measured by make bench-observability.
PATIENCE_S = 90.0


class Desk:
    """What the tests ask of the lab's monitoring."""

    def __init__(self, lab: settings.Settings) -> None:
        self.lab = lab
        self.prometheus = Prometheus(f"http://127.0.0.1:{lab.ports.prometheus}")
        self.supervisor = supervise.Supervisor(lab)
        self._notifications = lab.log_dir / "notifications.jsonl"

    def told(self, fault: faults.Fault, status: str, since_s: float) -> dict[str, Any] | None:
        return told(self._notifications, fault.alert, status, since_s, fault.labels())

    def await_told(self, fault: faults.Fault, status: str, since_s: float, extra_s: float = 0.0) -> dict[str, Any]:
        """The notification. Fails after the alert's `for` and some patience."""
        patience = self.prometheus.alerting_rule(fault.alert)["duration"] + PATIENCE_S + extra_s
        return until(f"{fault.alert} is told as {status}", lambda: self.told(fault, status, since_s), patience)

    def states(self, fault: faults.Fault) -> set[str]:
        """Whether Prometheus holds the alert of a fault for pending or firing; empty while it does not answer."""
        labels = "".join(f', {name}="{value}"' for name, value in fault.labels().items())
        try:
            rows = self.prometheus.query(f'ALERTS{{alertname="{fault.alert}"{labels}}}')
        except AskingError:
            return set()
        return {row["metric"]["alertstate"] for row in rows}

    def kill(self, part: str) -> int:
        """SIGKILL; the supervisor starts it anew. The process that was killed."""
        process = int(self.supervisor.states()[part]["pid"])
        os.kill(process, signal.SIGKILL)
        return process

    @contextmanager
    def without(self, part: str) -> Iterator[None]:
        """The part is ended for the block, and started again after it."""
        self.supervisor.stop([part])
        try:
            yield
        finally:
            supervise.up(self.lab, [part], [part])


@pytest.fixture(scope="module")
def desk(lab: settings.Settings) -> Iterator[Desk]:
    with faults.alone(lab):
        faults.undo_left(lab)
        yield Desk(lab)


def test_two_runs_cannot_break_and_mend_the_same_lab(desk: Desk) -> None:
    with (
        pytest.raises(RuntimeError, match=r"another run causes faults in this lab .*fault.lock"),
        faults.alone(desk.lab),
    ):
        pass


def test_a_pods_crash_loop_is_told_although_prometheus_is_killed_meanwhile(desk: Desk) -> None:
    with faults.caused(faults.PodCrashLoop(desk.lab, faults.PodCrashLoop.plan(desk.lab))) as fault:
        begin = fault.strike()
        until("the alert is pending", lambda: "pending" in desk.states(fault), PATIENCE_S)
        killed = desk.kill("prometheus")
        until(
            "the supervisor has started Prometheus anew",
            lambda: desk.supervisor.states()["prometheus"]["pid"] not in (0, killed),
            PATIENCE_S,
        )
        supervise.up(desk.lab, ["prometheus"], ["prometheus"])
        record = desk.await_told(fault, "firing", begin)
        (alert,) = [one for one in record["alerts"] if one["labels"]["namespace"] == fault.details["namespace"]]
        assert record["path"] == "/platform-page"
        assert alert["labels"]["node"] == desk.lab.node.name, "a node that is down could not silence it"
        assert alert["annotations"]["runbook_url"].endswith("/PodCrashLooping.md")
        told_at = record["arrived_s"]
        fault.repair()
        desk.await_told(fault, "resolved", told_at)


def test_what_fires_while_alertmanager_is_away_is_told_when_it_is_back(desk: Desk) -> None:
    """The replica is killed: Sentinel has nothing to decide, and the alert is the same as for the primary."""
    part, port = faults.node_with_role(desk.lab, "slave")
    errors = "sum(increase(prometheus_notifications_errors_total[1m])) > 0"
    with faults.caused(faults.RedisDown(desk.lab, {"part": part, "port": port})) as fault:
        fault.prepare()
        begin = fault.strike()
        with desk.without("alertmanager"):
            patience = desk.prometheus.alerting_rule(fault.alert)["duration"] + PATIENCE_S
            until("the alert fires", lambda: "firing" in desk.states(fault), patience)
            until("Prometheus counts what it could not send", lambda: desk.prometheus.query(errors), PATIENCE_S)
            assert desk.told(fault, "firing", begin) is None
        # Prometheus says again what fires once a minute.
        record = desk.await_told(fault, "firing", begin, extra_s=60)
        fault.repair()
        over = desk.await_told(fault, "resolved", record["arrived_s"])
    assert (record["path"], over["path"]) == ("/platform-page", "/platform-page")
    assert desk.states(fault) == set()


def test_a_fault_that_a_killed_run_has_left_is_undone_by_the_next(desk: Desk) -> None:
    fault = faults.PodCrashLoop(desk.lab, faults.PodCrashLoop.plan(desk.lab))
    faults.journal(desk.lab).announce(fault.name, fault.details)
    fault.strike()
    assert faults.undo_left(desk.lab) == [fault.name]
    assert faults.journal(desk.lab).pending() == {}
    left = [one.metadata.name for one in fault.stage.core.list_namespace().items]
    assert fault.details["namespace"] not in left
