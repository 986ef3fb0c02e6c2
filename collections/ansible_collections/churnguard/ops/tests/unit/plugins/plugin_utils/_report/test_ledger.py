# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ledgers are read line by line; what cannot be read is named, not swallowed."""

from __future__ import annotations

import json
import tracemalloc

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.plugins.plugin_utils._report.ledger import Problems, entries, expand, peek
from ansible_collections.churnguard.ops.plugins.plugin_utils._report.traffic import measure


def read(path):
    problems = Problems()
    return list(entries(path, problems.add)), problems


def test_a_request_is_read_with_all_that_counts(ledger, request_line, noon):
    found, problems = read(ledger([request_line(1.5, lat=0.25, slow=True)]))
    assert [entry._asdict() for entry in found] == [
        {
            "due": noon + 1.5,
            "latency": 0.25,
            "outcome": "ok",
            "answered": True,
            "version": "v1",
            "slow": True,
        }
    ]
    assert found[0].ended == noon + 1.75
    assert problems.count == 0


def test_an_unanswered_request_has_no_version(ledger, request_line):
    found, _problems = read(ledger([request_line(0, outcome="refused")]))
    assert (found[0].answered, found[0].version) == (False, None)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{broken", "not JSON: '{broken'"),
        ('{"t": 1, "lat": 1, "outcome": "ok"}', "field 'version' is missing"),
        ('{"t": "soon", "lat": 1, "outcome": "ok", "version": null}', "not a request"),
        ("[1, 2]", "not a request"),
        ("", "not JSON: ''"),
        ("x" * 500, "..."),
    ],
)
def test_a_broken_line_is_named_with_its_number_and_the_others_count(ledger, request_line, line, says):
    found, problems = read(ledger([request_line(0), line, request_line(1)]))
    assert len(found) == 2
    assert problems.count == 1
    (problem,) = problems.kept
    assert (problem["file"], problem["line"]) == ("load.jsonl", 3)
    assert says in problem["error"]
    assert len(problem["error"]) < 150


def test_many_broken_lines_are_counted_and_only_the_first_kept(ledger):
    _found, problems = read(ledger(["{"] * 500))
    assert problems.count == 500
    assert [problem["line"] for problem in problems.kept] == list(range(2, 22))


def test_a_line_that_is_still_being_written_is_no_problem(ledger, request_line, tmp_path):
    path = ledger([request_line(0)])
    with open(path, "a", encoding="utf-8") as stream:
        stream.write(json.dumps(request_line(1))[:20])
    found, problems = read(path)
    assert (len(found), problems.count) == (1, 0)


def test_peek_tells_header_and_end(ledger, request_line, noon):
    found = peek(ledger([request_line(3, lat=2), request_line(4, lat=0.5)], started=1, rate=7.0))
    assert found[1:] == (noon + 1, noon + 5, 7.0, "t", "h")


def test_peek_finds_the_end_of_a_long_ledger(ledger, request_line, noon):
    assert peek(ledger([request_line(second / 10) for second in range(3000)])).last == noon + 299.9 + 0.01


def test_peek_looks_further_up_when_the_end_is_unreadable(ledger, request_line, noon):
    lines = [request_line(0, lat=1), *["{" * 100] * 1000]
    assert peek(ledger(lines)).last == noon + 1


def test_a_ledger_of_broken_lines_only_is_not_taken_for_an_empty_one(ledger, noon):
    measured = measure([ledger(["{", "["], started=0)], [(noon, noon + 1)])
    assert measured.problems.count == 2


def test_an_empty_file_is_a_ledger_without_requests(tmp_path):
    path = tmp_path / "empty.jsonl"
    path.touch()
    assert peek(str(path))[1:] == (None, None, None, None, None)
    assert read(str(path))[0] == []


def test_a_ledger_with_only_a_header_has_no_end(ledger, noon):
    assert peek(ledger([], started=1))[1:3] == (noon + 1, None)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"ledger": 2, "started": 1}', "its format is 2"),
        ('{"t": 1}', "not a ledger's header"),
        ("hello", "not a ledger's header"),
        ('{"ledger": 1}', "not a ledger's header"),
        ("7", "not a ledger's header"),
    ],
)
def test_what_is_no_ledger_is_refused_by_name(tmp_path, line, says):
    path = tmp_path / "other.jsonl"
    path.write_text(line + "\n", encoding="utf-8")
    with pytest.raises(OperationError, match="other.jsonl") as caught:
        peek(str(path))
    assert says in str(caught.value)


def test_a_path_must_exist_and_a_glob_need_not(ledger, request_line, tmp_path):
    path = ledger([request_line(0)])
    assert expand([str(tmp_path / "*.jsonl"), path, str(tmp_path / "none-*.jsonl")]) == [path]
    with pytest.raises(OperationError, match="there is no such file"):
        expand([str(tmp_path / "absent.jsonl")])


def test_memory_does_not_grow_with_the_ledger(ledger, request_line, noon):
    def peak(count):
        path = ledger([request_line(index / 1000 % 60) for index in range(count)], name=f"{count}.jsonl")
        tracemalloc.start()
        measured = measure([path], [(noon, noon + 60)])
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert measured.total.sent == count
        return size

    small = peak(2_000)
    assert peak(40_000) < small + 300_000
