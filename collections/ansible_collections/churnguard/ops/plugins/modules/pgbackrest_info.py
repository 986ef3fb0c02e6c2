#!/usr/bin/python
# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pgbackrest_info
short_description: Read a pgBackRest catalog, judge its age and verify its files
version_added: 0.1.0
description:
  - Returns the catalog of a stanza as data, and says of each limit that is set whether the newest good backup keeps it.
  - A limit that is not set reads V(not_checked), never V(ok).
  - On request it verifies every file of the repository and lists what is broken, by what C(pgbackrest verify) prints -
    its exit code is 0 either way.
extends_documentation_fragment:
  - churnguard.ops.pgbackrest
  - churnguard.ops.read_only
options:
  max_age:
    description:
      - Seconds that the newest good backup of any type may be old.
    type: float
  max_full_age:
    description:
      - Seconds that the newest good full backup may be old.
    type: float
  verify:
    description:
      - Whether to read every file of the repository and compare it with its checksum.
    type: bool
    default: false
  timeout:
    description:
      - Seconds that the verification may take.
    type: int
    default: 14400
seealso:
  - module: churnguard.ops.pgbackrest_backup
  - module: churnguard.ops.restore
  - name: Why verify is not believed
    description: C(pgbackrest verify) exits with 0 also when it finds broken files.
    link: https://github.com/pgbackrest/pgbackrest/issues/2502
author:
  - churnguard.ops contributors (@churnguard)
"""

EXAMPLES = r"""
- name: Look whether the backups are young enough and whole
  churnguard.ops.pgbackrest_info:
    stanza: churnguard
    max_age: 90000
    max_full_age: 691200
    verify: true
  register: catalog

- name: Refuse to go on without a good backup
  ansible.builtin.assert:
    that:
      - catalog.checks | selectattr('state', 'in', ['stale', 'missing']) | length == 0
      - catalog.verification.passed
"""

RETURN = r"""
backups:
  description: All backups of the stanza, oldest first.
  returned: success
  type: list
  elements: dict
  contains:
    label:
      description: Its name in the catalog.
      type: str
      returned: always
    type:
      description: V(full), V(diff) or V(incr).
      type: str
      returned: always
    started:
      description: When it began, UTC.
      type: str
      returned: always
    finished:
      description: When it ended, UTC.
      type: str
      returned: always
    age_s:
      description: Seconds since it ended.
      type: float
      returned: always
    size_bytes:
      description: Size of the cluster in it.
      type: int
      returned: always
    repository_size_bytes:
      description: Room that it takes in the repository.
      type: int
      returned: always
    wal_start:
      description: First WAL segment that it needs.
      type: str
      returned: always
    wal_stop:
      description: Last WAL segment that it needs.
      type: str
      returned: always
    page_errors:
      description: Whether pages of the cluster had wrong checksums when it was made.
      type: bool
      returned: always
    references:
      description: Labels of the backups that it builds on.
      type: list
      elements: str
      returned: always
    annotations:
      description: What was noted on it.
      type: dict
      returned: always
    verified:
      description: V(passed), V(failed), or V(not_checked) when it was not asked for.
      type: str
      returned: always
checks:
  description: For C(incr_age) (any type) and C(full_age) the age, the limit, and whether it is kept.
  returned: success
  type: list
  elements: dict
  sample: [{"name": "full_age", "label": null, "age_s": null, "limit_s": 86400.0, "state": "missing",
            "reason": "stanza churnguard has no good backup of this kind (no valid backups)"}]
archives:
  description: For each archive its oldest and newest WAL segment.
  returned: success
  type: dict
  sample: {"15-1": {"oldest": "000000010000000000000001", "newest": "000000010000000000000006"}}
encrypted:
  description: Whether the repository is.
  returned: success
  type: bool
running:
  description: Whether a backup is being made right now.
  returned: success
  type: bool
status:
  description: What pgBackRest says of the stanza.
  returned: success
  type: str
verification:
  description: >-
    C(status) is V(ok), V(error) or V(not_checked). C(findings) has an entry for each broken file with its C(path),
    C(kind) (V(missing), V(checksum), V(size), V(unreadable) or V(reported)), and the C(expected) and C(actual)
    checksum of its content.
  returned: success
  type: dict
msg:
  description: The state in a sentence.
  returned: always
  type: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import Clock
from ansible_collections.churnguard.ops.plugins.module_utils._common.envelope import NOT_CHECKED
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.plugins.module_utils._pgbackrest import api, plan
from ansible_collections.churnguard.ops.plugins.module_utils._pgbackrest.args import place_argument_spec, place_of
from ansible_collections.churnguard.ops.plugins.module_utils._pgbackrest.explain import explain
from ansible_collections.churnguard.ops.plugins.module_utils._pgbackrest.model import DIFF, FULL, INCR
from ansible_collections.churnguard.ops.plugins.module_utils._pgbackrest.runner import Runner


def argument_spec() -> dict[str, dict[str, Any]]:
    return {
        **place_argument_spec(),
        "max_age": {"type": "float"},
        "max_full_age": {"type": "float"},
        "verify": {"type": "bool", "default": False},
        "timeout": {"type": "int", "default": 14400},
    }


def read(params: dict[str, Any], clock: Clock) -> dict[str, Any]:
    """The result of the module. Raises OperationError."""
    place, run = place_of(params), Runner(params["system_user"])
    catalog = api.info(place, run)
    now = clock.now().timestamp()
    found = None
    if params["verify"] and catalog.backups:
        found = explain(place, api.verify(place, run, params["timeout"]), run)
    checks = plan.judge_ages(catalog, {INCR: params["max_age"], FULL: params["max_full_age"]}, now)
    wrong = [check["reason"] for check in checks if check["state"] in ("stale", "missing")]
    if found is not None and not found.passed:
        wrong.append(f"verify finds {len(found.findings)} broken files")
    counted = {kind: sum(backup.type == kind for backup in catalog.backups) for kind in (FULL, DIFF, INCR)}
    told = ", ".join(f"{count} {kind}" for kind, count in counted.items() if count) or "no backup"
    return {
        "backups": [plan.shown(backup, now, found) for backup in catalog.backups],
        "checks": checks,
        "archives": {name: {"oldest": old, "newest": new} for name, (old, new) in catalog.archives.items()},
        "encrypted": catalog.encrypted,
        "running": catalog.running,
        "status": catalog.message,
        "verification": found.as_data() if found else {"status": NOT_CHECKED, "passed": False, "findings": []},
        "msg": f"Stanza {place.stanza}: {told}. " + (f"Wrong: {'; '.join(wrong)}." if wrong else "Nothing is wrong."),
    }


def main() -> None:
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    try:
        result = read(module.params, Clock())
    except OperationError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
