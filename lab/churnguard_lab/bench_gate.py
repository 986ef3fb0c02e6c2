"""Many services judged at once by one process: is the cadence held, and how much memory does it take?

    python -m churnguard_lab.bench_gate --services 50

The process that judges is one of its own and runs what module metric_gate runs; Prometheus is a server in this one that
answers for every service with three pods of either version under traffic.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from churnguard_api.metrics import BUCKETS

from churnguard_lab.bench import figure, peak_mb, table

sys.path.append(str(Path(__file__).resolve().parents[2] / "collections"))

from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import Clock  # noqa: E402
from ansible_collections.churnguard.ops.plugins.module_utils._common.envelope import Recorder  # noqa: E402
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.gate import Gate, Patience, Subject  # noqa: E402
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.metrics import default_metrics  # noqa: E402

SERVICES, SECONDS, INTERVAL_S = 50, 60, 10
PODS, RATE_PER_POD = 3, 20.0
MOST_MB = 300
#: Shares of requests by bucket: spread, so that the rank test has something to order.
SHARES = [0.125] * 8 + [0.0] * (len(BUCKETS) - 8)


class _Prometheus(BaseHTTPRequestHandler):
    """Counters that grow with time, the same for every service and version."""

    protocol_version = "HTTP/1.1"
    began = time.time()

    def log_message(self, *_arguments: object) -> None:
        pass

    def do_GET(self) -> None:
        asked = parse_qs(urlsplit(self.path).query)
        query, moment = asked["query"][0], float(asked.get("time", [time.time()])[0])
        data = {"resultType": "vector", "result": self._vector(query, moment)}
        if query == "time()":
            data = {"resultType": "scalar", "result": [moment, str(moment)]}
        body = json.dumps({"status": "success", "data": data})
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def _vector(self, query: str, moment: float) -> list[dict[str, Any]]:
        served = RATE_PER_POD * (moment - self.began) + 1000
        if "_bucket" in query:
            bounds = [*(str(bound) for bound in BUCKETS), "+Inf"]
            below = [served * min(sum(SHARES[: n + 1]), 1.0) for n in range(len(BUCKETS))] + [served]
            return [
                _series(pod, value, le=bound) for pod in range(PODS) for bound, value in zip(bounds, below, strict=True)
            ]
        share = 0.0 if "status_code" in query else 0.5 if "predictions" in query else 1.0
        return [_series(pod, served * share) for pod in range(PODS)]


def _series(pod: int, value: float, **labels: str) -> dict[str, Any]:
    return {"metric": {"pod": f"pod-{pod}", **labels}, "value": [time.time(), str(int(value))]}


@contextmanager
def prometheus() -> Iterator[str]:
    """The server, while the block runs; its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Prometheus)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def judge(url: str, services: int, seconds: int, interval: int) -> dict[str, Any]:
    """What the judging process does: everything good, how many rounds were late, and its peak memory."""
    clock = Clock()
    subjects = [Subject(f"service-{number}", "bench", "green", "v2", "blue", "v1") for number in range(services)]
    patience = Patience(interval, seconds, max_hold=60, least_good=1)
    gate = Gate(url, subjects, default_metrics(), patience, clock, Recorder(clock, "metric_gate"))
    passed = gate.run()
    return {
        "passed": passed,
        "looks": min(watch.looks for watch in gate.watches),
        "late": gate.late,
        "peak_mb": peak_mb(),
        "reasons": sorted({watch.reason for watch in gate.watches if not watch.passed})[:3],
    }


def measure(services: int = SERVICES, seconds: int = SECONDS, interval: int = INTERVAL_S) -> list[dict[str, Any]]:
    """The figures, as measurements of the envelope. Raises RuntimeError when the judging process ends badly."""
    with prometheus() as url:
        command = [sys.executable, "-m", "churnguard_lab.bench_gate", "--judge", url]
        command += ["--services", str(services), "--seconds", str(seconds), "--interval", str(interval)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=10 * seconds + 120)
    if ended.returncode != 0:
        raise RuntimeError(f"the judging process ended with {ended.returncode}: {ended.stderr[-2000:]}")
    found = json.loads(ended.stdout)
    if not found["passed"]:
        raise RuntimeError(f"healthy services were not good: {found['reasons']}")
    return [
        figure("services_judged_at_once", services, "services", SERVICES, at_least=True),
        figure("judge_looks_per_service", found["looks"], "looks"),
        figure("judge_late_looks", found["late"], "looks", 0),
        figure("judge_peak_mb", found["peak_mb"], "MB", MOST_MB),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--services", type=int, default=SERVICES)
    parser.add_argument("--seconds", type=int, default=SECONDS)
    parser.add_argument("--interval", type=int, default=INTERVAL_S)
    parser.add_argument("--judge", metavar="URL", help="be the judging process, with Prometheus there")
    options = parser.parse_args()
    if options.judge:
        print(json.dumps(judge(options.judge, options.services, options.seconds, options.interval)))
        return 0
    measurements = measure(options.services, options.seconds, options.interval)
    print(table(measurements))
    return 1 if any(one["verdict"] == "failed" for one in measurements) else 0


if __name__ == "__main__":
    sys.exit(main())
