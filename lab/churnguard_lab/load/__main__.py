"""`python -m churnguard_lab.load run|summary`: see docs/lab/load.md."""

from __future__ import annotations

import argparse
import asyncio
import datetime
import json
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any

from churnguard_lab.load.ledger import LedgerError, Writer
from churnguard_lab.load.run import Run
from churnguard_lab.load.schedule import DEFAULT_PATHS, MOST_REQUESTS, Load, LoadError, validate
from churnguard_lab.load.schedule import Path as PathShare
from churnguard_lab.load.summary import summarise


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status (2: not allowed or not possible)."""
    options = _parser().parse_args(arguments)
    try:
        return options.command(options)
    except (LoadError, LedgerError) as error:
        print(f"load: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="churnguard_lab.load", description="Open-loop load with a ledger.")
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser("run", help="send load and write a ledger; SIGTERM ends it in order")
    run.set_defaults(command=_run)
    defaults = Load(url="", host="")
    run.add_argument("--url", default="http://127.0.0.1:18080", help="loopback only (%(default)s)")
    run.add_argument("--host", default="churnguard.lab", help="Host header (%(default)s)")
    run.add_argument("--rate", type=float, default=defaults.rate, help="requests a second (%(default)g)")
    run.add_argument("--duration", type=float, default=defaults.duration_s, help="seconds (%(default)g)")
    run.add_argument("--max-requests", type=int, default=MOST_REQUESTS, help="upper bound (%(default)s)")
    run.add_argument("--slow-share", type=float, default=defaults.slow_share, help="share of slow requests")
    run.add_argument("--slow-seconds", type=float, default=defaults.slow_seconds, help="how long those take")
    run.add_argument("--timeout", type=float, default=defaults.timeout_s, help="seconds for one request (%(default)g)")
    run.add_argument("--customers", type=int, default=defaults.customers, help="{customer} is 1 to this number")
    run.add_argument(
        "--path",
        action="append",
        type=_path,
        metavar="PATH=WEIGHT",
        help="path of the mix, repeatable (default: "
        + ", ".join(f"{path.template}={path.weight}" for path in DEFAULT_PATHS)
        + ")",
    )
    run.add_argument("--ledger", type=Path, help="a new file (default: .lab/load/<UTC time>.jsonl)")
    run.add_argument("--quiet", action="store_true", help="no line a second")
    summary = commands.add_parser("summary", help="print the summary of a ledger as JSON")
    summary.set_defaults(command=_summary)
    summary.add_argument("ledger", type=Path)
    summary.add_argument("--from", dest="start", type=float, help="Unix time")
    summary.add_argument("--to", dest="end", type=float, help="Unix time")
    return parser


def _path(text: str) -> PathShare:
    template, _, weight = text.rpartition("=")
    if not template or not weight.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not PATH=WEIGHT")
    return PathShare(template, int(weight))


def _run(options: argparse.Namespace) -> int:
    load = Load(
        url=options.url,
        host=options.host,
        rate=options.rate,
        duration_s=options.duration,
        slow_share=options.slow_share,
        slow_seconds=options.slow_seconds,
        timeout_s=options.timeout,
        paths=tuple(options.path or DEFAULT_PATHS),
        customers=options.customers,
        max_requests=options.max_requests,
    )
    validate(load)
    # Each request under way holds a descriptor.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    now = datetime.datetime.now(datetime.UTC)
    path = options.ledger or _default_ledger(now)
    header = {"started": round(now.timestamp(), 4), "rate": load.rate, "target": load.url, "host": load.host}
    writer = Writer(path, header)
    try:
        generator = asyncio.run(_execute(load, writer, options.quiet))
    finally:
        writer.close()
    summary = {**summarise(path), "generator": generator}
    summary_path = path.with_suffix(".summary.json")
    summary_path.write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    print(text(summary))
    print(f"ledger {path}, summary {summary_path}")
    return 0


async def _execute(load: Load, writer: Writer, quiet: bool) -> dict[str, Any]:
    run = Run(load, writer, (lambda _: None) if quiet else (lambda line: print(line, flush=True)))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, run.stop)
    return await run.execute()


def _default_ledger(now: datetime.datetime) -> Path:
    state = Path(os.environ.get("CHURNGUARD_LAB_DIR") or ".lab")
    return state / "load" / f"{now:%Y-%m-%dT%H-%M-%S.%fZ}.jsonl"


def _summary(options: argparse.Namespace) -> int:
    print(json.dumps(summarise(options.ledger, options.start, options.end), indent=1))
    return 0


def text(summary: dict[str, Any]) -> str:
    """A summary in a few lines for people."""
    lines = [
        f"sent {summary['sent']}, failed {summary['failed']}, injected {summary['injected']}",
        "outcomes: " + _pairs(summary["outcomes"]),
        "versions: " + _pairs(summary["by_version"]),
    ]
    if summary["failures"]:
        lines.append("failures: " + _pairs(summary["failures"]))
    for name, field in (("latency", "latency_s"), ("schedule lag", "lag_s")):
        if summary[field]:
            figures = (f"{quantile} {value * 1000:.1f} ms" for quantile, value in summary[field].items())
            lines.append(f"{name}: " + ", ".join(figures))
    if "generator" in summary:
        lines.append(f"generator: {summary['generator']['cpu_share']:.0%} of one processor")
    return "\n".join(lines)


def _pairs(values: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in values.items()) or "none"


if __name__ == "__main__":
    sys.exit(main())
