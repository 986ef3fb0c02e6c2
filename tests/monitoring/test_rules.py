"""The role's rules: promtool accepts them and their cases, and they hold to what promtool does not look at."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

import promql
import pytest
import rulebook
import yaml

SEVERITIES = {"critical", "warning", "info", "none"}
TEAMS = {"platform", "infrastructure", "compliance"}
#: Severity and duration; the guide's five minutes of PodCrashLooping became fifteen, for reasons in docs/slo.md.
GUIDE = {
    "HighErrorRate": ("critical", "5m"),
    "HighResponseTime": ("warning", "5m"),
    "DatabaseConnectionsHigh": ("warning", "2m"),
    "GDPRRequestOverdue": ("critical", "1m"),
    "ComplianceScoreLow": ("warning", "10m"),
    "PodCrashLooping": ("critical", "15m"),
    "NodeHighCPU": ("warning", "5m"),
}
PROMISED = {
    "PostgresDown", "RedisDown", "NodeDiskAlmostFull", "CertificateExpiresSoon", "BackupTooOld", "DrillTooOld",
    "DeploymentStuck", "TargetDown", "Watchdog",
}  # fmt: skip
LABEL = re.compile(r"\$labels\.(\w+)")


def test_promtool_accepts_every_file_without_a_duplicate(book):
    assert len(book.files) == len(rulebook.TEMPLATES) + 1
    done = rulebook.promtool("check", "rules", "--lint=all", "--lint-fatal", *book.files)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("case", rulebook.CASES, ids=lambda case: case.stem)
def test_the_cases_hold(book, case):
    done = rulebook.promtool("test", "rules", book.folder / "tests" / case.name)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_guides_alerts_are_there_with_its_severities(book):
    found = {
        rule["alert"]: (rule["labels"]["severity"], rule["for"]) for rule in book.alerts() if rule["alert"] in GUIDE
    }
    assert found == GUIDE


def test_the_alerts_that_its_text_promises_are_there(book):
    assert not PROMISED - {rule["alert"] for rule in book.alerts()}


def test_every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not(book):
    firing = {question["alertname"] for _, question in book.cases() if question["exp_alerts"]}
    silent = {question["alertname"] for _, question in book.cases() if not question["exp_alerts"]}
    names = {rule["alert"] for rule in book.alerts()}
    assert not names - firing
    assert names - silent == {rulebook.ALWAYS}, "only what always fires has no silent case"
    assert not (firing | silent) - names, "cases of alerts that do not exist"


def test_a_silent_case_has_series_that_the_alert_looks_at(book):
    seen = defaultdict(set)
    for rule in book.alerts():
        seen[rule["alert"]] |= _sources(book, rule["expr"])
    for test, question in book.cases():
        given = {re.split(r"[{ ]", entry["series"])[0] for entry in test["input_series"]}
        if not question["exp_alerts"]:
            assert given & seen[question["alertname"]], (
                f"{test['name']}: nothing that {question['alertname']} could see"
            )


def test_the_quiet_day_has_series_for_every_alert(book):
    day = yaml.safe_load((book.folder / "tests" / "quiet_day.yml").read_text())["tests"][0]
    given = {re.split(r"[{ ]", entry["series"])[0] for entry in day["input_series"]}
    unseen = {rule["alert"]: sorted(_sources(book, rule["expr"]) - given) for rule in book.alerts()}
    assert not {alert: names for alert, names in unseen.items() if names}


def _sources(book, expression):
    """The metrics behind an expression, through the recorded series."""
    found = set()
    for name in promql.metrics(expression):
        recorded = [str(rule["expr"]) for rule in book.rules() if rule.get("record") == name]
        found |= {source for one in recorded for source in _sources(book, one)} if recorded else {name}
    return found


def test_no_alert_is_there_twice_but_for_the_objective(book):
    counted = Counter((rule["alert"], rule["labels"].get("slo")) for rule in book.alerts())
    assert [name for name, count in counted.items() if count > 1] == []
    recorded = Counter((rule["record"], rule.get("labels", {}).get("slo")) for rule in book.rules() if "record" in rule)
    assert [name for name, count in recorded.items() if count > 1] == []


def test_names_have_one_form(book):
    for rule in book.rules():
        if "alert" in rule:
            assert re.fullmatch(r"(?:[A-Z][a-z0-9]*|GDPR|CPU)+", rule["alert"])
        else:
            assert re.fullmatch(r"[a-z_]+:[a-z_]+:[a-z0-9_]+|slo_info", rule["record"])


def test_every_alert_says_what_is_wrong_how_bad_for_whom_and_what_to_do(book):
    for rule in book.alerts():
        assert rule["labels"]["severity"] in SEVERITIES, rule["alert"]
        assert rule["labels"]["team"] in TEAMS, rule["alert"]
        assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}, rule["alert"]
        assert rule["annotations"]["runbook_url"] == f"{rulebook.RUNBOOK_URL}/{rule['alert']}.md"


def test_every_alert_has_a_runbook_and_every_runbook_an_alert(book):
    sections = ["Meaning", "Impact", "Look", "Act", "Escalate"]
    names = {rule["alert"] for rule in book.alerts()}
    assert names == {path.stem for path in rulebook.RUNBOOKS.glob("*.md")}
    for name in names:
        text = (rulebook.RUNBOOKS / f"{name}.md").read_text(encoding="utf-8")
        assert text.startswith(f"# {name}\n")
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == sections, name


def test_playbooks_and_options_in_runbooks_exist():
    for path in rulebook.RUNBOOKS.glob("*.md"):
        text = path.read_text(encoding="utf-8")
        missing = [name for name in re.findall(r"playbooks/\w+\.yml", text) if not (rulebook.ROOT / name).is_file()]
        assert not missing, f"{path.name}: {missing}"


def test_every_query_in_a_runbook_is_promql():
    for path in rulebook.RUNBOOKS.glob("*.md"):
        for block in re.findall(r"```promql\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL):
            for line in block.strip().splitlines():
                promql.metrics(line.strip())


def test_no_known_mistake_is_in_a_rule(book):
    found = {rule.get("alert", rule.get("record")): promql.faults(str(rule["expr"])) for rule in book.rules()}
    assert not {name: faults for name, faults in found.items() if faults}


def test_annotations_use_only_labels_that_the_expression_keeps(book):
    for rule in book.alerts():
        kept = promql.labels_kept(rule["expr"])
        used = set(LABEL.findall(" ".join(rule["annotations"].values())))
        assert kept is None or not used - kept - set(rule["labels"]), rule["alert"]


def test_a_share_is_printed_as_one(book):
    for rule in book.alerts():
        assert not re.search(r"\{\{ \$value \}\}\s*%", rule["annotations"]["description"]), rule["alert"]


def test_no_metric_of_the_application_has_a_label_that_grows_with_customers():
    declared = [
        (metric, label)
        for path in (rulebook.ROOT / "lab" / "app").rglob("*.py")
        for metric, label in promql.metric_labels(path.read_text(encoding="utf-8"))
    ]
    assert declared, "no metric was found: has the code moved?"
    assert [pair for pair in declared if promql.is_unbounded(pair[1])] == []


def test_every_threshold_is_used_and_changes_the_rules(tmp_path):
    for name, value in rulebook.thresholds().items():
        other = {str: "7m", list: ["other"]}.get(type(value), 7)
        texts = [
            [rulebook.rendered(path, {**rulebook.thresholds(), **limits}) for path in rulebook.TEMPLATES]
            for limits in ({}, {name: other})
        ]
        assert texts[0] != texts[1], name


def test_other_thresholds_are_accepted_too(tmp_path):
    book = rulebook.Book.render(tmp_path, error_ratio=0.01, cpu_ratio=0.9, crash_loop_for="10m", expected_jobs=["one"])
    done = rulebook.promtool("check", "rules", *book.files)
    assert done.returncode == 0, done.stdout + done.stderr
    assert 'absent(up{job="one"})' in (tmp_path / "rules" / "meta.yml").read_text(encoding="utf-8")


def test_where_no_job_is_expected_none_is_missed(tmp_path):
    book = rulebook.Book.render(tmp_path, expected_jobs=[])
    assert rulebook.promtool("check", "rules", *book.files).returncode == 0
    assert "JobMissing" not in {alert["alert"] for alert in book.alerts()}


def test_objectives_with_every_option_are_rules_that_promtool_accepts(tmp_path):
    common = {"service": "shop", "summary": "It fails", "by": ["namespace", "endpoint"], "period": "28d"}
    definitions = [
        {
            **common,
            "name": "a",
            "kind": "availability",
            "objective": 93,
            "total": "x_total",
            "good": 'x_total{code="200"}',
        },
        {**common, "name": "b", "kind": "latency", "objective": 99, "total": "y_count", "good": 'y_bucket{le="0.5"}'},
        {**common, "name": "c", "kind": "latency", "objective": 99, "histogram": 'z{m="GET"}', "threshold": 10},
        {**common, "name": "d", "kind": "freshness", "objective": 99.99, "age": "age_seconds", "threshold": 0.5},
        {**common, "name": "e", "kind": "deadline", "objective": 90, "overdue": "late", "labels": {"team": "platform"}},
    ]
    groups = rulebook.slo_rules.groups(definitions, runbook_url=rulebook.RUNBOOK_URL, interval="15s")
    (tmp_path / "slo.yml").write_text(yaml.safe_dump(groups), encoding="utf-8")
    done = rulebook.promtool("check", "rules", "--lint=all", "--lint-fatal", tmp_path / "slo.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    rules = [rule for group in groups["groups"] for rule in group["rules"]]
    assert {fault for rule in rules for fault in promql.faults(rule["expr"])} == set()


def test_the_role_writes_the_same_files_and_refuses_an_unknown_threshold(book, tmp_path: Path):
    (tmp_path / "rules").mkdir()
    done = _role(tmp_path, monitoring_thresholds={})
    assert done.returncode == 0, done.stdout + done.stderr
    for path in book.files:
        written = (tmp_path / "rules" / path.name).read_text(encoding="utf-8")
        if path.stem == "slo":
            assert yaml.safe_load(written) == yaml.safe_load(path.read_text(encoding="utf-8"))
        else:
            assert written == path.read_text(encoding="utf-8")
    refused = _role(tmp_path, monitoring_thresholds={"error_rate": 1})
    assert refused.returncode != 0
    assert "there is no error_rate" in refused.stdout


def _role(folder: Path, **variables):
    """Run the role's tasks that write rules, into C(folder)/rules."""
    settings = {
        "ansible_python_interpreter": sys.executable,
        "monitoring_rules_dir": str(folder / "rules"),
        "monitoring_promtool": str(rulebook.executable()),
        "monitoring_runbook_url": rulebook.RUNBOOK_URL,
        "monitoring_objectives": [],
        "monitoring_rule_files": [path.name.removesuffix(".yml.j2") for path in rulebook.TEMPLATES],
        **variables,
    }
    task = {"ansible.builtin.include_role": {"name": "monitoring", "tasks_from": "rules"}}
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "vars": settings, "tasks": [task]}
    (folder / "play.yml").write_text(yaml.safe_dump([play]), encoding="utf-8")
    command = [Path(sys.executable).with_name("ansible-playbook"), "-i", "localhost,", folder / "play.yml"]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(rulebook.ROOT / "ansible.cfg")}
    return subprocess.run(command, capture_output=True, text=True, timeout=180, check=False, env=environment)
