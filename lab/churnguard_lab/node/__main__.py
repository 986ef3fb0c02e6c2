"""The node agent's command line: python -m churnguard_lab.node [--config .lab/lab.json] [--stop-all]."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path

from churnguard_lab import settings
from churnguard_lab.node import agent, process
from churnguard_lab.node.api import ApiError, NodeApi
from churnguard_lab.node.health import health, serve
from churnguard_lab.node.heartbeat import Heartbeat
from churnguard_lab.node.network import NetworkError
from churnguard_lab.node.usage import Usage


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m churnguard_lab.node", description="Run the lab's node agent.")
    parser.add_argument(
        "--config", type=Path, help="the lab's lab.json (default: $CHURNGUARD_LAB_CONFIG, .lab/lab.json)"
    )
    parser.add_argument("--stop-all", action="store_true", help="end all pod processes of the lab, and nothing else")
    parser.add_argument("--grace", type=float, default=10.0, help="with --stop-all: seconds from SIGTERM to SIGKILL")
    return parser


def stop_all(lab: settings.Settings, grace: float) -> int:
    """End all pod processes of a lab whose agent does not run any more; how many there were. Raises AgentError."""
    with agent.lock(agent.pods_dir(lab)):
        pids = list(agent.pod_processes(lab.state_dir))
        killed = process.end(pids, grace)
    print(f"ended {len(pids)} pod processes, {len(killed)} of them by SIGKILL")
    return len(pids)


def run(lab: settings.Settings) -> None:
    """Run the agent until SIGTERM or SIGINT; the pods' processes stay. Raises AgentError, NetworkError, OSError."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        # The handler may interrupt a holder of the lock that set() takes, so set() runs in a thread of its own.
        signal.signal(number, lambda *_arguments: threading.Thread(target=stop.set).start())
    with agent.lock(agent.pods_dir(lab)):
        api = NodeApi(lab.component_kubeconfig("node"))
        node = agent.Agent(lab, api)
        heart, usage = Heartbeat(api, lab.node.name), Usage()
        follower = threading.Thread(target=node.run, args=(stop,), name="follow", daemon=True)
        serve(
            lab.ports.node_agent,
            lambda: health(time.time(), node.synced_at, heart.renewed_at, follower.is_alive(), node.pods),
            lambda: usage.exposition(node.occupants()),
        )
        follower.start()
        threading.Thread(target=heart.run, args=(stop,), name="heartbeat", daemon=True).start()
        while not stop.wait(1.0):
            if not follower.is_alive():
                raise agent.AgentError("the loop that follows the API server has ended; see the log above")
        logging.info("ending; %d pods keep running", node.pods)


def main(arguments: list[str] | None = None) -> int:
    """Command line; the exit code is 0, or 1 when it could not be done."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stdout)
    try:
        lab = settings.load(options.config)
        if options.stop_all:
            stop_all(lab, options.grace)
        else:
            run(lab)
    except (settings.SettingsError, agent.AgentError, NetworkError, ApiError) as error:
        print(f"churnguard_lab.node: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        port = lab.ports.node_agent
        print(f"churnguard_lab.node: {error} (health endpoint: 127.0.0.1:{port})", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    # Without waiting for threads that look after pods: the next agent takes up where they were.
    os._exit(code)
