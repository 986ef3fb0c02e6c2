#!/usr/bin/python
# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout_info
short_description: Show where a rollout stands
version_added: 0.1.0
description:
  - Reads journal, lock, slots and router of an application and says what is live, what is in flight, who runs it, and
    what was changed by other hands.
  - Works while a rollout runs elsewhere, and after its controller has died.
extends_documentation_fragment:
  - churnguard.ops.kubernetes
  - churnguard.ops.rollout
  - churnguard.ops.read_only
options:
  api_patience:
    description:
      - Seconds for which an API server that does not answer is tried again.
    type: int
    default: 10
seealso:
  - module: churnguard.ops.rollout
author:
  - churnguard.ops contributors (@churnguard)
"""

EXAMPLES = r"""
- name: Look from a second terminal
  churnguard.ops.rollout_info:
    name: churnguard-api
    namespace: churnguard-production
  register: status

- name: Show the traffic
  ansible.builtin.debug:
    var: status.rollout.weights
"""

RETURN = r"""
rollout:
  description: The state of the application's rollouts.
  returned: success
  type: dict
  contains:
    phase:
      description: >-
        Phase of the last rollout - V(none), V(running), V(rolling_back), V(halted), V(passed), V(rolled_back),
        V(aborted).
      type: str
      returned: always
    unfinished:
      description: Whether a rollout is in flight, or was left there.
      type: bool
      returned: always
    version:
      description: The stable version by the journal.
      type: str
      returned: always
    stable_slot:
      description: The slot it is in.
      type: str
      returned: always
    previous_version:
      description: What O(churnguard.ops.rollout#module:state=rolled_back) would bring back.
      type: str
      returned: always
    weights:
      description: Per cent of traffic for each slot, from the router.
      type: dict
      returned: always
    slots:
      description: Version, replicas, ready pods and state of each slot.
      type: dict
      returned: always
    current:
      description: >-
        The rollout in flight, or the last one - its steps, the step it is in, whether it is
        paused or waits for approval, the last sample with every metric's value, limit and p-value, requests that are
        pending, and the audit trail of those that were handled.
      type: dict
      returned: always
    keeper:
      description: >-
        Whether somebody runs the rollout. C(state) is V(idle), V(healthy), V(stopped) (half-way, by itself) or
        V(orphaned) (its lock has run out); C(detail) says it in words.
      type: dict
      returned: always
    lease:
      description: Holder of the lock, whether it is still in force, and for how many seconds.
      type: dict
      returned: always
    drift:
      description: What other hands changed, with the field manager where the API server knows it.
      type: list
      elements: str
      returned: always
    history:
      description: The last ten rollouts, newest first.
      type: list
      elements: dict
      returned: always
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import Clock
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.plugins.module_utils._kubernetes.access import connect, need_kubernetes
from ansible_collections.churnguard.ops.plugins.module_utils._kubernetes.args import auth_argument_spec
from ansible_collections.churnguard.ops.plugins.module_utils._rollout import control, status
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.api import RolloutApi
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.args import target_argument_spec, target_of
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.lock import process_is_dead
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.orphan import holder_process
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.store import observe


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **auth_argument_spec(),
            **target_argument_spec(),
            "api_patience": {"type": "int", "default": 10},
        },
        supports_check_mode=True,
    )
    need_kubernetes(module)
    try:
        target = target_of(module.params)
        api = RolloutApi(connect(module.params, Clock()), target)
        observed = observe(api, target)
        pods = {slot: api.list_pods(slot) for slot in target.slots}
        requests, lease = control.read(api.get_control()), api.get_lease()
        dead = process_is_dead(holder_process(lease))
        rollout = status.describe(observed, pods, lease, api.server_now(), target, requests, dead)
    except OperationError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, rollout=rollout)


if __name__ == "__main__":
    main()
