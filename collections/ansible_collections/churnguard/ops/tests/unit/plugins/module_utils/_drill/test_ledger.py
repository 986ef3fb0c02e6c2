# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ledger: what is lost, how far back, for how long."""

from __future__ import annotations

import json
import time

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._drill import ledger
from ansible_collections.churnguard.ops.plugins.module_utils._drill.ledger import Ack, Ledger

ACKS = [Ack(number, number - 0.01, float(number)) for number in range(1, 11)]


def test_what_was_acknowledged_and_is_not_there_is_lost():
    assert ledger.lost(ACKS, set(range(1, 8))) == ACKS[7:]
    assert ledger.lost(ACKS, range(1, 11)) == []


@pytest.mark.parametrize(
    ("survived", "fault", "expected"),
    [
        (set(range(1, 8)), 10.5, 3.5),
        (set(range(1, 11)), 10.5, 0.5),
        (set(), 10.5, None),
        ({1, 2, 5, 6}, 10.5, 8.5),  # a hole: nothing behind it counts as saved
        (set(range(1, 11)), 5.5, 0.5),  # writes after the fault do not count
        (set(range(2, 11)), 10.5, None),
    ],
)
def test_the_recovery_point_is_the_newest_write_before_which_nothing_is_lost(survived, fault, expected):
    assert ledger.recovery_point(ACKS, survived, fault) == expected


def test_the_outage_ends_with_the_first_write_sent_and_acknowledged_after_the_fault():
    assert ledger.outage(ACKS, 4.0) == 1.0
    assert ledger.outage([Ack(1, 3.9, 4.5), Ack(2, 6.0, 6.5)], 4.0) == 2.5
    assert ledger.outage(ACKS, 11.0) is None


def test_the_evidence_counts_only_what_was_acknowledged_before_the_fault():
    found = ledger.evidence(ACKS, {1, 2, 3, 4, 5}, 8.5, 12)
    assert found["written"] == 12
    assert (found["acked"], found["acked_before_fault"], found["survived"], found["lost"]) == (10, 8, 5, 3)
    assert (found["lost_ids"], found["window_s"]) == ([6, 7, 8], 2.0)


def test_at_most_twenty_lost_writes_are_named():
    acks = [Ack(number, number, number) for number in range(100)]
    found = ledger.evidence(acks, set(), 1000, 100)
    assert (found["lost"], len(found["lost_ids"])) == (100, 20)


def test_the_writer_notes_what_was_acknowledged_and_nothing_else(tmp_path):
    written = []

    def write(seq: int) -> None:
        if seq % 3 == 0:
            raise ConnectionError("the password is swordfish")
        written.append(seq)

    running = Ledger(tmp_path / "ledger.jsonl", write, rate=200)
    running.start()
    give_up = time.monotonic() + 20
    while len(running.acks()) < 10:
        assert time.monotonic() < give_up
        time.sleep(0.01)
    assert running.stop()
    lines = [json.loads(line) for line in (tmp_path / "ledger.jsonl").read_text().splitlines()]
    assert [line["seq"] for line in lines] == written == [ack.seq for ack in running.acks()]
    assert ledger.read(tmp_path / "ledger.jsonl") == [
        Ack(ack.seq, round(ack.sent, 6), round(ack.acked, 6)) for ack in running.acks()
    ]
    assert running.errors == {"ConnectionError": running.written - len(written)}
    assert (tmp_path / "ledger.jsonl").stat().st_mode & 0o777 == 0o600


def test_a_line_that_was_cut_off_was_still_being_noted_down(tmp_path):
    path = tmp_path / "ledger.jsonl"
    path.write_text('{"seq": 1, "sent": 1.0, "acked": 1.1}\n{"seq": 2, "se')
    assert ledger.read(path) == [Ack(1, 1.0, 1.1)]
    assert ledger.read(tmp_path / "none") == []
