#!/usr/bin/python
# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout_watchdog
short_description: Take back rollouts whose controller has died
version_added: 0.1.0
description:
  - Looks at the journals of one application, or of all in a namespace. A rollout that has not ended, and whose lock has
    run out, is orphaned - nothing watches the new version any more.
  - Such a rollout is taken back under a lock of the module's own, as
    O(churnguard.ops.rollout#module:state=aborted) does it.
    If all that is left of it is to retire the old version, it is finished instead.
  - A rollout whose lock is held, or that stopped half-way by itself and waits for somebody, is left alone. One that
    belongs to a release of several services is only reported, since it must not be ended alone.
  - Times are compared by the API server's clock.
extends_documentation_fragment:
  - churnguard.ops.kubernetes
  - churnguard.ops.rollout
  - churnguard.ops.data_plane
attributes:
  check_mode:
    description: Can run in check mode and return what it would do without writing anything.
    support: full
  diff_mode:
    description: Returns stable version, weights and replicas of each application before and after.
    support: full
  idempotent:
    description: Where no rollout is orphaned, nothing is written.
    support: full
options:
  name:
    description:
      - Name of the application. Without it, all in O(namespace) that have a journal are looked at; their router is then
        O(router.name), or named as the application.
      - Its slots' Deployments and Services are called C(<name>-<slot>), its journal (ConfigMap and Lease)
        C(<name>-rollout).
    type: str
    required: false
  slots:
    description:
      - Names of the two slots. A rollout in the journal names its own.
    type: list
    elements: str
    default: [blue, green]
  policy:
    description:
      - V(take_back) ends an orphaned rollout. V(report) only says that there is one, and fails.
    type: str
    choices: [take_back, report]
    default: take_back
  orphaned_after:
    description:
      - Seconds for which nobody has had the lock before a rollout counts as orphaned. It leaves time for somebody who
        starts the same run again.
    type: int
    default: 30
  watch_seconds:
    description:
      - Go on looking for so long, every O(interval) seconds. A CronJob cannot run more often than once a minute; with
        V(50) here it looks all the time. V(0) is one look.
    type: int
    default: 0
  interval:
    description:
      - Seconds between two looks.
    type: int
    default: 5
seealso:
  - module: churnguard.ops.rollout
  - module: churnguard.ops.rollout_info
  - module: churnguard.ops.rollout_control
author:
  - churnguard.ops contributors (@churnguard)
"""

EXAMPLES = r"""
- name: Take back whatever nobody runs any more
  churnguard.ops.rollout_watchdog:
    namespace: churnguard-production

- name: Only tell
  churnguard.ops.rollout_watchdog:
    name: churnguard-api
    namespace: churnguard-production
    policy: report

- name: Watch for most of a minute, from a CronJob
  churnguard.ops.rollout_watchdog:
    name: churnguard-api
    namespace: churnguard-production
    orphaned_after: 10
    watch_seconds: 50
    endpoint:
      url: https://api.example.com
"""

RETURN = r"""
applications:
  description: What was seen of each application, and done about it.
  returned: when the cluster could be asked
  type: list
  elements: dict
  contains:
    app:
      description: Name of the application.
      type: str
      returned: always
    state:
      description: >-
        V(idle) - no rollout is in flight; V(healthy) - somebody runs it; V(stopped) - it stopped half-way and waits for
        somebody; V(grouped) - it waits for other services of the same release; V(silent) - nobody has the lock, but not
        for long enough; V(orphaned); V(unreadable) - it could not be looked at.
      type: str
      returned: always
    action:
      description: >-
        V(none), V(taken_back), V(finished), V(reported), or V(gave_up) when ending it failed.
      type: str
      returned: always
    detail:
      description: The same in words.
      type: str
      returned: always
    changed:
      description: Whether anything was written.
      type: bool
      returned: always
    failed:
      description: Whether somebody has to look.
      type: bool
      returned: always
    envelope:
      description: Result envelope of the rollout that was ended; empty when nothing was done.
      type: dict
      returned: always
    steps:
      description: The steps planned (check mode) or run.
      type: list
      elements: dict
      returned: always
envelope:
  description: Result envelope of the watch itself.
  returned: when the cluster could be asked
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
from ansible_collections.churnguard.ops.plugins.module_utils._kubernetes.connection import Connection
from ansible_collections.churnguard.ops.plugins.module_utils._rollout import watchdog
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.args import target_argument_spec, target_of
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.engine import Engine
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.model import Target
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.session import (
    build_engine,
    data_plane_argument_spec,
    data_plane_settings,
)
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.settings import Settings
from ansible_collections.churnguard.ops.plugins.module_utils._rollout.watchdog import Verdict, Watchdog


def argument_spec() -> dict[str, dict[str, Any]]:
    return {
        **auth_argument_spec(),
        **target_argument_spec(),
        **data_plane_argument_spec(),
        "name": {"type": "str", "required": False},
        "policy": {"type": "str", "choices": [watchdog.TAKE_BACK, watchdog.REPORT], "default": watchdog.TAKE_BACK},
        "orphaned_after": {"type": "int", "default": 30},
        "watch_seconds": {"type": "int", "default": 0},
        "interval": {"type": "int", "default": 5},
    }


def watch(module: AnsibleModule, connection: Connection, clock: Clock, recorder: Recorder) -> list[Verdict]:
    """The last verdict on each application; one that was acted upon is not looked at again in this run."""
    params = module.params
    settings = Settings(**data_plane_settings(params))

    def engine_for(target: Target, own: Recorder) -> Engine:
        return build_engine(connection, target, settings, params["lease_duration"], clock, own)

    dog = Watchdog(connection, clock, engine_for, params["policy"], params["orphaned_after"])
    found: dict[str, Verdict] = {}
    begin = clock.monotonic()
    while True:
        names = [params["name"]] if params["name"] else watchdog.applications(connection, params["namespace"])
        for name in names:
            if name not in found or found[name].action == watchdog.NO_ACTION:
                found[name] = dog.look(target_of({**params, "name": name}), module.check_mode)
        left = params["watch_seconds"] - (clock.monotonic() - begin)
        if left <= 0:
            break
        clock.sleep(min(max(params["interval"], 1), left))
    for verdict in found.values():
        recorder.event(verdict.state, f"{verdict.app}: {verdict.detail}")
    recorder.subject = {"app": params["name"] or "all", "namespace": params["namespace"]}
    recorder.measure("applications_watched", len(found), "applications")
    return [found[name] for name in sorted(found)]


def summary(found: list[Verdict], namespace: str) -> str:
    """One sentence about all, or what there is to say about those that were not simply well."""
    noteworthy = [v for v in found if v.failed or v.action != watchdog.NO_ACTION]
    if noteworthy:
        return " ".join(f"{v.app}: {v.detail.rstrip('.')}." for v in noteworthy)
    if not found:
        return f"No application in {namespace} has a journal; nothing to watch."
    return " ".join(f"{v.app}: {v.detail.rstrip('.')}; nothing to do." for v in found)


def main() -> None:
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    need_kubernetes(module)
    clock = Clock()
    recorder = Recorder(clock, "rollout_watchdog")
    try:
        found = watch(module, connect(module.params, clock), clock, recorder)
    except OperationError as error:
        module.fail_json(msg=str(error))
    changed, failed = any(v.changed for v in found), any(v.failed for v in found)
    result: dict[str, Any] = {
        "changed": changed,
        "msg": summary(found, module.params["namespace"]),
        "applications": [verdict.plain() for verdict in found],
        "envelope": recorder.envelope(FAILED if failed else PASSED, changed),
    }
    if module._diff:
        result["diff"] = [
            {"before_header": v.app, "after_header": v.app, "before": v.before, "after": v.after}
            for v in found
            if v.before != v.after
        ]
    if failed:
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
