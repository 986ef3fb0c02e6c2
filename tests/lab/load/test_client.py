"""One request against a real server that misbehaves on purpose: what is counted, and that nothing is sent twice."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable

import pytest
from churnguard_lab.load.client import Client, Reply
from churnguard_lab.load.schedule import FRESH, KEEPALIVE, Load, Request

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-ChurnGuard-Version: v1\r\nX-ChurnGuard-Slot: blue\r\n\r\nok"


class Server:
    """Answers each request with the next of `replies`; None ends the connection. Remembers what it got."""

    def __init__(self, *replies: bytes | None) -> None:
        self.replies = list(replies)
        self.heads: list[bytes] = []
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                self.heads.append(await reader.readuntil(b"\r\n\r\n"))
                reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
                if reply is None:
                    break
                writer.write(reply)
                await writer.drain()
                if b"Content-Length: 9" in reply or b"nonsense" in reply or b"Connection: close" in self.heads[-1]:
                    break
        writer.close()


def run(server: Server, act: Callable[[Client], Awaitable[list[Reply]]], timeout_s: float = 5.0) -> list[Reply]:
    async def main() -> list[Reply]:
        listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
        port = listener.sockets[0].getsockname()[1]
        async with Client(Load(f"http://127.0.0.1:{port}", "churnguard.lab", timeout_s=timeout_s)) as client:
            replies = await act(client)
        listener.close()
        return replies

    return asyncio.run(main())


def ask(kind: str, count: int = 1) -> Callable[[Client], Awaitable[list[Reply]]]:
    async def act(client: Client) -> list[Reply]:
        return [await client.send(Request("/x", kind, slow=False)) for _ in range(count)]

    return act


def head(status: int, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Reason", "Content-Length: 0", *headers, "", ""]
    return "\r\n".join(lines).encode()


def test_version_slot_and_host() -> None:
    server = Server(OK)
    (reply,) = run(server, ask(KEEPALIVE))
    assert (reply.outcome, reply.status, reply.version, reply.slot, reply.detail) == ("ok", 200, "v1", "blue", None)
    assert b"GET /x HTTP/1.1\r\nHost: churnguard.lab\r\n" in server.heads[0]


def test_kept_connections_are_kept_and_fresh_ones_are_fresh() -> None:
    server = Server(OK)
    run(server, ask(KEEPALIVE, 5))
    assert (server.connections, len(server.heads)) == (1, 5)
    server = Server(OK)
    run(server, ask(FRESH, 5))
    assert (server.connections, len(server.heads)) == (5, 5)
    assert all(b"Connection: close" in item for item in server.heads)


@pytest.mark.parametrize(
    ("reply", "outcome", "detail"),
    [
        (head(301, "Location: http://127.0.0.1:1/"), "ok", None),
        (head(404), "http_4xx", "404"),
        (head(500, "X-ChurnGuard-Injected: error"), "injected_5xx", None),
        (head(500), "http_5xx", "500"),
        (head(503, "X-Gateway-Reason: no-ready-pods"), "http_5xx", "503 no-ready-pods"),
    ],
)
def test_statuses(reply: bytes, outcome: str, detail: str | None) -> None:
    (found,) = run(Server(reply), ask(FRESH))
    assert (found.outcome, found.detail) == (outcome, detail)


@pytest.mark.parametrize("kind", [KEEPALIVE, FRESH])
def test_an_ended_connection_is_a_reset_and_nothing_is_sent_again(kind: str) -> None:
    server = Server(None)
    (reply,) = run(server, ask(kind))
    assert (reply.outcome, reply.status) == ("reset", None)
    assert (server.connections, len(server.heads)) == (1, 1)


def test_a_kept_connection_that_ends_at_its_second_request_is_a_reset_too() -> None:
    server = Server(OK, None, OK)
    replies = run(server, ask(KEEPALIVE, 3))
    assert [reply.outcome for reply in replies] == ["ok", "reset", "ok"]
    assert (server.connections, len(server.heads)) == (2, 3)


def test_a_reply_that_breaks_off_is_a_reset() -> None:
    broken = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok"
    (reply,) = run(Server(broken), ask(FRESH))
    assert (reply.outcome, reply.status) == ("reset", None)


def test_nonsense_is_a_protocol_error() -> None:
    (reply,) = run(Server(b"nonsense\r\n\r\n"), ask(FRESH))
    assert reply.outcome == "protocol_error"


def test_silence_is_a_timeout() -> None:
    (reply,) = run(Server(b""), ask(KEEPALIVE), timeout_s=0.3)
    assert reply.outcome == "timeout"


def test_nobody_listening_is_refused() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]

        async def main() -> Reply:
            async with Client(Load(f"http://127.0.0.1:{port}", "churnguard.lab")) as client:
                return await client.send(Request("/", KEEPALIVE, slow=False))

        reply = asyncio.run(main())
    assert reply.outcome == "refused"
