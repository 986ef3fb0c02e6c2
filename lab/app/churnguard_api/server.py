"""How gunicorn serves churnguard-api: gunicorn --config python:churnguard_api.server churnguard_api.wsgi:app.

One worker process, since a pod is the unit of scaling and the metrics then live in one place; threads inside it.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from typing import Any

from churnguard_telemetry import logs
from churnguard_telemetry.gunicorn import JsonLogger
from prometheus_client import start_http_server

from churnguard_api.config import ConfigError, load

CRASH_EXIT_CODE = 3
_LOG = logging.getLogger("churnguard_api")

try:
    _config = load(os.environ)
except ConfigError as _error:
    print(f"churnguard-api cannot start: {_error}", file=sys.stderr)
    sys.exit(1)

bind = [f"{_config.address}:{_config.http_port}"]
worker_class = "gthread"
workers = 1
threads = _config.tuning.threads
# Longer than any proxy in front keeps a connection: the side that closes an idle one must not be this one.
keepalive = 75
graceful_timeout = _config.tuning.graceful_timeout_s
timeout = 30
control_socket_disable = True
logger_class = JsonLogger
# OpenFeature's provider writes a traceback at every look at a file that is absent, and a line for every request without
# a user; what matters of it comes as an event, see features.
logconfig_dict = logs.settings(openfeature__contrib="CRITICAL")


def post_worker_init(worker: Any) -> None:
    """Serve the metrics from the process that counts."""
    metrics = worker.wsgi.extensions["churnguard_metrics"]
    start_http_server(_config.metrics_port, _config.address, registry=metrics.registry)


def worker_exit(_server: Any, worker: Any) -> None:
    """Send the traces that wait, when requests under way are finished."""
    if getattr(worker, "wsgi", None) is not None:  # None when the application did not start
        worker.wsgi.extensions["churnguard_tracing"].close()


def when_ready(_server: Any) -> None:
    """Start the injected crash, if this version has one."""
    if _config.faults.crash_after_s is not None:
        timer = threading.Timer(_config.faults.crash_after_s, _crash)
        timer.daemon = True
        timer.start()


def on_exit(_server: Any) -> None:
    """Everything is drained; a version with a slow shutdown stays a while."""
    time.sleep(_config.faults.slow_shutdown_s)


def _crash() -> None:
    _LOG.error("injected crash after %g s", _config.faults.crash_after_s)
    os._exit(CRASH_EXIT_CODE)
