"""Logs and spans as pods of the lab leave them, for the tests beside it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
OTHER = "00f067aa0ba902b7c0ffee0000000001"
#: 2026-01-31T12:00:00Z in nanoseconds.
NOON_NS = 1_769_860_800_000_000_000

# What a pod does at an error: the application's own formatter and settings, in a process of its own.
WRITER = """
import logging.config, sys
from churnguard_telemetry import logs
logging.config.dictConfig(logs.settings())
logger = logging.getLogger("churnguard_api")
logger.warning("the cache is away")
try:
    {}["customer"]
except KeyError:
    logger.exception("a prediction failed")
print("not a word of JSON", flush=True)
"""


def application_writes(folder: Path, pod: str = "churnguard-api-blue-abc12") -> Path:
    """The log of a pod whose process has said two things through the application's logging, and one without it."""
    path = log_path(folder, pod)
    with path.open("ab") as log:
        subprocess.run([sys.executable, "-c", WRITER], stdout=log, stderr=subprocess.STDOUT, check=True, timeout=60)
    return path


def log_path(folder: Path, pod: str) -> Path:
    """Where the node writes a pod's output; the folder is there."""
    path = folder / "log" / "pods" / f"churnguard-lab_{pod}_churnguard-api.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def request(second: int, **fields: Any) -> str:
    """A line about a request at 12:00 and so many seconds, with the fields of the application's lines."""
    entry = {
        "timestamp": f"2026-01-31T12:{second // 60:02}:{second % 60:02}.250Z",
        "level": "info",
        "logger": "churnguard_api.requests",
        "message": "request",
        "trace_id": None,
        "request_id": f"r{second}",
        "method": "GET",
        "route": "/api/v1/predictions",
        "status": 200,
        "duration_ms": 12.5,
    }
    return json.dumps(entry | fields)


def span(number: int, parent: int = 0, name: str = "work", at_ms: float = 0, took_ms: float = 1, **more: Any) -> dict:
    """A span of TRACE in OTLP's JSON."""
    begin = NOON_NS + int(at_ms * 1e6)
    return {
        "traceId": more.pop("trace", TRACE),
        "spanId": f"{number:016x}",
        "parentSpanId": f"{parent:016x}" if parent else "",
        "name": name,
        "kind": 2 if not parent else 3,
        "startTimeUnixNano": str(begin),
        "endTimeUnixNano": str(begin + int(took_ms * 1e6)),
        "status": {},
        "attributes": [{"key": "http.response.status_code", "value": {"intValue": "200"}}],
        **more,
    }


def spans_line(*spans: dict, pod: str = "churnguard-api-blue-abc12") -> str:
    """One export of a pod, a line of JSON."""
    resource = [
        {"key": key, "value": {"stringValue": value}}
        for key, value in (("service.name", "churnguard-api"), ("k8s.pod.name", pod))
    ]
    scopes = [{"scope": {"name": "churnguard_api"}, "spans": list(spans)}]
    return json.dumps({"resourceSpans": [{"resource": {"attributes": resource}, "scopeSpans": scopes}]})


def write_spans(folder: Path, lines: Sequence[str], name: str = "traces/churnguard-api-blue-abc12.jsonl") -> Path:
    """A file of spans."""
    path = folder / "log" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path
