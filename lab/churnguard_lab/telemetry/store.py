"""Rows of logs and spans in a DuckDB that lives in memory, and the questions that are asked of them."""

from __future__ import annotations

import dataclasses
import json
import re
import tempfile
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb

LEVELS = ("debug", "info", "warning", "error", "critical")
LOG_COLUMNS = {
    "time": "TIMESTAMP", "level": "VARCHAR", "pod": "VARCHAR", "message": "VARCHAR", "trace_id": "VARCHAR",
    "span_id": "VARCHAR", "request_id": "VARCHAR", "method": "VARCHAR", "route": "VARCHAR", "status": "INTEGER",
    "duration_ms": "DOUBLE", "logger": "VARCHAR", "namespace": "VARCHAR", "container": "VARCHAR", "kind": "VARCHAR",
    "exact": "BOOLEAN", "file": "VARCHAR", "number": "BIGINT", "fields": "VARCHAR",
}  # fmt: skip
SPAN_COLUMNS = {
    "trace_id": "VARCHAR", "span_id": "VARCHAR", "parent_id": "VARCHAR", "name": "VARCHAR", "kind": "VARCHAR",
    "start": "TIMESTAMP", "duration_ms": "DOUBLE", "status": "VARCHAR", "status_message": "VARCHAR",
    "service": "VARCHAR", "pod": "VARCHAR", "attributes": "VARCHAR",
}  # fmt: skip
_AGO = re.compile(r"(\d+)([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_STATUS = re.compile(r"[1-5]xx|[1-5]\d\d")


class QuestionError(ValueError):
    """A question that cannot be asked; the message says what would be one."""


@dataclasses.dataclass(frozen=True)
class Question:
    """Which lines are wanted. An empty text or None asks for any; `limit` 0 for all of them."""

    since: datetime | None = None
    level: str = ""
    pod: str = ""
    trace: str = ""
    route: str = ""
    status: str = ""
    limit: int = 200

    def __post_init__(self) -> None:
        if self.level and self.level not in LEVELS:
            raise QuestionError(f"there is no level {self.level!r}: take one of {', '.join(LEVELS)}")
        if self.status and not _STATUS.fullmatch(self.status):
            raise QuestionError(f"{self.status!r} is no status: take one such as 503, or 5xx")
        if self.trace and not re.fullmatch(r"[0-9a-fA-F]{4,32}", self.trace):
            raise QuestionError(
                f"{self.trace!r} is no trace id: take its hexadecimal digits, or at least the first four"
            )

    @property
    def of_fields(self) -> list[str]:
        """The conditions that a line which is no JSON cannot meet, because it has no such field."""
        return [name for name in ("level", "trace", "route", "status") if getattr(self, name)]

    def where(self) -> tuple[str, list[Any]]:
        """The condition in SQL, and its parameters."""
        parts: list[tuple[str, Any]] = []
        if self.since:
            parts.append(("time >= ?", self.since.astimezone(UTC).replace(tzinfo=None)))
        if self.pod:
            parts.append(("contains(pod, ?)", self.pod))
        if self.level:
            parts.append(("list_contains(?, level)", list(LEVELS[LEVELS.index(self.level) :])))
        if self.trace:
            parts.append(("starts_with(trace_id, ?)", self.trace.lower()))
        if self.route:
            parts.append(("route GLOB ?", self.route))
        if self.status:
            first = int(self.status.replace("x", "0"))
            parts.append(("status BETWEEN ? AND ?", first))
            condition = " AND ".join(text for text, _value in parts)
            values = [value for _text, value in parts]
            return condition, [*values, first + (99 if "x" in self.status else 0)]
        return " AND ".join(text for text, _value in parts) or "true", [value for _text, value in parts]


def since(text: str, now: datetime) -> datetime:
    """The moment of 90s, 10m, 2h or 7d ago, or of a time as RFC 3339. Raises QuestionError."""
    ago = _AGO.fullmatch(text)
    if ago:
        return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise QuestionError(f"{text!r} is no time: take one such as 10m, 2h, 7d or 2026-01-31T12:00:00Z") from None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


class Store:
    """The tables `logs` and `spans`. It reads and writes no file once they are filled."""

    def __init__(self) -> None:
        self._database = duckdb.connect(":memory:")
        for table, columns in (("logs", LOG_COLUMNS), ("spans", SPAN_COLUMNS)):
            self._database.execute(f"CREATE TABLE {table} ({', '.join(f'{n} {kind}' for n, kind in columns.items())})")

    def add(self, table: str, rows: Iterable[dict[str, Any]]) -> None:
        """Append rows to `logs` or `spans`."""
        columns = {"logs": LOG_COLUMNS, "spans": SPAN_COLUMNS}[table]
        # Through a file: DuckDB reads a million lines in the time that it takes to bind a thousand.
        with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as file:
            for row in rows:
                file.write(json.dumps(row) + "\n")
            file.flush()
            described = ", ".join(f"{name}: '{kind}'" for name, kind in columns.items())
            self._database.execute(
                f"INSERT INTO {table} BY NAME SELECT * FROM read_json(?, format = 'newline_delimited', "
                f"maximum_object_size = 33554432, columns = {{{described}}})",
                [file.name],
            )

    def close_doors(self) -> None:
        """From now on no statement reaches a file or the network, whatever it says."""
        self._database.execute("SET enable_external_access = false")
        self._database.execute("SET lock_configuration = true")

    def logs(self, question: Question) -> list[dict[str, Any]]:
        """The newest lines that are asked for, oldest first."""
        condition, values = question.where()
        newest = f"SELECT * FROM logs WHERE {condition} ORDER BY time DESC, file DESC, number DESC"
        if question.limit:
            newest += f" LIMIT {int(question.limit)}"
        return self._rows(f"SELECT * FROM ({newest}) ORDER BY time, file, number", values)

    def count(self, question: Question) -> dict[str, int]:
        """How many lines the period and the pods have, by kind, and how many of them are wanted, as `found`."""
        wide = dataclasses.replace(question, level="", trace="", route="", status="")
        condition, values = wide.where()
        counted = self._rows(f"SELECT kind, count(*) AS lines FROM logs WHERE {condition} GROUP BY kind", values)
        condition, values = question.where()
        found = self._rows(f"SELECT count(*) AS lines FROM logs WHERE {condition}", values)[0]["lines"]
        return {**{row["kind"]: row["lines"] for row in counted}, "found": found}

    def traces(self, beginning: str) -> list[str]:
        """The trace ids that begin so, of logs and spans."""
        both = "SELECT trace_id FROM logs UNION SELECT trace_id FROM spans"
        rows = self._rows(
            f"SELECT trace_id FROM ({both}) WHERE starts_with(trace_id, ?) ORDER BY 1", [beginning.lower()]
        )
        return [row["trace_id"] for row in rows]

    def ask(self, statement: str) -> tuple[Sequence[str], list[tuple[Any, ...]]]:
        """Columns and rows of a statement of one's own. Raises QuestionError."""
        try:
            answer = self._database.execute(statement)
            return [column[0] for column in answer.description or []], answer.fetchall()
        except duckdb.Error as error:
            tables = "; ".join(
                f"{table}: {', '.join(columns)}" for table, columns in (("logs", LOG_COLUMNS), ("spans", SPAN_COLUMNS))
            )
            raise QuestionError(f"the statement was refused: {error}\nThere are {tables}") from error

    def _rows(self, statement: str, values: Sequence[Any]) -> list[dict[str, Any]]:
        answer = self._database.execute(statement, list(values))
        names = [column[0] for column in answer.description]
        return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]
