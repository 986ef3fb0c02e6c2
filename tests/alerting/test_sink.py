"""The lab's receiver of alerts, as its own process."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
import threading
import time

import pytest
from churnguard_lab import alert_sink

from tests.lab.ports import free_ports
from tests.lab.waiting import until

from .conftest import ROOT

ALERT = {
    "status": "firing",
    "labels": {"alertname": "Ä", "severity": "critical"},
    "annotations": {"runbook_url": "https://docs.churnguard.invalid/A"},
    "startsAt": "2026-11-22T08:00:00Z",
    "endsAt": "0001-01-01T00:00:00Z",
    "fingerprint": "0a",
}
SENT = {"version": "4", "receiver": "platform-page", "status": "firing", "groupKey": "{}:{}", "alerts": [ALERT]}


class Running:
    """The process."""

    def __init__(self, folder) -> None:
        (self.port,) = free_ports(1)
        self.file = folder / "state" / "alerts.jsonl"
        command = [sys.executable, "-m", "churnguard_lab.alert_sink", f"--port={self.port}", f"--file={self.file}"]
        self.process = subprocess.Popen(command, cwd=ROOT / "lab", stdout=subprocess.DEVNULL)
        until("ready", self.ready)

    def ready(self) -> bool:
        try:
            return self.ask("GET", "/-/ready")[0] == 200
        except OSError:
            return False

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, str]:
        """Status and text of the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body or None, headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def send(self, document: object, path: str = "/any") -> tuple[int, str]:
        return self.ask("POST", path, json.dumps(document).encode())


@pytest.fixture
def sink(tmp_path):
    running = Running(tmp_path)
    yield running
    running.process.kill()
    running.process.wait()


def test_what_arrives_is_on_the_disk_before_the_answer(sink):
    before = time.time()
    assert sink.send({**SENT, "truncatedAlerts": 2}, "/platform-page?x=y")[0] == 200
    sink.process.send_signal(signal.SIGKILL)
    (record,) = alert_sink.read_records(sink.file)
    assert before - 0.001 <= record.pop("arrived_s") <= time.time()
    assert record.pop("arrived").endswith("Z")
    assert record == {
        "path": "/platform-page",
        "receiver": "platform-page",
        "status": "firing",
        "group_key": "{}:{}",
        "truncated": 2,
        "alerts": [
            {
                "status": "firing",
                "labels": ALERT["labels"],
                "annotations": ALERT["annotations"],
                "starts_at": "2026-11-22T08:00:00Z",
                "ends_at": "0001-01-01T00:00:00Z",
                "fingerprint": "0a",
            }
        ],
    }
    assert sink.file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b"null", b"\xff", json.dumps({**SENT, "alerts": [{}]}).encode()], ids=str
)
def test_what_is_no_notification_is_refused_and_not_recorded(sink, body):
    status, text = sink.ask("POST", "/any", body)
    assert status == 400
    assert "no notification of Alertmanager" in text
    assert alert_sink.read_records(sink.file) == []


def test_too_much_and_the_wrong_question_are_refused(sink):
    too_much = str(alert_sink.LARGEST_BODY + 1)
    assert sink.ask("POST", "/any", **{"Content-Length": too_much})[0] == 413
    assert sink.ask("POST", "/any", **{"Transfer-Encoding": "chunked"})[0] == 411
    assert sink.ask("GET", "/any")[0] == 404
    assert sink.send(SENT)[0] == 200


def test_many_at_a_time_are_all_whole_lines_and_a_restart_goes_on_after_them(sink, tmp_path):
    threads = [
        threading.Thread(target=lambda number=number: [sink.send(SENT, f"/{number}") for _turn in range(5)])
        for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    sink.process.terminate()
    assert sink.process.wait(30) == 0
    records = alert_sink.read_records(sink.file)
    assert sorted(record["path"] for record in records) == sorted(f"/{n}" for n in range(8) for _turn in range(5))
    with sink.file.open("a") as file:
        file.write('{"half')
    assert alert_sink.read_records(sink.file) == records
    again = Running(tmp_path)
    try:
        assert again.send(SENT, "/later")[0] == 200
    finally:
        again.process.kill()
        again.process.wait()
    kept = alert_sink.read_records(sink.file)
    assert kept[:-1] == records
    assert kept[-1]["path"] == "/later"


def test_it_listens_on_loopback_alone(tmp_path, capsys):
    arguments = ["--port", str(free_ports(1)[0]), "--file", str(tmp_path / "alerts.jsonl"), "--address", "0.0.0.0"]
    assert alert_sink.main(arguments) == 1
    assert "0.0.0.0 is not of the loopback interface" in capsys.readouterr().err


def test_a_port_that_is_taken_is_told(sink, tmp_path, capsys):
    arguments = ["--port", str(sink.port), "--file", str(tmp_path / "other.jsonl")]
    assert alert_sink.main(arguments) == 1
    assert f"cannot listen on 127.0.0.1:{sink.port}" in capsys.readouterr().err


def test_no_file_is_no_record(tmp_path):
    assert alert_sink.read_records(tmp_path / "none.jsonl") == []
