#!/usr/bin/python
# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: alert_silence
short_description: Silence alerts for the time of a deployment, a drill or a maintenance
version_added: 1.0.0
description:
  - Keeps one silence in Alertmanager under a name, whoever runs the task and how often. The name is in the silence's
    comment, as C([churnguard:name]), so that it is found again without its id, by whoever has to end it.
  - A silence of that name that is about the same alerts is extended, never doubled, and never shortened. With other
    matchers it is replaced, the new one first, so that there is no gap. Others' silences are never touched.
  - Times are Alertmanager's. A machine whose clock is wrong still gets a silence of the right length, and a warning; an
    end that is over by Alertmanager's clock is refused.
extends_documentation_fragment:
  - churnguard.ops.alertmanager
attributes:
  check_mode:
    description: Can run in check mode and return what would change without writing anything.
    support: full
  diff_mode:
    description: Returns the live silences of that name before and after.
    support: full
  idempotent:
    description:
      - A silence that ends within 60 s of what O(duration) asks for, or later, is left as it is. So is one that ends at
        O(ends_at) or later.
    support: full
options:
  state:
    description:
      - V(present) silences. V(absent) ends the silence now, as does the end of its time.
    type: str
    choices: [present, absent]
    default: present
  name:
    description:
      - What the silence is for; needed for O(state=present). 1 to 128 characters on one line, without brackets.
    type: str
  id:
    description:
      - Id of a silence to end, instead of O(name), also of one that was made elsewhere. For O(state=absent).
    type: str
  matchers:
    description:
      - Which alerts. All matchers have to hold. Needed for O(state=present).
      - At least one of them has to say what a label is, and must not hold for an empty one; what would silence nearly
        every alert is refused.
    type: list
    elements: dict
    suboptions:
      name:
        description: Name of the label.
        type: str
        required: true
      value:
        description: Its value, or a regular expression that matches all of it.
        type: str
        required: true
      is_regex:
        description: Whether O(matchers[].value) is a regular expression.
        type: bool
        default: false
      is_equal:
        description: Whether it has to match (V(true)), or must not.
        type: bool
        default: true
  duration:
    description:
      - How long, from the start on, such as V(90s), V(30m) or V(1h30m).
      - Give what the work may take at most. A run that dies before it ends its silence leaves it no longer than that.
    type: str
  ends_at:
    description:
      - When it ends, instead of O(duration), as ISO 8601 with an offset, such as V(2026-11-22T04:00:00Z).
    type: str
  starts_at:
    description:
      - When it starts, for a maintenance to come, in the same form. Without it, now.
    type: str
  comment:
    description:
      - Why, for those who wonder where their alerts are.
    type: str
    default: ""
  created_by:
    description:
      - Who answers for it.
    type: str
    default: churnguard.ops
seealso:
  - module: churnguard.ops.alert_silence_info
  - module: community.general.nagios
    description: Sets downtimes in Nagios; no collection that is published with Ansible silences Alertmanager.
  - name: Silences of Alertmanager
    description: What they are; C(amtool silence) makes them by hand, but a new one at every call.
    link: https://prometheus.io/docs/alerting/latest/alertmanager/#silences
author:
  - churnguard.ops contributors (@churnguard)
"""

EXAMPLES = r"""
- name: Deploy without paging anybody for what the deployment does
  block:
    - name: Silence the alerts of the application
      churnguard.ops.alert_silence:
        alertmanager_url: http://alertmanager.monitoring:9093
        name: deploy churnguard-api
        matchers:
          - {name: namespace, value: churnguard-production}
          - {name: alertname, value: "PodCrashLooping|DeploymentStuck", is_regex: true}
        duration: 45m
        comment: Rollout of v2.4.0

    - name: Deploy
      ansible.builtin.include_role:
        name: app_release
  always:
    - name: Let the alerts through again
      churnguard.ops.alert_silence:
        alertmanager_url: http://alertmanager.monitoring:9093
        name: deploy churnguard-api
        state: absent

- name: Announce a maintenance
  churnguard.ops.alert_silence:
    alertmanager_url: https://alerts.example.org
    token_file: /run/secrets/alertmanager-token
    name: postgresql upgrade
    matchers:
      - {name: alertname, value: "Database.*", is_regex: true}
      - {name: severity, value: critical, is_equal: false}
    starts_at: "2026-11-29T04:00:00Z"
    ends_at: "2026-11-29T05:00:00Z"

