"""What the demonstration and the report make of a real Alertmanager's notifications: an alert that fires, its runbook,
its end."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import isoformat
from ansible_collections.churnguard.ops.plugins.plugin_utils._report import alerts
from churnguard_lab import alarm
from churnguard_lab.journey import JourneyError

LABELS = {"alertname": "RedisDown", "severity": "critical", "team": "platform", "instance": "127.0.0.1:1"}
RUNBOOK = "https://docs.churnguard.com/runbooks/RedisDown.md"
WITHIN_S = 60


@pytest.fixture(scope="module")
def told(routing, place):
    """When it was made to fire, and what was told of it and of its end."""
    begin = time.time()
    annotations = {"summary": "Redis does not answer", "runbook_url": RUNBOOK}
    now = datetime.now(UTC)
    started = {"labels": LABELS, "annotations": annotations, "startsAt": now.isoformat()}
    routing.request("POST", "alerts", [started])
    fired = alarm.wait(place.records, "RedisDown", alarm.FIRING, begin, WITHIN_S)
    routing.request("POST", "alerts", [{**started, "endsAt": datetime.now(UTC).isoformat()}])
    return begin, fired, alarm.wait(place.records, "RedisDown", alarm.RESOLVED, begin, WITHIN_S)


def test_what_is_told_reads_as_a_person_wants_it(told):
    begin, fired, over = told
    text = fired.lines(begin)
    assert "FIRES   RedisDown (critical): Redis does not answer" in text
    assert f"what to do: {RUNBOOK}" in text
    assert f"told platform-page (team platform) {fired.arrived_s - begin:.1f} s after the fault" in text
    assert over.lines(begin).startswith("  OVER    RedisDown: told platform-page after ")
    assert fired.ended_s is None
    assert over.ended_s == pytest.approx(over.arrived_s, abs=WITHIN_S)


def test_its_runbook_is_a_page_of_this_repository():
    assert alarm.runbook_page(RUNBOOK).is_file()
    assert not alarm.runbook_page("https://docs.churnguard.com/runbooks/NoSuchAlert.md").exists()


def test_what_arrived_before_is_no_answer(told, place):
    _begin, _fired, over = told
    with pytest.raises(JourneyError, match=r"nobody was told within 0 s that RedisDown is firing.* RedisDown"):
        alarm.wait(place.records, "RedisDown", alarm.FIRING, over.arrived_s + 1, 0)


def test_the_report_lists_it(told, place):
    begin, fired, over = told
    moments = [isoformat(datetime.fromtimestamp(at, UTC) + timedelta(seconds=by)) for at, by in
               ((begin, -1), (over.arrived_s, 1))]  # fmt: skip
    operation = {"operation": "x", "started": moments[0], "finished": moments[1], "subject": {}}
    found = alerts.build(str(place.records), [operation], None)
    (one,) = [alert for alert in found["alerts"] if alert["name"] == "RedisDown"]
    assert (one["severity"], one["team"], one["runbook"]) == ("critical", "platform", RUNBOOK)
    assert one["receivers"] == ["platform-page"]
    assert one["duration_s"] == pytest.approx(over.ended_s - fired.fired_s, abs=0.01)
    assert one["told"] <= one["told_over"]
