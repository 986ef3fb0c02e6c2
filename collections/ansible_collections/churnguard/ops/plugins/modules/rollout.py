#!/usr/bin/python
# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout
short_description: Ship a version of an application without dropping a request
version_added: 0.1.0
description:
  - Brings a version up in the free one of two slots, tests it there, moves traffic to it - at once or by weights, each
    judged by its metrics -, watches it, and retires the old version once it has demonstrably fallen silent.
  - On any failure before that, traffic is on the old version, or goes back to it, and the new one is scaled away.
  - People can pause it, let it go on, promote it, approve its gates and take it back from elsewhere, with
    M(churnguard.ops.rollout_control).
  - Every step is written to a journal in the namespace before it acts (a ConfigMap, guarded by a Lease). If the run is
    killed, the next one goes on from there or takes the rollout back.
  - A whole release is one task, because it must watch the cluster without a break.
extends_documentation_fragment:
  - churnguard.ops.kubernetes
  - churnguard.ops.rollout
  - churnguard.ops.release
  - churnguard.ops.data_plane
  - churnguard.ops.notifications
  - churnguard.ops.metrics_export
  - churnguard.ops.progress
attributes:
  check_mode:
    description: Can run in check mode and return the planned steps without writing anything.
    support: full
  diff_mode:
    description: Returns stable version, weights and replicas before and after.
    support: full
  idempotent:
    description: A version that is already live is left alone, without a single write.
    support: full
options:
  state:
    description:
      - V(present) makes O(version) the live one.
      - V(rolled_back) makes the version before the present one live again, from the journal. If a rollout has not
        ended, that one is taken back, and no more. What has been live before is not analysed again.
      - V(aborted) takes back a rollout that has not ended; if there is none, nothing happens.
    type: str
    choices: [present, rolled_back, aborted]
    default: present
  version:
    description:
      - Version to ship; it must be what replies carry in the version header. Required for O(state=present).
    type: str
  deployment:
    description:
      - The C(apps/v1) Deployment of that version. Required for O(state=present).
      - Name, slot labels, selector and replicas are set by the module.
    type: dict
  replicas:
    description:
      - Size of the new slot. Defaults to the live size of the old one, else to what O(deployment) says.
    type: int
  on_unfinished:
    description:
      - What to do about an earlier rollout that did not end (its controller was killed, or it stopped half-way).
      - V(resume) goes on with it if it is the same release, and refuses otherwise. V(abort) takes it back first.
        V(fail) always refuses.
      - With V(supersede), a rollout of another version that is under way elsewhere is asked to take itself back first,
        too; the others refuse then, and name who runs it.
    type: str
    choices: [resume, abort, fail, supersede]
    default: resume
requirements:
  - kubernetes
  - scipy (with O(analysis))
  - prometheus_client (with O(metrics_export))
