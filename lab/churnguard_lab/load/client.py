"""Sends one request and says what became of it. Nothing is ever sent a second time."""

from __future__ import annotations

import asyncio
import errno
from types import TracebackType

import aiohttp

from churnguard_lab.load import ledger
from churnguard_lab.load.schedule import FRESH, KEEPALIVE, Load, Request

VERSION_HEADER = "X-ChurnGuard-Version"
SLOT_HEADER = "X-ChurnGuard-Slot"
INJECTED_HEADER = "X-ChurnGuard-Injected"
REASON_HEADER = "X-Gateway-Reason"
#: The client drops an idle connection long before the gateway would (60 s): a reset on a kept connection is then a
#: failure of the other side and never the ordinary end of an idle connection.
IDLE_S = 10.0


class ConnectionLost(aiohttp.ClientError):
    """The connection ended before the reply's head. Not one of the errors that aiohttp answers by sending again."""


class Reply:
    """What became of a request: outcome, HTTP status, version, slot, detail for people."""

    __slots__ = ("detail", "outcome", "slot", "status", "version")

    def __init__(
        self,
        outcome: str,
        status: int | None = None,
        version: str | None = None,
        slot: str | None = None,
        detail: str | None = None,
    ) -> None:
        self.outcome = outcome
        self.status = status
        self.version = version
        self.slot = slot
        self.detail = detail


async def _never_again(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    # aiohttp sends an idempotent request once more after ClientOSError or ServerDisconnectedError, unasked.
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise ConnectionLost(f"{type(error).__name__}: {error}") from error


class Client:
    """Two sessions: one keeps connections, one opens a fresh connection for every request."""

    def __init__(self, load: Load) -> None:
        self._base = load.url.rstrip("/")
        self._headers = {"Host": load.host, "User-Agent": "churnguard-load"}
        self._timeout = aiohttp.ClientTimeout(total=load.timeout_s)
        self._sessions: dict[str, aiohttp.ClientSession] = {}

    async def __aenter__(self) -> Client:
        connectors = {
            KEEPALIVE: aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_S),
            FRESH: aiohttp.TCPConnector(limit=0, force_close=True),
        }
        for kind, connector in connectors.items():
            self._sessions[kind] = aiohttp.ClientSession(
                connector=connector,
                headers=self._headers,
                timeout=self._timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
                middlewares=(_never_again,),
            )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for session in self._sessions.values():
            await session.close()

    async def send(self, request: Request) -> Reply:
        """Send `request`, read the whole reply, classify it."""
        try:
            async with self._sessions[request.conn].get(self._base + request.path, allow_redirects=False) as response:
                await response.read()
                headers = response.headers
                outcome = classify_status(response.status, INJECTED_HEADER in headers)
                detail = None
                if outcome not in ledger.NOT_FAILED:
                    detail = f"{response.status} {headers.get(REASON_HEADER, '')}".strip()
                return Reply(outcome, response.status, headers.get(VERSION_HEADER), headers.get(SLOT_HEADER), detail)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return Reply(classify_error(error), detail=str(error) or type(error).__name__)


def classify_status(status: int, is_injected: bool) -> str:
    """The outcome of a complete reply. A 5xx counts as injected only when the application says so."""
    if status >= 500:
        return ledger.INJECTED if is_injected else ledger.HTTP_5XX
    return ledger.HTTP_4XX if status >= 400 else ledger.OK


def classify_error(error: BaseException) -> str:
    """The outcome of a request without a complete reply."""
    if isinstance(error, asyncio.TimeoutError):
        return ledger.TIMEOUT
    if isinstance(error, aiohttp.ClientConnectorError):
        return ledger.REFUSED if error.errno == errno.ECONNREFUSED else ledger.CONNECT_ERROR
    if isinstance(error, ConnectionLost | aiohttp.ClientPayloadError | ConnectionError):
        return ledger.RESET
    return ledger.PROTOCOL_ERROR
