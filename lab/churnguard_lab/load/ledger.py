"""The ledger file: a header line, then one JSON line for each request, written when the request is over."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FORMAT = 1
OK, INJECTED = "ok", "injected_5xx"
HTTP_5XX, HTTP_4XX = "http_5xx", "http_4xx"
REFUSED, RESET, TIMEOUT = "refused", "reset", "timeout"
CONNECT_ERROR, PROTOCOL_ERROR = "connect_error", "protocol_error"
OUTCOMES = (OK, INJECTED, HTTP_5XX, HTTP_4XX, REFUSED, RESET, TIMEOUT, CONNECT_ERROR, PROTOCOL_ERROR)
#: What an application may answer by design; everything else is a request that failed.
NOT_FAILED = frozenset({OK, INJECTED})


class LedgerError(Exception):
    """A ledger cannot be read or written; the message says which and why."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """One request. `t`: Unix time when it was due; `lat`: seconds from then to its last byte; `lag`: seconds from then
    until it was really sent; `detail`: for a failed one, what happened."""

    t: float
    lat: float
    outcome: str
    status: int | None
    version: str | None
    slot: str | None
    conn: str
    slow: bool
    lag: float
    detail: str | None = None

    @property
    def is_failed(self) -> bool:
        """Whether the request counts as failed."""
        return self.outcome not in NOT_FAILED

    def line(self) -> str:
        """The entry as a line of the file."""
        content = {
            "t": round(self.t, 4),
            "lat": round(self.lat, 5),
            "outcome": self.outcome,
            "status": self.status,
            "version": self.version,
            "slot": self.slot,
            "conn": self.conn,
            "slow": self.slow,
            "lag": round(self.lag, 5),
        }
        if self.detail is not None:
            content["detail"] = self.detail
        return json.dumps(content, separators=(",", ":"))


class Writer:
    """Appends entries; they reach the file at `flush`. Raises LedgerError."""

    def __init__(self, path: Path, header: dict[str, Any]) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(path, "x", encoding="utf-8")  # noqa: SIM115  closed by close()
        except OSError as error:
            raise LedgerError(f"cannot create the ledger {path}: {error.strerror}") from error
        self._pending = [json.dumps({"ledger": FORMAT, **header})]
        self.flush()

    def add(self, entry: Entry) -> None:
        """Take an entry."""
        self._pending.append(entry.line())

    def flush(self) -> None:
        """Write what is pending."""
        lines, self._pending = self._pending, []
        try:
            self._file.write("".join(line + "\n" for line in lines))
            self._file.flush()
        except OSError as error:
            raise LedgerError(f"cannot write the ledger {self.path}: {error.strerror}") from error

    def close(self) -> None:
        """Flush and close."""
        self.flush()
        self._file.close()


def read(path: Path | str) -> tuple[dict[str, Any], Iterator[Entry]]:
    """The header and the entries of a ledger. A last line without its end (the writer was killed) is left out.
    Raises LedgerError, for a damaged line while iterating."""
    try:
        with open(path, encoding="utf-8") as file:
            header = json.loads(file.readline())
    except (OSError, ValueError) as error:
        raise LedgerError(f"cannot read the ledger {path}: {error}") from error
    if not isinstance(header, dict) or header.get("ledger") != FORMAT:
        raise LedgerError(f"{path} is not a load ledger of format {FORMAT}")
    return header, _entries(Path(path))


def _entries(path: Path) -> Iterator[Entry]:
    with open(path, encoding="utf-8") as file:
        file.readline()
        for number, line in enumerate(file, start=2):
            if not line.endswith("\n"):
                return
            try:
                content = json.loads(line)
                yield Entry(
                    t=content["t"],
                    lat=content["lat"],
                    outcome=content["outcome"],
                    status=content["status"],
                    version=content["version"],
                    slot=content["slot"],
                    conn=content["conn"],
                    slow=content["slow"],
                    lag=content.get("lag", 0.0),
                    detail=content.get("detail"),
                )
            except (ValueError, KeyError, TypeError) as error:
                raise LedgerError(f"{path} line {number} is damaged: {error!r}") from error
