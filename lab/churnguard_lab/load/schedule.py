"""Which request is due when, and what is allowed at all. Pure but for the name lookup of `require_loopback`."""

from __future__ import annotations

import dataclasses
import ipaddress
import math
import socket
from urllib.parse import urlsplit

KEEPALIVE, FRESH = "keepalive", "fresh"
LONGEST_S = 3600.0
MOST_REQUESTS = 500_000
HIGHEST_RATE = 2000.0
LONGEST_SLOW_S = 30.0
LONGEST_TIMEOUT_S = 60.0


class LoadError(Exception):
    """The load that was asked for is not allowed or not possible; the message says why and what is."""


@dataclasses.dataclass(frozen=True)
class Path:
    """A path template and its share of the mix; {customer} becomes a customer's number."""

    template: str
    weight: int


DEFAULT_PATHS = (Path("/api/v1/customers/{customer}/prediction", 4), Path("/api/v1/version", 1))


@dataclasses.dataclass(frozen=True)
class Load:
    """What to send: requests a second to `url` with this Host header, for a bounded time. Times in seconds."""

    url: str
    host: str
    rate: float = 200.0
    duration_s: float = 60.0
    slow_share: float = 0.01
    slow_seconds: float = 5.0
    timeout_s: float = 15.0
    paths: tuple[Path, ...] = DEFAULT_PATHS
    customers: int = 1000
    max_requests: int = MOST_REQUESTS

    @property
    def total(self) -> int:
        """How many requests fall due."""
        return min(self.max_requests, math.ceil(self.rate * self.duration_s - 1e-9))


@dataclasses.dataclass(frozen=True)
class Request:
    """One request of the schedule."""

    path: str
    conn: str
    slow: bool


def validate(load: Load) -> None:
    """Raises LoadError when a figure is outside its bounds."""
    bounds = (
        ("rate", load.rate, 0.1, HIGHEST_RATE),
        ("duration", load.duration_s, 0.1, LONGEST_S),
        ("slow share", load.slow_share, 0.0, 1.0),
        ("slow seconds", load.slow_seconds, 0.0, LONGEST_SLOW_S),
        ("timeout", load.timeout_s, 0.1, LONGEST_TIMEOUT_S),
        ("number of customers", load.customers, 1, 1_000_000),
        ("number of requests", load.max_requests, 1, MOST_REQUESTS),
    )
    for name, value, low, high in bounds:
        if not low <= value <= high:
            raise LoadError(f"{name} {value:g} is outside {low:g} to {high:g}")
    if load.slow_share and load.slow_seconds >= load.timeout_s:
        raise LoadError(f"slow requests of {load.slow_seconds:g} s cannot end within the timeout {load.timeout_s:g} s")
    if not load.paths or any(path.weight < 1 or not path.template.startswith("/") for path in load.paths):
        raise LoadError("every path starts with / and has a weight of at least 1")
    require_loopback(load.url)


def require_loopback(url: str) -> None:
    """Raises LoadError unless `url` is plain HTTP to an address that is this machine's own."""
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname or parts.path not in ("", "/"):
        raise LoadError(f"{url!r} is not of the form http://ADDRESS:PORT")
    try:
        found = {entry[4][0] for entry in socket.getaddrinfo(parts.hostname, parts.port or 80)}
    except (OSError, ValueError) as error:
        raise LoadError(f"cannot look {url!r} up: {error}") from error
    strangers = sorted(address for address in found if not ipaddress.ip_address(address).is_loopback)
    if strangers:
        raise LoadError(f"{url!r} is {', '.join(strangers)}: load is sent to loopback addresses only")


def request(load: Load, index: int) -> Request:
    """The request that falls due as number `index` (from 0).

    Slow ones are spread evenly; among the slow ones and among the others every second one uses a fresh connection, and
    both kinds of connection see the same mix of paths.
    """
    slow_before = _share(load, index)
    if _share(load, index + 1) > slow_before:
        return Request(f"/api/v1/slow?seconds={load.slow_seconds:g}", _connection(slow_before), slow=True)
    number = index - slow_before
    pattern = [path.template for path in load.paths for _ in range(path.weight)]
    template = pattern[(number // 2) % len(pattern)]
    # A prime stride, so that neighbours in time are no neighbours in the table.
    customer = 1 + number // 2 * 7919 % load.customers
    return Request(template.replace("{customer}", str(customer)), _connection(number), slow=False)


def _share(load: Load, count: int) -> int:
    """How many of the first `count` requests are slow."""
    return math.floor(count * load.slow_share + 1e-9)


def _connection(number: int) -> str:
    return FRESH if number % 2 else KEEPALIVE
