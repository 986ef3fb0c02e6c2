# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alerts of a report's time, from files of notifications: whole, torn, odd and hostile ones."""

from __future__ import annotations

import json

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.plugins.plugin_utils._report import alerts, envelopes, model, traffic
from ansible_collections.churnguard.ops.plugins.plugin_utils._report.junit import junit
from ansible_collections.churnguard.ops.plugins.plugin_utils._report.markdown import markdown
from ansible_collections.churnguard.ops.plugins.plugin_utils._report.page import page
from ansible_collections.churnguard.ops.plugins.plugin_utils._report.plots import plots

from .conftest import iso, make_envelope

NOT_YET = "0001-01-01T00:00:00Z"
RUNBOOK = "https://docs.churnguard.com/runbooks/RedisDown.md"


def alert(name="RedisDown", fired=2.0, over=None, **more):
    """An alert of a notification."""
    labels = {"alertname": name, "severity": "critical", "team": "platform", "instance": "redis:9121"}
    annotations = {"summary": "Redis does not answer", "runbook_url": RUNBOOK}
    ends = (
        {"status": "resolved", "ends_at": iso(over)} if over is not None else {"status": "firing", "ends_at": NOT_YET}
    )
    base = {"labels": labels, "annotations": annotations, "starts_at": iso(fired), "fingerprint": f"f-{name}", **ends}
    return {**base, **more}


def notification(arrived, *told, receiver="platform-page", **more):
    """A line of the file."""
    status = "firing" if any(one["status"] == "firing" for one in told) else "resolved"
    base = {"arrived": iso(arrived), "path": f"/{receiver}", "receiver": receiver, "status": status, "truncated": 0}
    return json.dumps({**base, "alerts": list(told), **more})


@pytest.fixture
def build(tmp_path):
    """The alerts of a file with these lines, for operations from 0 s to 60 s."""

    def made(*lines, end="\n", operations=()):
        path = tmp_path / "notifications.jsonl"
        path.write_text("\n".join(lines) + end, encoding="utf-8")
        return alerts.build(str(path), list(operations) or [make_envelope(0.0, 60.0)], None)

    return made


def test_an_alert_is_told_and_over_and_repeats_change_nothing(build):
    found = build(
        notification(5.0, alert()),
        notification(25.0, alert(), receiver="platform-chat"),
        notification(41.5, alert(over=40.0)),
        notification(45.0, alert(over=40.0), receiver="platform-chat"),
    )
    (one,) = found["alerts"]
    assert (one["fired"], one["told"], one["told_after_s"]) == (iso(2.0), iso(5.0), 3.0)
    assert (one["over"], one["told_over"], one["duration_s"]) == (iso(40.0), iso(41.5), 38.0)
    assert (one["receivers"], one["runbook"]) == (["platform-page", "platform-chat"], RUNBOOK)
    assert one["labels"] == {"instance": "redis:9121"}
    assert (found["open"], alerts.notes(found), alerts.headline(found)) == (0, [], "1 alert fired, it is over")


def test_what_is_not_resolved_is_said(build):
    found = build(notification(5.0, alert(), alert("Late", fired=3.0)))
    assert [one["over"] for one in found["alerts"]] == [None, None]
    assert alerts.headline(found) == "2 alerts fired, 2 not resolved yet"
    assert alerts.notes(found) == ["Not resolved yet: RedisDown and Late."]


@pytest.mark.parametrize(
    ("fired", "over", "shown"),
    [(-50.0, -10.0, False), (-50.0, 1.0, True), (-50.0, None, True), (59.0, None, True), (61.0, 70.0, False)],
)
def test_only_what_fired_in_the_reports_time_is_shown(build, fired, over, shown):
    lines = [notification(fired + 1, alert(fired=fired))]
    lines += [notification(over + 1, alert(fired=fired, over=over))] if over is not None else []
    assert len(build(*lines)["alerts"]) == shown


def test_the_time_of_a_review_is_the_period_that_it_looked_at(build):
    review = make_envelope(50.0, 60.0, operation="business_review", subject={"start": iso(-90.0), "end": iso(40.0)})
    lines = [notification(-50.0, alert(fired=-55.0)), notification(-39.0, alert(fired=-55.0, over=-40.0))]
    assert [one["fired"] for one in build(*lines, operations=[review])["alerts"]] == [iso(-55.0)]
    assert build(*lines)["alerts"] == []


def test_the_same_alert_twice_is_two_alerts(build):
    lines = [notification(5.0, alert()), notification(11.0, alert(over=10.0)), notification(31.0, alert(fired=30.0))]
    assert [one["fired"] for one in build(*lines)["alerts"]] == [iso(2.0), iso(30.0)]


