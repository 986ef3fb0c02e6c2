"""Probes without I/O: what a probe asks for, when it is due, and what a row of results means."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

STARTUP, LIVENESS, READINESS = "startup", "liveness", "readiness"
KINDS = (STARTUP, LIVENESS, READINESS)
#: No probe comes earlier than this after a start: before, nothing can listen, and the answer would only cost a period.
SETTLE_S = 0.5


class ProbeError(ValueError):
    """A probe asks for something that this node cannot do; the message names it."""


@dataclasses.dataclass(frozen=True)
class HttpCheck:
    """GET this address; 200 to 399 is a success."""

    host: str
    port: int
    path: str
    headers: tuple[tuple[str, str], ...] = ()


@dataclasses.dataclass(frozen=True)
class TcpCheck:
    """Connect to this address."""

    host: str
    port: int


@dataclasses.dataclass(frozen=True)
class ExecCheck:
    """Run this command in the container's environment; exit code 0 is a success."""

    command: tuple[str, ...]


Check = HttpCheck | TcpCheck | ExecCheck


@dataclasses.dataclass(frozen=True)
class Probe:
    """One probe of a container. Times are seconds, thresholds are consecutive results."""

    kind: str
    check: Check
    initial_delay: float = 0.0
    period: float = 10.0
    timeout: float = 1.0
    success_threshold: int = 1
    failure_threshold: int = 3
    grace: float | None = None


@dataclasses.dataclass
class ProbeState:
    """The results of one probe in one run of its container. `passing` is None until a threshold was reached."""

    passing: bool | None = None
    last: bool | None = None
    run: int = 0
    asked_at: float | None = None
    outstanding: bool = False

    def observe(self, probe: Probe, success: bool) -> bool:
        """Take in one result; true when `passing` changed by it."""
        self.run = self.run + 1 if success == self.last else 1
        self.last = success
        threshold = probe.success_threshold if success else probe.failure_threshold
        if self.run < threshold or self.passing == success:
            return False
        self.passing = success
        return True


def due_at(probe: Probe, state: ProbeState, started_at: float) -> float:
    """When (unix seconds) the probe is to be asked next, for a container started at `started_at`."""
    first = started_at + max(probe.initial_delay, SETTLE_S)
    return first if state.asked_at is None else max(first, state.asked_at + probe.period)


def parse_probe(kind: str, container: Mapping[str, Any], pod_ip: str) -> Probe | None:
    """The probe of that kind in a container's spec, or None. Raises ProbeError."""
    raw = container.get(f"{kind}Probe")
    if not raw:
        return None
    grace = raw.get("terminationGracePeriodSeconds")
    return Probe(
        kind=kind,
        check=parse_check(raw, container.get("ports") or (), pod_ip),
        initial_delay=float(raw.get("initialDelaySeconds") or 0),
        period=float(raw.get("periodSeconds") or 10),
        timeout=float(raw.get("timeoutSeconds") or 1),
        success_threshold=int(raw.get("successThreshold") or 1),
        failure_threshold=int(raw.get("failureThreshold") or 3),
        grace=None if grace is None else float(grace),
    )


def parse_check(raw: Mapping[str, Any], ports: Sequence[Mapping[str, Any]], pod_ip: str) -> Check:
    """The action of a probe or of a preStop hook. Raises ProbeError."""
    if raw.get("exec"):
        return ExecCheck(tuple(raw["exec"].get("command") or ()))
    if raw.get("tcpSocket"):
        tcp = raw["tcpSocket"]
        return TcpCheck(tcp.get("host") or pod_ip, resolve_port(tcp["port"], ports))
    if raw.get("httpGet"):
        http = raw["httpGet"]
        if (http.get("scheme") or "HTTP").upper() != "HTTP":
            raise ProbeError("HTTPS probes are not supported by the lab's node")
        headers = tuple((header["name"], header["value"]) for header in http.get("httpHeaders") or ())
        path = http.get("path") or "/"
        return HttpCheck(
            http.get("host") or pod_ip,
            resolve_port(http["port"], ports),
            path if path.startswith("/") else f"/{path}",
            headers,
        )
    raise ProbeError(f"the lab's node knows httpGet, tcpSocket and exec, not {sorted(raw)}")


def resolve_port(port: int | str, ports: Sequence[Mapping[str, Any]]) -> int:
    """A port number from a number, a numeric text or a container port's name. Raises ProbeError."""
    if isinstance(port, int):
        return port
    for candidate in ports:
        if candidate.get("name") == port:
            return int(candidate["containerPort"])
    if port.isdigit():
        return int(port)
    raise ProbeError(f"no container port is named {port!r}")
