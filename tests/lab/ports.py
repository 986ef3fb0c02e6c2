"""Ports for servers that tests start."""

from __future__ import annotations

import contextlib
import random
import socket

#: Below the range from which the kernel takes ports for outgoing connections (32768 and up), so that none of those can
#: sit on a port between its choice and its use; and below the lab's own.
CHOICE = range(10000, 18000)


def free_ports(count: int) -> list[int]:
    """That many ports of 127.0.0.1 that nobody listens on."""
    with contextlib.ExitStack() as held:
        ports: list[int] = []
        for port in random.sample(CHOICE, len(CHOICE)):
            if len(ports) == count:
                break
            with contextlib.suppress(OSError):
                held.enter_context(socket.create_server(("127.0.0.1", port)))
                ports.append(port)
        return ports
