#!/usr/bin/python
# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout_control
short_description: Pause, resume, promote, approve, retry or abort a rollout that runs elsewhere
version_added: 0.1.0
description:
  - Leaves a request in a ConfigMap beside the journal. Whoever runs the rollout reads it at its next interval, acts on
    it, and writes into the journal what became of it, with who asked, when, and on what evidence.
  - It never moves traffic by itself, so it needs no right to do so.
  - A command that does not fit what the rollout is doing is refused with the reason, and nothing is written.
extends_documentation_fragment:
  - churnguard.ops.kubernetes
  - churnguard.ops.rollout
attributes:
  check_mode:
    description: Can run in check mode and say whether a request would be left, without leaving it.
    support: full
  diff_mode:
    description: Returns the pending requests before and after.
    support: full
  idempotent:
    description: A request that is pending already is not left twice; what is so already changes nothing.
    support: full
options:
  command:
    description:
      - V(pause) holds the present weight until V(resume).
      - V(promote) ends the present hold or gate; with O(full) all that are to come, and the bake.
      - V(approve) answers the gate that the rollout waits at.
      - V(retry) throws the evidence of the present step away and holds its weight anew.
      - V(abort) takes the rollout back. With nothing in flight nothing happens.
    type: str
    required: true
    choices: [pause, resume, promote, abort, approve, retry]
  full:
    description:
      - With O(command=promote), end all holds and gates to the end, not only the present one.
    type: bool
    default: false
  by:
    description:
      - Who asks. Defaults to the user and host that run this task; in AWX give V({{ awx_user_name }}).
      - It is what the caller says. What the caller can prove is in the API server's audit log.
    type: str
  reason:
    description:
      - Why; it stands in the journal and in the report.
    type: str
    default: ""
  wait:
    description:
      - Wait until the request has been handled, or the rollout has ended.
    type: bool
    default: true
  wait_timeout:
    description:
      - Seconds to wait. The request stays pending after that.
    type: int
    default: 120
  api_patience:
    description:
      - Seconds for which an API server that does not answer is tried again.
    type: int
    default: 30
seealso:
  - module: churnguard.ops.rollout
  - module: churnguard.ops.rollout_info
  - module: churnguard.ops.rollout_watchdog
author:
  - churnguard.ops contributors (@churnguard)
"""

EXAMPLES = r"""
- name: Hold the weight while somebody looks
  churnguard.ops.rollout_control:
    name: churnguard-api
    namespace: churnguard-production
    command: pause
    reason: unusual latency in one region

- name: Approve the step that waits, from AWX
  churnguard.ops.rollout_control:
    name: churnguard-api
    namespace: churnguard-production
    command: approve
    by: "{{ awx_user_name }}"
    reason: change CHG-1207

- name: Take it back now, and do not wait
  churnguard.ops.rollout_control:
    name: churnguard-api
    namespace: churnguard-production
    command: abort
    wait: false
"""

RETURN = r"""
request:
  description: The request as it was left, or found pending already.
  returned: when there is one
  type: dict
  contains:
    id:
      description: Its name in the journal's audit.
      type: str
      returned: always
    command:
      description: What was asked.
      type: str
      returned: always
    full:
      description: Whether all holds and gates were meant.
      type: bool
      returned: always
    by:
      description: Who asked.
      type: str
      returned: always
    at:
      description: When, by the API server's clock, UTC.
      type: str
      returned: always
    reason:
      description: Why.
      type: str
      returned: always
    rollout:
      description: Id of the rollout it is for.
      type: str
      returned: always
    step:
      description: Number of the step it is for, from 1; empty if it does not belong to one.
      type: int
      returned: always
handled:
  description: The audit entry - when the request was handled, at which step and weight, on what evidence (SHA-256 of
    the last sample) and to what effect. Empty while nobody has.
  returned: when there is a request
  type: dict
envelope:
  description: Result envelope.
  returned: when the request was left or found
  type: dict
msg:
  description: The outcome in a sentence.
  returned: always
  type: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import Clock
from ansible_collections.churnguard.ops.plugins.module_utils._common.envelope import FAILED, PASSED, Recorder
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.plugins.module_utils._kubernetes.access import connect, need_kubernetes
from ansible_collections.churnguard.ops.plugins.module_utils._kubernetes.args import auth_argument_spec
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.api import RolloutApi
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.args import target_argument_spec, target_of
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.control import COMMANDS
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.messenger import Messenger, Reply


def argument_spec() -> dict[str, dict[str, Any]]:
    return {
        **auth_argument_spec(),
        **target_argument_spec(),
        "command": {"type": "str", "required": True, "choices": list(COMMANDS)},
        "full": {"type": "bool", "default": False},
        "by": {"type": "str"},
        "reason": {"type": "str", "default": ""},
        "wait": {"type": "bool", "default": True},
        "wait_timeout": {"type": "int", "default": 120},
        "api_patience": {"type": "int", "default": 30},
    }


def run(module: AnsibleModule, recorder: Recorder, clock: Clock) -> Reply:
    params = module.params
    target = target_of(params)
    messenger = Messenger(RolloutApi(connect(params, clock), target), target, clock, recorder)
    reply = messenger.ask(params["command"], params["full"], params["by"], params["reason"], module.check_mode)
    if reply.request is not None and params["wait"] and not module.check_mode:
        messenger.await_answer(reply, params["wait_timeout"])
    return reply


def main() -> None:
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    need_kubernetes(module)
    if module.params["full"] and module.params["command"] != "promote":
        module.fail_json(msg=f"full goes with command=promote only, not with {module.params['command']}.")
    clock = Clock()
    recorder = Recorder(clock, "rollout_control")
    try:
        reply = run(module, recorder, clock)
    except OperationError as error:
        result: dict[str, Any] = {"msg": str(error)}
        if recorder.timeline:
            recorder.event("failed", str(error))
            result["envelope"] = recorder.envelope(FAILED, changed=True)
        module.fail_json(**result)
    result = {"changed": reply.changed, "msg": reply.message}
    if reply.request is not None:
        verdict = FAILED if reply.failed else PASSED
        result.update(request=reply.plain_request(), handled=reply.handled)
        result["envelope"] = recorder.envelope(verdict, reply.changed)
    if module._diff:
        result["diff"] = {"before": {"pending": reply.before}, "after": {"pending": reply.after}}
    if reply.failed:
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
