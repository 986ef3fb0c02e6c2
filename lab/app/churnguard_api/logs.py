"""Logging: one JSON object a line on stdout, warnings and errors only."""

from __future__ import annotations

import datetime
import json
import logging
from typing import Any

from gunicorn.glogging import Logger


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without a line end."""
        moment = datetime.datetime.fromtimestamp(record.created, tz=datetime.UTC)
        entry = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry)


class QuietLogger(Logger):
    """Gunicorn's logger without an access log, which it would else put together for nobody at every request."""

    def access(self, *_arguments: Any) -> None:
        """Requests are counted, not logged."""


def settings() -> dict[str, Any]:
    """The configuration for logging.config.dictConfig, of this application and of gunicorn."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": JsonFormatter}},
        "handlers": {
            "stdout": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stdout"},
        },
        "root": {"level": "WARNING", "handlers": ["stdout"]},
        "loggers": {
            **{
                name: {"level": "WARNING", "handlers": ["stdout"], "propagate": False}
                for name in ("gunicorn.error", "churnguard_api")
            },
            # It writes a traceback at every look at a file that is absent, and a line for every request without a
            # user; what matters of it comes as an event, see features.
            "openfeature.contrib": {"level": "CRITICAL"},
        },
    }
