#!/usr/bin/python
# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pgbackrest_stanza
short_description: Create the stanza of a PostgreSQL cluster in a pgBackRest repository
version_added: 0.1.0
description:
  - Creates the stanza, pgBackRest's place for one cluster, unless the repository has it already.
  - Refuses a stanza that belongs to another cluster than the one in the data folder.
  - On request has the server archive a WAL segment and waits until it is in the repository.
extends_documentation_fragment:
  - churnguard.ops.pgbackrest
attributes:
  check_mode:
    description: Can run in check mode. The catalog is read; nothing is created, and no segment archived.
    support: full
  diff_mode:
    description: Shows the status of the stanza before and after.
    support: full
  idempotent:
    description: A stanza that is there is left alone.
    support: full
options:
  online:
    description:
      - Whether the server runs. Without it, the stanza is created from the files alone.
    type: bool
    default: true
  check:
    description:
      - Whether to see a WAL segment arrive in the repository. Needs the running server.
    type: bool
    default: false
  timeout:
    description:
      - Seconds that each command may take.
    type: int
    default: 120
seealso:
  - module: churnguard.ops.pgbackrest_backup
  - module: churnguard.ops.pgbackrest_info
notes:
  - There is no module for pgBackRest in C(community.postgresql).
author:
  - churnguard.ops contributors (@churnguard)
"""

EXAMPLES = r"""
- name: Have a stanza whose archive works
  churnguard.ops.pgbackrest_stanza:
    stanza: churnguard
    check: true
"""

RETURN = r"""
status:
  description: What pgBackRest says of the stanza.
  returned: success
  type: str
  sample: no valid backups
msg:
  description: The outcome in a sentence.
  returned: always
  type: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.plugins.module_utils._pgbackrest import api
from ansible_collections.churnguard.ops.plugins.module_utils._pgbackrest.args import place_argument_spec, place_of
from ansible_collections.churnguard.ops.plugins.module_utils._pgbackrest.model import STANZA_MISSING
from ansible_collections.churnguard.ops.plugins.module_utils._pgbackrest.runner import Runner


def argument_spec() -> dict[str, dict[str, Any]]:
    return {
        **place_argument_spec(),
        "online": {"type": "bool", "default": True},
        "check": {"type": "bool", "default": False},
        "timeout": {"type": "int", "default": 120},
    }


def create(params: dict[str, Any], check_mode: bool) -> tuple[str, str, bool]:
    """Status before and after, and whether the stanza was (or would be) created. Raises OperationError."""
    place, run = place_of(params), Runner(params["system_user"])
    before = api.info(place, run)
    missing = before.status in STANZA_MISSING
    if check_mode:
        return before.message, before.message, missing
    # On a stanza that is there it only compares it with the cluster.
    done = api.stanza_create(place, run, params["online"], params["timeout"])
    after = api.info(place, run)
    if done.code or after.status in STANZA_MISSING:
        raise OperationError(
            f"create stanza {place.stanza}",
            api.complaint(done),
            "check that the server runs (or set online to false), that pg1-path in the configuration is its data "
            "folder, and that the repository is this cluster's.",
        )
    if params["check"]:
        api.check(place, run, params["timeout"])
    return before.message, after.message, missing


def main() -> None:
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    stanza = module.params["stanza"]
    try:
        before, after, changed = create(module.params, module.check_mode)
    except OperationError as error:
        module.fail_json(msg=str(error))
    verb = "Would create" if module.check_mode else "Created"
    result: dict[str, Any] = {
        "changed": changed,
        "status": after,
        "msg": f"{verb} stanza {stanza}." if changed else f"Stanza {stanza} is there: {after}.",
    }
    if module._diff:
        result["diff"] = {"before": {"status": before}, "after": {"status": after}}
    module.exit_json(**result)


if __name__ == "__main__":
    main()
