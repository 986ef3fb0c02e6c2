"""What is due when, and what is refused."""

from __future__ import annotations

import collections
from typing import Any

import pytest
from churnguard_lab.load.schedule import FRESH, KEEPALIVE, Load, LoadError, Path, request, validate


def load(**changes: Any) -> Load:
    return Load(**{"url": "http://127.0.0.1:18080", "host": "churnguard.lab", **changes})


@pytest.mark.parametrize(
    ("changes", "total"),
    [
        ({"rate": 200, "duration_s": 60}, 12_000),
        ({"rate": 0.5, "duration_s": 3}, 2),
        ({"rate": 3, "duration_s": 0.1}, 1),
        ({"rate": 200, "duration_s": 60, "max_requests": 7}, 7),
        ({"rate": 0.1, "duration_s": 0.3}, 1),
    ],
)
def test_total(changes: dict[str, Any], total: int) -> None:
    assert load(**changes).total == total


@pytest.mark.parametrize("slow_share", [0.0, 0.01, 0.1, 0.3, 0.5, 1.0])
def test_shares_are_exact_and_even(slow_share: float) -> None:
    plan = load(slow_share=slow_share)
    requests = [request(plan, index) for index in range(6000)]
    slow = [index for index, item in enumerate(requests) if item.slow]
    assert len(slow) == round(6000 * slow_share)
    if slow:
        gaps = [second - first for first, second in zip(slow, slow[1:], strict=False)]
        assert max(gaps) - min(gaps) <= 1
    for is_slow in (True, False):
        kinds = collections.Counter(item.conn for item in requests if item.slow == is_slow)
        assert abs(kinds[KEEPALIVE] - kinds[FRESH]) <= 1, is_slow


def test_mix_of_paths_is_the_same_for_both_kinds_of_connection() -> None:
    plan = load(slow_share=0.0, paths=(Path("/a/{customer}", 3), Path("/b", 1)), customers=50)
    requests = [request(plan, index) for index in range(8000)]
    for kind in (KEEPALIVE, FRESH):
        paths = collections.Counter(item.path.split("/")[1] for item in requests if item.conn == kind)
        assert paths == {"a": 3000, "b": 1000}
    customers = {int(item.path.rpartition("/")[2]) for item in requests if item.path.startswith("/a/")}
    assert min(customers) >= 1
    assert max(customers) <= 50
    assert len(customers) > 30


def test_slow_requests_name_their_seconds() -> None:
    assert request(load(slow_share=1.0, slow_seconds=2.5), 0).path == "/api/v1/slow?seconds=2.5"


def test_the_schedule_is_the_same_every_time() -> None:
    plan = load()
    assert [request(plan, index) for index in range(500)] == [request(load(), index) for index in range(500)]


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"rate": 0}, "rate 0 is outside 0.1 to 2000"),
        ({"rate": 2001}, "rate"),
        ({"rate": float("nan")}, "rate"),
        ({"duration_s": 3601}, "duration"),
        ({"duration_s": float("inf")}, "duration"),
        ({"slow_share": 1.1}, "slow share"),
        ({"slow_seconds": -1}, "slow seconds"),
        ({"timeout_s": 61}, "timeout"),
        ({"max_requests": 0}, "number of requests"),
        ({"max_requests": 500_001}, "number of requests"),
        ({"customers": 0}, "customers"),
        ({"slow_seconds": 15.0}, "cannot end within the timeout"),
        ({"paths": ()}, "path"),
        ({"paths": (Path("x", 1),)}, "path"),
        ({"paths": (Path("/x", 0),)}, "path"),
        ({"url": "http://10.0.0.1:80"}, "loopback"),
        ({"url": "http://0.0.0.0:80"}, "loopback"),
        ({"url": "http://[2001:db8::1]:80"}, "loopback"),
        ({"url": "https://127.0.0.1"}, "http://ADDRESS:PORT"),
        ({"url": "http://127.0.0.1/path"}, "http://ADDRESS:PORT"),
        ({"url": "http://127.0.0.1:99999"}, "cannot look"),
        ({"url": "127.0.0.1:80"}, "http://ADDRESS:PORT"),
    ],
)
def test_refusals(changes: dict[str, Any], part: str) -> None:
    with pytest.raises(LoadError, match=part):
        validate(load(**changes))


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:18080", "http://127.0.64.9:1/", "http://localhost:80", "http://[::1]:8"]
)
def test_loopback_is_allowed(url: str) -> None:
    validate(load(url=url))
