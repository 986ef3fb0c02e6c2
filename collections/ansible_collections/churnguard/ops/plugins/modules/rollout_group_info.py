#!/usr/bin/python
# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout_group_info
short_description: Show where the release of a group of services stands
version_added: 0.1.0
description:
  - Reads the group's journal and lock, and how far each of its services is by its own journal.
  - Works while a release runs elsewhere, and after its controller has died.
extends_documentation_fragment:
  - churnguard.ops.kubernetes
  - churnguard.ops.read_only
options:
  name:
    description:
      - Name of the group.
    type: str
    required: true
  namespace:
    description:
      - Namespace of the group.
    type: str
    required: true
  api_patience:
    description:
      - Seconds for which an API server that does not answer is tried again.
    type: int
    default: 10
seealso:
  - module: churnguard.ops.rollout_group
  - module: churnguard.ops.rollout_info
author:
  - churnguard.ops contributors (@churnguard)
"""

EXAMPLES = r"""
- name: Look from a second terminal
  churnguard.ops.rollout_group_info:
    name: shop
    namespace: shop-production
  register: status

- name: Show which services are on their new versions
  ansible.builtin.debug:
    msg: "{{ status.group.services | items2dict('name', 'state') }}"
"""

RETURN = r"""
group:
  description: The state of the group's releases.
  returned: success
  type: dict
  contains:
    phase:
      description: >-
        Phase of the last release - V(none), V(running), V(finishing), V(rolling_back), V(halted), V(frozen), V(passed),
        V(rolled_back), V(aborted), V(superseded).
      type: str
      returned: always
    unfinished:
      description: Whether a release is in flight, or was left there.
      type: bool
      returned: always
    release:
      description: What rollouts of this release carry, C(<group>/<id>).
      type: str
      returned: always
    services:
      description: >-
        The services in their order, each with C(name), C(version), C(state) (V(pending), V(rolling_out), V(proved),
        V(unchanged), V(done), V(failed), V(going_back), V(back)), C(stands) (how far it is by its own journal now) and
        C(reason).
      type: list
      elements: dict
      returned: always
    reversible_until:
      description: The service after whose success nothing is taken back any more.
      type: str
      returned: always
    irreversible:
      description: Whether that is behind.
      type: bool
      returned: always
    reason:
      description: Why the release went back or stopped.
      type: str
      returned: always
    lease:
      description: Holder of the group's lock, whether it is still in force, and for how many seconds.
      type: dict
      returned: always
    history:
      description: The last ten releases, newest first.
      type: list
      elements: dict
      returned: always
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import Clock
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.plugins.module_utils._kubernetes.access import connect, need_kubernetes
from ansible_collections.churnguard.ops.plugins.module_utils._kubernetes.args import auth_argument_spec
from ansible_collections.churnguard.ops.plugins.module_utils._rollout import group_journal, group_status
from ansible_collections.churnguard.ops.plugins.module_utils._rollout import journal as codec
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.api import RolloutApi
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.group import group_target


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **auth_argument_spec(),
            "name": {"type": "str", "required": True},
            "namespace": {"type": "str", "required": True},
            "api_patience": {"type": "int", "default": 10},
        },
        supports_check_mode=True,
    )
    need_kubernetes(module)
    params = module.params
    try:
        connection = connect(params, Clock())
        target = group_target(params["name"], params["namespace"])
        api = RolloutApi(connection, target)
        book = group_journal.read(api.get_journal(), target)
        journals = {}
        for entry in book.release.services if book.release else []:
            own = entry.target(params["namespace"])
            journals[entry.name] = codec.read(RolloutApi(connection, own).get_journal(), own)
        found = group_status.describe(book, journals, api.get_lease(), api.server_now(), target)
    except OperationError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, group=found)


if __name__ == "__main__":
    main()
