"""gunicorn's log in the form of the others."""

from __future__ import annotations

import datetime
from typing import Any

from gunicorn.glogging import Logger

from churnguard_telemetry.flask import ACCESS_FIELDS


class JsonLogger(Logger):
    """Writes a line about an answered request when the application asked for one; never its path, query or client."""

    def access(self, resp: Any, req: Any, environ: dict[str, Any], request_time: datetime.timedelta) -> None:
        """The line; `request_time` ends when the reply has been sent."""
        fields = environ.get(ACCESS_FIELDS)
        if fields is not None:
            duration_ms = round(request_time.total_seconds() * 1000, 3)
            self.access_log.info(
                "%s %s %s",
                fields["method"],
                fields["route"],
                fields["status"],
                extra={"fields": {**fields, "duration_ms": duration_ms}},
            )
