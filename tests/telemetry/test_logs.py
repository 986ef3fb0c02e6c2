"""python -m churnguard_lab.logs on files as pods leave them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from churnguard_lab import logs
from churnguard_lab.telemetry import lines, spans
from churnguard_lab.telemetry.store import Question, QuestionError, since

from tests.telemetry.pods import (
    NOON_NS,
    OTHER,
    TRACE,
    application_writes,
    log_path,
    request,
    span,
    spans_line,
    write_spans,
)

POD, GREEN = "churnguard-api-blue-abc12", "churnguard-api-green-xyz99"


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """A lab's folder with two pods: seven requests, a traceback between them, and a line that is being written."""
    blue = [
        request(1),
        request(2, status=404, route="/api/v1/customers"),
        request(3, status=503, level="error", trace_id=TRACE, span_id=f"{1:016x}", message="the database is away"),
        "Traceback (most recent call last):",
        '  File "app.py", line 7, in predict\x1b[31m',
        request(4, level="WARNING", duration_ms=900.0),
    ]
    log_path(tmp_path, POD).write_text("\n".join(blue) + '\n{"timestamp": "2026-01-31T12:0', encoding="utf-8")
    green = [request(2, trace_id=OTHER), request(5, status=500, level="critical"), request(6, extra={"deep": [1]})]
    log_path(tmp_path, GREEN).write_text("\n".join(green) + "\n", encoding="utf-8")
    return tmp_path


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str], lab: Path) -> Callable[..., tuple[int, list[str], str]]:
    """Runs the command; returns its exit code, the lines of its answer, and what it says beside."""

    def run(*options: str) -> tuple[int, list[str], str]:
        code = logs.main(["--lab", str(lab), *options])
        shown = capsys.readouterr()
        return code, shown.out.splitlines(), shown.err

    return run


def found(answer: list[str]) -> list[dict]:
    return [json.loads(line) for line in answer]


def test_all_lines_come_in_the_order_of_time_and_are_counted(ask):
    code, answer, said = ask()
    assert code == 0
    assert len(answer) == 11, "a head and ten lines"
    assert answer[0].split() == ["time", "level", "pod", "status", "ms", "request", "trace", "message"]
    times = [line.split("  ")[0].lstrip("~") for line in answer[1:]]
    assert times == sorted(times)
    assert "10 lines; 2 files with 10 lines read; 3 of them no JSON (1 without an end)" in said


def test_what_is_no_json_is_shown_where_it_was_written_and_cannot_steer_the_terminal(ask):
    _code, answer, _said = ask("--pod", "blue")
    (trace,) = (number for number, line in enumerate(answer) if "Traceback" in line)
    assert "the database is away" in answer[trace - 1]
    assert answer[trace].startswith("~2026-01-31 12:00:03.250") and " text " in answer[trace]
    assert 'File "app.py"' in answer[trace + 1] and "\x1b" not in answer[trace + 1]
    assert " torn " in answer[-1] and '{"timestamp": "2026-01-31T12:0' in answer[-1]


@pytest.mark.parametrize(
    ("options", "requests"),
    [
        (["--level", "error"], ["r3", "r5"]),
        (["--level", "WARNING"], ["r3", "r4", "r5"]),
        (["--status", "5xx"], ["r3", "r5"]),
        (["--status", "404"], ["r2"]),
        (["--route", "/api/v1/cust*"], ["r2"]),
        (["--route", "/api/v1/predictions", "--pod", "green", "--status", "2xx"], ["r2", "r6"]),
        (["--since", "2026-01-31T12:00:05Z", "--pod", "green"], ["r5", "r6"]),
        (["--since", "2026-01-31T13:00:05+01:00", "--pod", "green"], ["r5", "r6"]),
        (["--limit", "1", "--pod", "green"], ["r6"]),
    ],
)
def test_a_question_finds_its_lines_and_no_other(ask, options, requests):
    code, answer, _said = ask("--json", *options)
    assert code == 0
    assert [line["request_id"] for line in found(answer)] == requests


def test_lines_that_a_question_cannot_judge_are_told(ask):
    _code, answer, said = ask("--level", "error", "--status", "5xx")
    assert len(answer) == 3
    assert "3 of them no JSON (1 without an end), not shown because they have no level or status" in said


def test_fields_without_a_column_are_kept(ask):
    _code, answer, _said = ask("--json", "--pod", "green", "--limit", "1")
    (line,) = found(answer)
    assert json.loads(line["fields"]) == {"extra": {"deep": [1]}}
    assert line["time"] == "2026-01-31T12:00:06.250000Z"
    assert (line["namespace"], line["container"], line["status"]) == ("churnguard-lab", "churnguard-api", 200)


