#!/usr/bin/python
# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout_group
short_description: Ship several services as one release, all or nothing
version_added: 0.1.0
description:
  - Rolls services out in order, each as M(churnguard.ops.rollout) does, under one lock. A service that has proved
    itself keeps its old version warm until the last one has, too; then the old versions are retired.
  - If one fails, it is taken back, and so are those before it, in reverse order. After O(reversible_until) nothing is
    taken back any more; the release freezes instead.
  - What it does is written to a journal of the group before it acts (the ConfigMap C(<name>-group), guarded by a Lease
    of that name), beside the journals of the services. If the run is killed, the next one goes on from there or takes
    the release back.
  - While it runs it holds the locks of all its services, so that nobody else can roll out one of them.
  - A service that is live already in the version wanted is left alone, and stays when the others are taken back.
extends_documentation_fragment:
  - churnguard.ops.kubernetes
  - churnguard.ops.rollout
  - churnguard.ops.release
  - churnguard.ops.data_plane
  - churnguard.ops.group
  - churnguard.ops.notifications
  - churnguard.ops.metrics_export
  - churnguard.ops.progress
attributes:
  check_mode:
    description: Can run in check mode and return the planned steps of all services without writing anything.
    support: full
  diff_mode:
    description: Returns stable version, weights and replicas of each service before and after.
    support: full
  idempotent:
    description: Versions that are already live are left alone, without a single write.
    support: full
options:
  name:
    description:
      - Name of the group. Its journal and its lock are called C(<name>-group).
    type: str
    required: true
  namespace:
    description:
      - Namespace of all its services.
    type: str
    required: true
  router:
    description:
      - What splits traffic between the slots of each service. The name of the object is said for each service, or is
        the service's own.
    type: dict
  state:
    description:
      - V(present) makes the versions in O(services) live, all of them or none.
      - V(aborted) takes back a release that has not ended; if there is none, nothing happens.
      - V(rolled_back) takes the last release back, whether it has ended or not - services that it has not touched stay.
      - For the last two O(services) may be left out; the journal knows them. Both are refused after
        O(reversible_until).
    type: str
    choices: [present, rolled_back, aborted]
    default: present
  reversible_until:
    description:
      - Name of the service after whose success nothing is taken back any more, because it changes what the others
        cannot do without - a migration of the database, say.
      - A failure later on leaves that service as it is and the earlier ones on their new versions, and says what to do.
        A service that has the version wanted already does not count as a success.
    type: str
  on_unfinished:
    description:
      - What to do about an earlier release of the group that did not end (its controller was killed, or it stopped).
      - V(resume) goes on with it if it is the same release, and refuses otherwise. V(abort) takes it back first; one
        that is past its O(reversible_until) is concluded instead - what has proved itself is finished, only the service
        that failed is taken back. V(fail) always refuses.
      - With V(abort), a rollout of a single service that did not end is taken back first as well.
    type: str
    choices: [resume, abort, fail]
    default: resume
requirements:
  - kubernetes
  - scipy (with O(analysis))
  - prometheus_client (with O(metrics_export))
seealso:
  - module: churnguard.ops.rollout
  - module: churnguard.ops.rollout_group_info
  - module: churnguard.ops.rollout_control
author:
  - churnguard.ops contributors (@churnguard)
"""

EXAMPLES = r"""
- name: Ship three services as one release
  churnguard.ops.rollout_group:
    name: shop
    namespace: shop-production
    endpoint:
      url: https://shop.example.com
    services:
      - name: catalogue
        version: v2.0.0
        deployment: "{{ lookup('ansible.builtin.template', 'catalogue.yml.j2') | from_yaml }}"
      - name: orders
        version: v2.0.0
        deployment: "{{ lookup('ansible.builtin.template', 'orders.yml.j2') | from_yaml }}"
        endpoint:
          url: https://orders.example.com
      - name: front
        version: v2.1.0
        deployment: "{{ lookup('ansible.builtin.template', 'front.yml.j2') | from_yaml }}"
        strategy: canary
        analysis:
          prometheus_url: https://prometheus.example.com
    # The new orders migrates its database: once it has proved itself there is no way back.
    reversible_until: orders

