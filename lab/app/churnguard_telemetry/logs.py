"""Logs: one JSON object a line on stdout, with the request and the trace they belong to. No personal data, no queries.

Fields: timestamp (RFC 3339, UTC), level, logger, message; in a request trace_id, span_id, request_id, method and route;
on the line about an answered request also status and duration_ms; on an exception error_type, error and stack.
"""

from __future__ import annotations

import contextvars
import dataclasses
import datetime
import json
import logging
import re
import traceback
from pathlib import PurePath
from typing import Any

#: Which answered requests get a line: all; those with a 5xx, slower than SLOW_S, or in a trace that is kept; none.
ACCESS = ("all", "notable", "none")
SLOW_S = 2.0
LONGEST_MESSAGE, LONGEST_STACK = 2000, 20
_REMOVED = "[removed]"
_PERSONAL = re.compile(
    r"(?P<mail>[\w.+-]+@[\w-]+(?:\.[\w-]+)+)"
    r"|(?P<login>(?<=://)[^\s/@]+(?=@))"
    r"|(?P<client>(?<=\bip=)[\w.:\[\]]+\w)"
    r"|(?P<query>\?[\w%.~-]+=[^\s'\"]*)"
)


@dataclasses.dataclass
class Request:
    """What log lines say about the request under way. `route` is the template, never the path."""

    trace_id: str
    span_id: str
    request_id: str
    method: str
    route: str


#: The request that this thread answers.
current: contextvars.ContextVar[Request | None] = contextvars.ContextVar("churnguard_request", default=None)


def notable(policy: str, status: int, seconds: float, kept: bool) -> bool:
    """Whether an answered request gets a line; `kept` says that its trace is."""
    return policy == "all" or (policy == "notable" and (status >= 500 or seconds >= SLOW_S or kept))


def cleaned(text: str) -> str:
    """Without e-mail addresses, logins in URLs, addresses of clients and query strings, and not too long."""
    text = _PERSONAL.sub(lambda found: f"?{_REMOVED}" if found["query"] else _REMOVED, text)
    return text if len(text) <= LONGEST_MESSAGE else f"{text[:LONGEST_MESSAGE]}..."


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON. A record's `fields` (a mapping) are added to it."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without a line end."""
        moment = datetime.datetime.fromtimestamp(record.created, tz=datetime.UTC)
        entry: dict[str, Any] = {
            "timestamp": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": cleaned(record.getMessage()),
        }
        request = current.get()
        if request is not None:
            entry |= dataclasses.asdict(request)
        entry |= getattr(record, "fields", {})
        if record.exc_info and record.exc_info[1] is not None:
            entry |= _exception(record.exc_info[1])
        return json.dumps(entry)


def _exception(error: BaseException) -> dict[str, str]:
    """Kind, first line of the text (PostgreSQL's further lines hold values of rows), and where, innermost first."""
    frames = traceback.extract_tb(error.__traceback__)[::-1][:LONGEST_STACK]
    return {
        "error_type": f"{type(error).__module__}.{type(error).__qualname__}",
        "error": cleaned((str(error).splitlines() or [""])[0]),
        "stack": " < ".join(f"{PurePath(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames),
    }


def settings(**levels: str) -> dict[str, Any]:
    """The configuration for logging.config.dictConfig: warnings and errors, and gunicorn's access log.

    `levels` sets other loggers' levels, with `__` for a dot in their names.
    """
    own = {"handlers": ["stdout"], "propagate": False}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": JsonFormatter}},
        "handlers": {
            "stdout": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stdout"},
        },
        "root": {"level": "WARNING", "handlers": ["stdout"]},
        "loggers": {
            "gunicorn.error": {"level": "WARNING", **own},
            "gunicorn.access": {"level": "INFO", **own},
            **{name.replace("__", "."): {"level": level} for name, level in levels.items()},
        },
    }
