"""Query the lab's logs and traces on this machine.

python -m churnguard_lab.logs [--since 10m] [--level error] [--pod X] [--route R] [--status 5xx] [--trace ID]
                              [--follow] [--sql STATEMENT]

It reads what pods wrote (.lab/log/pods) and the spans beside it (.lab/log/traces.jsonl, .lab/log/traces/). Lines that
are no JSON are shown as the text they are, and counted. Times are UTC; ~ marks that of the line before.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from churnguard_lab.telemetry import lines, show, spans
from churnguard_lab.telemetry.store import LEVELS, Question, QuestionError, Store, since

EPILOG = """examples:
  python -m churnguard_lab.logs --since 10m --level error
  python -m churnguard_lab.logs --route '/api/*' --status 5xx
  python -m churnguard_lab.logs --trace 4bf92f35          the tree of its spans, and its lines
  python -m churnguard_lab.logs --sql "SELECT route, count(*), quantile_cont(duration_ms, 0.99) FROM logs GROUP BY 1"
  python -m churnguard_lab.logs --sql "SELECT name, count(*), max(duration_ms) FROM spans GROUP BY 1 ORDER BY 3 DESC"
"""
#: How often --follow looks.
PACE_S = 0.5


def options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m churnguard_lab.logs",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--since", default="", help="only what is younger: 90s, 10m, 2h, 7d, or a time (RFC 3339)")
    parser.add_argument("--level", default="", help=f"of this level and above: {', '.join(LEVELS)}")
    parser.add_argument("--pod", default="", help="pods whose name has this in it")
    parser.add_argument("--route", default="", help="requests of this route; * stands for anything")
    parser.add_argument("--status", default="", help="requests answered so: 503, or 5xx")
    parser.add_argument("--trace", default="", help="one trace by its id, or by how it begins")
    parser.add_argument("--sql", default="", help="a statement of one's own over the tables logs and spans (DuckDB)")
    parser.add_argument("--follow", action="store_true", help="show what is written from now on, until Ctrl-C")
    parser.add_argument("--limit", type=int, default=200, help="the newest so many; 0 for all (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="a JSON object a line instead of a table")
    parser.add_argument("--wide", action="store_true", help="do not cut lines at the terminal's width")
    default = Path(os.environ.get("CHURNGUARD_LAB_DIR") or ".lab")
    parser.add_argument("--lab", type=Path, default=default, help="the lab's folder (default: %(default)s)")
    given = parser.parse_args(arguments)
    if given.follow and (given.sql or given.since):
        parser.error("--follow shows what is written from now on: take it without --since and --sql")
    return given


def plain(value: Any) -> str:
    """What JSON has no form for, as text; times in UTC."""
    return f"{value.isoformat()}Z" if isinstance(value, datetime) else str(value)


class Query:
    """One run of the command: what was asked, and where it is shown."""

    def __init__(self, given: argparse.Namespace, now: datetime) -> None:
        self._given = given
        self._folder = given.lab / "log"
        self._width = 0 if given.wide or not sys.stdout.isatty() else shutil.get_terminal_size().columns
        self.question = Question(
            since=since(given.since, now) if given.since else None,
            level=given.level.lower(),
            pod=given.pod,
            trace=given.trace,
            route=given.route,
            status=given.status.lower(),
            limit=max(given.limit, 0),
        )

    def run(self) -> int:
        """Answer it. Raises QuestionError."""
        if not self._folder.is_dir():
            raise QuestionError(
                f"there is no {self._folder}: bring the lab up with make lab-up, or name one with --lab"
            )
        if self._given.follow:
            return self.follow()
        store = Store()
        files = lines.log_files(self._folder / "pods", self.question.since)
        store.add("logs", (row for one in files for row in lines.read(one)))
        found: list[spans.Span] = []
        if self._given.trace or self._given.sql:
            found, broken = spans.read(spans.span_files(self._folder))
            store.add("spans", (span.row() for span in found))
            if broken:
                print(f"{broken} lines of spans cannot be read and are left out", file=sys.stderr)
        store.close_doors()
        if self._given.sql:
            return self.sql(store)
        if self._given.trace:
            self.tree(store, found)
        rows = store.logs(self.question)
        self.print(rows)
        counts = store.count(self.question)
        print(show.summary(counts, len(rows), len(files), self.question.of_fields), file=sys.stderr)
        return 0

    def tree(self, store: Store, found: Sequence[spans.Span]) -> None:
        """The spans of the one trace that is meant. Raises QuestionError when it is none or several."""
        known = store.traces(self.question.trace)
        if len(known) != 1:
            several = f"{len(known)} traces begin so: {', '.join(known[:5])}{' ...' * (len(known) > 5)}"
            raise QuestionError(
                several if known else f"no line and no span has a trace id that begins {self.question.trace}"
            )
        mine = [span for span in found if span.trace_id == known[0]]
        if self._given.json:
            for span in mine:
                print(json.dumps(span.row()))
            return
        if mine:
            print("\n".join(show.trace(known[0], spans.tree(mine), self._width)), end="\n\n")
        else:
            print(f"trace {known[0]}: no span of it was recorded\n")

    def sql(self, store: Store) -> int:
        """The answer to a statement."""
        heads, rows = store.ask(self._given.sql)
        if self._given.json:
            for row in rows:
                print(json.dumps(dict(zip(heads, row, strict=True)), default=plain))
        else:
            cells = [[show.printable("" if value is None else str(value)) for value in row] for row in rows]
            print("\n".join(show.table(heads, cells, self._width)))
        return 0

    def print(self, rows: Sequence[dict[str, Any]], head: bool = True) -> None:
        """Lines, as a table or as JSON."""
        if self._given.json:
            for row in rows:
                print(json.dumps(row, default=plain), flush=True)
        elif rows:
            drawn = show.table(show.HEADS, [show.cells(row) for row in rows], self._width)
            print("\n".join(drawn if head else drawn[1:]), flush=True)

    def follow(self) -> int:
        """Show what is written, until it is interrupted."""
        follower = lines.Follower(self._folder / "pods")
        first = True
        try:
            while True:
                new = follower.new()
                if new:
                    store = Store()
                    store.add("logs", new)
                    rows = store.logs(self.question)
                    self.print(rows, head=first)
                    first = first and not rows
                time.sleep(PACE_S)
        except KeyboardInterrupt:
            return 0
        finally:
            follower.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; see the module's text."""
    given = options(arguments)
    try:
        return Query(given, datetime.now(UTC)).run()
    except QuestionError as error:
        print(f"logs: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # Its reader, such as head, has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


if __name__ == "__main__":
    sys.exit(main())
