"""Lines and traces as text for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from churnguard_lab.telemetry.lines import TEXT, UNFINISHED
from churnguard_lab.telemetry.spans import ERROR, Branch

HEADS = ("time", "level", "pod", "status", "ms", "request", "trace", "message")
_MARKS = {TEXT: "text", UNFINISHED: "torn"}
#: How much of a trace id tells it from the others on a screen.
TRACE_DIGITS = 8


def cells(row: Mapping[str, Any]) -> list[str]:
    """A row of the table `logs` as the cells of HEADS. `~` marks a time that is the line's before it."""
    request = " ".join(str(row[name]) for name in ("method", "route") if row[name])
    message = row["message"] or row["fields"] or ""
    return [
        f"{'' if row['exact'] else '~'}{clock(row['time'])}",
        row["level"] or _MARKS.get(row["kind"], "-"),
        row["pod"],
        "-" if row["status"] is None else str(row["status"]),
        "-" if row["duration_ms"] is None else f"{row['duration_ms']:.1f}",
        request or "-",
        (row["trace_id"] or "-")[:TRACE_DIGITS],
        printable(message),
    ]


def clock(moment: datetime) -> str:
    """A time of a row, in UTC to the millisecond."""
    return moment.isoformat(" ", timespec="milliseconds")


def printable(text: str) -> str:
    """One line without control characters: a log must not steer the terminal that shows it."""
    return "".join(letter if letter.isprintable() else " " for letter in text.replace("\n", " | ")).rstrip()


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], width: int = 0) -> list[str]:
    """Rows below their heads, columns aligned; lines are cut at `width` letters, 0 for never."""
    sizes = [max([len(head), *(len(row[at]) for row in rows)]) for at, head in enumerate(heads)]
    numeric = [bool(rows) and all(_numeric(row[at]) for row in rows) for at in range(len(heads))]
    lines = []
    for row in [list(heads), *rows]:
        padded = [
            cell.rjust(size) if right else cell.ljust(size)
            for cell, size, right in zip(row, sizes, numeric, strict=True)
        ]
        lines.append(cut("  ".join(padded).rstrip(), width))
    return lines


def _numeric(cell: str) -> bool:
    return cell in ("", "-") or cell.replace(".", "", 1).replace("-", "", 1).isdigit()


def cut(line: str, width: int) -> str:
    """A line of at most `width` letters; 0 for as long as it is."""
    return line if not width or len(line) <= width else f"{line[: width - 1]}…"


def summary(counts: Mapping[str, int], shown: int, files: int, of_fields: Sequence[str]) -> str:
    """What was looked at, how much of it is shown, and what could not be judged."""
    found, text, torn = counts.get("found", 0), counts.get(TEXT, 0), counts.get(UNFINISHED, 0)
    words = [f"{shown} of {found} lines" if shown < found else f"{found} line{'s' * (found != 1)}"]
    words.append(f"{files} file{'s' * (files != 1)} with {sum(counts.values()) - found} lines read")
    if text or torn:
        words.append(f"{text + torn} of them no JSON" + (f" ({torn} without an end)" if torn else ""))
        if of_fields:
            words[-1] += f", not shown because they have no {' or '.join(of_fields)}"
    return "; ".join(words)


def trace(trace_id: str, branches: Sequence[Branch], width: int = 0) -> list[str]:
    """A trace: when each span began after the first, how long it took, and where."""
    spans = [branch.span for branch in branches]
    first, last = min(span.start_ns for span in spans), max(span.end_ns for span in spans)
    errors = sum(span.status == ERROR for span in spans)
    head = f"trace {trace_id}: {len(spans)} span{'s' * (len(spans) != 1)}, {(last - first) / 1e6:.1f} ms"
    rows = []
    for branch in branches:
        span = branch.span
        said = f"ERROR {span.status_message}".rstrip() if span.status == ERROR else ""
        missing = f"its parent {branch.span.parent_id} was not recorded" if branch.orphan else ""
        rows.append(
            [
                f"{(span.start_ns - first) / 1e6:.1f}",
                f"{span.duration_ms:.1f}",
                branch.stem + printable(span.name),
                span.kind,
                span.pod or span.service or "-",
                printable("; ".join(filter(None, (said, missing)))),
            ]
        )
    heads = ["at ms", "took ms", "span", "kind", "pod", ""]
    return [head + (f", {errors} with an error" if errors else ""), *table(heads, rows, width)]
