"""playbooks/performance_review.yml against the recorded days, and the report that it leaves."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET

import pytest
import recorded
from played import Run, player


@pytest.fixture(scope="module")
def play(prometheus, tmp_path_factory):
    """Runs the playbook over the last recorded day."""
    return player("performance_review", prometheus.url, lambda: tmp_path_factory.mktemp("reports"))


@pytest.fixture(scope="module")
def day(play) -> Run:
    """The whole day, which is not a good one."""
    return play()


def test_a_bad_day_fails_the_play_after_its_report_is_written(day):
    assert day.code != 0
    assert "2 of 6 above the threshold: CPU (db1: p95 96 % is above 80 %, severity medium), Database" in day.text
    assert "3 of 6 not checked: Mean response time" in day.text
    assert "changed=0" in day.text
    (kept,) = (day.report / "envelopes").glob("*performance_review.json")
    envelope = json.loads(kept.read_text(encoding="utf-8"))
    assert (envelope["operation"], envelope["verdict"], envelope["changed"]) == ("performance_review", "failed", False)
    named = {one["name"]: one["verdict"] for one in envelope["measurements"]}
    assert (named["cpu_p95"], named["memory_p95"], named["disk_read_p95"]) == ("failed", "passed", "not_checked")


def test_the_page_shows_figures_plots_and_advice(day):
    page = day.read("index.html")
    assert "Performance: CPU and Database connections above the threshold; Mean response time, " in page
    assert sorted(re.findall(r'<title id="(\w+)-title">', page)) == ["performance_1_narrow", "performance_1_wide"]
    described = dict(re.findall(r'<desc id="(\w+)-desc">([^<]*)<', page))["performance_1_wide"]
    assert re.search(r"CPU: average \d\d\.\d+ %, p95 96 %, max 96 %, failed\.", described)
    assert "Look for what causes the spikes of CPU" in page
    assert "Queue depth was not checked: 1084 of 1440 samples are there, 90 % are wanted." in page
    assert "<script" not in page


def test_the_other_documents_pass_nothing_that_was_not_checked(day):
    assert "| Memory | web1 | 40 % | 40 % | 40 % | 40 % | 85 % | 0 % |  | passed |  |" in day.read("report.md")
    suite = ET.fromstring(day.read("junit.xml")).find("testsuite")
    cases = {case.get("name"): [child.tag for child in case] for case in suite}
    assert cases["memory_p95"] == []
    assert cases["cpu_p95"] == ["failure"]
    assert cases["queue_depth_p95"] == cases["disk_read_p95"] == ["skipped"]


def test_somebody_who_only_looks_gets_no_failure_and_the_same_verdict(play):
    run = play(performance_review_fail_on=[], performance_review_only=["cpu", "queue_depth"])
    assert run.code == 0, run.text
    assert json.loads(run.read("report.json"))["reviews"][0]["verdict"] == "failed"


def test_metrics_of_ones_own_in_check_mode(play):
    own = {"name": "pool", "query": "churnguard_db_connections_active", "threshold": 100, "judged": "max"}
    run = play("--check", performance_review_metrics=[own])
    assert run.code == 0, run.text
    assert "Pool is within its threshold." in run.text
    assert not run.report.exists()


def test_a_threshold_for_no_metric_is_an_error(play):
    run = play(performance_review_thresholds={"cpus": 50})
    assert run.code != 0
    assert "Could not review metric cpus: there is no such metric. Next: name one of cpu, memory" in run.text


def test_without_an_address_nothing_is_asked(play):
    run = play(performance_review_prometheus_url=f"http://127.0.0.1:{recorded.free_ports(1)[0]}",
               performance_review_deadline=1)  # fmt: skip
    assert run.code != 0
    assert "it did not answer for its time in" in run.text
    assert not run.report.exists()
