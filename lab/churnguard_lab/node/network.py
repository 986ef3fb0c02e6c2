"""Pod addresses: one loopback address a pod, from the node's pod network."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection


class NetworkError(Exception):
    """The pod network is not usable, or has no free address."""


def parse_network(text: str) -> ipaddress.IPv4Network:
    """The pod network. Raises NetworkError when it is not an IPv4 network inside 127.0.0.0/8."""
    try:
        network = ipaddress.IPv4Network(text)
    except ValueError as error:
        raise NetworkError(f"pod network {text!r} is not an IPv4 network: {error}") from error
    if not network.is_loopback:
        raise NetworkError(f"pod network {text} is not inside 127.0.0.0/8: the lab listens on loopback only")
    return network


def allocate(network: ipaddress.IPv4Network, taken: Collection[str], last: str | None) -> str:
    """The next free address after `last`, going round; an address just given back is so used again last.

    Raises NetworkError when every address is taken.
    """
    count = network.num_addresses
    start = 0
    if last is not None and ipaddress.IPv4Address(last) in network:
        start = int(ipaddress.IPv4Address(last)) - int(network.network_address)
    for step in range(1, count + 1):
        offset = (start + step) % count
        if offset in (0, count - 1):
            continue
        address = str(network.network_address + offset)
        if address not in taken:
            return address
    raise NetworkError(f"the pod network {network} has no free address: {len(taken)} pods")
