# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Envelopes and ledgers to make reports of. Times are seconds after NOON."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

NOON = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC).timestamp()


def iso(offset):
    moment = datetime.fromtimestamp(NOON + offset, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def make_envelope(start=0.0, end=10.0, verdict="passed", events=(), operation="rollout", **parts):
    """An envelope; C(events) are (offset, event, detail) or (offset, event, detail, data)."""
    timeline = [
        {"at": iso(at), "event": event, "detail": detail, **({"data": data[0]} if data else {})}
        for at, event, detail, *data in events
    ]
    subject = {"app": "api", "namespace": "shop", "version": "v2", "previous_version": "v1"}
    envelope = {
        "operation": operation,
        "subject": {**subject, "strategy": "blue_green", "slot": "green"},
        "started": iso(start),
        "finished": iso(end),
        "verdict": verdict,
        "changed": True,
        "timeline": timeline,
        "measurements": [],
        "evidence": [],
    }
    return {**envelope, **parts}


def make_request(at, lat=0.01, outcome="ok", version="v1", slow=False):
    """A line of a ledger, as data."""
    answered = outcome in ("ok", "injected_5xx", "http_5xx", "http_4xx")
    return {
        "t": NOON + at,
        "lat": lat,
        "outcome": outcome,
        "status": (200 if outcome == "ok" else 500) if answered else None,
        "version": version if answered else None,
        "slot": "blue",
        "conn": "fresh",
        "slow": slow,
    }


@pytest.fixture
def noon():
    return NOON


@pytest.fixture
def envelope():
    return make_envelope


@pytest.fixture
def request_line():
    return make_request


@pytest.fixture
def at():
    return iso


@pytest.fixture
def ledger(tmp_path):
    """Writes a ledger of the given requests (or raw lines) and gives its path."""

    def write(requests, started=None, rate=10.0, name="load.jsonl"):
        path = tmp_path / name
        first = requests[0]["t"] if requests and isinstance(requests[0], dict) else NOON
        header = {"ledger": 1, "started": first if started is None else NOON + started, "rate": rate, "target": "t"}
        lines = [json.dumps({**header, "host": "h"})]
        lines += [line if isinstance(line, str) else json.dumps(line) for line in requests]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return str(path)

    return write
