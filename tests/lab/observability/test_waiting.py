"""Finding a notification in what the sink wrote down, and waits that end."""

from __future__ import annotations

import json
import threading

import pytest
from churnguard_lab.observability.waiting import Stopped, TooLate, told, until


def write(path, *records):
    """Records of the sink: when, the notification's status, and its alerts as (name, status, labels)."""
    lines = [
        {
            "arrived_s": arrived,
            "status": status,
            "alerts": [{"status": own, "labels": {"alertname": name, **labels}} for name, own, labels in alerts],
        }
        for arrived, status, alerts in records
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def test_the_first_after_the_fault_counts(tmp_path):
    path = tmp_path / "notifications.jsonl"
    write(
        path,
        (10.0, "firing", [("RedisDown", "firing", {"instance": "a"})]),
        (20.0, "firing", [("RedisDown", "firing", {"instance": "a"})]),
        (30.0, "firing", [("RedisDown", "firing", {"instance": "a"})]),
    )
    assert told(path, "RedisDown", "firing", 15.0)["arrived_s"] == 20
    assert told(path, "RedisDown", "firing", 31.0) is None
    assert told(path, "RedisDown", "resolved", 0.0) is None
    assert told(path, "OtherDown", "firing", 0.0) is None


def test_the_alerts_own_status_and_labels_count(tmp_path):
    """A notification is firing as long as one of its alerts is; another one in it may be over."""
    path = tmp_path / "notifications.jsonl"
    alerts = [("RedisDown", "resolved", {"instance": "a"}), ("RedisDown", "firing", {"instance": "b"})]
    write(path, (10.0, "firing", alerts))
    assert told(path, "RedisDown", "resolved", 0.0, {"instance": "a"})
    assert told(path, "RedisDown", "firing", 0.0, {"instance": "a"}) is None
    assert told(path, "RedisDown", "firing", 0.0, {"instance": "b"})


def test_without_a_file_nothing_was_told(tmp_path):
    assert told(tmp_path / "none.jsonl", "RedisDown", "firing", 0.0) is None


def test_a_wait_gives_what_it_found_or_says_what_it_waited_for():
    answers = iter([0, 0, 7])
    assert until("seven", lambda: next(answers), 60) == 7
    with pytest.raises(TooLate, match=r"not within 0.2 s: the moon; seen last: 0"):
        until("the moon", lambda: 0, 0.2)


def test_a_wait_is_ended_from_elsewhere():
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()
    with pytest.raises(Stopped, match="the moon"):
        until("the moon", lambda: 0, 60, stop)
