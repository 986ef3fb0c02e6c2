#!/usr/bin/python
# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pgbackrest_backup
short_description: Make a pgBackRest backup and prove that it is there
version_added: 0.1.0
description:
  - Makes a full, differential or incremental backup, unless a young enough good one is there already.
  - Does not trust exit codes. The backup counts when the catalog shows it afterwards without page errors, and, with
    O(verify), when C(pgbackrest verify) finds every file of it whole - that command exits with 0 either way.
extends_documentation_fragment:
  - churnguard.ops.pgbackrest
attributes:
  check_mode:
    description: Can run in check mode. The catalog is read and the decision told; nothing is written.
    support: full
  diff_mode:
    description: Shows the labels in the catalog before and after.
    support: full
  idempotent:
    description: With O(max_age), a run that finds a young enough good backup does nothing.
    support: partial
    details: Without O(max_age) each run makes a backup.
options:
  type:
    description:
      - V(full) copies everything, V(diff) what changed since the last full one, V(incr) what changed since the last
        backup of any type.
      - Where there is no full one yet, pgBackRest makes one.
    type: str
    choices: [full, diff, incr]
    default: incr
  max_age:
    description:
      - Seconds. A good backup of at least this type that ended less than that ago is enough, and none is made. A full
        backup stands for a differential one, and both for an incremental one.
      - Without it, each run makes a backup.
    type: float
  annotations:
    description:
      - Keys and values that the backup carries in the catalog.
    type: dict
    default: {}
  expire:
    description:
      - Whether to remove what the retention of O(config) no longer keeps, after the backup.
    type: bool
    default: true
  start_fast:
    description:
      - Whether to have PostgreSQL make its checkpoint at once, instead of waiting for the next one.
    type: bool
    default: true
  verify:
    description:
      - Whether to verify the repository after the backup. It reads all of it.
    type: bool
    default: true
  timeout:
    description:
      - Seconds that the backup may take, and again the verification.
    type: int
    default: 14400
seealso:
  - module: churnguard.ops.pgbackrest_info
  - module: churnguard.ops.restore
  - name: Why verify is not believed
    description: C(pgbackrest verify) exits with 0 also when it finds broken files.
    link: https://github.com/pgbackrest/pgbackrest/issues/2502
notes:
  - There is no module for pgBackRest in C(community.postgresql); C(postgresql_db) with O(ignore:state=dump) makes
    logical dumps, which no point in time can be recovered from.
author:
  - churnguard.ops contributors (@churnguard)
"""

EXAMPLES = r"""
- name: Have a full backup that is at most a week old
  churnguard.ops.pgbackrest_backup:
    stanza: churnguard
    type: full
    max_age: 604800

- name: Back up before a migration, whatever there is
  churnguard.ops.pgbackrest_backup:
    stanza: churnguard
    annotations:
      reason: before migration 42
"""

RETURN = r"""
backup:
  description: >-
    The backup that was made, or the one that made it unnecessary; C(age_s) is its age, C(verified) is V(passed),
    V(failed) or V(not_checked).
  returned: when there is one
  type: dict
  sample: {"label": "20261122-032132F", "type": "full", "age_s": 1.2, "size_bytes": 24554390, "verified": "passed"}
reason:
  description: Why a backup was made, or not.
  returned: always
  type: str
verification:
  description: What C(pgbackrest verify) found - C(status), C(passed), C(findings), and how many files it read.
  returned: when it was asked for and a backup was made
  type: dict
msg:
  description: The outcome in a sentence.
  returned: always
  type: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import Clock
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.plugins.module_utils._pgbackrest import api, plan
from ansible_collections.churnguard.ops.plugins.module_utils._pgbackrest.args import place_argument_spec, place_of
from ansible_collections.churnguard.ops.plugins.module_utils._pgbackrest.model import Catalog, Verification
from ansible_collections.churnguard.ops.plugins.module_utils._pgbackrest.runner import Runner


def argument_spec() -> dict[str, dict[str, Any]]:
    return {
        **place_argument_spec(),
        "type": {"type": "str", "choices": ["full", "diff", "incr"], "default": "incr"},
        "max_age": {"type": "float"},
        "annotations": {"type": "dict", "default": {}},
        "expire": {"type": "bool", "default": True},
        "start_fast": {"type": "bool", "default": True},
        "verify": {"type": "bool", "default": True},
        "timeout": {"type": "int", "default": 14400},
    }


def labels(catalog: Catalog) -> dict[str, list[str]]:
    """The catalog for a diff."""
    return {"backups": [backup.label for backup in catalog.backups]}


def make(params: dict[str, Any], run: Runner, before: Catalog, clock: Clock) -> tuple[Catalog, dict[str, Any]]:
    """Make the backup and prove it. Raises OperationError with what the catalog or verify say is wrong."""
    place = place_of(params)
    annotations = {str(key): str(value) for key, value in params["annotations"].items()}
    done = api.backup(
        place, params["type"], run, params["timeout"], annotations, params["expire"], params["start_fast"]
    )
    after = api.info(place, run)
    backup = plan.made(before, after)
    attempted = f"back up stanza {place.stanza} ({params['type']})"
    if backup is None:
        raise OperationError(
            attempted,
            f"the catalog has no new backup; pgBackRest said: {api.complaint(done)}",
            "mend what it names. The backups that were there before are untouched.",
        )
    verification: Verification | None = None
    if params["verify"]:
        verification = api.verify(place, run, params["timeout"])
    if not backup.good:
        pages = api.set_info(place, backup.label, run).get("error-list") or "pages whose checksums are wrong"
        raise OperationError(
            attempted,
            f"{backup.label} was made, but the cluster has broken pages: {pages}.",
            "repair them (pg_amcheck names what they belong to), then make a new full backup.",
        )
    if verification is not None and (
        verification.backups.get(backup.label) != "valid"
        or any(finding.path.startswith(f"{backup.label}/") for finding in verification.findings)
    ):
        told = "; ".join(f"{finding.path} {finding.kind} {finding.detail}" for finding in verification.findings[:5])
        raise OperationError(
            attempted, f"{backup.label} was made, but verify finds it broken: {told}.", "check the repository's disk."
        )
    result: dict[str, Any] = {"backup": plan.shown(backup, clock.now().timestamp(), verification)}
    if verification is not None:
        result["verification"] = verification.as_data()
    return after, result


def main() -> None:
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    params, clock = module.params, Clock()
    try:
        run = Runner(params["system_user"])
        before = api.info(place_of(params), run)
        now = clock.now().timestamp()
        need = plan.need_backup(before, params["type"], params["max_age"], now)
        result: dict[str, Any] = {"changed": need.wanted, "reason": need.reason}
        after = before
        if need.answering is not None:
            result["backup"] = plan.shown(need.answering, now)
            result["msg"] = f"No backup is needed: {need.reason}."
        elif module.check_mode:
            result["msg"] = f"Would make a backup of type {params['type']}: {need.reason}."
        else:
            after, told = make(params, run, before, clock)
            result.update(told)
            result["msg"] = f"Made backup {told['backup']['label']} ({told['backup']['type']}): {need.reason}."
            broken = told.get("verification", {}).get("findings", [])
            if broken:
                module.warn(
                    f"The backup is whole, but verify finds {len(broken)} broken files elsewhere; see its result."
                )
    except OperationError as error:
        module.fail_json(msg=str(error))
    if module._diff:
        result["diff"] = {"before": labels(before), "after": labels(after)}
    module.exit_json(**result)


if __name__ == "__main__":
    main()
