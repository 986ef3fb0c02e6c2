# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read without the Kubernetes library, and what is left to it."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.plugins.module_utils._kubernetes.connection import (
    Connection,
    client_configuration,
)
from ansible_collections.churnguard.ops.plugins.module_utils._kubernetes.kubeconfig import (
    PlainConfiguration,
    plain_configuration,
)
from ansible_collections.churnguard.ops.tests.unit.support.clock import FakeClock

SERVER = "https://127.0.0.1:6443"
COLLECTIONS = Path(__file__).resolve().parents[8]


@pytest.fixture(autouse=True)
def no_proxy_of_this_machine(monkeypatch):
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def write(tmp_path):
    """Writes a kubeconfig of two contexts, the first of which is the current one; its path."""

    def make(user=None, cluster=None, **changes) -> str:
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "one",
            "contexts": [
                {"name": "one", "context": {"cluster": "k", "user": "u", "namespace": "ns"}},
                {"name": "two", "context": {"cluster": "k", "user": "other"}},
            ],
            "clusters": [{"name": "k", "cluster": {"server": SERVER + "/", **(cluster or {})}}],
            "users": [{"name": "u", "user": user or {}}, {"name": "other", "user": {"token": "of-two"}}],
            **changes,
        }
        (tmp_path / "kubeconfig").write_text(json.dumps(document))
        return str(tmp_path / "kubeconfig")

    return make


def test_a_token_is_read(write):
    assert plain_configuration({"kubeconfig": write({"token": "s3cret"})}) == PlainConfiguration(
        SERVER, {"authorization": "Bearer s3cret"}
    )


def test_the_context_asked_for_is_read(write):
    found = plain_configuration({"kubeconfig": write({"token": "s3cret"}), "context": "two"})
    assert found.api_key == {"authorization": "Bearer of-two"}


def test_a_host_needs_no_kubeconfig():
    assert plain_configuration({"host": SERVER, "api_key": "k"}).api_key == {"authorization": "Bearer k"}
    assert plain_configuration({"host": SERVER}).api_key == {}


def test_certificates_are_read_from_data_and_from_files_beside_the_kubeconfig(write, tmp_path):
    (tmp_path / "ca.pem").write_bytes(b"authority")
    (tmp_path / "key.pem").write_bytes(b"key")
    user = {"client-certificate-data": base64.b64encode(b"certificate").decode(), "client-key": "key.pem"}
    found = plain_configuration({"kubeconfig": write(user, {"certificate-authority": "ca.pem"})})
    assert (found.authority, found.certificate, found.key) == (b"authority", b"certificate", b"key")


def test_a_certificate_may_go_unchecked(write):
    assert plain_configuration({"kubeconfig": write(cluster={"insecure-skip-tls-verify": True})}).verify_ssl is False


@pytest.mark.parametrize(
    ("user", "cluster"),
    [
        ({"exec": {"command": "aws"}}, {}),
        ({"auth-provider": {"name": "oidc"}}, {}),
        ({"username": "u", "password": "p"}, {}),
        ({"tokenFile": "/run/token"}, {}),
        ({"token": "t", "as": "somebody"}, {}),
        ({"client-certificate-data": "YQ=="}, {}),
        ({"client-certificate-data": "no base64"}, {}),
        ({"client-certificate": "missing.pem", "client-key": "missing.pem"}, {}),
        ({}, {"proxy-url": "http://proxy"}),
        ({}, {"tls-server-name": "api"}),
    ],
)
def test_what_is_not_understood_is_left_to_the_library(write, user, cluster):
    assert plain_configuration({"kubeconfig": write(user, cluster)}) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"current-context": "three"},
        {"contexts": None},
        {"users": []},
        {"clusters": [{"name": "k", "cluster": {}}]},
    ],
)
def test_a_kubeconfig_that_is_wrong_is_the_librarys_to_tell(write, changes):
    assert plain_configuration({"kubeconfig": write({"token": "t"}, **changes)}) is None


@pytest.mark.parametrize("params", [{}, {"context": "one"}, {"kubeconfig": "/a:/b"}, {"kubeconfig": "/nowhere"}])
def test_the_rules_of_which_file_it_is_are_the_librarys(params):
    assert plain_configuration(params) is None


def test_a_proxy_is_the_librarys_business(write, monkeypatch):
    path = write({"token": "t"})
    monkeypatch.setenv("https_proxy", "http://proxy:3128")
    assert plain_configuration({"kubeconfig": path}) is None
    assert plain_configuration({"host": SERVER}) is None


def test_a_certificate_that_is_none_is_told(write):
    nonsense = base64.b64encode(b"nonsense").decode()
    path = write({"client-certificate-data": nonsense, "client-key-data": nonsense})
    with pytest.raises(OperationError, match="use the credentials for the cluster: .*Next: give a kubeconfig whose"):
        Connection(client_configuration({"kubeconfig": path}), FakeClock())


def test_an_authority_that_is_not_there_is_told(write):
    configuration = client_configuration({"kubeconfig": write({"token": "t"}), "ca_cert": "/nowhere/ca.pem"})
    with pytest.raises(OperationError, match="No such file"):
        Connection(configuration, FakeClock())


@pytest.mark.parametrize(("user", "loaded"), [({"token": "t"}, False), ({"username": "u", "password": "p"}, True)])
def test_the_library_is_imported_only_for_what_needs_it(write, user, loaded):
    code = (
        "import sys\n"
        "from ansible_collections.churnguard.ops.plugins.module_utils._kubernetes import connection\n"
        "assert connection.HAS_KUBERNETES\n"
        "connection.Connection(connection.client_configuration({'kubeconfig': sys.argv[1]}), None)\n"
        "print('kubernetes' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, write(user)],
        cwd=COLLECTIONS,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout == f"{loaded}\n", done.stderr
