# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What amazon.aws and botocore give, imported so that their absence can be told instead of shown as a traceback.
Internal: may change in any release."""

from __future__ import annotations

import traceback
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from .args import connection_argument_spec

AMAZON_AWS_ERROR: str | None = None
try:
    from ansible_collections.amazon.aws.plugins.module_utils.cloud import BackoffIterator
    from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
    from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry
    from ansible_collections.amazon.aws.plugins.module_utils.tagging import (
        ansible_dict_to_boto3_tag_list,
        boto3_tag_list_to_ansible_dict,
        compare_aws_tags,
    )
except ImportError:
    AMAZON_AWS_ERROR = traceback.format_exc()
    AnsibleAWSModule = AWSRetry = BackoffIterator = None
    ansible_dict_to_boto3_tag_list = boto3_tag_list_to_ansible_dict = compare_aws_tags = None

try:
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError
except ImportError:
    # AnsibleAWSModule says that boto3 is missing, before anything here is raised or caught.
    BotoCoreError = type("BotoCoreError", (Exception,), {})
    ClientError = type("ClientError", (Exception,), {})
    ResponseParserError = type("ResponseParserError", (Exception,), {})

__all__ = [
    "AWSRetry",
    "BackoffIterator",
    "BotoCoreError",
    "ClientError",
    "ResponseParserError",
    "ansible_dict_to_boto3_tag_list",
    "aws_module",
    "boto3_tag_list_to_ansible_dict",
    "compare_aws_tags",
]


def aws_module(argument_spec: dict[str, Any], check_boto3: bool = True, **arguments: Any) -> Any:
    """An AnsibleAWSModule with C(argument_spec) and the options of the fragment churnguard.ops.aws; the rest is as for
    AnsibleModule. Ends with an explanation where amazon.aws is missing, and with C(check_boto3) where boto3 is."""
    spec = {**connection_argument_spec(), **argument_spec}
    if AMAZON_AWS_ERROR is None:
        return AnsibleAWSModule(argument_spec=spec, default_args=False, check_boto3=check_boto3, **arguments)
    module = AnsibleModule(argument_spec=spec, **arguments)
    module.fail_json(
        msg=missing_required_lib("the Ansible collection amazon.aws", reason="to talk to AWS"),
        exception=AMAZON_AWS_ERROR,
    )
    return module