def test_what_the_application_logs_is_read(ask, lab: Path):
    application_writes(lab, "churnguard-api-blue-app")
    _code, answer, said = ask("--json", "--pod", "blue-app", "--since", "1h")
    warning, error, text = found(answer)
    assert (warning["level"], warning["logger"], warning["message"]) == (
        "warning",
        "churnguard_api",
        "the cache is away",
    )
    assert error["level"] == "error" and json.loads(error["fields"])["error_type"] == "builtins.KeyError"
    assert (text["kind"], text["message"], text["time"]) == ("text", "not a word of JSON", error["time"])
    assert "1 of them no JSON" in said


def test_a_trace_is_a_tree_with_its_lines(ask, lab: Path):
    failed = {"status": {"code": 2, "message": "connection refused"}}
    write_spans(
        lab,
        [
            spans_line(span(3, 2, "fetch", 2, 1)),
            spans_line(span(2, 1, "SELECT customers", 1, 4, **failed), span(4, 1, "redis GET", 6, 0.5)),
            spans_line(span(1, 0, "GET /api/v1/predictions", 0, 12.4)),
            spans_line(span(9, 8, "late", 20, 1), span(7, 0, "another trace", trace=OTHER)),
            '{"resourceSpans": [{"resou',
        ],
    )
    code, answer, said = ask("--trace", TRACE[:6])
    assert code == 0
    assert answer[0] == f"trace {TRACE}: 5 spans, 21.0 ms, 1 with an error"
    drawn = [re.sub(r" {2,}", "  ", line.strip()) for line in answer[2:7]]
    assert drawn == [
        f"0.0  12.4  GET /api/v1/predictions  server  {POD}",
        f"1.0  4.0  ├─ SELECT customers  client  {POD}  ERROR connection refused",
        f"2.0  1.0  │  └─ fetch  client  {POD}",
        f"6.0  0.5  └─ redis GET  client  {POD}",
        f"20.0  1.0  late  client  {POD}  its parent 0000000000000008 was not recorded",
    ]
    assert [line for line in answer if "the database is away" in line]
    assert not [line for line in answer if "another trace" in line]
    assert "1 lines of spans cannot be read" in said


def test_a_trace_without_spans_shows_its_lines_and_an_unknown_one_is_told(ask):
    code, answer, _said = ask("--trace", OTHER)
    assert (code, answer[0]) == (0, f"trace {OTHER}: no span of it was recorded")
    assert " r2" in answer[-1] or "/api/v1/predictions" in answer[-1]
    code, _answer, said = ask("--trace", "beef")
    assert code == 2 and "no line and no span has a trace id that begins beef" in said


def test_spans_of_every_file_count_once(lab: Path):
    write_spans(lab, [spans_line(span(1))], "traces.jsonl")
    write_spans(lab, [spans_line(span(1), span(2, 1))])
    read, broken = spans.read(spans.span_files(lab / "log"))
    assert (sorted(one.span_id[-1] for one in read), broken) == (["1", "2"], 0)
    assert read[0].start_ns == NOON_NS and read[0].attributes == {"http.response.status_code": 200}


def test_spans_that_are_each_others_parents_are_drawn_once():
    read = list(spans.decode(json.loads(spans_line(span(1, 2), span(2, 1), span(3, 3)))))
    assert sorted(branch.span.span_id[-1] for branch in spans.tree(read)) == ["1", "2", "3"]


def test_a_statement_is_answered_and_can_neither_read_nor_write_files(ask, lab: Path):
    write_spans(lab, [spans_line(span(1, name="GET", took_ms=3))])
    _code, answer, _said = ask(
        "--sql", "SELECT status, count(*) AS n FROM logs WHERE status >= 500 GROUP BY 1 ORDER BY 1"
    )
    assert [line.split() for line in answer] == [["status", "n"], ["500", "1"], ["503", "1"]]
    _code, answer, _said = ask("--json", "--sql", "SELECT name, duration_ms FROM spans")
    assert found(answer) == [{"name": "GET", "duration_ms": 3.0}]

    target = lab / "stolen.csv"
    for statement in (
        f"SELECT * FROM read_text('{log_path(lab, POD)}')",
        f"COPY logs TO '{target}'",
        "SET enable_external_access = true",
        "SELECT nothing FROM logs",
    ):
        code, _answer, said = ask("--sql", statement)
        assert code == 2, statement
        assert "the statement was refused" in said and "There are logs: time, level, pod" in said
    assert not target.exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--level", "loud"], "there is no level 'loud': take one of debug, info"),
        (["--status", "9xx"], "'9xx' is no status: take one such as 503, or 5xx"),
        (["--since", "yesterday"], "'yesterday' is no time: take one such as 10m"),
        (["--trace", "zz"], "'zz' is no trace id"),
    ],
)
def test_a_question_that_is_none_is_told(ask, options, said):
    code, answer, told = ask(*options)
    assert (code, answer) == (2, [])
    assert said in told and "Traceback" not in told


