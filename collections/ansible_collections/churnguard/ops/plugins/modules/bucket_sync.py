#!/usr/bin/python
# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: bucket_sync
short_description: Keep the files of a bucket in another one, and prove it
version_added: 0.1.0
description:
  - Copies what is new or changed in a bucket into a versioned bucket, inside S3, and proves the result by listing the
    target again - every file with the size and the ETag that its copy had.
  - Each run leaves two records under C(manifests/) in the target. C(keys.json) holds every file's size, ETags and
    version, so that the files can be brought back as they were at that time; C(manifest.json) is what
    M(churnguard.ops.backup_catalog_info) reads.
  - Nothing is removed for good. A file that is overwritten or removed stays in the target as an earlier version, for
    as long as the bucket's lifecycle rules say.
extends_documentation_fragment:
  - churnguard.ops.aws
attributes:
  check_mode:
    description: Can run in check mode and say what would be copied and removed.
    support: full
  diff_mode:
    description: Returns the keys that are copied and removed.
    support: partial
    details: The content of files is not shown.
  idempotent:
    description: What is in the target already is not copied again. The records of the run are not counted as a change.
    support: full
options:
  source_bucket:
    description:
      - The bucket with the files.
    type: str
    required: true
  source_region:
    description:
      - Its region. By default O(region).
    type: str
  source_prefix:
    description:
      - Only files whose keys begin with this.
    type: str
    default: ""
  bucket:
    description:
      - The bucket that the copies go to, in O(region). Its versioning has to be enabled.
    type: str
    required: true
  prefix:
    description:
      - What the keys of copies and records begin with, such as V(application/).
    type: str
    default: ""
  kms_key_id:
    description:
      - Key of O(region) that copies are encrypted with. Without it S3's own keys are used.
    type: str
  purge:
    description:
      - Whether files that are gone from the source get a delete marker in the target.
    type: bool
    default: false
seealso:
  - module: community.aws.s3_sync
    description: >-
      Uploads a local folder. It cannot copy from bucket to bucket, does not look at the target's versioning, and proves
      nothing afterwards.
  - module: amazon.aws.s3_object
    description: Copies one object, or all with a prefix, without a record of what was copied.
  - module: churnguard.ops.backup_catalog_info
author:
  - churnguard.ops contributors (@churnguard)
"""

EXAMPLES = r"""
- name: Keep the application's files in the second region
  churnguard.ops.bucket_sync:
    source_bucket: churnguard-production-files
    source_region: us-east-1
    bucket: churnguard-disaster-recovery
    region: us-west-2
    prefix: application/
    kms_key_id: alias/churnguard-backups
"""

RETURN = r"""
copied:
  description: Keys that were copied, or would be in check mode.
  returned: always
  type: list
  elements: str
  sample: [exports/2026-11.csv]
removed:
  description: Keys that got a delete marker, or would get one in check mode.
  returned: always
  type: list
  elements: str
  sample: []
wrong:
  description: What the proof does not confirm. The module fails unless it is empty.
  returned: always
  type: list
  elements: str
  sample: []
manifest:
  description: The run's record - C(objects), C(bytes), C(copied), C(unchanged), C(removed), C(encrypted),
    C(verified_at). Empty in check mode.
  returned: always
  type: dict
  sample:
    objects: 1024
    bytes: 734003200
    encrypted: true
    verified_at: "2026-11-22T03:00:09.120Z"
"""

from typing import Any

from ansible_collections.churnguard.ops.plugins.module_utils._aws.library import aws_module
from ansible_collections.churnguard.ops.plugins.module_utils._backup.bucket_api import Bucket
from ansible_collections.churnguard.ops.plugins.module_utils._backup.bucket_sync import Synced, SyncSession, SyncWish
from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import Clock
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError

SHOWN = 1000


def run(module: Any) -> Synced:
    params, clock, region = module.params, Clock(), module.region
    source_region = params["source_region"] or region
    source = Bucket(module.client("s3", region=source_region), params["source_bucket"], clock)
    target = Bucket(module.client("s3", region=region), params["bucket"], clock)
    wish = SyncWish(params["source_prefix"], params["prefix"], params["kms_key_id"] or "", params["purge"])
    return SyncSession(source, target, wish, clock, module.check_mode).run()


def main() -> None:
    module = aws_module(
        argument_spec={
            "source_bucket": {"type": "str", "required": True},
            "source_region": {"type": "str"},
            "source_prefix": {"type": "str", "default": ""},
            "bucket": {"type": "str", "required": True},
            "prefix": {"type": "str", "default": ""},
            "kms_key_id": {"type": "str"},
            "purge": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    try:
        synced = run(module)
    except OperationError as error:
        module.fail_json(msg=str(error))
    result: dict[str, Any] = {
        "changed": bool(synced.copied or synced.removed),
        "copied": synced.copied[:SHOWN],
        "removed": synced.removed[:SHOWN],
        "wrong": synced.wrong[:SHOWN],
        "manifest": synced.manifest,
    }
    if module._diff:
        lines = [f"+{key}\n" for key in synced.copied[:SHOWN]] + [f"-{key}\n" for key in synced.removed[:SHOWN]]
        result["diff"] = {"prepared": "".join(lines)}
    if synced.wrong:
        bucket = module.params["bucket"]
        module.fail_json(
            msg=f"Could not prove the copies in s3://{bucket}: {'; '.join(synced.wrong[:5])}. Next: see who else "
            "writes to the bucket, then run again: what is wrong is copied anew.",
            **result,
        )
    module.exit_json(**result)


if __name__ == "__main__":
    main()
