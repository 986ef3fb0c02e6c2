"""From a fault to the notification about it: each fault is caused in the running lab, and taken back in all cases."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from churnguard_lab import settings
from churnguard_lab.bench import figure, say
from churnguard_lab.observability import faults
from churnguard_lab.observability.waiting import told, until

#: What may happen side by side. Both faults of Redis need the whole group, so they come one after the other.
CHAINS = (("pod_crash_loop",), ("error_burst",), ("disk_full",), ("redis_down", "replication_broken"))
SCRAPES = 2
#: How long beyond its limit a notification is waited for, so that a broken limit has a figure.
GRACE_S = 90.0
#: The longest window of the five expressions, plus Alertmanager's interval for a group and some scrapes.
RESOLVED_WITHIN_S = 720.0


def measure(names: Sequence[str] = ()) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Figures of the named faults (default: all), and what they were taken under. A fault that could not be caused or
    was not told of has no figure and fails. Raises RuntimeError when the lab is not there or was left broken."""
    lab = settings.load()
    with faults.alone(lab):
        return _measure(lab, set(names or faults.FAULTS))


def _measure(lab: settings.Settings, wanted: set[str]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    file = lab.log_dir / "notifications.jsonl"
    faults.undo_left(lab)
    chains = [[name for name in chain if name in wanted] for chain in CHAINS]
    stop = threading.Event()
    with _ended_in_order(stop), ThreadPoolExecutor(len(chains)) as threads:
        waiting = [threads.submit(_chain, lab, chain, file, stop) for chain in chains]
        found = {name: outcome for future in waiting for name, outcome in future.result().items()}
    if stop.is_set():
        raise RuntimeError("the measurement was ended by a signal; what was broken is undone")
    ordered = [found[name] for name in faults.FAULTS if name in found]
    figures = [one for outcome in ordered for one in outcome["figures"]]
    return figures, {outcome["fault"]: outcome["conditions"] for outcome in ordered}


@contextlib.contextmanager
def _ended_in_order(stop: threading.Event) -> Iterator[None]:
    """A signal ends the waits, and with them the block, after everything is undone."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for number in before:
        signal.signal(number, lambda *_signal: stop.set())
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _chain(lab: settings.Settings, chain: list[str], file: Path, stop: threading.Event) -> dict[str, dict[str, Any]]:
    return {name: one(lab, name, file, stop) for name in chain}


def one(lab: settings.Settings, name: str, file: Path, stop: threading.Event | None = None) -> dict[str, Any]:
    """Cause a fault, wait for both notifications, undo it: `fault`, `figures`, `conditions`."""
    kind = faults.FAULTS[name]
    conditions: dict[str, Any] = {"alert": kind.alert, "counted": kind.about}
    seconds = limit = resolved = None
    try:
        fault = kind(lab, kind.plan(lab), stop)
        with faults.caused(fault):
            say(f"{name}: prepare")
            fault.prepare()
            limit = _limit(fault, conditions)
            labels = fault.labels()
            moment = fault.strike()
            say(f"{name}: broken, {kind.alert} has {limit:g} s")
            record = until(
                f"{kind.alert} {labels} is told",
                lambda: told(file, kind.alert, "firing", moment, labels),
                limit + GRACE_S,
                stop,
            )
            seconds = record["arrived_s"] - moment
            conditions |= {"receiver": record["receiver"], "labels": labels}
            say(f"{name}: told after {seconds:.1f} s")
            resolved = _resolved(fault, file, labels, stop)
    except faults.FAILURES as error:
        say(f"{name}: {error}")
        conditions["failed"] = str(error)
    return {
        "fault": name,
        "figures": [
            figure(f"fault_to_notification_s_{name}", seconds, "s", 0 if limit is None else limit),
            figure(f"repair_to_resolved_s_{name}", resolved, "s", RESOLVED_WITHIN_S),
        ],
        "conditions": conditions,
    }


def _limit(fault: faults.Fault, conditions: dict[str, Any]) -> float:
    """The alert's own `for` and two scrapes, both as Prometheus has them now."""
    rule = fault.prometheus.alerting_rule(fault.alert)
    scrape_s = fault.prometheus.scrape_interval(fault.job)
    conditions |= {"for_s": rule["duration"], "scrape_interval_s": scrape_s, "evaluation_interval_s": rule["interval"]}
    return float(rule["duration"]) + SCRAPES * scrape_s


def _resolved(fault: faults.Fault, file: Path, labels: dict[str, str], stop: threading.Event | None) -> float:
    """Seconds from the repair to the notification that it is over."""
    moment = time.time()
    fault.repair()
    record = until(
        f"{fault.alert} {labels} is told to be over",
        lambda: told(file, fault.alert, "resolved", moment, labels),
        RESOLVED_WITHIN_S,
        stop,
    )
    say(f"{fault.name}: over, told after {record['arrived_s'] - moment:.1f} s")
    return float(record["arrived_s"] - moment)
