"""What an agent leaves to the next one."""

from __future__ import annotations

from pathlib import Path

import pytest
from churnguard_lab.node.backoff import Backoff
from churnguard_lab.node.process import Identity
from churnguard_lab.node.records import ContainerRecord, PodRecord, dump, load_all, parse, save
from churnguard_lab.node.status import ContainerState, Termination

RECORD = PodRecord(
    "u1",
    "shop",
    "api-1",
    "127.0.16.1",
    1000.5,
    {
        "api": ContainerRecord(
            ContainerState("api", "a:1", phase="running", last=Termination(1, "Error", 9.0), restart_count=1),
            Identity(42, 7, "boot"),
            failed_at=9.0,
            log_offset=100,
            restarts=Backoff(10, 11.0),
        ),
        "new": ContainerRecord(ContainerState("new", "b:1")),
    },
)


def test_a_record_survives_the_disk(tmp_path: Path) -> None:
    save(tmp_path / "u1", RECORD)
    assert load_all(tmp_path) == ({"u1": RECORD}, [])


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"containers": {"a": {}}}', dump(RECORD)[:-20]])
def test_a_broken_record_is_told_apart(text: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        parse(text)
    (tmp_path / "u2").mkdir()
    (tmp_path / "u2" / "state.json").write_text(text)
    (tmp_path / "agent.lock").touch()
    assert load_all(tmp_path) == ({}, [tmp_path / "u2"])


def test_saving_replaces_the_whole_record(tmp_path: Path) -> None:
    save(tmp_path / "u1", RECORD)
    short = PodRecord("u1", "shop", "api-1", "127.0.16.1", 1000.5)
    save(tmp_path / "u1", short)
    assert load_all(tmp_path)[0]["u1"] == short
    assert [path.name for path in (tmp_path / "u1").iterdir()] == ["state.json"]