seealso:
  - module: churnguard.ops.rollout_info
  - module: churnguard.ops.rollout_control
  - module: churnguard.ops.rollout_watchdog
  - module: churnguard.ops.metric_gate
  - module: kubernetes.core.k8s
    description: Its O(kubernetes.core.k8s#module:wait) counts a Deployment as ready without looking at updatedReplicas
      and does not stop on terminal conditions, so this module waits by itself.
  - module: kubernetes.core.k8s_rollback
    description: Goes back exactly one revision number and replaces all annotations; use O(state=rolled_back) instead.
author:
  - churnguard.ops contributors (@churnguard)
"""

EXAMPLES = r"""
- name: Ship a version
  churnguard.ops.rollout:
    name: churnguard-api
    namespace: churnguard-production
    version: v2.0.0
    deployment: "{{ app_manifests_deployment }}"
    endpoint:
      url: https://api.example.com
    smoke_tests:
      - name: health
        path: /health

- name: Ship a version as a canary, judged against the guide's limits, with somebody's approval before half the traffic
  churnguard.ops.rollout:
    name: churnguard-api
    namespace: churnguard-production
    version: v2.1.0
    deployment: "{{ app_manifests_deployment }}"
    strategy: canary
    canary:
      weights: [10, 25, 50, 75, 100]
      hold: 600
    gates:
      - before: "50"
        timeout: 3600
    analysis:
      prometheus_url: https://prometheus.example.com
    endpoint:
      url: https://api.example.com

- name: Go back to the version before
  churnguard.ops.rollout:
    name: churnguard-api
    namespace: churnguard-production
    state: rolled_back
    endpoint:
      url: https://api.example.com
"""

RETURN = r"""
envelope:
  description: Result envelope - what happened, when, what was measured, on what evidence.
  returned: when the rollout began, in check mode, and when there was nothing to do
  type: dict
  contains:
    operation:
      description: Always V(rollout).
      type: str
      returned: always
    subject:
      description: Application, namespace, version, previous version, strategy and slot.
      type: dict
      returned: always
    started:
      description: Start, UTC.
      type: str
      returned: always
    finished:
      description: End, UTC.
      type: str
      returned: always
    verdict:
      description: One of V(passed), V(failed), V(rolled_back), V(aborted).
      type: str
      returned: always
    changed:
      description: Whether anything was written.
      type: bool
      returned: always
    timeline:
      description: Events in order, each with C(at), C(event), C(detail) and sometimes C(data).
      type: list
      elements: dict
      returned: always
    measurements:
      description: Figures, each with C(name), C(value), C(unit), C(limit) and C(verdict).
      type: list
      elements: dict
      returned: always
    evidence:
      description: What the decisions rest on.
      type: list
      elements: dict
      returned: always
steps:
  description: The steps planned (check mode) or run, with status and times.
  returned: same as envelope
  type: list
  elements: dict
  sample: [{"name": "start", "slot": "green", "status": "done", "started": "", "finished": ""}]
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
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.args import target_argument_spec, target_of
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.engine import Outcome
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.pacing import (
    release_argument_spec,
    release_settings,
)
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.session import (
    build_engine,
    data_plane_argument_spec,
    data_plane_settings,
)
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.settings import Settings
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.wish import analysis_of, desired_of


def argument_spec() -> dict[str, dict[str, Any]]:
    return {
        **auth_argument_spec(),
        **target_argument_spec(),
        **release_argument_spec(),
        **data_plane_argument_spec(),
        **outlets.argument_spec(),
        "state": {"type": "str", "choices": ["present", "rolled_back", "aborted"], "default": "present"},
        "version": {"type": "str"},
        "deployment": {"type": "dict"},
        "replicas": {"type": "int"},
        "on_unfinished": {"type": "str", "choices": ["resume", "abort", "fail", "supersede"], "default": "resume"},
        "progress_file": {"type": "path"},
    }


def run(module: AnsibleModule, recorder: Recorder, clock: Clock) -> Outcome:
    params = module.params
    target = target_of(params)
    desired = desired_of(params, target)
    settings = Settings(**data_plane_settings(params), **release_settings(params))
    analysis = analysis_of(params, desired, target, clock)
    engine = build_engine(connect(params, clock), target, settings, params["lease_duration"], clock, recorder, analysis)
    return engine.run(desired, module.check_mode)


def main() -> None:
    module = AnsibleModule(
        argument_spec=argument_spec(),
        supports_check_mode=True,
        required_if=[("state", "present", ["version", "deployment"])],
    )
    need_kubernetes(module)
    clock = Clock()
    recorder = Recorder(clock, "rollout", lines_to(module.params["progress_file"]))
    told = None
    try:
        told = outlets.Outlets(module.params, recorder, clock, module.check_mode)
        outcome = run(module, recorder, clock)
    except OperationError as error:
        result: dict[str, Any] = {"msg": str(error)}
        if recorder.timeline:
            recorder.event("failed", str(error))
            if told is not None:
                told.finish(FAILED)
            result.update(achieved=False, envelope=recorder.envelope(FAILED, changed=True))
        module.fail_json(**result)
    told.finish(outcome.verdict)
    result = {
        "changed": outcome.changed,
        "achieved": not outcome.failed,
        "msg": outcome.message,
        "steps": outcome.steps,
        "envelope": recorder.envelope(outcome.verdict, outcome.changed),
    }
    if module._diff:
        result["diff"] = {"before": outcome.before, "after": outcome.after}
    if outcome.failed:
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
