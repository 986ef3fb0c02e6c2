"""What the roles refuse before they talk to a cluster: there is none here."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.roles.playing import Run

HERE = Path(__file__).resolve().parent


CASES: list[tuple[dict[str, Any], str]] = [
    (
        {"name": "unknown key", "role": "logging", "agent": {"exporters": {"otlp_http/loki": {"timeut": "3s"}}}},
        "at exporters.otlp_http/loki: Additional properties are not allowed ('timeut' was unexpected)",
    ),
    (
        {"name": "unknown component", "role": "logging", "agent": {"receivers": {"syslog": {}}}},
        "'syslog' does not match any of the regexes",
    ),
    (
        {
            "name": "undefined exporter",
            "role": "logging",
            "agent": {"service": {"pipelines": {"logs": {"exporters": ["otlp_http/elsewhere"]}}}},
        },
        "exporter otlp_http/elsewhere is used by a pipeline and not defined",
    ),
    (
        {
            "name": "memory without a limit",
            "role": "logging",
            "agent": {"service": {"pipelines": {"logs": {"processors": ["k8s_attributes"]}}}},
        },
        "pipeline logs: memory_limiter has to be the first processor",
    ),
    (
        {
            "name": "a queue that forgets",
            "role": "logging",
            "agent": {"exporters": {"otlp_http/loki": {"sending_queue": {"storage": "memory"}}}},
        },
        'at exporters.otlp_http/loki.sending_queue.storage: "memory" does not match',
    ),
    (
        {"name": "retention without compactor", "role": "logging", "loki": {"compactor": {"retention_enabled": False}}},
        "deletes nothing unless compactor.retention_enabled is true",
    ),
    (
        {"name": "a key of Loki 2", "role": "logging", "loki": {"compactor": {"shared_store": "s3"}}},
        "at compactor: Additional properties are not allowed ('shared_store' was unexpected)",
    ),
    (
        {"name": "days", "role": "logging", "retention": "30d"},
        'at limits_config.retention_period: "30d" does not match',
    ),
    ({"name": "no bucket's name", "role": "logging", "bucket": "My_Bucket"}, '"My_Bucket" does not match'),
    (
        {"name": "nobody writes", "role": "logging", "components": [{"name": "loki", "target": "read"}]},
        "logging_loki_components has the targets read. Loki is one component of target all",
    ),
    (
        {
            "name": "unknown policy",
            "role": "tracing",
            "gateway": {"processors": {"tail_sampling": {"policies": [{"name": "slow", "type": "latncy"}]}}},
        },
        "at processors.tail_sampling.policies[0].type: 'latncy' is not one of",
    ),
    (
        {"name": "a part of Tempo 2", "role": "tracing", "tempo": {"compactor": {"compaction": {}}}},
        "at the top: Additional properties are not allowed ('compactor' was unexpected)",
    ),
]


@pytest.fixture(scope="module")
def answers(run_playbook: Callable[..., Run], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What was said to each case, by its name; a case that was taken would have failed at the missing kubeconfig."""
    folder = tmp_path_factory.mktemp("refusals")
    run_playbook(
        HERE / "refusals.yml",
        "lab",
        refusal_cases=[case for case, _said in CASES],
        refusal_answers=str(folder / "answers.json"),
        logging_kubeconfig=str(folder / "none"),
        tracing_kubeconfig=str(folder / "none"),
    ).passed()
    return json.loads((folder / "answers.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("case", "said"), CASES, ids=[case["name"] for case, _said in CASES])
def test_a_wrong_configuration_is_refused_with_its_reason(answers: dict[str, str], case: dict[str, Any], said: str):
    message = " ".join(answers[case["name"]].split())
    assert said in message
    assert "othing was changed" in message


def test_both_roles_remove_the_same_from_logs_and_traces():

    defaults = [
        yaml.safe_load((HERE.parents[1] / "roles" / role / "defaults" / "main.yml").read_text())
        for role in ("logging", "tracing")
    ]
    assert defaults[0]["logging_redactions"] == defaults[1]["tracing_redactions"]