def test_without_a_lab_the_command_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert logs.main(["--lab", str(tmp_path / "none")]) == 2
    assert "bring the lab up with make lab-up, or name one with --lab" in capsys.readouterr().err


def test_times_ago_are_counted_from_now():
    now = datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert since("90s", now) == datetime(2026, 1, 31, 11, 58, 30, tzinfo=UTC)
    assert since("7d", now) == datetime(2026, 1, 24, 12, tzinfo=UTC)
    with pytest.raises(QuestionError):
        Question(status="all")


def test_files_that_were_last_written_before_the_period_are_not_read(lab: Path):
    old = log_path(lab, "churnguard-api-old")
    old.write_text(request(1) + "\n")
    os.utime(old, (1, 1))
    read = lines.log_files(lab / "log" / "pods", datetime(2000, 1, 1, tzinfo=UTC))
    assert {one.pod for one in read} == {POD, GREEN}


def test_what_was_set_aside_is_read_as_the_same_pod(ask, lab: Path):
    log_path(lab, GREEN).replace(log_path(lab, GREEN).with_suffix(".log.1"))
    log_path(lab, GREEN).write_text(request(7) + "\n")
    _code, answer, said = ask("--json", "--pod", GREEN)
    assert [line["request_id"] for line in found(answer)] == ["r2", "r5", "r6", "r7"]
    assert {line["pod"] for line in found(answer)} == {GREEN}
    assert "3 files" in said


def test_bytes_that_are_no_text_are_shown_and_an_endless_line_is_cut(lab: Path):
    path = log_path(lab, "odd")
    path.write_bytes(b"\xff\xfe broken\n\n[1, 2]\n" + b"x" * (3 * lines.LONGEST))
    rows = list(lines.read(lines.source(path)))
    assert [row["kind"] for row in rows[:2]] == ["text", "text"], "JSON that is no object is text, too"
    assert "broken" in rows[0]["message"] and rows[1]["message"] == "[1, 2]"
    assert max(len(row["message"]) for row in rows) <= lines.LONGEST
    assert sum(len(row["message"]) for row in rows[2:]) >= 2 * lines.LONGEST


def test_following_sees_each_line_once_over_pauses_rotation_and_truncation(lab: Path):
    path = log_path(lab, GREEN)
    follower = lines.Follower(lab / "log" / "pods")

    def new() -> list[str | None]:
        return [row["request_id"] or row["message"] for row in follower.new()]

    assert new() == []
    with path.open("a") as log:
        log.write(request(10) + "\n" + request(11)[:20])
        log.flush()
        assert new() == ["r10"], "the beginning of a line waits for its end"
        log.write(request(11)[20:] + "\n" + request(12) + "\n" + '{"the last of this fi')
    # Set aside as the node does it at a restart, with a line that its writer never ended.
    path.replace(path.with_suffix(".log.1"))
    path.write_text(request(13) + "\n")
    assert new() == ["r11", "r12", '{"the last of this fi', "r13"]
    path.write_text("")
    assert new() == []
    path.write_text(request(14) + "\n")
    assert new() == ["r14"]
    log_path(lab, "churnguard-api-new").write_text(request(15) + "\n")
    assert new() == ["r15"], "a pod that appears"
    path.unlink()
    assert new() == []
    follower.close()


def test_the_command_follows_until_it_is_interrupted(lab: Path):
    command = [
        sys.executable,
        "-u",
        "-m",
        "churnguard_lab.logs",
        "--lab",
        str(lab),
        "--follow",
        "--json",
        "--status",
        "5xx",
    ]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    heard: list[str] = []
    listener = threading.Thread(target=lambda: heard.append(running.stdout.readline()), daemon=True)
    listener.start()
    try:
        second = 20
        # When it began to follow is not told: lines are written until one is heard.
        while listener.is_alive() and second < 600:
            with log_path(lab, GREEN).open("a") as log:
                log.write(request(second, status=200) + "\n" + request(second + 1, status=502) + "\n")
            second += 2
            listener.join(0.2)
        assert heard and json.loads(heard[0])["status"] == 502
    finally:
        running.send_signal(signal.SIGINT)
        try:
            running.communicate(timeout=60)
        finally:
            running.kill()
    assert running.returncode == 0
