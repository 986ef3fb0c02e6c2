# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Redis and Sentinel through redis-py, one remote call per function. Internal: may change in any release."""

from __future__ import annotations

import stat
import traceback
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

try:
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry
    from redis.sentinel import Sentinel
except ImportError:
    HAS_REDIS = False
    REDIS_IMPORT_ERROR: str | None = traceback.format_exc()
else:
    HAS_REDIS = True
    REDIS_IMPORT_ERROR = None

from .._common.errors import OperationError
from .model import REPLICA, Address, Follower, Node, Watch

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Access:
    """How Redis is reached; the password is never shown. C(timeout) is for one answer, in seconds."""

    password: str | None = field(default=None, repr=False)
    username: str | None = None
    tls: bool = False
    ca_file: str | None = None
    timeout: float = 2.0


def read_password(path: str) -> str:
    """The password in a file that only its owner can read. Raises OperationError."""
    attempted = f"read the password file {path}"
    try:
        mode = Path(path).stat().st_mode
        text = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text."
        raise OperationError(attempted, f"{reason}.", "check its name and its rights.") from error
    if stat.S_IMODE(mode) & (stat.S_IRWXG | stat.S_IRWXO):
        raise OperationError(attempted, f"others may use it, too ({stat.S_IMODE(mode):04o}).", f"chmod 0600 {path}")
    if not text:
        raise OperationError(attempted, "it is empty.", "write the password into it.")
    return text


def client_options(access: Access) -> dict[str, Any]:
    """redis-py's options. Nothing is tried again by itself: a second try would turn a lost write into a kept one."""
    options: dict[str, Any] = {
        "username": access.username,
        "password": access.password,
        "socket_timeout": access.timeout,
        "socket_connect_timeout": access.timeout,
        "retry": Retry(NoBackoff(), 0),
        "decode_responses": True,
    }
    if access.tls:
        options |= {"ssl": True, "ssl_ca_certs": access.ca_file}
    return options


def connect(address: Address, access: Access) -> Any:
    """A client of the Redis or Sentinel there; connects at its first command."""
    return redis.Redis(address.host, address.port, **client_options(access))


def connect_primary(sentinels: list[Address], name: str, access: Access) -> Any:
    """A client of whichever Redis the Sentinels call the primary whenever it has to connect."""
    options = client_options(access)
    return Sentinel(list(sentinels), sentinel_kwargs=options, **options).master_for(name)


@contextmanager
def _errors(attempted: str) -> Any:
    try:
        yield
    except redis.AuthenticationError as error:
        raise OperationError(attempted, f"{error}.", "check the user name and the password file.") from error
    except redis.RedisError as error:
        raise OperationError(attempted, f"{error}.", "look at its log, and whether the address is right.") from error


def _ask(address: Address, access: Access, attempted: str, question: Callable[[Any], Answer]) -> Answer:
    client = connect(address, access)
    try:
        with _errors(f"{attempted} {address}"):
            return question(client)
    finally:
        client.close()


def node(address: Address, access: Access) -> Node:
    """What the Redis there says about itself. Raises OperationError."""
    info = _ask(address, access, "ask Redis", lambda client: client.info("everything"))
    is_replica = info["role"] == REPLICA
    return Node(
        address=address,
        role=info["role"],
        run_id=info["run_id"],
        pid=int(info["process_id"]),
        offset=int(info["slave_repl_offset"] if is_replica else info["master_repl_offset"]),
        followers=tuple(_followers(info)),
        primary=Address(info["master_host"], int(info["master_port"])) if is_replica else None,
        link_up=is_replica and info["master_link_status"] == "up",
    )


def _followers(info: dict[str, Any]) -> list[Follower]:
    listed = [info[f"slave{number}"] for number in range(int(info.get("connected_slaves", 0)))]
    return [
        Follower(
            Address(entry["ip"], int(entry["port"])),
            entry["state"] == "online",
            int(entry["lag"]),
            int(entry["offset"]),
        )
        for entry in listed
    ]


def watch(sentinel: Address, name: str, access: Access, with_quorum: bool = False) -> Watch:
    """What the Sentinel there says about the primary C(name). Raises OperationError."""
    state = _ask(sentinel, access, f"ask about {name} at Sentinel", lambda client: client.sentinel_master(name))
    replicas = _ask(
        sentinel, access, f"ask for {name}'s replicas at Sentinel", lambda client: client.sentinel_slaves(name)
    )
    return Watch(
        sentinel=sentinel,
        primary=Address(state["ip"], int(state["port"])),
        flags=frozenset(_flags(state)),
        replicas=tuple(Address(entry["ip"], int(entry["port"])) for entry in replicas),
        quorum=_refusal(sentinel, access, "its quorum", "CKQUORUM", name) if with_quorum else "",
    )


def _flags(state: dict[str, Any]) -> set[str]:
    flags = state["flags"]
    return set(flags.split(",") if isinstance(flags, str) else flags)


def _refusal(sentinel: Address, access: Access, wanted: str, *command: str) -> str:
    """What a Sentinel has against a command; empty when it did it. Raises OperationError when it does not answer."""
    client = connect(sentinel, access)
    try:
        client.execute_command("SENTINEL", *command)
    except redis.ResponseError as error:
        return str(error)
    except redis.RedisError as error:
        raise OperationError(f"ask Sentinel {sentinel} for {wanted}", f"{error}.", "look at its log.") from error
    finally:
        client.close()
    return ""


def follow(replica: Address, primary: Address, access: Access) -> None:
    """Let one Redis replicate from another address. Raises OperationError."""
    _ask(replica, access, f"let follow {primary}", lambda client: client.replicaof(primary.host, primary.port))


def fail_over(sentinel: Address, name: str, access: Access) -> str:
    """Ask for a planned failover; empty when it began, else why the Sentinel does not begin it now."""
    return _refusal(sentinel, access, "a failover", "FAILOVER", name)


def members(address: Address, key: str, access: Access) -> list[int]:
    """The numbers in the list C(key). Raises OperationError."""
    return [int(item) for item in _ask(address, access, f"read {key} from", lambda client: client.lrange(key, 0, -1))]


def forget(address: Address, key: str, access: Access) -> bool:
    """Delete C(key); whether it was there. Raises OperationError."""
    return bool(_ask(address, access, f"delete {key} from", lambda client: client.delete(key)))


def exists(address: Address, key: str, access: Access) -> bool:
    """Whether C(key) is there. Raises OperationError."""
    return bool(_ask(address, access, f"look for {key} in", lambda client: client.exists(key)))
