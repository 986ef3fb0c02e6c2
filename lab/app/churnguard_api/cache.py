"""Redis: predictions are kept there for a while. Without it the application is slower, not wrong."""

from __future__ import annotations

import contextlib
import json
import logging
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

TIMEOUT_S = 0.5
#: After a failure Redis is left alone for this long, so that requests do not all wait for it.
PAUSE_S = 1.0
#: redis+sentinel://:password@host:port,host:port/database?master=name
SENTINEL_SCHEME = "redis+sentinel"
_LOG = logging.getLogger("churnguard_api")


class CacheUnavailable(Exception):
    """Redis did not answer; the message says what happened."""


class Cache:
    """JSON documents under keys, each with a time to live."""

    def __init__(
        self,
        url: str,
        ttl_s: int,
        observe: Callable[[str], contextlib.AbstractContextManager[object]] = contextlib.nullcontext,
    ) -> None:
        """`observe(operation)` is around each read (GET) and write (SET)."""
        self._ttl_s, self._observe = ttl_s, observe
        self._paused_until = 0.0
        self._client = connect(url)

    def get(self, key: str) -> Any | None:
        """The document under `key`; None when there is none, or no Redis."""
        if time.monotonic() < self._paused_until:
            return None
        try:
            with self._observe("GET"):
                text = self._client.get(key)
        except redis.RedisError as error:
            self._pause(error)
            return None
        return None if text is None else json.loads(text)

    def put(self, key: str, document: Any) -> None:
        """Keep a document; without Redis it is not kept."""
        if time.monotonic() < self._paused_until:
            return
        try:
            with self._observe("SET"):
                self._client.set(key, json.dumps(document), ex=self._ttl_s)
        except redis.RedisError as error:
            self._pause(error)

    def check(self) -> None:
        """Raises CacheUnavailable when Redis does not answer."""
        try:
            self._client.ping()
        except redis.RedisError as error:
            raise CacheUnavailable(str(error)) from error

    def _pause(self, error: redis.RedisError) -> None:
        self._paused_until = time.monotonic() + PAUSE_S
        _LOG.warning("cache unavailable: %s", error)


def connect(url: str) -> redis.Redis:
    """A client of the Redis at `url`, or of whichever one the Sentinels in `url` call the primary at the time of
    connecting. Raises ValueError when the URL is wrong; nothing is connected yet."""
    options: dict[str, Any] = {
        "socket_timeout": TIMEOUT_S,
        "socket_connect_timeout": TIMEOUT_S,
        "retry": Retry(NoBackoff(), 1),  # a kept connection may be from before a restart of Redis
    }
    parts = urlsplit(url)
    if parts.scheme != SENTINEL_SCHEME:
        return redis.Redis.from_url(url, **options)
    credentials, _, hosts = parts.netloc.rpartition("@")
    password = unquote(credentials.rpartition(":")[2]) or None
    names = parse_qs(parts.query).get("master", [])
    addresses = [(host, int(port or 26379)) for host, _, port in (entry.partition(":") for entry in hosts.split(","))]
    if len(names) != 1 or not all(host for host, _ in addresses):
        raise ValueError(f"a {SENTINEL_SCHEME} URL needs host:port of each Sentinel and ?master=name")
    sentinels = Sentinel(addresses, sentinel_kwargs={"password": password, **options}, password=password, **options)
    return sentinels.master_for(names[0], db=int(parts.path.strip("/") or 0))