def test_the_watchdog_is_left_out_and_counted(build):
    lines = [notification(at, alert("Watchdog", fired=-900.0), receiver="deadman") for at in (-60.0, 1.0, 31.0, 61.0)]
    found = build(*lines)
    assert (found["alerts"], found["open"]) == ([], 0)
    assert found["watchdog"] == {"count": 2, "last": iso(31.0)}


def test_an_end_without_a_beginning_is_an_alert_too(build):
    (one,) = build(notification(30.0, alert(fired=-5.0, over=29.0)))["alerts"]
    assert (one["told"], one["told_after_s"], one["told_over"]) == (None, None, iso(30.0))


def test_a_line_that_is_being_written_is_none_and_one_that_is_broken_is_counted(build):
    good, cut = notification(5.0, alert()), notification(6.0, alert("Other"))[:40]
    found = build(good, cut, end="")
    assert ([one["name"] for one in found["alerts"]], found["unreadable"]) == (["RedisDown"], 0)
    odd = ["{", "[]", "null", '{"arrived": 3, "alerts": []}', '{"arrived": "2026-01-01T00:00:00", "alerts": []}']
    odd += [notification(5.0, alert(labels=["x"])), notification(5.0, alert(starts_at="soon"))]
    found = build(*odd, good)
    assert (len(found["alerts"]), found["unreadable"]) == (1, 7)
    assert alerts.notes(found)[-1] == "notifications.jsonl: 7 lines could not be read."


def test_alerts_that_alertmanager_left_out_are_said(build):
    assert alerts.notes(build(notification(5.0, alert(over=8.0), truncated=3)))[-1].startswith("3 alerts were left out")


def test_a_file_that_is_not_there_is_no_good_news(tmp_path):
    found = alerts.build(str(tmp_path / "none.jsonl"), [make_envelope()], None)
    assert (found["missing"], alerts.headline(found)) == (True, "Alerts: not known")
    assert alerts.notes(found) == ["Alerts are not known: there is no file none.jsonl with the notifications."]
    assert alerts.build(None, [make_envelope()], None) is None
    with pytest.raises(OperationError, match="Could not read the notifications in .*: Is a directory"):
        alerts.build(str(tmp_path), [make_envelope()], None)


def test_of_very_many_those_that_still_fire_are_kept(build):
    lines = [notification(2.0, alert(f"A{number}", fired=1.0)) for number in range(90)]
    lines += [notification(9.0, alert(f"A{number}", fired=1.0, over=8.0)) for number in range(5, 90)]
    found = build(*lines)
    assert (len(found["alerts"]), found["left_out"], found["open"]) == (alerts.MOST_LISTED, 30, 5)
    assert sum(one["over"] is None for one in found["alerts"]) == 5
    assert alerts.notes(found) == ["Not resolved yet: A0, A1, A2 and 2 more."]


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)", "data:text/html,x", "//evil/x", "runbooks/a.md", "http://", "https://u:p@host/x", "",
        None, "http://host/ x", "http://[", ["http://host"],
    ],
)  # fmt: skip
def test_only_an_address_of_the_web_is_linked(address):
    assert alerts.runbook(address) is None


def test_the_documents_show_alerts_and_nothing_of_them_is_markup(tmp_path):
    path = tmp_path / "n.jsonl"
    evil = '<script>alert("x")</script>'
    bad = alert(evil, annotations={"summary": evil, "description": "a | b", "runbook_url": "javascript:alert(1)"})
    lines = [notification(5.0, alert(), bad), notification(30.0, alert(over=28.0))]
    lines.append(notification(6.0, alert("Watchdog", fired=-900.0), receiver="deadman"))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    loaded = envelopes.load([make_envelope(0.0, 60.0)])
    made = model.build(loaded, traffic.measure([], model.intervals(loaded)), "lab", notifications=str(path))
    drawn = plots(made)
    assert {"alerts_wide", "alerts_narrow"} <= set(drawn)
    text = page(made, plots=drawn)
    assert f'<a href="{RUNBOOK}" rel="noopener noreferrer">runbook</a>' in text
    assert "<script" not in text and "javascript:" not in text
    assert "<strong>not resolved yet</strong>" in text
    assert "was heard 1 time, last at 12:00:06: alerts arrive." in " ".join(text.split())
    assert "2 alerts fired, 1 not resolved yet" in text
    assert made["summary"]["tone"] == "warn"
    told = markdown(made)
    assert "| RedisDown | Redis does not answer | critical | platform | 12:00:02 | 12:00:05 | 12:00:28 | 26 s |" in told
    assert "\\<script\\>" in told and "a | b" not in told
    assert 'failures="0"' in junit(made)