- name: End a silence that somebody made by hand
  churnguard.ops.alert_silence:
    alertmanager_url: http://alertmanager.monitoring:9093
    id: 0b6fd4b3-2d5a-4a43-8f2c-6d6f2b4d8a1e
    state: absent
"""

RETURN = r"""
action:
  description: >-
    What was done, or would be in check mode - V(created), V(extended), V(changed) (its comment), V(replaced),
    V(removed) or V(unchanged).
  returned: success
  type: str
silence:
  description: The silence that is there now; in check mode the one that would be. Not for O(state=absent).
  returned: with O(state=present)
  type: dict
  contains:
    id:
      description: Its id. Empty in check mode for one that would be created.
      type: str
      returned: always
    name:
      description: Its name.
      type: str
      returned: always
    state:
      description: V(active), or V(pending) when it has not started.
      type: str
      returned: always
    matchers:
      description: Its matchers, in the form of O(matchers).
      type: list
      elements: dict
      returned: always
    starts_at:
      description: When it starts or started, in UTC.
      type: str
      returned: always
    ends_at:
      description: When it ends, in UTC.
      type: str
      returned: always
    created_by:
      description: Who answers for it.
      type: str
      returned: always
    comment:
      description: Why, without the name in front.
      type: str
      returned: always
expired:
  description: Ids of the silences that were ended, or would be.
  returned: success
  type: list
  elements: str
msg:
  description: The outcome in a sentence.
  returned: always
  type: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.churnguard.ops.plugins.module_utils._alertmanager.args import (
    api_of,
    request_of,
    server_argument_spec,
)
from ansible_collections.churnguard.ops.plugins.module_utils._alertmanager.model import shown
from ansible_collections.churnguard.ops.plugins.module_utils._alertmanager.session import (
    Outcome,
    ensure_absent,
    ensure_present,
)
from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import Clock, isoformat
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError


def argument_spec() -> dict[str, dict[str, Any]]:
    matcher = {
        "name": {"type": "str", "required": True},
        "value": {"type": "str", "required": True},
        "is_regex": {"type": "bool", "default": False},
        "is_equal": {"type": "bool", "default": True},
    }
    return {
        **server_argument_spec(),
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "name": {"type": "str"},
        "id": {"type": "str"},
        "matchers": {"type": "list", "elements": "dict", "options": matcher},
        "duration": {"type": "str"},
        "ends_at": {"type": "str"},
        "starts_at": {"type": "str"},
        "comment": {"type": "str", "default": ""},
        "created_by": {"type": "str", "default": "churnguard.ops"},
    }


def run(params: dict[str, Any], check_mode: bool) -> Outcome:
    """Carry out what the parameters ask for. Raises OperationError."""
    api = api_of(params)
    if params["state"] == "absent":
        return ensure_absent(api, params["name"], params["id"], check_mode)
    return ensure_present(api, request_of(params), Clock(), check_mode)


def message(params: dict[str, Any], outcome: Outcome, check_mode: bool) -> str:
    which = f"Silence {params['name']!r}" if params["name"] else f"Silence {params['id']}"
    if outcome.silence is None:
        told = "removed" if outcome.changed else "not there, or over"
    else:
        told = f"{outcome.action}; it ends at {isoformat(outcome.silence.ends)}"
    return f"{which} {'would be' if check_mode and outcome.changed else 'is'} {told}."


def main() -> None:
    module = AnsibleModule(
        argument_spec=argument_spec(),
        supports_check_mode=True,
        mutually_exclusive=[("token", "token_file"), ("name", "id"), ("duration", "ends_at")],
        required_if=[
            ("state", "present", ("name", "matchers")),
            ("state", "present", ("duration", "ends_at"), True),
            ("state", "absent", ("name", "id"), True),
        ],
    )
    try:
        outcome = run(module.params, module.check_mode)
    except OperationError as error:
        module.fail_json(msg=str(error))
    for warning in outcome.warnings:
        module.warn(warning)
    result: dict[str, Any] = {
        "changed": outcome.changed,
        "action": outcome.action,
        "expired": outcome.expired,
        "msg": message(module.params, outcome, module.check_mode),
    }
    if outcome.silence is not None:
        result["silence"] = shown(outcome.silence)
    if module._diff:
        result["diff"] = {
            "before": {"silences": [shown(one) for one in outcome.before]},
            "after": {"silences": [shown(one) for one in outcome.after]},
        }
    module.exit_json(**result)


if __name__ == "__main__":
    main()
