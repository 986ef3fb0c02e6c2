"""`python -m churnguard_lab.gateway --config .lab/lab.json`: run the gateway until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from pathlib import Path

from churnguard_lab import settings as lab_settings
from churnguard_lab.gateway import health
from churnguard_lab.gateway.api import Api, ApiError
from churnguard_lab.gateway.controller import MEMORY_FILE, Controller, DataPlane
from churnguard_lab.gateway.haproxy import HAProxy, HAProxyError

_log = logging.getLogger("churnguard_lab.gateway")


def main(arguments: list[str] | None = None) -> int:
    """Run the controller; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="churnguard_lab.gateway", description="The lab's gateway: HAProxy driven from HTTPRoutes."
    )
    parser.add_argument("--config", type=Path, help="lab.json (default: $CHURNGUARD_LAB_CONFIG, else .lab/lab.json)")
    parser.add_argument("--keep-haproxy", action="store_true", help="leave HAProxy running when the controller ends")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # its retries are told once, by the watchers
    threading.excepthook = on_thread_failure
    try:
        return run(lab_settings.load(options.config), options.keep_haproxy)
    except (lab_settings.SettingsError, ApiError, HAProxyError) as error:
        print(f"gateway: {error}", file=sys.stderr)
        return 1


def run(settings: lab_settings.Settings, keep_haproxy: bool) -> int:
    """Start HAProxy, serve health, control until a signal comes. Raises ApiError or HAProxyError at the start."""
    metrics = health.Metrics()
    directory = settings.state_dir / "gateway"
    haproxy = HAProxy(directory, settings.log_dir / "haproxy.log", settings.state_dir)
    api = Api(settings.component_kubeconfig("gateway"))
    ports = settings.ports
    data_plane = DataPlane(haproxy, directory / MEMORY_FILE, ports.gateway, ports.gateway_admin, metrics)
    controller = Controller(settings, api, data_plane, metrics)
    try:
        server = health.serve(ports.gateway_controller, metrics, controller.health)
    except OSError as error:
        print(f"gateway: cannot listen on 127.0.0.1:{ports.gateway_controller}: {error.strerror}", file=sys.stderr)
        return 1
    for number in (signal.SIGTERM, signal.SIGINT):
        # The handler may interrupt a holder of the lock that stop() takes, so stop() runs in a thread of its own.
        signal.signal(number, lambda *_: threading.Thread(target=controller.stop).start())
    data_plane.start_with_last_state()
    _log.info("gateway on 127.0.0.1:%d, class %s", ports.gateway, settings.gateway.gateway_class)
    controller.run()
    if not keep_haproxy:
        haproxy.stop()
    server.shutdown()
    return 0


def on_thread_failure(failure: threading.ExceptHookArgs) -> None:
    """A thread that ends by a defect would leave the gateway blind: end, HAProxy serves on, the supervisor restarts."""
    _log.critical("thread %s failed", failure.thread, exc_info=failure.exc_value)
    os._exit(70)


if __name__ == "__main__":
    sys.exit(main())
