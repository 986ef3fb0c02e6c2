"""The file, and what a summary says about it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from churnguard_lab.load import summarise
from churnguard_lab.load.ledger import NOT_FAILED, OUTCOMES, Entry, LedgerError, Writer, read
from churnguard_lab.load.summary import per_second, quantiles, summarise_entries

HEADER = {"started": 1000.0, "rate": 2.0, "target": "http://127.0.0.1:1", "host": "churnguard.lab"}


def entry(t: float = 1000.0, **changes: Any) -> Entry:
    values = {"t": t, "lat": 0.01, "outcome": "ok", "status": 200, "version": "v1", "slot": "blue"}
    return Entry(**{**values, "conn": "keepalive", "slow": False, "lag": 0.001, **changes})


def write(path: Path, entries: list[Entry]) -> Path:
    writer = Writer(path, HEADER)
    for item in entries:
        writer.add(item)
    writer.close()
    return path


def test_what_is_written_is_read(tmp_path: Path) -> None:
    entries = [entry(), entry(1001.5, outcome="reset", status=None, version=None, slot=None, detail="gone", slow=True)]
    path = write(tmp_path / "deep" / "l.jsonl", entries)
    header, found = read(path)
    assert header == {"ledger": 1, **HEADER}
    assert list(found) == entries


def test_lines_are_as_documented(tmp_path: Path) -> None:
    path = write(tmp_path / "l.jsonl", [entry()])
    assert json.loads(path.read_text(encoding="utf-8").splitlines()[1]) == {
        "t": 1000.0,
        "lat": 0.01,
        "outcome": "ok",
        "status": 200,
        "version": "v1",
        "slot": "blue",
        "conn": "keepalive",
        "slow": False,
        "lag": 0.001,
    }


def test_entries_reach_the_file_at_flush(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "l.jsonl", HEADER)
    writer.add(entry())
    assert len(list(read(writer.path)[1])) == 0
    writer.flush()
    assert len(list(read(writer.path)[1])) == 1
    writer.close()


def test_a_ledger_is_never_overwritten(tmp_path: Path) -> None:
    write(tmp_path / "l.jsonl", [])
    with pytest.raises(LedgerError, match="cannot create"):
        Writer(tmp_path / "l.jsonl", HEADER)


def test_a_cut_last_line_is_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "l.jsonl", [entry(), entry(1001)])
    whole = path.read_text(encoding="utf-8")
    path.write_text(whole[:-20], encoding="utf-8")
    assert summarise(path)["sent"] == 1


def test_damage_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "l.jsonl", [entry()])
    path.write_text(path.read_text(encoding="utf-8") + '{"t": 1}\n', encoding="utf-8")
    with pytest.raises(LedgerError, match="line 3"):
        summarise(path)


@pytest.mark.parametrize("content", ["", "not json\n", '{"ledger": 2}\n', "[]\n"])
def test_what_is_no_ledger_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "l.jsonl"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(LedgerError, match="ledger"):
        summarise(path)


def test_a_missing_ledger_is_named(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="none.jsonl"):
        summarise(tmp_path / "none.jsonl")


def test_failed_is_everything_but_ok_and_injected() -> None:
    assert (
        {outcome for outcome in OUTCOMES if not entry(outcome=outcome).is_failed}
        == NOT_FAILED
        == {
            "ok",
            "injected_5xx",
        }
    )


def test_summary(tmp_path: Path) -> None:
    entries = [
        entry(1000.0, lat=0.010),
        entry(1000.5, lat=0.030, version="v2", slot="green", conn="fresh"),
        entry(1001.0, lat=0.020, version="v2", outcome="injected_5xx", status=500),
        entry(1001.5, lat=5.0, slow=True),
        entry(1002.0, outcome="refused", status=None, version=None, detail="nobody"),
        entry(1002.5, outcome="http_5xx", status=503, version=None, conn="fresh", detail="503 no-weight", slow=True),
    ]
    found = summarise(write(tmp_path / "l.jsonl", list(reversed(entries))))
    assert (found["sent"], found["failed"], found["injected"]) == (6, 2, 1)
    assert (found["from"], found["to"], found["rate"], found["host"]) == (1000.0, 1002.5, 2.0, "churnguard.lab")
    assert found["outcomes"] == {"http_5xx": 1, "injected_5xx": 1, "ok": 3, "refused": 1}
    assert found["by_version"] == {"v1": 2, "v2": 2}
    assert found["by_connection"] == {"fresh": {"sent": 2, "failed": 1}, "keepalive": {"sent": 4, "failed": 1}}
    assert found["failures"] == {"http_5xx: 503 no-weight": 1, "refused: nobody": 1}
    assert found["latency_s"] == {"p50": 0.02, "p95": 0.03, "p99": 0.03, "max": 0.03}
    assert found["latency_by_version_s"]["v1"]["max"] == 0.01
    assert (found["slow"]["sent"], found["slow"]["failed"], found["slow"]["latency_s"]["p50"]) == (2, 1, 0.01)
    assert found["seconds"] == [
        {"t": 1000, "sent": 2, "failed": 0, "versions": {"v1": 0.5, "v2": 0.5}},
        {"t": 1001, "sent": 2, "failed": 0, "versions": {"v1": 0.5, "v2": 0.5}},
        {"t": 1002, "sent": 2, "failed": 2, "versions": {}},
    ]
    assert found["lag_s"]["max"] == 0.001


def test_summary_of_a_part(tmp_path: Path) -> None:
    path = write(tmp_path / "l.jsonl", [entry(1000.0 + n) for n in range(10)])
    assert summarise(path, 1002, 1005)["sent"] == 3
    assert summarise(path, start=1008)["sent"] == 2
    assert summarise(path, end=1000)["sent"] == 0


def test_summary_of_nothing() -> None:
    found = summarise_entries([])
    assert (found["sent"], found["failed"], found["latency_s"], found["seconds"], found["from"]) == (
        0,
        0,
        None,
        [],
        None,
    )
    assert per_second([]) == []


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], None),
        ([3.0], {"p50": 3.0, "p95": 3.0, "p99": 3.0, "max": 3.0}),
        ([float(n) for n in range(1, 101)], {"p50": 50.0, "p95": 95.0, "p99": 99.0, "max": 100.0}),
        ([2.0, 1.0], {"p50": 1.0, "p95": 2.0, "p99": 2.0, "max": 2.0}),
    ],
)
def test_quantiles(values: list[float], expected: dict[str, float] | None) -> None:
    assert quantiles(values) == expected
