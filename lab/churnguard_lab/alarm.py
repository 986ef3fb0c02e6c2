"""The alert of the demonstration: a part of the lab is ended, and what somebody is told about it is waited for in the
sink's file, as a person would wait for the telephone."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import redis

from churnguard_lab import supervise
from churnguard_lab.alert_sink import read_records
from churnguard_lab.journey import REPOSITORY, JourneyError
from churnguard_lab.settings import LOOPBACK, Settings

#: Under the lab's log folder.
NOTIFICATIONS = "notifications.jsonl"
RUNBOOKS = REPOSITORY / "docs" / "runbooks"
FIRING, RESOLVED = "firing", "resolved"
_POLL_S = 0.25


@dataclasses.dataclass(frozen=True)
class Told:
    """What a receiver was told of one alert. Times are Unix seconds; `ended_s` is None while it fires."""

    name: str
    severity: str
    team: str
    summary: str
    runbook: str
    receiver: str
    fired_s: float
    ended_s: float | None
    arrived_s: float

    def lines(self, fault_s: float) -> str:
        """As a person wants to read it, with the seconds since `fault_s`, when the part was ended or started again."""
        after = f"{self.arrived_s - fault_s:.1f} s"
        if self.ended_s is not None:
            lasted = f"it fired for {self.ended_s - self.fired_s:.0f} s"
            return f"  OVER    {self.name}: told {self.receiver} after {after}; {lasted}"
        return "\n".join(
            [
                f"  FIRES   {self.name} ({self.severity}): {self.summary}",
                f"          told {self.receiver} (team {self.team}) {after} after the fault",
                f"          what to do: {self.runbook}",
            ]
        )


def runbook_page(address: str) -> Path:
    """The file in this repository that a runbook's address names; it may not be there."""
    return RUNBOOKS / Path(urlsplit(address).path).name


def find(records: list[dict[str, Any]], name: str, status: str, since_s: float) -> Told | None:
    """The first notification of an alert with a status among those that arrived since `since_s`."""
    for record in records:
        if record["arrived_s"] < since_s:
            continue
        for alert in record["alerts"]:
            if alert["labels"].get("alertname") == name and alert["status"] == status:
                return _told(record, alert)
    return None


def wait(file: Path, name: str, status: str, since_s: float, timeout_s: float) -> Told:
    """The same as soon as it is in the sink's file. Raises JourneyError when it is not within `timeout_s`."""
    give_up = time.monotonic() + timeout_s
    while (told := find(read_records(file), name, status, since_s)) is None:
        if time.monotonic() > give_up:
            heard = sorted(
                {alert["labels"].get("alertname", "?") for one in read_records(file) for alert in one["alerts"]}
            )
            raise JourneyError(
                f"nobody was told within {timeout_s:.0f} s that {name} is {status}. {file} knows of "
                f"{', '.join(heard) or 'nothing'}; look at Prometheus' alert page and Alertmanager's log"
            )
        time.sleep(_POLL_S)
    return told


def follower(lab: Settings) -> str:
    """The part that runs the Redis which follows the other now; nobody writes to it. Raises JourneyError."""
    client = redis.Redis(
        LOOPBACK, lab.ports.redis, password=lab.secret("redis"), socket_timeout=5, decode_responses=True
    )
    try:
        with contextlib.closing(client):
            return "redis" if client.info("replication")["role"] == "slave" else "redis-replica"
    except redis.RedisError as error:
        raise JourneyError(f"Redis on port {lab.ports.redis} does not answer ({error}): make lab-up") from error


@contextlib.contextmanager
def ended(lab: Settings, part: str) -> Iterator[float]:
    """A part that does not run inside of the block, and does after it whatever happens; gives when it was ended (Unix
    s). Raises JourneyError when it does not end, or does not come back."""
    try:
        begin = time.time()
        supervise.stop(lab, [part])
        yield begin
    except supervise.LabError as error:
        raise JourneyError(str(error)) from error
    finally:
        start(lab, part)


def start(lab: Settings, part: str) -> None:
    """Start a part and wait until it answers. Raises JourneyError when it does not."""
    try:
        supervise.up(lab, [part], [part])
    except supervise.LabError as error:
        raise JourneyError(str(error)) from error


def _told(record: dict[str, Any], alert: dict[str, Any]) -> Told:
    labels, annotations = alert["labels"], alert["annotations"]
    return Told(
        labels.get("alertname", ""),
        labels.get("severity", ""),
        labels.get("team", ""),
        annotations.get("summary", ""),
        annotations.get("runbook_url", ""),
        record["receiver"],
        datetime.fromisoformat(alert["starts_at"]).timestamp(),
        datetime.fromisoformat(alert["ends_at"]).timestamp() if alert["status"] == RESOLVED else None,
        record["arrived_s"],
    )
