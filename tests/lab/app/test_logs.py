"""Log lines: their fields, what is kept out of them, and which requests have one."""

from __future__ import annotations

import datetime
import json
import logging
import re
import sys

import psycopg2
import pytest
from churnguard_telemetry import logs
from churnguard_telemetry.logs import JsonFormatter, cleaned, notable


def line(message: str, *values: object, error: BaseException | None = None) -> dict[str, object]:
    """What becomes of one record, read back."""
    found = (type(error), error, error.__traceback__) if error else None
    text = JsonFormatter().format(logging.LogRecord("shop", logging.ERROR, "f.py", 1, message, values, found))
    assert "\n" not in text
    return json.loads(text)


def test_a_record_is_one_line_of_json() -> None:
    entry = line("two\nlines %s", "x")
    assert set(entry) == {"timestamp", "level", "logger", "message"}
    assert (entry["level"], entry["logger"], entry["message"]) == ("error", "shop", "two\nlines x")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", str(entry["timestamp"]))
    assert datetime.datetime.fromisoformat(str(entry["timestamp"])).utcoffset() == datetime.timedelta()


def test_inside_a_request_it_names_request_and_trace() -> None:
    about = {"trace_id": "0a", "span_id": "0b", "request_id": "r-1234567", "method": "GET", "route": "/a"}
    before = logs.current.set(logs.Request(**about))
    entry = line("x")
    logs.current.reset(before)
    assert {name: entry[name] for name in about} == about
    assert set(line("x")).isdisjoint(about)


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("no row for jo.doe+x@mail.example.org here", "no row for [removed] here"),
        ("postgresql://u:hush@db:5432/x", "postgresql://[removed]@db:5432/x"),
        ("redis+sentinel://:hush@a:1,b:2/0", "redis+sentinel://[removed]@a:1,b:2/0"),
        ("Invalid request from ip=203.0.113.7: x", "Invalid request from ip=[removed]: x"),
        ("from ip=2001:db8::1 end", "from ip=[removed] end"),
        ("'/a?email=jo%40x&b=1' failed", "'/a?[removed]' failed"),
        ("connection to server at 127.0.0.1, port 5432 failed", "connection to server at 127.0.0.1, port 5432 failed"),
        ("is it ready?", "is it ready?"),
        ("x" * 3000, "x" * 2000 + "..."),
    ],
)
def test_personal_data_are_removed(text: str, clean: str) -> None:
    assert cleaned(text) == clean


def test_an_exception_is_one_line_without_the_values_of_rows() -> None:
    try:
        raise psycopg2.IntegrityError(
            'duplicate key value violates unique constraint "users_email_key"\nDETAIL:  Key (name)=(Jo Doe) exists.\n'
        )
    except psycopg2.IntegrityError:
        entry = line("failed", error=sys.exc_info()[1])
    assert entry["error_type"] == "psycopg2.IntegrityError"
    assert entry["error"] == 'duplicate key value violates unique constraint "users_email_key"'
    assert re.match(r"test_logs\.py:\d+ test_an_exception_is", str(entry["stack"]))
    assert "Jo Doe" not in json.dumps(entry)


@pytest.mark.parametrize(
    ("policy", "logged"),
    [
        ("all", [True, True, True, True]),
        ("notable", [False, True, True, True]),
        ("none", [False, False, False, False]),
    ],
)
def test_which_requests_have_a_line(policy: str, logged: list[bool]) -> None:
    requests = ((200, 0.1, False), (503, 0.1, False), (200, 2.0, False), (404, 0.1, True))
    assert [notable(policy, *request) for request in requests] == logged
