"""A TCP proxy on loopback that can stall: it keeps its connections open and passes nothing on, as a dead link does.

    python -m churnguard_lab.stall --target 127.0.0.1:6379 [--listen 0] [--lifetime 120]

Prints {"listening": port}. Each line on its standard input is a command, `stall` or `pass`, answered with
{"state": ...} once it holds. It ends with the end of its input, so it dies with whoever started it, and after its
lifetime.

Stopping a process (SIGSTOP) is something else: what was sent to it waits in its sockets and is read when it goes on.
What this proxy holds back when the sender dies never arrives.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ipaddress
import json
import sys
from collections.abc import Sequence

CHUNK = 65536
LONGEST_LIFETIME_S = 3600.0
MOST_CONNECTIONS = 64


class Proxy:
    """Passes TCP connections on to `target` while its gate is open."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._gate = asyncio.Event()
        self._gate.set()
        self._connections: set[asyncio.Task[None]] = set()

    async def listen(self, port: int) -> asyncio.Server:
        """Take connections on 127.0.0.1; port 0 is a free one."""
        return await asyncio.start_server(self._serve, "127.0.0.1", port, limit=CHUNK)

    def stall(self) -> None:
        """Pass nothing on from now on; new connections are taken and hear nothing."""
        self._gate.clear()

    def resume(self) -> None:
        """Pass on what was held back, and all that follows."""
        self._gate.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._connections) >= MOST_CONNECTIONS:
            writer.close()
            return
        task = asyncio.current_task()
        assert task is not None  # a callback of start_server always runs in a task
        self._connections.add(task)
        try:
            await self._gate.wait()
            far_reader, far_writer = await asyncio.open_connection(*self._target, limit=CHUNK)
            try:
                await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
            finally:
                far_writer.close()
        except (OSError, asyncio.CancelledError):
            pass  # one end is gone, and the other is told by closing; or the proxy ends
        finally:
            self._connections.discard(task)
            writer.close()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(CHUNK):
            await self._gate.wait()  # read before the stall, and not passed on yet
            sink.write(data)
            await sink.drain()
        await self._gate.wait()
        sink.close()


async def serve(target: tuple[str, int], port: int, lifetime_s: float) -> None:
    """Run the proxy under the commands of standard input."""
    proxy = Proxy(target)
    server = await proxy.listen(port)
    commands = await _standard_input()
    _say({"listening": server.sockets[0].getsockname()[1]})
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(lifetime_s):
            while line := await commands.readline():
                _obey(proxy, line.decode(errors="replace").strip())
    server.close()


def _obey(proxy: Proxy, command: str) -> None:
    if command == "stall":
        proxy.stall()
        _say({"state": "stalled"})
    elif command == "pass":
        proxy.resume()
        _say({"state": "passing"})
    else:
        _say({"error": f"unknown command {command!r}; there are stall and pass"})


async def _standard_input() -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


def _say(answer: dict[str, object]) -> None:
    print(json.dumps(answer), flush=True)


def _loopback(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    try:
        if not ipaddress.ip_address(host).is_loopback:
            raise argparse.ArgumentTypeError(f"{text!r} is not on loopback, and nothing else may be stalled")
        return host, int(port)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a loopback address and a port") from error


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; see the module's text."""
    parser = argparse.ArgumentParser(prog="python -m churnguard_lab.stall", description=__doc__)
    parser.add_argument("--target", type=_loopback, required=True, metavar="HOST:PORT")
    parser.add_argument("--listen", type=int, default=0, metavar="PORT", help="0: a free one")
    parser.add_argument("--lifetime", type=float, default=120.0, metavar="SECONDS")
    options = parser.parse_args(arguments)
    if not 0 < options.lifetime <= LONGEST_LIFETIME_S:
        parser.error(f"--lifetime is from 0 to {LONGEST_LIFETIME_S:.0f} seconds")
    asyncio.run(serve(options.target, options.listen, options.lifetime))
    return 0


if __name__ == "__main__":
    sys.exit(main())
