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
  - Brings a version up in the free one of two slots, tests it there, moves traffic to it, watches it, and retires the
    old version once it has demonstrably fallen silent.
  - On any failure before that, traffic is on the old version, or goes back to it, and the new one is scaled away.
  - Every step is written to a journal in the namespace before it acts (a ConfigMap, guarded by a Lease). If the run is
    killed, the next one goes on from there or takes the rollout back.
  - A whole release is one task, because it must watch the cluster without a break.
extends_documentation_fragment:
  - churnguard.ops.kubernetes
  - churnguard.ops.rollout
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
        ended, that one is taken back, and no more.
      - V(aborted) takes back a rollout that has not ended; if there is none, nothing happens.
    type: str
    choices: [present, rolled_back, aborted]
    default: present
  strategy:
    description:
      - How traffic moves. V(blue_green) moves all of it at once, after smoke tests.
    type: str
    choices: [blue_green]
    default: blue_green
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
  ready_timeout:
    description:
      - Seconds for a slot to become ready. A state that cannot get better (crash loop, missing image, quota, deadline
        of the Deployment) ends the wait at once.
    type: int
    default: 600
  endpoint:
    description:
      - How this machine reaches the application. Without it nothing is probed, and the result says so.
    type: dict
    suboptions:
      url:
        description: Where requests go, without a path.
        type: str
        required: true
      headers:
        description: Headers of every probe, for example C(Host).
        type: dict
        default: {}
      slot_header:
        description: Request header that pins a request to a slot; the HTTPRoute has a rule for it.
        type: str
        default: x-churnguard-slot
      slot_url:
        description: Address of one slot, with V({slot}) in the place of its name, where no router honours
          O(endpoint.slot_header) - for example C(http://churnguard-api-{slot}.churnguard-production.svc) with
          O(router.kind=Service) and a controller inside the cluster.
        type: str
      version_header:
        description: Reply header that names the version.
        type: str
        default: X-ChurnGuard-Version
      slot_reply_header:
        description: Reply header that names the slot.
        type: str
        default: X-ChurnGuard-Slot
      path:
        description: Path of the probes.
        type: str
        default: /health
      timeout:
        description: Seconds for one request.
        type: float
        default: 5
      validate_certs:
        description: Whether the endpoint's certificate is checked.
        type: bool
        default: true
  smoke_tests:
    description:
      - Requests that the new slot must answer rightly before it gets traffic, each once for every replica.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: What the test is called in messages.
        type: str
        required: true
      path:
        description: Path and query.
        type: str
        required: true
      method:
        description: HTTP method.
        type: str
        default: GET
      status:
        description: Acceptable status codes.
        type: list
        elements: int
        default: [200]
      contains:
        description: Text that the reply must contain.
        type: str
      json:
        description: Members that the reply, a JSON object, must have.
        type: dict
  confirm_timeout:
    description:
      - Seconds for the data plane to show what was written to the router.
    type: int
    default: 60
  confirm_requests:
    description:
      - Probes in a row that the new version must answer after the switch.
    type: int
    default: 20
  grace_period:
    description:
      - Seconds that the old version stays warm after the switch while the new one is watched.
    type: int
    default: 300
  drain:
    description:
      - Proof that the old version has fallen silent, before it is retired.
    type: dict
    suboptions:
      quiet_period:
        description: Seconds without a request, and none in flight.
        type: int
        default: 10
      timeout:
        description: Seconds until the rollout stops with both versions running.
        type: int
        default: 120
      prometheus_url:
        description: Prometheus that scrapes the application. Without it, requests in flight are not known and only
          probes speak.
        type: str
  on_unfinished:
    description:
      - What to do about an earlier rollout that did not end (its controller was killed, or it stopped half-way).
      - V(resume) goes on with it if it is the same release, and refuses otherwise. V(abort) takes it back first.
        V(fail) always refuses.
    type: str
    choices: [resume, abort, fail]
    default: resume
  lease_duration:
    description:
      - Seconds without a sign of life after which another run may take the lock over.
    type: int
    default: 60
  api_patience:
    description:
      - Seconds for which an API server that does not answer is tried again.
    type: int
    default: 60
  progress_file:
    description:
      - File to which each event is appended as a JSON line. The action plugin sets it to show progress while the
        module runs.
    type: path
seealso:
  - module: churnguard.ops.rollout_info
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
msg:
  description: The outcome in a sentence.
  returned: always
  type: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.churnguard.ops.plugins.module_utils._common.clock import Clock
from ansible_collections.churnguard.ops.plugins.module_utils._common.envelope import FAILED, Recorder
from ansible_collections.churnguard.ops.plugins.module_utils._common.errors import OperationError
from ansible_collections.churnguard.ops.plugins.module_utils._kubernetes import connection as kubernetes_connection
from ansible_collections.churnguard.ops.plugins.module_utils._kubernetes.args import auth_argument_spec
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.api import RolloutApi
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.args import target_argument_spec, target_of
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.engine import Engine, Outcome
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.lock import Lock
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.manifest import check_manifest, content_hash
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.model import Desired, Target
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.probe import Endpoint
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.settings import Settings
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.steps import Steps


def argument_spec() -> dict[str, dict[str, Any]]:
    endpoint = {
        "url": {"type": "str", "required": True},
        "headers": {"type": "dict", "default": {}},
        "slot_header": {"type": "str", "default": "x-churnguard-slot"},
        "slot_url": {"type": "str"},
        "version_header": {"type": "str", "default": "X-ChurnGuard-Version"},
        "slot_reply_header": {"type": "str", "default": "X-ChurnGuard-Slot"},
        "path": {"type": "str", "default": "/health"},
        "timeout": {"type": "float", "default": 5},
        "validate_certs": {"type": "bool", "default": True},
    }
    smoke_test = {
        "name": {"type": "str", "required": True},
        "path": {"type": "str", "required": True},
        "method": {"type": "str", "default": "GET"},
        "status": {"type": "list", "elements": "int", "default": [200]},
        "contains": {"type": "str"},
        "json": {"type": "dict"},
    }
    drain = {
        "quiet_period": {"type": "int", "default": 10},
        "timeout": {"type": "int", "default": 120},
        "prometheus_url": {"type": "str"},
    }
    return {
        **auth_argument_spec(),
        **target_argument_spec(),
        "state": {"type": "str", "choices": ["present", "rolled_back", "aborted"], "default": "present"},
        "strategy": {"type": "str", "choices": ["blue_green"], "default": "blue_green"},
        "version": {"type": "str"},
        "deployment": {"type": "dict"},
        "replicas": {"type": "int"},
        "ready_timeout": {"type": "int", "default": 600},
        "endpoint": {"type": "dict", "options": endpoint},
        "smoke_tests": {"type": "list", "elements": "dict", "default": [], "options": smoke_test},
        "confirm_timeout": {"type": "int", "default": 60},
        "confirm_requests": {"type": "int", "default": 20},
        "grace_period": {"type": "int", "default": 300},
        "drain": {"type": "dict", "options": drain},
        "on_unfinished": {"type": "str", "choices": ["resume", "abort", "fail"], "default": "resume"},
        "lease_duration": {"type": "int", "default": 60},
        "api_patience": {"type": "int", "default": 60},
        "progress_file": {"type": "path"},
    }


def desired_of(params: dict[str, Any], target: Target) -> Desired:
    """What the parameters ask for. Raises OperationError if the Deployment cannot work."""
    deployment: dict[str, Any] = params["deployment"] or {}
    version = params["version"] or ""
    digest = ""
    if params["state"] == "present":
        check_manifest(deployment, target, version)
        digest = content_hash(deployment, version)
    return Desired(
        state=params["state"],
        strategy=params["strategy"],
        version=version,
        deployment=deployment,
        content_hash=digest,
        replicas=params["replicas"],
        on_unfinished=params["on_unfinished"],
        bake_seconds=params["grace_period"],
    )


def settings_of(params: dict[str, Any]) -> Settings:
    drain = params["drain"] or {}
    return Settings(
        endpoint=Endpoint(**params["endpoint"]) if params["endpoint"] else None,
        smoke_tests=params["smoke_tests"],
        ready_timeout=params["ready_timeout"],
        confirm_timeout=params["confirm_timeout"],
        confirm_requests=params["confirm_requests"],
        drain_quiet=drain.get("quiet_period", 10),
        drain_timeout=drain.get("timeout", 120),
        prometheus_url=drain.get("prometheus_url") or "",
    )


def run(module: AnsibleModule, recorder: Recorder, clock: Clock) -> Outcome:
    params = module.params
    target = target_of(params)
    desired = desired_of(params, target)
    configuration = kubernetes_connection.client_configuration(params)
    api = RolloutApi(kubernetes_connection.Connection(configuration, clock, params["api_patience"]), target)
    lock = Lock(api, target, clock, params["lease_duration"])
    steps = Steps(api, lock, clock, recorder, target, settings_of(params))
    return Engine(api, lock, steps, clock, recorder, target).run(desired, module.check_mode)


def append_to(path: str) -> Any:
    def append(line: str) -> None:
        with open(path, "a", encoding="utf-8") as stream:
            stream.write(line + "\n")

    return append


def main() -> None:
    module = AnsibleModule(
        argument_spec=argument_spec(),
        supports_check_mode=True,
        required_if=[("state", "present", ["version", "deployment"])],
    )
    if not kubernetes_connection.HAS_KUBERNETES:
        module.fail_json(
            msg=missing_required_lib("kubernetes"), exception=kubernetes_connection.KUBERNETES_IMPORT_ERROR
        )
    clock = Clock()
    path = module.params["progress_file"]
    recorder = Recorder(clock, "rollout", append_to(path) if path else None)
    try:
        outcome = run(module, recorder, clock)
    except OperationError as error:
        result: dict[str, Any] = {"msg": str(error)}
        if recorder.timeline:
            recorder.event("failed", str(error))
            result["envelope"] = recorder.envelope(FAILED, changed=True)
        module.fail_json(**result)
    result = {
        "changed": outcome.changed,
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
