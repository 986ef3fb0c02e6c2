# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.churnguard.ops.plugins.plugin_utils._live.table import closing


def event(seconds: float, name: str, detail: str, **data) -> dict:
    at = f"2026-11-21T19:{int(seconds) // 60:02d}:{seconds % 60:06.3f}Z"
    return {"at": at, "event": name, "detail": detail, **({"data": data} if data else {})}


TAKEN_BACK = [
    event(0, "planned", "v2 into slot green"),
    event(0.5, "step_started", "ready green"),
    event(6.6, "step_done", "ready green"),
    event(6.6, "step_started", "hold green 10 %"),
    event(16.6, "sample", "", verdict="good"),
    event(26.6, "sample", "", verdict="unknown"),
    event(36.6, "sample", "", verdict="bad"),
    event(36.7, "failed", "hold green 10 %: errors"),
    event(36.7, "rollback_started", "errors"),
    event(36.8, "step_started", "route blue"),
    event(40.0, "step_done", "route blue"),
    event(75.0, "rolled_back", "v2 was refused"),
]


def test_steps_with_seconds_samples_and_verdict():
    lines = [line.text for line in closing(TAKEN_BACK, "api v2", "rolled_back")]
    assert lines[0] == "api v2: rolled back after 1 min 15 s"
    assert [line.split() for line in lines[1:]] == [
        ["step", "seconds", "samples", "verdict"],
        ["ready", "green", "6.1", "done"],
        ["hold", "green", "10", "%", "30.1", "1", "good,", "1", "bad,", "1", "unknown", "FAILED"],
        ["route", "blue", "3.2", "done"],
    ]
    assert max(len(line) for line in lines) <= 120


def test_a_step_that_was_cut_off_says_so():
    lines = closing(TAKEN_BACK[:4], "api v2", "failed")
    assert lines[-1].text.split() == ["hold", "green", "10", "%", "not", "ended"]


def test_a_run_that_took_no_step_has_no_table():
    assert closing([event(0, "completed", "v2 is live")], "api v2", "passed") == []
    assert closing([], "api v2", "failed") == []
