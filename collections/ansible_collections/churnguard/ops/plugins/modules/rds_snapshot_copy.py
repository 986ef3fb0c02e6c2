#!/usr/bin/python
# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rds_snapshot_copy
short_description: Copy RDS snapshots to another region, and let copies expire
version_added: 0.1.0
description:
  - Copies a DB snapshot to another region, encrypted with a KMS key of that region, and waits until the copy is
    available and is what was asked for.
  - The copy keeps the tags of its source and gets three more - C(managed_by) (O(owner)), C(source) (the source's ARN)
    and C(expires_at), which counts from the moment whose data the snapshot holds.
  - Deletes snapshots whose C(expires_at) has passed, only if they carry C(managed_by), and never the last
    O(keep_last) good ones of a DB instance.
extends_documentation_fragment:
  - churnguard.ops.aws
attributes:
  check_mode:
    description: Can run in check mode and say what would be copied, tagged and deleted.
    support: full
  diff_mode:
    description: Returns name, key and tags of the copy, and the names that are deleted, before and after.
    support: full
  idempotent:
    description: A copy of the same source with the same tags is left alone; one under way is waited for.
    support: full
options:
  state:
    description:
      - V(present) has the copy of O(source_snapshot) there.
      - V(pruned) deletes expired snapshots of O(db_instance_identifier) in O(region).
    type: str
    choices: [present, pruned]
    default: present
  source_snapshot:
    description:
      - Identifier or ARN of the snapshot to copy, manual or automated. One that is still being made is waited for.
      - Required with O(state=present).
    type: str
  source_region:
    description:
      - The region it is in. O(region) is the one that the copy goes to.
      - Required with O(state=present).
    type: str
  target_snapshot:
    description:
      - Identifier of the copy. By default the source's with its region, such as C(shop-20261122-from-us-east-1).
    type: str
  kms_key_id:
    description:
      - Key of the target region that the copy is encrypted with - its ARN, identifier or alias.
      - Required unless O(encrypted=false) and the source is not encrypted either.
    type: str
  encrypted:
    description:
      - Whether a copy that is not encrypted is refused.
    type: bool
    default: true
  retention_days:
    description:
      - Days after which the copy expires.
    type: int
    default: 30
  tags:
    description:
      - Further tags of the copy.
    type: dict
    default: {}
  db_instance_identifier:
    description:
      - The DB instance whose expired snapshots are deleted. Required with O(state=pruned).
    type: str
  keep_last:
    description:
      - How many good snapshots of the DB instance that carry O(owner) stay, however old.
    type: int
    default: 3
  owner:
    description:
      - Value of the tag C(managed_by), which makes a snapshot one of those that this module may delete.
    type: str
    default: churnguard.ops
  wait:
    description:
      - Whether to wait until the copy is available. A copy that has failed is an error in any case.
    type: bool
    default: true
  wait_timeout:
    description:
      - Seconds to wait at most, for the source and the copy together.
    type: int
    default: 3600
  wait_interval:
    description:
      - Seconds between looks.
    type: int
    default: 15
seealso:
  - module: amazon.aws.rds_instance_snapshot
    description: >-
      Makes snapshots and can copy them, yet takes no KMS key, so that an encrypted snapshot cannot leave its region;
      it documents a O(ignore:wait_timeout) that does not reach its waiter, and has no retention.
  - module: amazon.aws.rds_snapshot_info
    description: Lists snapshots of one region and judges nothing; it cannot wait and changes nothing.
  - module: churnguard.ops.backup_catalog_info
author:
  - churnguard.ops contributors (@churnguard)
"""

EXAMPLES = r"""
- name: Have a copy in the second region
  churnguard.ops.rds_snapshot_copy:
    source_snapshot: churnguard-production-20261122030000
    source_region: us-east-1
    region: us-west-2
    kms_key_id: alias/churnguard-backups
    retention_days: 30

- name: Let copies expire
  churnguard.ops.rds_snapshot_copy:
    state: pruned
    db_instance_identifier: churnguard-production
    region: us-west-2
    keep_last: 24
"""

RETURN = r"""
snapshot:
  description: The copy as RDS describes it, in snake case. Empty in check mode if it does not exist.
  returned: O(state=present)
  type: dict
  sample:
    db_snapshot_identifier: churnguard-production-20261122030000-from-us-east-1
    encrypted: true
    status: available
waited_s:
  description: Seconds waited for the source and the copy.
  returned: O(state=present)
  type: float
  sample: 412.5
deleted:
  description: Names of the snapshots that were deleted, or would be in check mode.
  returned: O(state=pruned)
  type: list
  elements: str
  sample: [churnguard-production-20261001030000-from-us-east-1]
kept:
  description: Why each other snapshot of the DB instance stays, by its name.
  returned: O(state=pruned)
  type: dict
  sample:
    churnguard-production-20261122030000-from-us-east-1: expires at 2026-12-22T03:00:00.000Z
"""

from typing import Any

from ansible.module_utils.common.dict_transformations import camel_dict_to_snake_dict
from ansible_collections.churnguard.ops.plugins.module_utils._aws.library import aws_module
from ansible_collections.churnguard.ops.plugins.module_utils._backup.rds_api import RdsSnapshots
from ansible_collections.churnguard.ops.plugins.module_utils._backup.rds_copy import (
    Copied,
    CopySession,
    Patience,
    prune,
)
from ansible_collections.churnguard.ops.plugins.module_utils._backup.rds_plan import CopyWish, tags_of, target_name
from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import Clock
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError


def argument_spec() -> dict[str, dict[str, Any]]:
    return {
        "state": {"type": "str", "choices": ["present", "pruned"], "default": "present"},
        "source_snapshot": {"type": "str"},
        "source_region": {"type": "str"},
        "target_snapshot": {"type": "str"},
        "kms_key_id": {"type": "str"},
        "encrypted": {"type": "bool", "default": True},
        "retention_days": {"type": "int", "default": 30},
        "tags": {"type": "dict", "default": {}},
        "db_instance_identifier": {"type": "str"},
        "keep_last": {"type": "int", "default": 3},
        "owner": {"type": "str", "default": "churnguard.ops"},
        "wait": {"type": "bool", "default": True},
        "wait_timeout": {"type": "int", "default": 3600},
        "wait_interval": {"type": "int", "default": 15},
    }


def check_numbers(params: dict[str, Any]) -> None:
    """Raises OperationError for what would delete or expire more than anybody can mean."""
    for name, least in (("retention_days", 1), ("keep_last", 1), ("wait_interval", 1), ("wait_timeout", 0)):
        if params[name] < least:
            raise OperationError(f"use {name} {params[name]}", f"it is less than {least}.", f"give {least} or more.")


def wish_of(params: dict[str, Any], region: str) -> CopyWish:
    source = params["source_snapshot"]
    return CopyWish(
        source_region=params["source_region"],
        target_region=region,
        # RDS keeps names in lower case, whatever it is given.
        target=(params["target_snapshot"] or target_name(source, params["source_region"])).lower(),
        key=params["kms_key_id"] or "",
        retention_days=params["retention_days"],
        owner=params["owner"],
        tags={str(name): str(value) for name, value in params["tags"].items()},
        encrypted=params["encrypted"],
    )


def plain(snapshot: dict[str, Any] | None) -> dict[str, Any]:
    """As the results of amazon.aws: snake case, and tags as a dictionary."""
    if snapshot is None:
        return {}
    described = {name: value for name, value in snapshot.items() if name not in ("TagList", "ResponseMetadata")}
    return {**camel_dict_to_snake_dict(described), "tags": tags_of(snapshot)}


def run_present(module: Any, region: str, clock: Clock) -> dict[str, Any]:
    params = module.params
    source = RdsSnapshots(module.client("rds", region=params["source_region"]), params["source_region"], clock)
    target = RdsSnapshots(module.client("rds", region=region), region, clock)
    patience = Patience(params["wait"], params["wait_timeout"], params["wait_interval"])
    session = CopySession(source, target, clock, patience, module.check_mode)
    copied: Copied = session.copy(wish_of(params, region), params["source_snapshot"])
    result = {"changed": copied.changed, "snapshot": plain(copied.snapshot), "waited_s": round(copied.waited_s, 1)}
    if module._diff:
        result["diff"] = {"before": copied.before or {}, "after": copied.after}
    return result


def run_pruned(module: Any, region: str, clock: Clock) -> dict[str, Any]:
    params = module.params
    snapshots = RdsSnapshots(module.client("rds", region=region), region, clock)
    instance = params["db_instance_identifier"]
    deleted, kept = prune(snapshots, instance, params["owner"], params["keep_last"], clock, module.check_mode)
    result: dict[str, Any] = {"changed": bool(deleted), "deleted": deleted, "kept": kept}
    if module._diff:
        result["diff"] = {
            "before": {"snapshots": sorted([*deleted, *kept])},
            "after": {"snapshots": sorted(kept)},
        }
    return result


def main() -> None:
    module = aws_module(
        argument_spec=argument_spec(),
        required_if=[
            ("state", "present", ["source_snapshot", "source_region"]),
            ("state", "pruned", ["db_instance_identifier"]),
        ],
        supports_check_mode=True,
    )
    region, clock = module.region, Clock()
    try:
        check_numbers(module.params)
        if not region:
            raise OperationError("find the region", "none is given.", "give region, or set AWS_REGION.")
        run = run_present if module.params["state"] == "present" else run_pruned
        result = run(module, region, clock)
    except OperationError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
