# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What schemas and checks say against configurations that would not do what they seem to."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.churnguard.ops.plugins.filter.schema_errors import schema_errors
from ansible_collections.churnguard.ops.plugins.filter.telemetry_errors import telemetry_errors
from ansible_collections.churnguard.ops.plugins.plugin_utils._telemetry.checks import seconds

SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "pattern": "^[a-z]+$"},
        "list": {"type": "array", "items": {"$ref": "#/$defs/one"}},
    },
    "$defs": {"one": {"enum": ["a", "b"]}},
}

COLLECTOR = {
    "extensions": {"file_storage/state": {}, "health_check": {}},
    "receivers": {"file_log/pods": {"storage": "file_storage/state"}},
    "processors": {"memory_limiter": {}, "k8s_attributes": {}},
    "exporters": {"otlp_http/loki": {"sending_queue": {"storage": "file_storage/state"}}},
    "service": {
        "extensions": ["file_storage/state", "health_check"],
        "pipelines": {
            "logs": {
                "receivers": ["file_log/pods"],
                "processors": ["memory_limiter", "k8s_attributes"],
                "exporters": ["otlp_http/loki"],
            }
        },
    },
}
LOKI = {
    "schema_config": {"configs": [{"from": "2026-01-01", "object_store": "s3", "index": {"period": "24h"}}]},
    "limits_config": {"retention_period": "720h", "reject_old_samples_max_age": "168h"},
    "compactor": {"retention_enabled": True, "delete_request_store": "s3"},
}
TEMPO = {"backend_scheduler": {"provider": {"compaction": {"compaction": {"block_retention": "168h"}}}}}


def changed(config: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The configuration with another value at a path such as a|b|c; None removes what is there."""
    made = copy.deepcopy(config)
    *way, last = path.split("|")
    part = made
    for step in way:
        part = part[step]
    if value is None:
        del part[last]
    else:
        part[last] = value
    return made


def test_a_valid_document_has_no_errors():
    assert schema_errors({"name": "loki", "list": ["a", "b"]}, SCHEMA) == []


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({}, "at the top: 'name' is a required property"),
        ({"name": "x", "other": 1}, "at the top: Additional properties are not allowed ('other' was unexpected)"),
        ({"name": "X1"}, 'at name: "X1" does not match ^[a-z]+$'),
        ({"name": "x", "list": ["a", "c"]}, "at list[1]: 'c' is not one of ['a', 'b']"),
        ([], "at the top: [] is not of type 'object'"),
    ],
)
def test_an_error_says_where_and_what(document, said):
    assert schema_errors(document, SCHEMA) == [said]


def test_every_error_is_told_and_long_values_are_cut():
    errors = schema_errors({"name": 5, "list": ["z" * 5000]}, SCHEMA)
    assert len(errors) == 2
    assert all(len(error) < 400 for error in errors)


def test_a_schema_that_is_none_is_told():
    with pytest.raises(AnsibleFilterError, match="no valid JSON Schema at type"):
        schema_errors({}, {"type": "objekt"})
    with pytest.raises(AnsibleFilterError, match="has to be a dictionary"):
        schema_errors({}, "schema")


@pytest.mark.parametrize(("config", "kind"), [(COLLECTOR, "collector"), (LOKI, "loki"), (TEMPO, "tempo")])
def test_a_good_configuration_has_no_errors(config, kind):
    assert telemetry_errors(config, kind) == []


PIPELINE = "service|pipelines|logs"


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (f"{PIPELINE}|exporters", ["otlp_http/x"], "exporter otlp_http/x is used by a pipeline and not defined"),
        (f"{PIPELINE}|exporters", ["otlp_http/x"], "exporter otlp_http/loki is defined and used by no pipeline"),
        (f"{PIPELINE}|receivers", ["otlp"], "receiver otlp is used by a pipeline and not defined"),
        ("processors|batch", {}, "processor batch is defined and used by no pipeline"),
        ("extensions|health_check", None, "extension health_check is started by service and not defined"),
        ("service|extensions", ["health_check"], "extension file_storage/state is defined and not started by service"),
        (
            "service|extensions",
            ["health_check"],
            "receiver file_log/pods keeps its state in extension file_storage/state, which service does not start",
        ),
        (
            f"{PIPELINE}|processors",
            ["k8s_attributes", "memory_limiter"],
            "pipeline logs: memory_limiter has to be the first processor, before anything takes memory",
        ),
        (
            f"{PIPELINE}|processors",
            ["memory_limiter", "batch", "k8s_attributes"],
            "pipeline logs: batch has to be the last processor, after whatever drops or moves records",
        ),
        (
            f"{PIPELINE}|processors",
            ["memory_limiter", "memory_limiter"],
            "pipeline logs: processor memory_limiter is there twice",
        ),
        (
            "exporters|otlp_http/loki|sending_queue",
            {"enabled": True},
            "pipeline logs: receiver file_log/pods keeps its place on the disk, and exporter otlp_http/loki its queue "
            "in memory, where a restart loses it; give its sending_queue a storage",
        ),
    ],
)
def test_what_is_wrong_with_a_collector_is_told(path, value, said):
    assert said in telemetry_errors(changed(COLLECTOR, path, value), "collector")


def test_lines_that_a_batch_would_lose_are_told():
    config = changed(COLLECTOR, "processors|batch", {})
    config["service"]["pipelines"]["logs"]["processors"].append("batch")
    (said,) = telemetry_errors(config, "collector")
    assert "batch in the exporter's sending_queue instead" in said


def test_batch_is_fine_where_nothing_is_kept_on_the_disk():
    config = changed(changed(COLLECTOR, "receivers|file_log/pods|storage", None), "processors|batch", {})
    config["service"]["pipelines"]["logs"]["processors"].append("batch")
    assert telemetry_errors(config, "collector") == []


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("compactor|retention_enabled", False, "deletes nothing unless compactor.retention_enabled is true"),
        ("compactor|delete_request_store", "gcs", "delete_request_store has to be the object_store of schema_config"),
        ("schema_config|configs", [{"from": "2026-01-01", "object_store": "s3", "index": {"period": "168h"}}], "24h"),
        ("limits_config|retention_period", "24h", "has to be at least reject_old_samples_max_age (168h)"),
        ("limits_config|retention_period", "a month", "'a month' is no duration"),
        ("schema_config|configs", [LOKI["schema_config"]["configs"][0]] * 2, "have to begin one after the other"),
    ],
)
def test_what_is_wrong_with_loki_is_told(path, value, said):
    assert any(said in error for error in telemetry_errors(changed(LOKI, path, value), "loki"))


def test_what_is_wrong_with_tempo_is_told():
    assert "kept for 14 days" in telemetry_errors({}, "tempo")[0]
    assert telemetry_errors({**TEMPO, "compactor": {}}, "tempo") == [
        "compactor is of Tempo 2; Tempo 3 does not start with it"
    ]


def test_an_unknown_kind_and_a_configuration_that_is_none_are_told():
    with pytest.raises(AnsibleFilterError, match="not one of collector, loki, tempo"):
        telemetry_errors({}, "jaeger")
    with pytest.raises(AnsibleFilterError, match="this is no configuration of loki"):
        telemetry_errors([], "loki")


@pytest.mark.parametrize(("text", "length"), [("200ms", 0.2), ("1h30m", 5400), ("7d", 604800), ("1.5s", 1.5)])
def test_durations_are_gos(text, length):
    assert seconds(text) == pytest.approx(length)
