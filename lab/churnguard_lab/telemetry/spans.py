"""Spans that the application wrote down, OTLP as JSON a line, and the tree of one trace."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")
ERROR = "error"
_STATUS = {0: "unset", 1: "ok", 2: ERROR}
_VALUES = ("stringValue", "boolValue", "intValue", "doubleValue", "bytesValue")


@dataclasses.dataclass(frozen=True)
class Span:
    """One span. Times are nanoseconds since the epoch."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: str
    start_ns: int
    end_ns: int
    status: str
    status_message: str
    service: str
    pod: str
    attributes: Mapping[str, Any]

    @property
    def duration_ms(self) -> float:
        """How long it took, in milliseconds."""
        return (self.end_ns - self.start_ns) / 1e6

    def row(self) -> dict[str, Any]:
        """It as a row of the table `spans`."""
        started = datetime.fromtimestamp(self.start_ns / 1e9, UTC).replace(tzinfo=None)
        return {
            **{name: getattr(self, name) for name in ("trace_id", "span_id", "parent_id", "name", "kind", "status")},
            **{name: getattr(self, name) for name in ("status_message", "service", "pod", "duration_ms")},
            "start": started.isoformat(" "),
            "attributes": json.dumps(self.attributes),
        }


def span_files(log_folder: Path) -> list[Path]:
    """Files of spans below the lab's log folder: traces.jsonl and traces/<pod>.jsonl, set-aside ones too."""
    return sorted([*log_folder.glob("traces.jsonl*"), *log_folder.glob("traces/*.jsonl*")])


def read(paths: Sequence[Path]) -> tuple[list[Span], int]:
    """Every span of the files, and how many lines are none (a line that is being written is one)."""
    spans: dict[tuple[str, str], Span] = {}
    broken = 0
    for path in paths:
        try:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            continue
        for line in filter(str.strip, lines):
            try:
                found = list(decode(json.loads(line)))
            except (ValueError, TypeError, KeyError, AttributeError):
                broken += 1
                continue
            spans |= {(span.trace_id, span.span_id): span for span in found}
    return list(spans.values()), broken


def decode(request: Mapping[str, Any]) -> Iterator[Span]:
    """The spans of an ExportTraceServiceRequest as JSON. Raises KeyError, TypeError or ValueError for anything else."""
    for of_resource in request["resourceSpans"]:
        resource = _attributes((of_resource.get("resource") or {}).get("attributes"))
        for of_scope in of_resource["scopeSpans"]:
            for span in of_scope["spans"]:
                status = span.get("status") or {}
                yield Span(
                    trace_id=span["traceId"].lower(),
                    span_id=span["spanId"].lower(),
                    parent_id=(span.get("parentSpanId") or "").lower(),
                    name=span["name"],
                    kind=_name(span.get("kind", 0), "SPAN_KIND_", KINDS),
                    start_ns=int(span["startTimeUnixNano"]),
                    end_ns=int(span["endTimeUnixNano"]),
                    status=_name(status.get("code", 0), "STATUS_CODE_", _STATUS),
                    status_message=status.get("message", ""),
                    service=str(resource.get("service.name", "")),
                    pod=str(resource.get("k8s.pod.name") or resource.get("service.instance.id") or ""),
                    attributes=_attributes(span.get("attributes")),
                )


def _name(value: Any, prefix: str, names: Any) -> str:
    """An enumeration's value as a word: OTLP's JSON has numbers, other writers names."""
    return names[value] if isinstance(value, int) else str(value).removeprefix(prefix).lower()


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair["key"]: _value(pair.get("value") or {}) for pair in pairs or []}


def _value(value: Mapping[str, Any]) -> Any:
    for name in _VALUES:
        if name in value:
            # 64-bit integers are texts in JSON.
            return int(value[name]) if name == "intValue" else value[name]
    if "arrayValue" in value:
        return [_value(one) for one in value["arrayValue"].get("values", [])]
    return _attributes(value["kvlistValue"].get("values")) if "kvlistValue" in value else None


@dataclasses.dataclass(frozen=True)
class Branch:
    """A span in its tree: how deep it is, whether its parent was never written down, and how it is drawn."""

    span: Span
    depth: int
    orphan: bool
    stem: str


def tree(spans: Sequence[Span]) -> list[Branch]:
    """The spans of a trace in the order in which they are drawn: each below its parent, by their start.

    A span whose parent is not there is a root of its own. Spans that name each other as parents are roots as well.
    """
    ids = {span.span_id for span in spans}
    below: dict[str, list[Span]] = {}
    for span in sorted(spans, key=lambda span: (span.start_ns, span.span_id)):
        parent = span.parent_id if span.parent_id in ids and span.parent_id != span.span_id else ""
        below.setdefault(parent, []).append(span)
    drawn: list[Branch] = []
    seen: set[str] = set()

    def draw(span: Span, depth: int, before: str, last: bool) -> None:
        seen.add(span.span_id)
        stem = before + ("" if not depth else "└─ " if last else "├─ ")
        drawn.append(Branch(span, depth, bool(span.parent_id) and span.parent_id not in ids, stem))
        children = [child for child in below.get(span.span_id, []) if child.span_id not in seen]
        for child in children:
            draw(child, depth + 1, before + ("" if not depth else "   " if last else "│  "), child is children[-1])

    for root in below.get("", []):
        draw(root, 0, "", True)
    for span in sorted(spans, key=lambda span: span.start_ns):
        if span.span_id not in seen:
            draw(span, 0, "", True)
    return drawn
