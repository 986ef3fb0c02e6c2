# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page: everything escaped, nothing fetched, honest colours."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser

import pytest
from ansible_collections.churnguard.ops.plugins.plugin_utils._report import envelopes, model, traffic
from ansible_collections.churnguard.ops.plugins.plugin_utils._report.page import page
from ansible_collections.churnguard.ops.plugins.plugin_utils._report.plots import plots

EVIL = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>{{ 7*7 }}"
VOID = {"meta", "link", "br", "img", "input", "hr", "path", "use"}


class Reader(HTMLParser):
    """Collects tags with attributes, and complains about what is not closed."""

    def __init__(self):
        super().__init__()
        self.tags = []
        self.open = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag


def render(given, ledgers=(), with_plots=False):
    loaded = envelopes.load(given)
    report = model.build(loaded, traffic.measure(ledgers, model.intervals(loaded)), "lab")
    return page(report, plots(report) if with_plots else {})


def read(text):
    reader = Reader()
    reader.feed(text)
    assert reader.open == []
    return reader.tags


def check(verdict):
    return {"name": f"check_{verdict}", "value": 1, "unit": "s", "limit": 2, "verdict": verdict, "reason": "because"}


def row_of(text, name):
    return next(row for row in re.findall(r"<tr>.*?</tr>", text, re.S) if name in row)


def test_whatever_a_value_holds_stays_text(envelope, ledger, request_line):
    subject = dict.fromkeys(("app", "namespace", "version", "previous_version", "strategy", "slot"), EVIL)
    given = envelope(
        operation=f"rollout {EVIL}",
        subject=subject,
        events=[(1, "step_started", EVIL), (2, "failed", EVIL), (3, EVIL, EVIL)],
        measurements=[{**check("failed"), "name": EVIL, "unit": EVIL, "value": EVIL, "limit": EVIL, "reason": EVIL}],
        evidence=[{EVIL: EVIL, "nested": {EVIL: [EVIL]}}],
    )
    other = envelope(operation=EVIL, subject={EVIL: EVIL})
    requests = [request_line(i / 10, version=EVIL) for i in range(100)]
    text = render([given, other], [ledger([*requests, EVIL])], with_plots=True)
    tags = read(text)
    assert not {tag for tag, _attributes in tags} & {"script", "img", "iframe", "link", "object"}
    assert not [attributes for _tag, attributes in tags if any(name.startswith("on") for name in attributes)]
    assert html.escape(EVIL, quote=False)[:25] in text
    assert "49" not in re.findall(r"onerror=alert\(1\)&gt;(.{4})", text)


def test_nothing_is_fetched_and_nothing_runs(envelope, ledger, request_line):
    text = render([envelope()], [ledger([request_line(i / 10) for i in range(100)])], with_plots=True)
    tags = read(text)
    assert not [attributes for _tag, attributes in tags if "src" in attributes]
    links = [attributes["href"] for tag, attributes in tags if tag == "a"]
    assert [link for link in links if not link.startswith("#")] == ["report.json"]
    assert "@import" not in text
    assert not re.findall(r"url\((?!#)", text)
    policy = next(a["content"] for tag, a in tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy == "default-src 'none'; style-src 'unsafe-inline'"


def test_ids_are_distinct_and_links_lead_somewhere(envelope, ledger, request_line):
    given = [envelope(), envelope(start=20, end=30), envelope(operation="backup", subject={}, start=40, end=50)]
    tags = read(render(given, [ledger([request_line(i / 10) for i in range(600)])], with_plots=True))
    found = [attributes["id"] for _tag, attributes in tags if "id" in attributes]
    assert len(found) == len(set(found))
    targets = [a["href"][1:] for tag, a in tags if tag == "a" and a["href"].startswith("#")]
    assert len(targets) == 2
    assert set(targets) <= set(found)


@pytest.mark.parametrize(
    ("verdict", "tone", "word"),
    [
        ("passed", "good", "passed"),
        ("failed", "bad", "failed"),
        ("skipped", "off", "skipped"),
        ("not_checked", "off", "not checked"),
    ],
)
def test_only_what_passed_looks_green(envelope, verdict, tone, word):
    row = row_of(render([envelope(measurements=[check(verdict)])]), f"check_{verdict}")
    assert re.findall(r'class="badge (\w+)"', row) == [tone]
    assert word in row
    assert "because" in row


def test_a_refused_version_is_told_as_such_with_the_error_in_full(envelope):
    error = "Could not become ready: " + "0 of 3 pods ready. " * 40
    text = render([envelope(verdict="rolled_back", events=[(2, "failed", error)])])
    assert "v2 refused, v1 kept" in text
    assert f"{error}</blockquote>" in text
    assert '<li class="kept">' in text


def test_a_passed_rollout_with_failed_requests_does_not_look_good(envelope, ledger, request_line):
    requests = [request_line(i / 10, outcome="reset" if i == 50 else "ok") for i in range(100)]
    text = render([envelope()], [ledger(requests)])
    assert '<li class="bad">' in text
    assert "passed, but requests failed" in text
    assert '<h1 class="bad">v2 shipped. 1 of 100 requests failed.</h1>' in text


def test_what_was_not_measured_is_not_a_zero(envelope):
    text = render([envelope()])
    assert "requests not measured: no load ledger was given" in text
    assert "<b>0</b>" not in text


def test_what_weakens_the_proof_is_on_the_first_screen(envelope, ledger, request_line):
    text = render([envelope()], [ledger([request_line(0), "{broken", request_line(9.9)])])
    assert text.index("What weakens the proof") < text.index("line 3 could not be read")
    assert text.index("line 3 could not be read") < text.index('id="operation-1"')


def test_steps_and_traffic_come_in_both_widths(envelope, ledger, request_line):
    stepped = envelope(events=[(1, "step_started", "ready"), (2, "step_done", "ready")])
    text = render([stepped], [ledger([request_line(i / 10) for i in range(100)])], with_plots=True)
    assert text.count('<div class="wide">') == text.count('<div class="narrow">') == 4


def test_an_empty_report_can_be_read():
    assert "No operation is recorded." in render([])


def test_the_sample_that_decided_is_told_with_all_it_rests_on(envelope):
    result = {
        "name": EVIL,
        "kind": "ratio",
        "verdict": "bad",
        "value": 0.204,
        "stable_value": 0.004,
        "limit": 0.01,
        "n": 368,
        "n_stable": 3301,
        "p_value": 2.3e-58,
        "window_s": 60,
        "query": EVIL,
        "reason": EVIL,
    }
    taken = {"step": "hold", "weight": 10, "verdict": "bad", "decisive": True, "reason": EVIL, "results": [result]}
    events = [
        (1, "weights", "", {"weights": {"green": 10, "blue": 90}}),
        (3, "sample", "bad", taken),
        (3.2, "rollback_started", "errors"),
        (5.5, "weights", "", {"weights": {"green": 0, "blue": 100}}),
    ]
    text = render([envelope(verdict="rolled_back", events=events)], with_plots=True)
    read(text)
    assert EVIL not in text
    words = " ".join(re.sub(r"<[^>]+>", " ", text).split())
    for told in ("What decided", "20.4 %", "1 %", "0.4 %", "368", "3,301", "2.3e-58", "1 min"):
        assert told in words
    assert "2.5 s later v2 got no more traffic. It never had more than 10 %." in words


def test_a_rollout_that_nobody_judged_says_nothing_of_it(envelope):
    assert "How it was judged" not in render([envelope()], with_plots=True)
