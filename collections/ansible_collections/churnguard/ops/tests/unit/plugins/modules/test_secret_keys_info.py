# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module as Ansible runs it, against a real HTTP server."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.churnguard.ops.plugins.modules import secret_keys_info
from ansible_collections.churnguard.ops.tests.unit.support.servers import Answer, Server, script


@pytest.fixture
def look(capsys):
    """Runs the module against a server that gives this answer; the result and what was printed."""

    def run(answer: Answer, **options: Any) -> tuple[dict[str, Any], str, list[str]]:
        with Server(script(answer)) as server:
            given = {
                "name": "keys",
                "namespace": "ns",
                "host": server.url,
                "api_key": "s3cret-of-the-robot",
                "api_patience": 0,
            }
            with patch_module_args({**given, **options}), pytest.raises(SystemExit) as ended:
                secret_keys_info.main()
            printed = capsys.readouterr().out
            result = json.loads(printed)
            assert (ended.value.code == 0) == (not result.get("failed", False))
            return result, printed, [f"{request.method} {request.path}" for request in server.requests]

    return run


@pytest.mark.parametrize("check", [False, True])
def test_names_are_told_and_values_are_not(look, check):
    secret = {"metadata": {"name": "keys"}, "data": {"redis-url": "aHVzaA==", "database-url": "aHVzaA=="}}
    result, printed, requests = look(Answer(200, secret), _ansible_check_mode=check, _ansible_diff=True)
    assert (result["exists"], result["key_names"]) == (True, ["database-url", "redis-url"])
    assert result["changed"] is False
    assert "aHVzaA" not in printed
    assert requests == ["GET /api/v1/namespaces/ns/secrets/keys"]


@pytest.mark.parametrize("secret", [{"metadata": {}}, {"metadata": {}, "data": None}])
def test_a_secret_may_be_empty(look, secret):
    result, _printed, _requests = look(Answer(200, secret))
    assert (result["exists"], result["key_names"]) == (True, [])


def test_a_secret_may_be_absent(look):
    result, _printed, _requests = look(Answer(404, {"message": "not found"}))
    assert (result["exists"], result["key_names"]) == (False, [])


def test_a_right_that_is_missing_is_said(look):
    result, _printed, _requests = look(Answer(403, {"message": 'cannot get resource "secrets"'}))
    assert 'cannot get resource "secrets"' in result["msg"]
    assert "let this user 'get' secrets" in result["msg"]


def test_a_cluster_that_cannot_be_found_is_said(look):
    result, _printed, requests = look(Answer(200), host=None, api_key=None, kubeconfig="/nowhere/kubeconfig")
    assert "find the cluster" in result["msg"]
    assert requests == []
