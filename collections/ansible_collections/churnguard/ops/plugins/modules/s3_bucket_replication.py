#!/usr/bin/python
# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: s3_bucket_replication
short_description: Copy every new version of an S3 bucket to another one
version_added: 1.0.0
description:
  - Keeps one replication rule of a bucket in line. Rules of other names stay; the role is one for all of them.
  - Both buckets have to be versioned. What was in the bucket before is not copied; S3 Batch Replication does that.
extends_documentation_fragment:
  - churnguard.ops.aws
attributes:
  check_mode:
    description: Can run in check mode and say whether the rule would be written.
    support: full
  diff_mode:
    description: Returns the replication configuration before and after.
    support: full
  idempotent:
    description: A rule that is as wanted is left alone.
    support: full
options:
  name:
    description:
      - Name of the bucket that is copied.
    type: str
    required: true
  role_arn:
    description:
      - IAM role in whose name S3 copies.
    type: str
    required: true
  destination_bucket:
    description:
      - Name of the bucket that gets the copies.
    type: str
    required: true
  destination_kms_key_arn:
    description:
      - KMS key of the destination's region. With it, objects that are encrypted with KMS are copied too; without it
        S3 leaves those out.
    type: str
  destination_storage_class:
    description:
      - Storage class of the copies; the original's without it.
    type: str
    choices: [STANDARD, STANDARD_IA, ONEZONE_IA, INTELLIGENT_TIERING, GLACIER_IR, GLACIER, DEEP_ARCHIVE]
  replicate_delete_markers:
    description:
      - Whether a deletion hides the copy as well. Versions are never deleted by it. For copies that are there for
        recovery leave it off, so that a deletion here hides nothing there.
    type: bool
    default: false
  rule_id:
    description:
      - Name of the rule.
    type: str
    default: cross-region
seealso:
  - module: amazon.aws.s3_bucket
    description: Makes buckets, with versions and encryption, yet knows no replication; nor does any other module there.
  - module: community.aws.s3_sync
    description: Copies files of this machine into a bucket, once.
author:
  - churnguard.ops contributors (@churnguard)
"""

EXAMPLES = r"""
- name: Copy every new version to the other region
  churnguard.ops.s3_bucket_replication:
    name: churnguard-production-files
    region: us-west-2
    role_arn: arn:aws:iam::111122223333:role/churnguard-production-s3-replication
    destination_bucket: churnguard-production-files-replica
    destination_kms_key_arn: arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab
"""

RETURN = r"""
replication:
  description: The bucket's replication configuration as S3 writes it, as it is or would be.
  returned: success
  type: dict
  sample:
    Role: arn:aws:iam::111122223333:role/churnguard-production-s3-replication
    Rules:
      - ID: cross-region
        Status: Enabled
"""

from typing import Any

from ansible_collections.churnguard.ops.plugins.module_utils._aws.library import aws_module
from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import Clock
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.plugins.module_utils._s3.replication import Replication, Wish, ensure

CLASSES = ["STANDARD", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"]


def argument_spec() -> dict[str, dict[str, Any]]:
    return {
        "name": {"type": "str", "required": True},
        "role_arn": {"type": "str", "required": True},
        "destination_bucket": {"type": "str", "required": True},
        "destination_kms_key_arn": {"type": "str", "no_log": False},
        "destination_storage_class": {"type": "str", "choices": CLASSES},
        "replicate_delete_markers": {"type": "bool", "default": False},
        "rule_id": {"type": "str", "default": "cross-region"},
    }


def main() -> None:
    module = aws_module(argument_spec=argument_spec(), supports_check_mode=True)
    params = module.params
    wish = Wish(
        bucket=params["name"],
        role=params["role_arn"],
        destination=params["destination_bucket"],
        key=params["destination_kms_key_arn"] or "",
        rule=params["rule_id"],
        storage_class=params["destination_storage_class"] or "",
        deletions=params["replicate_delete_markers"],
    )
    try:
        replication = Replication(module.client("s3"), wish.bucket, Clock())
        changed, before, after = ensure(replication, wish, module.check_mode)
    except OperationError as error:
        module.fail_json(msg=str(error))
    result: dict[str, Any] = {"changed": changed, "replication": after}
    if module._diff:
        result["diff"] = {"before": before, "after": after}
    module.exit_json(**result)


if __name__ == "__main__":
    main()
