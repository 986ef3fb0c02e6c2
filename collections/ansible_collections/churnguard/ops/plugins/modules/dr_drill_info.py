#!/usr/bin/python
# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: dr_drill_info
short_description: Show the history of disaster drills, and whether it is good enough
version_added: 1.0.0
description:
  - Reads what drills have left behind and says, for each scenario, when it last ended, how, and whether that is too
    long ago; which drills run now; and which did not end and still have resources.
  - A scenario that was never drilled is a problem of its own, not a pass. An age without a limit reads V(not_checked).
extends_documentation_fragment:
  - churnguard.ops.read_only
options:
  drills_dir:
    description:
      - Folder of journals, ledgers, reports and the history.
    type: path
    required: true
  scenarios:
    description:
      - Scenarios that have to be drilled. Without it, every scenario that there is.
    type: list
    elements: str
    default: []
  max_age:
    description:
      - Seconds that the last passed drill of a scenario may be old. Without it the age is not checked.
    type: int
  fail_on:
    description:
      - States of a scenario with which the module fails. With V(unfinished) it also fails for drills that did not end.
    type: list
    elements: str
    choices: [never_run, failing, stale, unfinished]
    default: []
  limit:
    description:
      - How many drills of the history to return, the newest.
    type: int
    default: 50
seealso:
  - module: churnguard.ops.dr_drill
author:
  - churnguard.ops contributors (@churnguard)
"""

EXAMPLES = r"""
- name: Refuse to go on without a database drill that passed within two weeks
  churnguard.ops.dr_drill_info:
    drills_dir: /var/lib/churnguard/drills
    scenarios: [database_loss]
    max_age: 1209600
    fail_on: [never_run, failing, stale, unfinished]
"""

RETURN = r"""
drills:
  description: >-
    The history, newest first - C(drill_id), C(scenario), C(component), C(environment), C(started), C(finished),
    C(verdict), C(backup) (the label of the backup that was restored), C(rto_s), C(rpo_s), C(lost_acked_writes),
    C(rto_limit_s), C(rpo_limit_s).
  returned: always
  type: list
  elements: dict
scenarios:
  description: >-
    For each scenario C(state) (V(ok), V(never_run), V(failing), V(stale), V(not_checked)), the C(reason), the C(last)
    drill that ended, its age in seconds (C(age_s)), when one last passed (C(last_passed)) and how many were C(runs).
  returned: always
  type: list
  elements: dict
unfinished:
  description: Drills that did not end and are not running, each with the resources that are left.
  returned: always
  type: list
  elements: dict
running:
  description: Drills that are running now.
  returned: always
  type: list
  elements: str
problems:
  description: What is wrong, in sentences.
  returned: always
  type: list
  elements: str
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import Clock
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.plugins.module_utils._drill import cleanup, history, journal
from ansible_collections.churnguard.ops.plugins.module_utils._drill.catalogue import SCENARIOS

_PROBLEMS = ("never_run", "failing", "stale")


def look(params: dict[str, Any], clock: Clock) -> dict[str, Any]:
    """All that the module returns."""
    drills_dir = Path(params["drills_dir"])
    names = params["scenarios"] or sorted(SCENARIOS)
    lines = history.read(drills_dir)
    judged = history.judge(lines, names, clock.now(), params["max_age"])
    folders = list(journal.drills(drills_dir))
    states = {folder: cleanup.look(folder).state for folder in folders}
    unfinished = [
        {"drill_id": folder.name, "resources": cleanup.remaining([folder])}
        for folder, state in states.items()
        if state == cleanup.CLEANED
    ]
    problems = [f"{item['scenario']}: {item['reason']}" for item in judged if item["state"] in _PROBLEMS]
    problems += [f"{item['drill_id']} did not end; playbooks/dr_cleanup.yml finishes it." for item in unfinished]
    return {
        "drills": lines[::-1][: params["limit"]],
        "scenarios": judged,
        "unfinished": unfinished,
        "running": [folder.name for folder, state in states.items() if state == cleanup.RUNNING],
        "problems": problems,
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "drills_dir": {"type": "path", "required": True},
            "scenarios": {"type": "list", "elements": "str", "default": []},
            "max_age": {"type": "int"},
            "fail_on": {
                "type": "list",
                "elements": "str",
                "choices": ["never_run", "failing", "stale", "unfinished"],
                "default": [],
            },
            "limit": {"type": "int", "default": 50},
        },
        supports_check_mode=True,
    )
    try:
        found = look(module.params, Clock())
    except OperationError as error:
        module.fail_json(msg=str(error))
    states = {item["state"] for item in found["scenarios"]} | ({"unfinished"} if found["unfinished"] else set())
    if states & set(module.params["fail_on"]):
        module.fail_json(msg=" ".join(found["problems"]), **found)
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
