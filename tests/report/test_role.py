"""Role report, run by ansible-playbook on sample envelopes and a sample ledger."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import sample_data

ROOT = Path(__file__).resolve().parents[2]
# Two hosts, of which the role must act for one only, and no localhost: it comes by itself.
PLAYBOOK = """---
- name: Keep
  hosts: all
  gather_facts: false
  tasks:
    - name: Keep each envelope
      ansible.builtin.include_role:
        name: report
        tasks_from: envelope
      vars:
        report_envelope: "{{ __envelope }}"
      loop: "{{ envelopes }}"
      loop_control:
        loop_var: __envelope
        label: "{{ __envelope.operation | default('?') }}"

- name: Render, in a play and for a host of its own
  hosts: second
  gather_facts: false
  roles:
    - role: report
"""


@dataclass(frozen=True)
class Run:
    """What a run of the playbook printed and left behind."""

    code: int
    output: str
    reports: Path

    @property
    def text(self) -> str:
        """The output as one line, however it was wrapped."""
        return " ".join(self.output.replace("''", "'").split())

    @property
    def changed(self) -> list[int]:
        """Tasks that changed something, for each host."""
        return [int(count) for count in re.findall(r"changed=(\d+)", self.output)]

    def files(self) -> dict[str, bytes]:
        """All files of all reports by their path."""
        return {
            str(path.relative_to(self.reports)): path.read_bytes()
            for path in sorted(self.reports.rglob("*"))
            if path.is_file() and "latest" not in path.parts
        }

    def report(self, folder: str = "latest") -> dict:
        """A report's data."""
        return json.loads((self.reports / "lab" / folder / "report.json").read_text(encoding="utf-8"))


