"""playbooks/business_review.yml against the recorded days, and the report that it leaves."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET

import pytest
from played import Run, player


@pytest.fixture(scope="module")
def play(market, tmp_path_factory):
    """Runs the playbook over the last recorded day."""
    return player("business_review", market.url, lambda: tmp_path_factory.mktemp("reports"))


@pytest.fixture(scope="module")
def day(play) -> Run:
    """The second day, which is not a good one."""
    return play()


def test_a_bad_day_fails_the_play_after_its_report_is_written(day):
    assert day.code != 0
    assert "2 of 4 beyond the limit: Requests answered well (it was 99.65 %, at least 99.9 % is well)" in day.text
    assert "1 of 4 not checked: Age of the predictions (it was seen 50 % of the time, 90 % is wanted)" in day.text
    assert "changed=0" in day.text
    (kept,) = (day.report / "envelopes").glob("*business_review.json")
    envelope = json.loads(kept.read_text(encoding="utf-8"))
    assert (envelope["operation"], envelope["verdict"], envelope["changed"]) == ("business_review", "failed", False)
    named = {one["name"]: one["verdict"] for one in envelope["measurements"]}
    assert (named["compliance_score_lowest"], named["gdpr_overdue_highest"]) == ("failed", "passed")
    assert (named["prediction_age_highest"], named["predictions"]) == ("not_checked", "not_checked")


def test_the_page_says_it_in_plain_words_and_shows_no_query(day):
    page = day.read("index.html")
    assert "Business: Requests answered well and Compliance score need attention; Age of the predictions not" in page
    text = " ".join(re.sub(r"<[^>]+>", " ", page.split("</style>")[1]).split())
    assert "99.65 of 100" in text
    assert "Of 100 requests 99.65 were answered well. 600 of 17" in text
    assert "the lowest was 76 points, at least 80 points is well" in text
    assert "At most 24 h is well." in text
    assert "There must be none." in text
    assert "100 % more than in the period before (on average 12" in text
    assert "churnguard_" not in text and "sum without" not in text
    assert "<script" not in page
    words = re.findall(r'<article class="(\w+)">.*?aria-hidden="true">(.)</span> ([\w ]+)<', page, re.DOTALL)
    assert words == [
        ("bad", "✕", "needs attention"),
        ("off", "·", "for information"),
        ("off", "·", "for information"),
        ("warn", "?", "not known"),
        ("bad", "✕", "needs attention"),
        ("good", "✓", "good"),
        ("off", "·", "for information"),
    ]


def test_every_figure_with_data_has_a_plot_that_says_what_it_shows(day):
    described = dict(re.findall(r'<desc id="(\w+)-desc">([^<]*)<', day.read("index.html")))
    assert sorted(described) == [f"business_1_{place}" for place in range(1, 8)]
    assert described["business_1_5"].startswith("92 of 100. ")


def test_the_other_documents_pass_nothing_that_was_not_checked(day):
    text = day.read("report.md")
    assert (
        "| GDPR requests overdue | 0 | good | There must be none. | As in the period before (on average 0). |  |"
        in text
    )
    assert "- Predictions: low 28,7" in text
    suite = ET.fromstring(day.read("junit.xml")).find("testsuite")
    cases = {case.get("name"): [child.tag for child in case] for case in suite}
    assert cases["gdpr_overdue"] == []
    assert cases["compliance_score"] == cases["verdict"] == ["failure"]
    assert cases["prediction_age"] == cases["predictions"] == ["skipped"]


def test_somebody_who_only_looks_gets_no_failure_and_check_mode_writes_nothing(play):
    run = play("--check", business_review_fail_on=[], business_review_limits={"compliance_score": 70})
    assert run.code == 0, run.text
    assert "1 of 4 beyond the limit: Requests answered well" in run.text
    assert not run.report.exists()


def test_a_limit_for_no_figure_is_an_error(play):
    run = play(business_review_limits={"compliance": 50})
    assert run.code != 0
    assert "Could not review figure compliance: there is no such figure. Next: name one of answered_well," in run.text
