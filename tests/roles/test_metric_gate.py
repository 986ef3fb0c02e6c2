"""playbooks/verify.yml against a server that answers as Prometheus does."""

from __future__ import annotations

import json
import sys

import pytest

from tests.roles.playing import ROOT

sys.path.append(str(ROOT / "collections"))

from ansible_collections.churnguard.ops.tests.unit.support.prometheus import Application, FakePrometheus  # noqa: E402

QUICK = {"metric_gate_duration": 5, "metric_gate_interval": 1, "metric_gate_min_good_samples": 1}


class Busy(Application):
    """Serves requests whenever somebody looks; `errors` of a hundred fail."""

    errors = 0

    def answer(self, query):
        self.served("green", "v2", 100, self.errors)
        return super().answer(query)


@pytest.fixture
def application():
    return Busy()


@pytest.fixture
def verify(run_playbook, application, tmp_path):
    """Runs the playbook in an environment with that Prometheus; its result and the envelopes that were kept."""

    def run(environment: str = "production", *options: str, **variables):
        with FakePrometheus(application.answer) as prometheus:
            given = {"metric_gate_prometheus_url": prometheus.url, "report_root": str(tmp_path), **QUICK, **variables}
            ended = run_playbook("verify", environment, *options, **given)
        return ended, [json.loads(path.read_text()) for path in tmp_path.rglob("envelopes/*.json")]

    return run


def test_good_services_pass_and_the_evidence_is_kept(verify):
    run, envelopes = verify()
    run.passed()
    assert "churnguard-production/churnguard-api is good." in run.text
    assert run.changed == 0
    assert [(one["operation"], one["verdict"]) for one in envelopes] == [("metric_gate", "passed")]


def test_a_bad_service_fails_the_play_after_its_evidence_is_kept(verify, application):
    application.errors = 30
    run, envelopes = verify()
    assert run.code != 0
    assert "beyond the limit, beyond doubt" in run.text
    assert [one["verdict"] for one in envelopes] == ["failed"]


def test_check_mode_judges_nothing_and_finds_a_wrong_metric(verify):
    run, envelopes = verify("production", "--check")
    run.passed()
    assert "Would judge 1 services; every query is understood." in run.text
    assert envelopes == []
    wrong = [{"name": "errors", "kind": "ratio", "limit": 0.01}]
    run, _envelopes = verify("production", "--check", metric_gate_metrics=wrong)
    assert run.code != 0
    assert "use metric errors: its option numerator is missing" in run.text


def test_what_is_missing_is_named(run_playbook):
    run = run_playbook("verify", "production")
    assert run.code != 0
    assert "missing required arguments: metric_gate_prometheus_url" in run.text
