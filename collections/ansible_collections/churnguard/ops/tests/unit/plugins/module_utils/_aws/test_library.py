# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of AWS modules are those of amazon.aws, and a machine without it is told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import ansible
import yaml
from ansible_collections.amazon.aws.plugins.doc_fragments import boto3 as boto3_fragment
from ansible_collections.amazon.aws.plugins.module_utils.modules import aws_argument_spec
from ansible_collections.churnguard.ops.plugins.doc_fragments.aws import ModuleDocFragment
from ansible_collections.churnguard.ops.plugins.module_utils._aws.args import connection_argument_spec

FRAGMENT = yaml.safe_load(ModuleDocFragment.DOCUMENTATION)
COLLECTIONS = Path(__file__).resolve().parents[8]
RUN = """
import sys
sys.path.insert(0, sys.argv[1])
sys.modules["ansible_collections.amazon"] = None  # as where it is not installed
from ansible.module_utils.testing import patch_module_args
from ansible_collections.churnguard.ops.plugins.modules import elasticache_replication_group_info as module
with patch_module_args({}):
    module.main()
"""


def test_options_are_those_of_amazon_aws():
    ours, theirs = connection_argument_spec(), aws_argument_spec()
    assert {name: {"type": "str", **entry} for name, entry in theirs.items()} == ours


def test_options_are_documented_as_they_are():
    assert set(FRAGMENT["options"]) == set(connection_argument_spec())
    for name, entry in connection_argument_spec().items():
        for key in ("type", "default", "aliases"):
            assert FRAGMENT["options"][name].get(key) == entry.get(key), (name, key)


def test_the_library_is_asked_for_in_the_version_that_amazon_aws_asks_for():
    theirs = yaml.safe_load(boto3_fragment.ModuleDocFragment().DOCUMENTATION)["requirements"]
    assert set(FRAGMENT["requirements"]) >= {entry for entry in theirs if not entry.startswith("python")}


def test_a_machine_without_amazon_aws_is_told_so():
    ended = subprocess.run(
        [sys.executable, "-c", RUN, str(COLLECTIONS)],
        env={**os.environ, "PYTHONPATH": str(Path(ansible.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 1, ended.stderr
    result = json.loads(ended.stdout)
    assert "Failed to import the required Python library (the Ansible collection amazon.aws)" in result["msg"]
