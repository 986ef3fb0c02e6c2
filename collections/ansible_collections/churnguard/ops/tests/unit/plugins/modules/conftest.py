# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules are run in this process, as Ansible runs them in theirs."""

from __future__ import annotations

import json

import boto3
import pytest
from ansible.module_utils import _internal
from ansible.module_utils.testing import patch_module_args
from ansible_collections.churnguard.ops.tests.unit.support.moto import MotoServer


@pytest.fixture(autouse=True)
def no_controller(monkeypatch):
    """Where a controller's plugins were imported, as other tests here do, a module's warnings go to the terminal and
    not into its result; a module's own process has none of them."""
    monkeypatch.setattr(_internal, "is_controller", False)


@pytest.fixture(scope="module")
def server():
    with MotoServer() as running:
        yield running


@pytest.fixture
def moto(server):
    """The server without anything in it."""
    server.reset()
    return server


@pytest.fixture
def aws(moto):
    """boto3's clients, to set the scene and to look at the outcome."""

    def client(service, region="us-east-1"):
        keys = {"aws_access_key_id": "lab", "aws_secret_access_key": "moto-secret-key"}
        return boto3.client(service, region_name=region, endpoint_url=moto.url, **keys)

    return client


@pytest.fixture
def run_aws(moto, capfd):
    """Runs a module against it: its result."""

    def call(module, check=False, **options):
        given = {**moto.options, **options, "_ansible_check_mode": check, "_ansible_diff": True}
        with patch_module_args(given), pytest.raises(SystemExit):
            module.main()
        return json.loads(capfd.readouterr().out)

    return call