@pytest.fixture
def run(tmp_path):
    """Runs the playbook in a folder of its own; further calls find what earlier ones left."""
    playbook = tmp_path / "playbooks" / "report.yml"
    playbook.parent.mkdir()
    playbook.write_text(PLAYBOOK, encoding="utf-8")
    inherited = {name: value for name, value in os.environ.items() if name != "CHURNGUARD_REPORT_ID"}

    def play(envelopes, *options, env=None, **variables) -> Run:
        extra = {"churnguard_environment": "lab", "envelopes": envelopes, **variables}
        ended = subprocess.run(
            [Path(sys.executable).parent / "ansible-playbook", "-i", "first,second,", "-c", "local", playbook]
            + ["-e", json.dumps(extra), *options],
            cwd=tmp_path,
            env={
                **inherited,
                "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
                "LC_ALL": "C.UTF-8",
                "NO_COLOR": "1",
                **(env or {}),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=180,
        )
        return Run(ended.returncode, ended.stdout, tmp_path / "reports")

    return play


@pytest.fixture(scope="module")
def ledgers(tmp_path_factory) -> list[str]:
    """A glob that finds the sample's ledger, thinned out, and one that finds nothing."""
    folder = tmp_path_factory.mktemp("sample")
    sample_data.write(folder, rate=20.0)
    return [f"{folder}/load/*.jsonl", f"{folder}/none/*.jsonl"]


def test_the_demos_three_rollouts_become_a_report(run, ledgers):
    ended = run(sample_data.envelopes(), report_id="demo", report_ledger_paths=ledgers)
    assert ended.code == 0, ended.output
    assert [(r["version"], r["strategy"], r["verdict"]) for r in ended.report()["rollouts"]] == [
        ("v1", "blue_green", "passed"),
        ("v2", "blue_green", "passed"),
        ("v3", "blue_green", "rolled_back"),
    ]
    requests = [rollout["requests"] for rollout in ended.report()["rollouts"]]
    assert requests[0]["sent"] is None
    assert requests[1]["failed"] == requests[2]["failed"] == 0
    assert sorted(requests[1]["by_version"]) == ["v1", "v2"]
    assert sum(requests[1]["by_version"].values()) == requests[1]["sent"] > 1500
    assert list(requests[2]["by_version"]) == ["v2"]
    page = (ended.reports / "lab" / "latest" / "index.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert "v3 refused, v2 kept" in page
    assert page.count("<svg") == 12
    assert (ended.reports / "lab" / "latest").readlink() == Path("demo")
    assert "v2 blue_green passed 1 min 19 s" in ended.text
    assert f"{ended.reports}/lab/demo/index.html" in ended.text


def test_the_same_again_leaves_every_byte_and_reports_no_change(run, ledgers):
    first = run(sample_data.envelopes(), report_id="demo", report_ledger_paths=ledgers)
    before = {path: path.stat().st_mtime_ns for path in first.reports.rglob("*.*")}
    files = first.files()
    second = run(sample_data.envelopes(), report_id="demo", report_ledger_paths=ledgers)
    assert second.code == 0, second.output
    assert second.files() == files
    assert {path: path.stat().st_mtime_ns for path in second.reports.rglob("*.*")} == before
    assert second.changed == [0, 0]


def test_runs_of_one_environment_share_a_report_by_its_name(run):
    shared = {"CHURNGUARD_REPORT_ID": "shared"}
    one, two, three = sample_data.envelopes()
    run([one], env=shared, report_environment="staging")
    run([one], env=shared)
    ended = run([two, three], env=shared)
    assert len(ended.report("shared")["rollouts"]) == 3
    assert sorted(path.name for path in (ended.reports / "lab").iterdir()) == ["latest", "shared"]
    assert len(list((ended.reports / "staging" / "shared" / "envelopes").iterdir())) == 1


def test_without_a_name_a_run_is_one_report_named_by_its_time(run):
    ended = run(sample_data.envelopes())
    (folder,) = {path.resolve().name for path in (ended.reports / "lab").iterdir()}
    assert re.fullmatch(r"\d{8}T\d{6}Z", folder)
    assert len(ended.report(folder)["rollouts"]) == 3


def test_latest_moves_on_and_not_back(run):
    one, two, _three = sample_data.envelopes()
    assert run([one], report_id="older").report()["rollouts"][0]["version"] == "v1"
    assert run([two], report_id="newer").report()["rollouts"][0]["version"] == "v2"
    again = run([], report_id="older")
    assert again.code == 0, again.output
    assert (again.reports / "lab" / "latest").readlink() == Path("newer")


def test_check_mode_writes_nothing_and_says_so(run):
    ended = run(sample_data.envelopes(), "--check", report_id="demo")
    assert ended.code == 0, ended.output
    assert not ended.reports.exists()
    assert "Check mode: the envelope of rollout is not kept." in ended.text
    assert "Check mode: no report is rendered." in ended.text


def test_nothing_recorded_is_said_and_no_error(run):
    ended = run([], report_id="empty")
    assert ended.code == 0, ended.output
    assert "No operation is recorded in" in ended.text
    assert not ended.reports.exists()


def test_templates_inside_of_values_are_not_run(run, tmp_path):
    _one, two, _three = sample_data.envelopes()
    two["timeline"][0]["detail"] = "{{ 6 * 7 }} {% raw %} <script>alert(1)</script>"
    folder = tmp_path / "reports" / "lab" / "evil" / "envelopes"
    folder.mkdir(parents=True)
    (folder / "e.json").write_text(json.dumps(two), encoding="utf-8")
    ended = run([], report_id="evil")
    assert ended.code == 0, ended.output
    assert ended.report()["operations"][0]["timeline"][0]["detail"] == two["timeline"][0]["detail"]
    page = (folder.parent / "index.html").read_text(encoding="utf-8")
    assert "{{ 6 * 7 }} {% raw %} &lt;script&gt;" in page
    assert "<script" not in page


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"report_id": "a/../../b"}, "Reports cannot go to"),
        ({"report_root": "reports"}, "report_root must be absolute"),
        ({"envelopes": [{"operation": "../x", "started": "2026"}]}, "report_envelope is not a result envelope"),
        ({"report_ledger_paths": ["/nowhere/load.jsonl"]}, "Could not read the load ledger /nowhere/load.jsonl"),
    ],
)
def test_a_users_mistake_is_named(run, tmp_path, variables, says):
    given = {"report_id": "x", "envelopes": sample_data.envelopes()[:1], **variables}
    ended = run(**given)
    assert ended.code != 0
    assert says in ended.text
    assert "Traceback" not in ended.output
    assert not list(tmp_path.rglob("index.html"))


def test_a_stored_envelope_that_is_broken_is_named(run, tmp_path):
    folder = tmp_path / "reports" / "lab" / "x" / "envelopes"
    folder.mkdir(parents=True)
    (folder / "broken.json").write_text("{", encoding="utf-8")
    ended = run([], report_id="x")
    assert ended.code != 0
    assert "broken.json: it is not JSON" in ended.text
