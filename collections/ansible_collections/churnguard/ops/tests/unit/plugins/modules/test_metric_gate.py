# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""metric_gate as Ansible runs it, with the real clock, against a real HTTP server that answers as Prometheus does."""

from __future__ import annotations

import importlib
import json
import time

import pytest
import yaml
from ansible.module_utils.testing import patch_module_args
from ansible_collections.churnguard.ops.plugins.modules import metric_gate
from ansible_collections.churnguard.ops.tests.unit.support.prometheus import Application, FakePrometheus

SUBJECT = {"name": "shop", "namespace": "prod", "slot": "green", "version": "v2"}


class Busy(Application):
    """Serves requests with each query; C(errors) of a hundred fail."""

    errors = 0

    def answer(self, query):
        self.served("green", "v2", 100, self.errors)
        return super().answer(query)


@pytest.fixture
def application():
    return Busy()


@pytest.fixture
def prometheus(application):
    with FakePrometheus(application.answer) as running:
        yield running


@pytest.fixture
def call(prometheus, capsys):
    def run(**options) -> dict:
        quick = {"interval": 1, "duration": 2, "min_good_samples": 2, "max_hold": 1}
        given = {"prometheus_url": prometheus.url, "subjects": [SUBJECT], **quick, **options}
        with patch_module_args(given), pytest.raises(SystemExit) as ended:
            metric_gate.main()
        result = json.loads(capsys.readouterr().out)
        assert (ended.value.code == 0) == (not result.get("failed", False))
        return result

    return run


def test_a_good_service_passes_and_nothing_is_changed(call):
    result = call()
    assert (result["changed"], result["msg"]) == (False, "prod/shop (v2 green) is good.")
    assert result["services"][0]["good_samples"] >= 2
    envelope = result["envelope"]
    assert (envelope["operation"], envelope["verdict"], envelope["changed"]) == ("metric_gate", "passed", False)
    assert envelope["evidence"][0]["samples"][-1]["verdict"] == "good"
    assert [entry["event"] for entry in envelope["timeline"]].count("sample") >= 2


def test_a_bad_service_fails_the_task_with_the_evidence(call, application):
    application.errors = 20
    result = call()
    assert result["failed"] is True
    assert result["msg"].startswith("prod/shop (v2 green): error_ratio ")
    assert "beyond the limit, beyond doubt" in result["msg"]
    assert result["envelope"]["verdict"] == "failed"
    sample = result["envelope"]["evidence"][0]["samples"][-1]
    assert (sample["verdict"], sample["decisive"]) == ("bad", True)
    assert sample["results"][0]["p_value"] < 1e-6


def test_an_unknown_service_fails_the_task(call, prometheus):
    prometheus.mode = "empty"
    result = call()
    assert result["failed"] is True
    assert "0 requests since the step began, 59 are needed" in result["msg"]


def test_several_bad_services_are_counted(call, application):
    application.errors = 20
    result = call(subjects=[SUBJECT, {"name": "other", "namespace": "prod"}])
    assert result["msg"].startswith("2 of 2 services are not good; prod/shop (v2 green): error_ratio")


def test_check_mode_asks_every_query_and_judges_nothing(call, prometheus):
    begin = time.monotonic()
    result = call(_ansible_check_mode=True, duration=3600)
    assert (result["changed"], result["msg"]) == (False, "Would judge 1 services; every query is understood.")
    assert "envelope" not in result
    assert len(prometheus.queries) == 4
    assert time.monotonic() - begin < 60


def test_a_wrong_query_is_found_in_check_mode_too(call, prometheus):
    prometheus.mode = "bad_data"
    for check in (True, False):
        result = call(_ansible_check_mode=check)
        assert "Prometheus refuses its numerator" in result["msg"]
        assert "parse error" in result["msg"]


def test_a_prometheus_out_of_reach_is_a_warning_in_check_mode(call, prometheus):
    prometheus.stop()
    result = call(_ansible_check_mode=True)
    assert result["msg"] == "Would judge 1 services; Prometheus could not be asked."
    assert "cannot be reached" in str(result["warnings"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"subjects": []}, "name at least one service"),
        ({"interval": 10, "duration": 5}, "give a duration of at least one interval"),
        ({"false_alarm": 2}, "that is no probability"),
        ({"metrics": [{"name": "x", "kind": "ratio", "limit": 0.1}]}, "use metric x: its option numerator is missing"),
        ({"metrics": [{"name": "x", "kind": "what"}]}, "value of kind must be one of"),
    ],
)
def test_what_makes_no_sense_is_refused(call, prometheus, options, message):
    assert message in call(**options)["msg"]
    assert prometheus.queries == []


def test_what_is_documented_is_what_is_accepted():
    documented = yaml.safe_load(metric_gate.DOCUMENTATION)
    options = dict(documented["options"])
    for name in ("metrics", "progress"):
        assert f"churnguard.ops.{name}" in documented["extends_documentation_fragment"]
        fragment = importlib.import_module(f"ansible_collections.churnguard.ops.plugins.doc_fragments.{name}")
        options |= yaml.safe_load(fragment.ModuleDocFragment.DOCUMENTATION)["options"]
    accepted = metric_gate.argument_spec()
    assert set(options) == set(accepted)
    for name, entry in accepted.items():
        assert _plain(options[name], "suboptions") == _plain(entry, "options"), name


def _plain(entry: dict, below: str) -> dict:
    kept = {key: entry[key] for key in ("type", "default", "choices", "elements", "required") if key in entry}
    return {**kept, "options": {name: _plain(sub, below) for name, sub in entry.get(below, {}).items()}}
