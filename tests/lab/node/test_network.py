"""Pod addresses."""

from __future__ import annotations

import pytest
from churnguard_lab.node.network import NetworkError, allocate, parse_network

SMALL = parse_network("127.0.16.0/29")


@pytest.mark.parametrize("text", ["10.0.0.0/24", "127.0.16.1/24", "nonsense", "::1/128"])
def test_only_loopback_networks(text: str) -> None:
    with pytest.raises(NetworkError, match="pod network"):
        parse_network(text)


@pytest.mark.parametrize(
    ("taken", "last", "expected"),
    [
        ([], None, "127.0.16.1"),
        (["127.0.16.1"], None, "127.0.16.2"),
        ([], "127.0.16.3", "127.0.16.4"),
        ([], "127.0.16.6", "127.0.16.1"),
        (["127.0.16.1"], "127.0.16.6", "127.0.16.2"),
        ([], "127.0.99.1", "127.0.16.1"),
    ],
)
def test_allocation(taken: list[str], last: str | None, expected: str) -> None:
    assert allocate(SMALL, taken, last) == expected


def test_every_address_is_used_once_and_then_none_is_left() -> None:
    taken: list[str] = []
    for _ in range(6):
        taken.append(allocate(SMALL, taken, taken[-1] if taken else None))
    assert taken == [f"127.0.16.{number}" for number in range(1, 7)]
    with pytest.raises(NetworkError, match="no free address"):
        allocate(SMALL, taken, taken[-1])
