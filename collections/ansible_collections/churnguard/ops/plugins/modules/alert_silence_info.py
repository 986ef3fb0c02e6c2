#!/usr/bin/python
# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: alert_silence_info
short_description: Show which alerts are silenced, until when and by whom
version_added: 1.0.0
description:
  - Reads the silences of an Alertmanager, those of M(churnguard.ops.alert_silence) and all others.
extends_documentation_fragment:
  - churnguard.ops.alertmanager
  - churnguard.ops.read_only
options:
  name:
    description:
      - Only the silences of that name.
    type: str
  states:
    description:
      - Only silences in these states. Alertmanager forgets expired ones after some days.
    type: list
    elements: str
    choices: [active, pending, expired]
    default: [active, pending]
seealso:
  - module: churnguard.ops.alert_silence
author:
  - churnguard.ops contributors (@churnguard)
"""

EXAMPLES = r"""
- name: Look at what is silenced
  churnguard.ops.alert_silence_info:
    alertmanager_url: http://alertmanager.monitoring:9093
  register: found

- name: Fail as long as somebody silences what pages
  ansible.builtin.assert:
    that: found.silences | selectattr('name', 'none') | length == 0
    fail_msg: "Ask {{ found.silences | selectattr('name', 'none') | map(attribute='created_by') | join(', ') }}."
"""

RETURN = r"""
silences:
  description: The silences, the first to end first, each as M(churnguard.ops.alert_silence) returns it.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: Its id.
      type: str
      returned: always
    name:
      description: Its name; null for one that was not made by M(churnguard.ops.alert_silence).
      type: str
      returned: always
    state:
      description: V(active), V(pending) or V(expired).
      type: str
      returned: always
    matchers:
      description: Which alerts, each with C(name), C(value), C(is_regex) and C(is_equal).
      type: list
      elements: dict
      returned: always
    starts_at:
      description: When it starts or started, in UTC.
      type: str
      returned: always
    ends_at:
      description: When it ends or ended, in UTC.
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
msg:
  description: How many there are.
  returned: always
  type: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.churnguard.ops.plugins.module_utils._alertmanager.args import api_of, server_argument_spec
from ansible_collections.churnguard.ops.plugins.module_utils._alertmanager.model import ACTIVE, EXPIRED, PENDING, shown
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError


def main() -> None:
    states = {"type": "list", "elements": "str", "choices": [ACTIVE, PENDING, EXPIRED], "default": [ACTIVE, PENDING]}
    module = AnsibleModule(
        argument_spec={**server_argument_spec(), "name": {"type": "str"}, "states": states},
        supports_check_mode=True,
        mutually_exclusive=[("token", "token_file")],
    )
    name = module.params["name"]
    try:
        listing = api_of(module.params).list()
    except OperationError as error:
        module.fail_json(msg=str(error))
    found = [
        one for one in listing.silences if one.state in module.params["states"] and (name is None or one.name == name)
    ]
    found.sort(key=lambda one: (one.ends, one.id))
    many = "1 silence" if len(found) == 1 else f"{len(found)} silences"
    module.exit_json(changed=False, silences=[shown(one) for one in found], msg=f"There are {many}.")


if __name__ == "__main__":
    main()
