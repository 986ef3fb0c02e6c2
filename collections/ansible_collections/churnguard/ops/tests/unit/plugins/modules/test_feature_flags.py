# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules of feature flags as Ansible runs them, against a fake cluster behind a real HTTP server."""

from __future__ import annotations

import importlib
import json
from typing import Any

import pytest
import yaml
from ansible.module_utils.testing import patch_module_args
from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import Clock
from ansible_collections.churnguard.ops.plugins.module_utils._flags.args import place_argument_spec
from ansible_collections.churnguard.ops.plugins.modules import feature_flags, feature_flags_info
from ansible_collections.churnguard.ops.tests.unit.support.apiserver import ApiServer
from ansible_collections.churnguard.ops.tests.unit.support.cluster import FakeCluster
from ansible_collections.churnguard.ops.tests.unit.support.objects import NAMESPACE

TOKEN, NAME = "s3cret-of-the-robot", "churnguard-flags"
GUIDE = [
    {"name": "new_dashboard_ui", "state": "disabled", "percentage": 10, "owner": "dashboard", "expires": "2020-01-01"},
    {"name": "advanced_analytics", "conditions": {"subscription_tier": ["professional", "enterprise"]}},
]


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster(Clock())


@pytest.fixture
def call(cluster, capsys):
    """Runs a module and returns its result."""
    with ApiServer(cluster, TOKEN) as server:

        def run(module: Any, **options: Any) -> dict[str, Any]:
            given = {"name": NAME, "namespace": NAMESPACE, "host": server.url, "api_key": TOKEN, "api_patience": 2}
            with patch_module_args({**given, **options}), pytest.raises(SystemExit) as ended:
                module.main()
            result = json.loads(capsys.readouterr().out)
            assert (ended.value.code == 0) == (not result.get("failed", False))
            return result

        yield run


def test_flags_are_made_and_a_second_run_changes_nothing(call, cluster):
    first = call(feature_flags, flags=GUIDE)
    assert (first["changed"], len(cluster.writes)) == (True, 1)
    assert first["msg"] == (
        f"Changed the flags in ConfigMap {NAMESPACE}/{NAME} key flags.json: "
        "advanced_analytics created; new_dashboard_ui created."
    )
    assert [(flag["name"], flag["answers"]) for flag in first["flags"]] == [
        ("new_dashboard_ui", "disabled"),
        ("advanced_analytics", "on where subscription_tier is professional or enterprise"),
    ]
    second = call(feature_flags, flags=GUIDE)
    assert (second["changed"], second["changes"], len(cluster.writes)) == (False, [], 1)
    assert second["msg"].endswith("are as they should be.")


def test_check_mode_writes_nothing_and_shows_the_difference(call, cluster):
    result = call(feature_flags, flags=GUIDE, _ansible_check_mode=True, _ansible_diff=True)
    assert (result["changed"], cluster.writes) == (True, [])
    assert result["msg"].startswith("Would change")
    assert result["diff"]["before"]["flags"] == {}
    assert list(result["diff"]["after"]["flags"]) == ["new_dashboard_ui", "advanced_analytics"]


def test_without_diff_mode_there_is_no_diff_and_without_a_change_an_empty_one(call):
    assert "diff" not in call(feature_flags, flags=GUIDE)
    diff = call(feature_flags, flags=GUIDE, _ansible_diff=True)["diff"]
    assert diff["before"] == diff["after"]


def test_bad_input_fails_with_the_flags_name_and_writes_nothing(call, cluster):
    result = call(feature_flags, flags=[{"name": "f", "targeting": {"fractional": [["on", 10], ["off", 80]]}}])
    assert "flag f: targeting: the percentages of fractional sum to 90, not to 100." in result["msg"]
    assert "Nothing was changed." in result["msg"]
    assert cluster.writes == []
    assert "one of: enabled, disabled, absent" in call(feature_flags, flags=[{"name": "f", "state": "off"}])["msg"]


def test_an_expired_flag_is_reported_by_the_servers_date(call):
    result = call(feature_flags, flags=GUIDE)
    assert [flag["name"] for flag in result["expired"]] == ["new_dashboard_ui"]
    assert any("expired on 2020-01-01" in str(warning) for warning in result["warnings"])
    assert "expired on 2020-01-01" in call(feature_flags, flags=GUIDE, on_expired="fail")["msg"]


def test_purge(call):
    call(feature_flags, flags=GUIDE)
    result = call(feature_flags, flags=GUIDE[1:], purge=True)
    assert [flag["name"] for flag in result["flags"]] == ["advanced_analytics"]
    assert call(feature_flags, purge=True)["flags"] == []


def test_info_shows_the_flags_and_writes_nothing(call, cluster):
    empty = call(feature_flags_info)
    assert (empty["exists"], empty["flags"], empty["resource_version"]) == (False, [], "")
    call(feature_flags, flags=GUIDE)
    cluster.writes.clear()
    shown = call(feature_flags_info, _ansible_check_mode=True)
    assert (shown["changed"], shown["exists"], shown["problems"], cluster.writes) == (False, True, {}, [])
    dashboard, analytics = shown["flags"]
    assert dashboard == {
        "name": "new_dashboard_ui",
        "state": "disabled",
        "answers": "disabled",
        "type": "boolean",
        "variants": {"on": True, "off": False},
        "default_variant": "off",
        "percentage": 10,
        "conditions": {},
        "targeting": {"fractional": [["on", 10], ["off", 90]]},
        "owner": "dashboard",
        "expires": "2020-01-01",
        "expired": True,
        "description": "",
    }
    assert (analytics["percentage"], analytics["conditions"]) == (None, GUIDE[1]["conditions"])
    assert shown["expired"] == [dashboard]


def test_info_says_what_is_wrong_with_a_document(call, cluster):
    data = {
        "flags.json": json.dumps({"flags": {"f": {"state": "ENABLED", "variants": {"a": 1}, "defaultVariant": "b"}}})
    }
    cluster.put({"kind": "ConfigMap", "metadata": {"name": NAME, "namespace": NAMESPACE}, "data": data})
    assert call(feature_flags_info)["problems"] == {"f": ["default variant 'b' is none of its variants (a)"]}


def test_the_token_is_in_no_result(call):
    results = [call(feature_flags, flags=GUIDE), call(feature_flags_info), call(feature_flags, api_key=TOKEN, key="")]
    assert TOKEN not in json.dumps(results)


@pytest.mark.parametrize(
    ("module", "accepted"),
    [(feature_flags, feature_flags.argument_spec()), (feature_flags_info, place_argument_spec())],
)
def test_what_is_documented_is_what_is_accepted(module, accepted):
    documented = yaml.safe_load(module.DOCUMENTATION)
    options = dict(documented.get("options", {}))
    for fragment in documented["extends_documentation_fragment"]:
        name = fragment.removeprefix("churnguard.ops.")
        found = importlib.import_module(f"ansible_collections.churnguard.ops.plugins.doc_fragments.{name}")
        options |= yaml.safe_load(found.ModuleDocFragment.DOCUMENTATION)["options"]
    assert {name: _told(entry, "suboptions") for name, entry in options.items()} == {
        name: _told(entry, "options") for name, entry in accepted.items()
    }


def _told(entry: dict[str, Any], inner: str) -> dict[str, Any]:
    kept = {key: entry[key] for key in ("type", "default", "choices", "elements", "required") if key in entry}
    return {**kept, "options": {name: _told(sub, inner) for name, sub in entry.get(inner, {}).items()}}