- name: Take back a release that did not end
  churnguard.ops.rollout_group:
    name: shop
    namespace: shop-production
    state: aborted
    endpoint:
      url: https://shop.example.com
"""

RETURN = r"""
envelope:
  description: >-
    Result envelope of the whole release - one timeline, in which each event of a service carries its name. The
    operation is V(rollout_group); the subject holds the group's name under C(app), and C(services).
  returned: when the release began, in check mode, and when there was nothing to do
  type: dict
steps:
  description: The steps planned (check mode) or run, in order, each with its C(service).
  returned: same as envelope
  type: list
  elements: dict
  sample: [{"service": "orders", "name": "start", "slot": "green", "status": "done", "started": "", "finished": ""}]
release:
  description: >-
    The release in the group's journal - C(id), C(phase) (V(running), V(finishing), V(rolling_back), V(halted),
    V(frozen), V(passed), V(rolled_back), V(aborted), V(superseded)), C(services) with their C(state),
    C(reversible_until), C(irreversible) and C(reason).
  returned: same as envelope, unless the group never had one
  type: dict
achieved:
  description: Whether what was asked for has come about. A version that was aborted by somebody has not, although the
    envelope's verdict is no failure of the version.
  returned: same as envelope
  type: bool
msg:
  description: The outcome in a sentence.
  returned: always
  type: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import Clock
from ansible_collections.churnguard.ops.plugins.module_utils._common.envelope import FAILED, Recorder, lines_to
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.plugins.module_utils._kubernetes.access import connect, need_kubernetes
from ansible_collections.churnguard.ops.plugins.module_utils._kubernetes.args import auth_argument_spec
from ansible_collections.churnguard.ops.plugins.module_utils._rollout import outlets
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.args import target_argument_spec
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.group_engine import GroupEngine
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.group_session import Builder, service_options
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.pacing import release_argument_spec
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.session import data_plane_argument_spec


def argument_spec() -> dict[str, dict[str, Any]]:
    return {
        **auth_argument_spec(),
        **target_argument_spec(),
        **release_argument_spec(),
        **data_plane_argument_spec(),
        **outlets.argument_spec(),
        "services": {"type": "list", "elements": "dict", "default": [], "options": service_options()},
        "state": {"type": "str", "choices": ["present", "rolled_back", "aborted"], "default": "present"},
        "reversible_until": {"type": "str"},
        "on_unfinished": {"type": "str", "choices": ["resume", "abort", "fail"], "default": "resume"},
        "progress_file": {"type": "path"},
    }


def with_release(result: dict[str, Any], engine: GroupEngine | None) -> dict[str, Any]:
    """C(result) with what the journal says of the release, as far as it was read."""
    release = engine.release if engine is not None else None
    return {**result, "release": release} if release else result


def main() -> None:
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    need_kubernetes(module)
    clock = Clock()
    recorder = Recorder(clock, "rollout_group", lines_to(module.params["progress_file"]))
    told = engine = None
    try:
        told = outlets.Outlets(module.params, recorder, clock, module.check_mode)
        engine, wish = Builder(connect(module.params, clock), module.params, clock, recorder).engine()
        outcome = engine.run(wish, module.check_mode)
    except OperationError as error:
        result: dict[str, Any] = {"msg": str(error)}
        if recorder.timeline:
            recorder.event("failed", str(error))
            if told is not None:
                told.finish(FAILED)
            result.update(achieved=False, envelope=recorder.envelope(FAILED, changed=True))
        module.fail_json(**with_release(result, engine))
    told.finish(outcome.verdict)
    result = {
        "changed": outcome.changed,
        "achieved": not outcome.failed,
        "msg": outcome.message,
        "steps": outcome.steps,
        "envelope": recorder.envelope(outcome.verdict, outcome.changed),
    }
    if module._diff:
        result["diff"] = [
            {"before_header": name, "after_header": name, "before": was, "after": outcome.after.get(name, was)}
            for name, was in outcome.before.items()
            if was != outcome.after.get(name, was)
        ]
    result = with_release(result, engine)
    if outcome.failed:
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
