# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._kubernetes.errors import (
    ApiError,
    Conflict,
    Unreachable,
    error_from_response,
)
from ansible_collections.churnguard.ops.plugins.module_utils._kubernetes.objects import (
    Ref,
    field_managers,
    resource_version,
)
from ansible_collections.churnguard.ops.tests.unit.support.objects import service, written_by


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("ConfigMap", "/api/v1/namespaces/ns/configmaps/x"),
        ("Service", "/api/v1/namespaces/ns/services/x"),
        ("Pod", "/api/v1/namespaces/ns/pods/x"),
        ("Deployment", "/apis/apps/v1/namespaces/ns/deployments/x"),
        ("Lease", "/apis/coordination.k8s.io/v1/namespaces/ns/leases/x"),
        ("HTTPRoute", "/apis/gateway.networking.k8s.io/v1/namespaces/ns/httproutes/x"),
    ],
)
def test_where_an_object_lives(kind, path):
    assert Ref(kind, "ns", "x").path == path
    assert Ref(kind, "ns").path == path.removesuffix("/x")


def test_names_for_people():
    assert str(Ref("Pod", "ns", "x")) == "Pod ns/x"
    assert str(Ref("Pod", "ns")) == "pods in ns"


def test_a_version_is_text_whatever_the_server_sends():
    assert resource_version({"metadata": {"resourceVersion": 7}}) == "7"


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"f:spec": {"f:selector": {}}}, ["kubectl-edit"]),
        ({"f:spec": {"f:selector": {"f:slot": {}}}}, ["kubectl-edit"]),
        ({"f:spec": {"f:ports": {}}}, []),
        ({"f:metadata": {}}, []),
        ({}, []),
    ],
)
def test_who_wrote_a_field(fields, named):
    assert field_managers(written_by(service(), "kubectl-edit", fields), "spec", "selector") == named


def test_nobody_is_named_without_managed_fields():
    assert field_managers(service(), "spec", "selector") == []


# -- errors ----------------------------------------------------------------------------------------------------------

REF = Ref("Deployment", "ns", "app-blue")


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (401, "log in"),
        (403, "let this user 'patch' deployments (API group 'apps') in namespace ns"),
        (404, "site.yml"),
        (409, "who changes the object"),
        (422, "correct the manifest"),
        (400, "journal"),
    ],
)
def test_an_answer_becomes_an_error_with_advice(status, advice):
    error = error_from_response("patch", REF, status, json.dumps({"message": "no way."}).encode())
    assert isinstance(error, ApiError)
    assert isinstance(error, Conflict) == (status == 409)
    assert error.status == status
    assert f"patch Deployment ns/app-blue: the API server answered {status}: no way" in str(error)
    assert advice in error.next_step


def test_the_core_group_is_named_in_words():
    assert "API group 'core'" in error_from_response("get", Ref("Pod", "ns"), 403, b"{}").next_step


@pytest.mark.parametrize("body", [b"upstream is gone", b'["upstream is gone"]', b'{"reason": "upstream is gone"}'])
def test_an_answer_that_is_no_status_object_is_quoted(body):
    assert "upstream is gone" in str(error_from_response("get", REF, 400, body))


def test_bytes_that_are_no_text_do_not_hide_the_status():
    assert "answered 400" in str(error_from_response("get", REF, 400, b"\xff\xfe"))


def test_no_answer_at_all():
    error = Unreachable("get", REF, "https://10.0.0.1:6443", "connection refused", 60.4)
    assert "no usable answer from https://10.0.0.1:6443 for 60 s: connection refused" in str(error)
